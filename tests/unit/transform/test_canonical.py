"""A batch of text becomes canonical rows, rejects and flags, and nothing is lost between them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.transforming import (
    column,
    contract,
    definition,
    delivery,
    problems,
    text_table,
    transformed,
    values,
)

from haulier import rows
from haulier.errors import DefinitionError
from haulier_transform.canonical import Canonical, Result

COLUMNS = [
    column("subject", pattern="S[0-9]", key_position=1, how_to_fix="Use S and a digit."),
    column("visit", "date", required=True),
    column("result", "numeric(6,2)", minimum="0", soft_maximum="50"),
    column("comment", "varchar(5)"),
]
HEADER = ["Subject", "VISIT", "result", "comment"]


def test_rows_that_keep_the_contract_are_exactly_the_canonical_schema() -> None:
    result = transformed(
        HEADER, [["S1", "2026-01-05", " 1.50", ""], ["S2", "2026-01-06", None, None]], COLUMNS
    )

    assert result.canonical.schema.equals(rows.canonical_schema(contract(*COLUMNS)))
    assert result.canonical["_haulier_output"].null_count == 2
    assert [str(row[1]) for row in values(result, "_haulier_row", "visit")] == ["2026-01-05", "2026-01-06"]
    assert result.canonical["comment"].to_pylist() == ["", None]


def test_one_row_is_one_reject_that_lists_all_its_problems_in_column_order() -> None:
    result = transformed(HEADER, [["x", "", "-1.234", "too long"]], COLUMNS)

    assert problems(result) == [
        (
            2,
            -1,
            [("pattern", "subject"), ("required", "visit"), ("scale", "result"), ("max_length", "comment")],
        )
    ]
    reason = result.rejects.reasons[0]
    assert (reason.rule, reason.column) == ("pattern", "subject")
    assert reason.message == "'x' does not match the pattern S[0-9]. Use S and a digit."
    assert msgspec.json.decode(reason.problems)[0]["message"] == reason.message


def test_rows_outside_soft_limits_enter_and_are_flagged() -> None:
    result = transformed(HEADER, [["S1", "2026-01-05", "70", None], ["x", "2026-01-05", "80", None]], COLUMNS)

    assert result.canonical.num_rows == 1
    assert (result.flags.source.tolist(), result.flags.rule, result.flags.column) == (
        [0],
        ["implausible"],
        ["result"],
    )
    assert result.flags.message == ["'70.00' is implausible: it is more than 50"]


def test_a_flag_of_a_row_that_does_not_enter_is_dropped() -> None:
    twice = [column("at", "timestamptz"), column("n", "integer")]

    result = transformed(
        ["at", "n"], [["2024-10-27T02:30", "1"], ["2024-10-27T02:30", "x"]], twice, time_zone="Europe/Berlin"
    )

    assert (result.flags.source.tolist(), result.flags.rule) == ([0], ["ambiguous-time"])
    assert problems(result) == [(3, -1, [("type", "n")])]


def test_messages_and_problems_can_be_kept_by_postgresql() -> None:
    result = transformed(["n", "t"], [["1\0", "a\0b"]], [column("n", "integer"), column("t")])

    (reason,) = result.rejects.reasons
    assert problems(result) == [(2, -1, [("type", "n"), ("nul-byte", "t")])]
    assert "\0" not in reason.message
    assert "\\u0000" not in reason.problems.replace("\\\\", "")


def test_an_ambiguous_header_names_its_delivery() -> None:
    with pytest.raises(DefinitionError, match=r"labs_1.csv: 'visit' and 'VISIT'"):
        transformed(["subject", "visit", "VISIT"], [["S1", "1", "2"]], COLUMNS)


def test_a_missing_required_column_rejects_every_row_and_is_noted() -> None:
    result = transformed(["subject"], [["S1"], ["S2"]], COLUMNS)

    assert [found[2] for found in problems(result)] == [[("required", "visit")]] * 2
    assert "missing from the header" in result.rejects.reasons[0].message
    assert "column visit is missing from the header of labs_1.csv" in result.notes


def test_deliveries_with_different_headers_are_one_table() -> None:
    canonical = Canonical(definition(), contract(*COLUMNS), [delivery(1), delivery(2)])

    first = canonical.batch(text_table(HEADER, [["S1", "2026-01-05", "1", "a"]]))
    second = canonical.batch(text_table(["result", "visit", "subject"], [["2", "2026-01-05", "S2"]], place=1))

    table = pa.concat_tables([first.canonical, second.canonical])
    assert table["_haulier_delivery"].to_pylist() == [0, 1]
    assert table["subject"].to_pylist() == ["S1", "S2"]
    assert second.notes == ["column comment is missing from the header of labs_2.csv"]


def test_a_derived_column_is_not_read_from_the_source() -> None:
    derived = [column("subject"), column("total", "integer", derived=True)]

    result = transformed(["subject", "total"], [["S1", "7"]], derived)

    assert result.canonical["total"].to_pylist() == [None]
    assert result.notes == ["column total in labs_1.csv: computed by the pipeline, not loaded"]


CELLS = {
    "Subject": st.sampled_from([None, "S1", "S2", "x", ""]),
    "VISIT": st.sampled_from([None, "2026-01-05", "2026-02-30", "05.01.2026", "", "2026-01-06"]),
    "result": st.sampled_from([None, "1", "-1", "60", "1.234", "1e3", "123456", "NaN", " 2 "]),
    "comment": st.sampled_from([None, "", "ok", "too long", "a\0b"]),
}
ROWS = st.lists(st.tuples(*CELLS.values()), max_size=40)


@settings(deadline=None)
@given(ROWS)
def test_every_row_read_is_accepted_or_rejected_and_only_one_of_them(given: list[tuple[Any, ...]]) -> None:
    result = transformed(HEADER, given, COLUMNS)

    accepted = Counter(row for (row,) in values(result, "_haulier_row"))
    rejected = Counter(row for row, _, _ in problems(result))
    assert sorted([*accepted, *rejected]) == list(range(2, len(given) + 2))
    assert set((accepted + rejected).values()) <= {1}
    assert (result.accepted ^ result.rejected).all()
    assert int(result.accepted.sum()) == result.canonical.num_rows


def gathered(results: list[Result]) -> list[Any]:
    """All that a run writes, batch borders forgotten."""
    rejects = [(row, out, found) for result in results for row, out, found in problems(result)]
    reasons = [reason for result in results for reason in result.rejects.reasons]
    flags = [
        (int(result.row[source]), int(out), rule, name, message)
        for result in results
        for source, out, rule, name, message in zip(
            result.flags.source,
            result.flags.output,
            result.flags.rule,
            result.flags.column,
            result.flags.message,
            strict=True,
        )
    ]
    rows_written = [row for result in results for row in result.canonical.to_pylist()]
    filtered = sum((result.filtered for result in results), Counter())
    accepted = [bool(one) for result in results for one in result.accepted]
    return [rows_written, rejects, reasons, flags, filtered, accepted]


@settings(deadline=None)
@given(ROWS, st.integers(1, 41))
def test_what_is_written_does_not_depend_on_the_size_of_batches(
    given: list[tuple[Any, ...]], batch_rows: int
) -> None:
    canonical = Canonical(definition(), contract(*COLUMNS), [delivery()])
    table = text_table(HEADER, given)

    batches = [table.slice(start, batch_rows) for start in range(0, len(given), batch_rows)]

    assert gathered([canonical.batch(one) for one in batches]) == gathered([canonical.batch(table)])


@settings(deadline=None)
@given(st.lists(st.tuples(*[CELLS["Subject"], *[CELLS["result"]] * 3]), max_size=30), st.integers(1, 31))
def test_nor_does_what_an_unpivot_writes(given: list[tuple[Any, ...]], batch_rows: int) -> None:
    columns = [
        column("subject", required=True),
        column("test"),
        column("result", "numeric(6,2)", soft_maximum="50"),
    ]
    unpivot = {"columns": {"a": "A", "b": "B", "c": "C"}, "names_to": "test", "values_to": "result"}
    canonical = Canonical(definition(unpivot=unpivot), contract(*columns), [delivery()])
    table = text_table(["subject", "a", "b", "c"], given)

    batches = [table.slice(start, batch_rows) for start in range(0, len(given), batch_rows)]

    assert gathered([canonical.batch(one) for one in batches]) == gathered([canonical.batch(table)])


DELETIONS = [*COLUMNS, column("op", enum=("U", "D"), deletes=("D",), required=True)]


def test_a_deletion_needs_its_key_and_no_other_value() -> None:
    header = [*HEADER, "op"]
    cells = [
        ["S1", "", "-9", "far too long", "D"],
        ["S2", "", "1", "", "U"],
        ["oh", "2026-01-05", "1", "", "D"],
        ["S4", "2026-01-05", "60", "", "U"],
        ["S5", "2026-01-05", "60", "", "D"],
        ["S6", "2026-01-05", "1", "", "?"],
    ]
    result = transformed(header, cells, DELETIONS)

    assert values(result, "_haulier_row", "subject", "op") == [(2, "S1", "D"), (5, "S4", "U"), (6, "S5", "D")]
    assert problems(result) == [
        (3, -1, [("required", "visit")]),
        (4, -1, [("pattern", "subject")]),
        (7, -1, [("enum", "op")]),
    ]
    assert result.flags.source.tolist() == [3]
    assert result.canonical.schema.field("visit").nullable
    assert not result.canonical.schema.field("subject").nullable


def test_a_header_without_the_columns_a_deletion_need_not_fill_still_deletes() -> None:
    result = transformed(["subject", "op"], [["S1", "D"], ["S2", "U"]], DELETIONS)

    assert values(result, "subject", "visit") == [("S1", None)]
    assert [found for _, _, found in problems(result)] == [[("required", "visit")]]


FEED = [
    column("id", "integer", key_position=1),
    column("at", "bigint", required=True),
    column("body", required=True, unchanged_values=("__keep", "-")),
    column("price", "numeric(6,2)", minimum="1", unchanged_values=("__keep",)),
    column("note", "varchar(4)"),
    column("op", deletes=("D",), truncates=("T",)),
]


def test_a_cell_that_says_unchanged_is_no_value_and_breaks_no_rule() -> None:
    result = transformed(
        ["id", "at", "body", "price", "note", "op"],
        [
            ["1", "1", "__keep", "2.00", "-", "U"],
            ["2", "2", "-", "__keep", None, "U"],
            ["3", "3", "long", "0.5", None, "U"],
            ["4", "4", "", "-", None, "U"],
            ["5", "5", None, "__keep", None, "U"],
            ["6", "6", "__keep", "__keep", "too long", "D"],
        ],
        FEED,
    )

    assert [row.get(rows.UNCHANGED) for row in result.canonical.to_pylist()] == [
        '["body"]',
        '["body", "price"]',
        None,
    ]
    assert result.canonical["body"].to_pylist() == [None, None, None]
    assert result.canonical["note"].to_pylist()[0] == "-"
    assert [(row, found) for row, _, found in problems(result)] == [
        (4, [("minimum", "price")]),
        (5, [("type", "price")]),
        (6, [("required", "body")]),
    ]


def test_a_truncation_needs_no_more_than_when_it_was() -> None:
    feed = msgspec.structs.replace(contract(*FEED), ordering="at")
    lines = text_table(["id", "at", "op"], [[None, "7", "T"], [None, None, "T"], [None, "8", "D"]])
    result = Canonical(definition(), feed, (delivery(),)).batch(lines)

    assert [(row["id"], row["at"]) for row in result.canonical.to_pylist()] == [(None, 7)]
    assert [(row, found) for row, _, found in problems(result)] == [
        (3, [("required", "at")]),
        (4, [("required", "id")]),
    ]
