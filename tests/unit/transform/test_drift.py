"""What a file has beside its contract, and how the types of its columns differ from the contract's."""

from __future__ import annotations

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.transforming import column, contract, definition, delivery, problems, text_table, values

from haulier.contracts import with_extra
from haulier.errors import DataError, DefinitionError
from haulier_transform.batch import Batch
from haulier_transform.canonical import Canonical, Result
from haulier_transform.drift import kind_of_type
from haulier_transform.functions import Function, Functions

THINGS = contract(
    column("thing", key_position=1, required=True),
    column("size", "integer", aliases=("Grösse",)),
    column("op", deletes=("D",)),
)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def transformed(header: list[str], rows: list[list[str | None]], **drift: str) -> Result:
    keeps = drift.get("new_column") == "keep"
    canonical = Canonical(definition(drift=drift), with_extra(THINGS) if keeps else THINGS, [delivery()])
    return canonical.batch(text_table(header, rows))


@given(
    st.lists(
        TEXTS.filter(lambda name: name.strip().casefold() not in ("thing", "size", "grösse", "op")),
        unique=True,
    ),
    st.data(),
)
def test_every_value_of_an_unknown_column_is_kept_as_it_is(names: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(*[st.none() | TEXTS for _ in names]), min_size=1, max_size=5))
    result = transformed(
        ["thing", *names], [[f"t{n}", *row] for n, row in enumerate(rows)], new_column="keep"
    )

    kept = [msgspec.json.decode(one) if one else {} for (one,) in values(result, "_extra")]
    assert kept == [
        {name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows
    ]


def test_a_value_that_postgresql_cannot_keep_rejects_its_row() -> None:
    result = transformed(["thing", "note"], [["a", "x\0y"], ["b", "xy"]], new_column="keep")

    assert problems(result) == [(2, -1, [("nul-byte", "note")])]
    assert values(result, "thing", "_extra") == [("b", '{"note":"xy"}')]


def test_a_source_column_of_that_name_is_one_of_those_that_are_kept() -> None:
    result = transformed(["thing", "_extra"], [["a", "1"]], new_column="keep")

    assert values(result, "_extra") == [('{"_extra":"1"}',)]


def test_unknown_columns_without_a_value_are_nothing() -> None:
    result = transformed(["thing", "note"], [["a", None]], new_column="keep")

    assert values(result, "_extra") == [(None,)]


def test_functions_hand_on_what_is_kept_and_may_not_lose_it() -> None:
    def larger(batch: Batch) -> Batch:
        return batch.assign(size=batch.rows["size"] + 1)

    def lost(batch: Batch) -> Batch:
        return batch.replace_rows(batch.rows.drop(columns=["_extra"]))

    def hauled(function: Function) -> Result:
        told = definition(drift={"new_column": "keep"}, functions=("m.f",))
        canonical = Canonical(told, with_extra(THINGS), [delivery()], Functions([("m.f", function)], ""))
        return canonical.batch(text_table(["thing", "size", "note"], [["a", "1", "n"]]))

    assert values(hauled(larger), "size", "_extra") == [(2, '{"note":"n"}')]
    with pytest.raises(DefinitionError, match="lost the contract's _extra"):
        hauled(lost)


def test_every_row_that_is_made_of_one_has_what_is_kept_of_it() -> None:
    wide = contract(column("thing"), column("test"), column("result", "integer"))
    unpivot = {"columns": {"A": "a", "B": "b"}, "names_to": "test", "values_to": "result"}
    told = definition(drift={"new_column": "keep"}, unpivot=unpivot)
    result = Canonical(told, with_extra(wide), [delivery()]).batch(
        text_table(["thing", "A", "B", "note"], [["x", "1", "2", "n"]])
    )

    assert values(result, "test", "_extra") == [("a", '{"note":"n"}'), ("b", '{"note":"n"}')]


@pytest.mark.parametrize(
    ("header", "drift"),
    [
        (["thing", "op", "note"], {"new_column": "reject"}),
        (["thing", "op"], {"missing_column": "reject"}),
        (["thing", "op", "Grösse"], {"renamed": "reject"}),
    ],
)
def test_a_deletion_is_not_judged_by_what_its_file_has_more_or_less(
    header: list[str], drift: dict[str, str]
) -> None:
    rows: list[list[str | None]] = [["a", "U", "1"], ["b", "D", "1"]]
    result = transformed(header, [row[: len(header)] for row in rows], **drift)

    assert values(result, "thing") == [("b",)]
    assert [row for row, *_ in problems(result)] == [2]


def test_all_that_is_wrong_with_a_row_is_one_reject() -> None:
    result = transformed(["thing", "size", "note"], [[None, "x", "1"]], new_column="reject")

    assert problems(result) == [(2, -1, [("required", "thing"), ("type", "size"), ("new-column", "note")])]


def test_a_file_that_may_have_no_header_does_not_get_its_first_row_into_the_error() -> None:
    with pytest.raises(
        DataError, match=r"no column is in contract test 1\.0\.0; has it a header\?"
    ) as stopped:
        transformed(["Jane Doe", "701"], [["a", "1"]], new_column="stop")

    assert "Jane" not in str(stopped.value)


@pytest.mark.parametrize(
    ("found", "promised", "kind"),
    [
        (pa.string(), "text", None),
        (pa.string(), "varchar(5)", None),
        (pa.string(), "jsonb", None),
        (pa.string(), "uuid", "retyped"),
        (pa.uuid(), "uuid", None),
        (pa.int8(), "smallint", None),
        (pa.int64(), "integer", "widened"),
        (pa.int16(), "bigint", "narrowed"),
        (pa.uint32(), "bigint", None),
        (pa.uint64(), "bigint", "widened"),
        (pa.int64(), "numeric", "narrowed"),
        (pa.int64(), "text", "retyped"),
        (pa.decimal128(12, 4), "numeric(8,2)", "widened"),
        (pa.decimal128(8, 2), "numeric(8,2)", None),
        (pa.decimal128(38, 10), "numeric", None),
        (pa.decimal128(38, 20), "numeric", "retyped"),
        (pa.float64(), "double precision", None),
        (pa.float32(), "double precision", "narrowed"),
        (pa.float64(), "numeric(8,2)", "retyped"),
        (pa.timestamp("ns", "UTC"), "timestamptz", None),
        (pa.timestamp("us"), "timestamptz", "retyped"),
        (pa.timestamp("us"), "date", "retyped"),
        (pa.date32(), "date", None),
        (pa.time64("us"), "time", None),
        (pa.bool_(), "boolean", None),
        (pa.null(), "integer", None),
    ],
)
def test_a_type_is_wider_narrower_or_another(found: pa.DataType, promised: str, kind: str | None) -> None:
    assert kind_of_type(found, promised) == kind
