"""Which row is which, which of two is newer and which are gone: key, ordering, deletions, feeds and versions."""

import pytest
from support.odcs import custom, keyed, loader, marking

from haulier.errors import DefinitionError


@pytest.fixture
def load(tmp_path):
    return loader(tmp_path)


def test_key_columns_count_in_the_order_of_the_file_or_by_their_numbers(load):
    in_order = load(keyed("a", primaryKey=True), keyed("b"))
    numbered = load(
        table={
            "properties": [
                keyed("a", primaryKey=True, primaryKeyPosition=2),
                keyed("b", primaryKeyPosition=-1),
                keyed("c", primaryKey=True, primaryKeyPosition=1),
            ]
        }
    )

    assert in_order.key == ("thing", "a")
    assert numbered.key == ("c", "a")
    assert numbered.column("a").required


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            {"primaryKeyPosition": 1},
            "properties[x].primaryKeyPosition stands alone; write primaryKey: true beside it",
        ),
        (
            {"primaryKey": True, "primaryKeyPosition": 2},
            "primaryKeyPosition is none, 2; number the key columns 1 to 2",
        ),
    ],
)
def test_half_a_numbering_of_the_key_is_refused(load, written, message):
    with pytest.raises(DefinitionError) as refused:
        load(keyed("x", **written))

    assert message in str(refused.value)


def test_the_ordering_column_is_kept(load):
    changed = {"name": "changed", "logicalType": "timestamp", "required": True}

    assert load(changed, table={"customProperties": custom(ordering="changed")}).ordering == "changed"


@pytest.mark.parametrize(
    ("ordering", "written", "message"),
    [
        ("chnged", {}, '"chnged" is not a column; did you mean "changed"?'),
        (7, {}, "7 is not a column"),
        ("changed", {"required": False}, '"changed" must be required, or some rows have no version'),
        ("changed", {"logicalType": "object"}, '"changed" is jsonb, which has no newer and older'),
        ("thing", {}, '"thing" is in the primary key, so it is equal wherever it is compared'),
    ],
)
def test_an_ordering_column_that_orders_nothing_is_refused(load, ordering, written, message):
    changed = {"name": "changed", "logicalType": "timestamp", "required": True, **written}

    with pytest.raises(DefinitionError) as refused:
        load(changed, table={"customProperties": custom(ordering=ordering)})

    assert f"schema[things].customProperties[ordering].value: {message}" in str(refused.value)


def test_a_column_that_marks_deletions_is_read_and_not_stored(load):
    contract = load(
        keyed("a", primaryKey=True),
        marking(["D", "X"]),
        table={"customProperties": custom(deletedAt="gone_at")},
    )

    assert contract.marker.deletes == ("D", "X")
    assert [c.name for c in contract.stored] == ["thing", "a"]
    assert contract.identifying == {"thing", "a", "op"}
    assert contract.deleted_at == "gone_at"


def test_deletions_are_marked_by_values_of_the_columns_own_type(load):
    key = keyed("a", primaryKey=True)

    assert load(key, marking([True], logicalType="boolean")).marker.deletes == ("true",)
    assert load(key, marking([0], logicalType="integer")).marker.deletes == ("0",)


@pytest.mark.parametrize(
    ("columns", "table", "message"),
    [
        ([marking("D")], {}, 'properties[op].customProperties[deletes].value: "D" is not a list of values'),
        ([marking([])], {}, "customProperties[deletes].value: [] is not a list of values"),
        ([marking([3])], {}, "customProperties[deletes].value[0]: 3 is a number to YAML"),
        ([marking([{}], logicalType="object")], {}, "object values cannot be listed"),
        ([marking(["D"], primaryKey=True)], {}, "stands on a key column, which says which row is gone"),
        ([marking(["D"]), marking(["D"], name="op2")], {}, '"op" and "op2" all have deletes'),
        ([marking(["D"], required=True)], {"ordering": "op"}, '"op" says which rows are gone, so it is not stored'),
        ([marking(["D"])], {"deletedAt": 3}, "3 is not the name of a column"),
        ([marking(["D"])], {"deletedAt": "Thing"}, '"Thing" is a column that is read; choose another name'),
        ([marking(["D"])], {"deletedAt": "xmin"}, '"xmin" is a column every table of PostgreSQL has'),
    ],
)  # fmt: skip
def test_deletions_nobody_could_carry_out_are_refused(load, columns, table, message):
    with pytest.raises(DefinitionError) as refused:
        load(*columns, table={"customProperties": custom(**table)} if table else {})

    assert message in str(refused.value)


