"""Indexes that a contract asks for."""

import pytest
from support.odcs import custom, loader, marking

from haulier.contracts import Index
from haulier.errors import DefinitionError


@pytest.fixture
def load(tmp_path):
    return loader(tmp_path)


def test_a_contract_asks_for_indexes(load):
    json = {"name": "more", "logicalType": "object"}
    written = [
        {"columns": ["thing", "a"]},
        {"columns": ["a"], "using": "brin"},
        {"columns": ["more"], "using": "gin"},
    ]
    contract = load(
        {"name": "a", "logicalType": "date"}, json, table={"customProperties": custom(indexes=written)}
    )

    assert contract.indexes == (
        Index(columns=("thing", "a"), using="btree"),
        Index(columns=("a",), using="brin"),
        Index(columns=("more",), using="gin"),
    )


@pytest.mark.parametrize(
    ("indexes", "message"),
    [
        ("a", '"a" is not a list; write [{columns: [subject]}]'),
        ([{"using": "brin"}], "names no columns"),
        ([{"columns": []}], "names no columns"),
        (["a"], '"a" names no columns'),
        ([{"columns": ["thin"]}], '"thin" is not a column of the table; did you mean "thing"?'),
        ([{"columns": ["op"]}], '"op" is not a column of the table'),
        ([{"columns": ["thing"], "using": "hash"}], '"hash" is not one of'),
        ([{"columns": ["thing"], "using": "gin"}], '"thing" is text, which btree or brin indexes'),
        ([{"columns": ["more"]}], '"more" is jsonb, which gin indexes'),
        ([{"columns": ["thing", "thing"]}], "names a column twice"),
        ([{"columns": ["thing"]}] * 2, "is there already"),
        ([{"columns": ["thing"], "unique": True}], "is not known; an index has"),
    ],
)
def test_indexes_that_are_none_are_refused(load, indexes, message):
    with pytest.raises(DefinitionError) as refused:
        load(
            {"name": "more", "logicalType": "object"},
            marking(["D"]),
            table={"customProperties": custom(indexes=indexes)},
        )

    assert message in str(refused.value)
