"""Partitions that a contract asks for, and those PostgreSQL could not keep."""

import pytest
from support.odcs import custom, keyed, loader

from haulier.errors import DefinitionError


@pytest.fixture
def load(tmp_path):
    return loader(tmp_path)


SEEN = {"name": "seen", "logicalType": "date", "primaryKey": True, "partitioned": True}
SITE = {"name": "site", "logicalType": "string", "primaryKey": True, "partitioned": True}


def levels(contract):
    return [(level.column, level.by) for level in contract.partitions]


def test_a_partitioned_date_goes_by_month_and_all_else_by_list(load):
    assert levels(load(SEEN)) == [("seen", "month")]
    assert levels(load(SITE, SEEN)) == [("site", "list"), ("seen", "month")]
    assert levels(load(SEEN | {"partitioned": False})) == []


def test_the_outer_level_is_the_one_with_the_lower_position(load):
    site, seen = SITE | {"partitionKeyPosition": 2}, SEEN | {"partitionKeyPosition": 1}

    assert levels(load(site, seen)) == [("seen", "month"), ("site", "list")]


def test_a_contract_says_how_long_a_partition_is_and_how_many_are_made_ahead(load):
    table = {"customProperties": custom(partitions={"seen": "year"}, partitionsAhead=0)}
    contract = load(SEEN, table=table)

    assert (levels(contract), contract.partitions_ahead) == ([("seen", "year")], 0)
    assert load(SEEN).partitions_ahead == 1


@pytest.mark.parametrize(
    ("columns", "table", "message"),
    [
        ([SEEN | {"primaryKey": False, "required": True}], {}, "seen must be in the primary key (thing): PostgreSQL holds a key"),
        ([SEEN, keyed("b", unique=True)], {}, '"b" must be unique, which PostgreSQL holds within each partition only'),
        ([SEEN | {"partitionKeyPosition": 2}], {}, "number the partitioned columns 1 to 1 by partitionKeyPosition"),
        ([{"name": "b", "logicalType": "string", "partitionKeyPosition": 1}], {}, "partitionKeyPosition stands alone"),
        ([SEEN, SEEN | {"name": "b"}], {}, "it may be one date or time, one list, or one in the other"),
        ([SITE, SITE | {"name": "b"}], {}, "it may be one date or time, one list, or one in the other"),
        ([SITE], {"partitions": {"site": "month"}}, '"site" is text, which has no month; partition it by list'),
        ([SEEN], {"partitions": {"seen": "list"}}, '"seen" is date, whose values are not listed'),
        ([SEEN], {"partitions": {"seen": "week"}}, 'partitions].value.seen: "week" is not one of'),
        ([SEEN], {"partitions": {"sen": "day"}}, 'is not a column with partitioned: true; did you mean "seen"?'),
        ([SEEN], {"partitions": "day"}, '"day" is not a mapping; write {collected: month}'),
        ([SEEN], {"partitionsAhead": -1}, "-1 is not a whole number from 0 to 100"),
        ([SITE], {"partitionsAhead": 1}, "partitionsAhead].value has no day, month or year to make ahead"),
        ([], {"partitionsAhead": 1}, "partitionsAhead].value has no day, month or year to make ahead"),
    ],
)  # fmt: skip
def test_partitions_postgresql_could_not_keep_are_refused(load, columns, table, message):
    with pytest.raises(DefinitionError) as refused:
        load(*columns, table={"customProperties": custom(**table)} if table else {})

    assert message in str(refused.value).replace('"seen" must be in', "seen must be in")


def test_a_partition_column_without_a_value_in_some_rows_is_refused(load):
    with pytest.raises(DefinitionError, match='"seen" must be required, or some rows have no partition'):
        load(table={"properties": [SEEN | {"primaryKey": False}]})