def test_deletions_without_a_key_are_refused(load):
    with pytest.raises(DefinitionError, match='"op" has deletes and no column is primaryKey'):
        load(table={"properties": [keyed("a"), marking(["D"])]})


def events(*, key=True, ordering="at", table=None, body=None, **op):
    properties = [
        keyed("id", primaryKey=key),
        {"name": "at", "logicalType": "integer", "required": True},
        {
            "name": "body",
            "logicalType": "string",
            "customProperties": custom(unchangedValues=["__keep"]),
            **(body or {}),
        },
        {
            "name": "op",
            "logicalType": "string",
            "customProperties": custom(**{"deletes": ["D"], "truncates": ["T"]} | op),
        },
    ]
    given = {"ordering": ordering, **(table or {})}
    return {"properties": properties, "customProperties": custom(**{k: v for k, v in given.items() if v})}


def test_a_feed_says_what_truncates_and_what_did_not_change(load):
    contract = load(table=events())

    assert contract.truncates
    assert contract.marker.truncates == ("T",)
    assert [(c.name, c.unchanged_values) for c in contract.keeping] == [("body", ("__keep",))]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"ordering": None}, '"op" has truncates, which needs a primary key and ordering'),
        ({"ordering": None}, '"body" has unchangedValues, which needs a primary key and ordering'),
        ({"table": {"deletedAt": "gone"}}, '"op" has truncates, which only a table of live rows can keep; remove deletedAt'),
        ({"table": {"validTo": "until"}}, '"body" has unchangedValues, which only a table of live rows can keep'),
        ({"truncates": ["D"]}, '"D" both deletes and truncates; it can mean one of the two'),
        ({"truncates": "T"}, '"T" is not a list of values; write [T]'),
        ({"unchangedValues": ["x"]}, "what it says of the event has to be known"),
        ({"body": {"unique": True}}, "stands on a column that is in the key, unique or computed"),
        ({"body": {"required": True}, "ordering": "body"}, "what it says of the event has to be known"),
    ],
)  # fmt: skip
def test_a_feed_nobody_could_follow_is_refused(load, told, message):
    with pytest.raises(DefinitionError) as refused:
        load(table=events(**told))

    assert message in str(refused.value)


def test_truncations_are_marked_where_deletions_are(load):
    column = {"name": "op", "logicalType": "string", "customProperties": custom(truncates=["T"])}

    with pytest.raises(DefinitionError, match="stands alone; give deletes as well"):
        load(keyed("a", primaryKey=True), column)


EDITED = {"name": "edited", "logicalType": "date", "required": True}
VERSIONS = {"ordering": "edited", "validTo": "valid_to", "isCurrent": "is_current"}


def test_a_table_of_versions_names_its_columns(load):
    contract = load(keyed("a", primaryKey=True), EDITED, table={"customProperties": custom(**VERSIONS)})

    assert (contract.ordering, contract.valid_to, contract.is_current) == ("edited", "valid_to", "is_current")


@pytest.mark.parametrize(
    ("columns", "table", "message"),
    [
        ([], {"ordering": ...}, "customProperties[validTo].value needs a primary key and ordering"),
        ([], {"validTo": ...}, "customProperties[isCurrent].value stands alone; give validTo as well"),
        ([], {"isCurrent": "valid_to"}, '"valid_to" is isCurrent, too; choose another name'),
        ([], {"validTo": "edited"}, '"edited" is a column that is read; choose another name'),
        ([marking(["D"])], {"deletedAt": "gone"}, "says already what deletedAt would; keep one of the two"),
        ([keyed("b", unique=True)], {}, 'keeps every version of a row, and "b" must be unique'),
    ],
)
def test_versions_that_could_not_be_kept_are_refused(load, columns, table, message):
    properties = {name: value for name, value in {**VERSIONS, **table}.items() if value is not ...}

    with pytest.raises(DefinitionError) as refused:
        load(keyed("a", primaryKey=True), EDITED, *columns, table={"customProperties": custom(**properties)})

    assert message in str(refused.value)
