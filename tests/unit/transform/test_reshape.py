"""One source row becomes a row per listed column that is not empty."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.transforming import column, contract, definition, problems, transformed, values

from haulier.errors import DefinitionError
from haulier_transform.canonical import Canonical

WIDE = {"SYS": "SYSBP", "DIA": "DIABP", "TEMP": "TEMP"}
UNPIVOT = {"columns": WIDE, "names_to": "test", "values_to": "result"}
COLUMNS = [
    column("subject", pattern="[0-9]+", key_position=1),
    column("test", key_position=2, enum=tuple(WIDE.values())),
    column("result", "numeric(6,1)", required=True, maximum="300"),
]
HEADER = ["SUBJECT", "SYS", "DIA", "TEMP"]


def unpivoted(rows: list[list[str | None]], **more: Any) -> Any:
    return transformed(HEADER, rows, COLUMNS, unpivot=UNPIVOT, **more)


def test_one_row_per_column_that_is_not_empty_in_the_order_of_the_definition() -> None:
    result = unpivoted([["1", "120", None, "36.5"], ["2", "", " ", "37"]])

    assert values(result, "_haulier_row", "_haulier_output", "subject", "test", "result") == [
        (2, 0, "1", "SYSBP", Decimal("120.0")),
        (2, 2, "1", "TEMP", Decimal("36.5")),
        (3, 2, "2", "TEMP", Decimal("37.0")),
    ]
    assert result.accepted.tolist() == [True, True]


def test_a_null_marker_is_no_output() -> None:
    result = unpivoted([["1", "ND", "ND ", "36.5"]], null_values=["ND"])

    assert values(result, "test") == [("TEMP",)]


def test_a_row_without_any_output_is_filtered_and_the_reason_noted() -> None:
    result = unpivoted([["1", None, "", "  "], ["2", "120", None, None]])

    assert result.accepted.tolist() == [False, True]
    assert not result.rejected.any()
    assert result.filtered == {"no value in any unpivoted column": 1}


def test_a_broken_id_column_rejects_the_source_row_once() -> None:
    result = unpivoted([["x", "120", "80", "hot"]])

    assert problems(result) == [(2, -1, [("pattern", "subject")])]
    assert result.rejected.tolist() == [True]
    assert result.rejected_outputs == 0
    assert result.canonical.num_rows == 0


def test_a_broken_value_rejects_its_output_and_the_row_counts_as_accepted() -> None:
    result = unpivoted([["1", "high", "80", "999"], ["2", "?", None, None]])

    assert problems(result) == [
        (2, 0, [("type", "result")]),
        (2, 2, [("maximum", "result")]),
        (3, 0, [("type", "result")]),
    ]
    assert values(result, "subject", "test") == [("1", "DIABP")]
    assert result.accepted.tolist() == [True, True]
    assert result.rejected_outputs == 3


def test_an_empty_row_with_a_broken_id_is_rejected_not_filtered() -> None:
    result = unpivoted([["x", None, None, None]])

    assert result.rejected.tolist() == [True]
    assert result.filtered == {}


def test_a_listed_column_the_header_does_not_have_is_noted_and_leaves_the_places_alone() -> None:
    result = transformed(["SUBJECT", "TEMP"], [["1", "36.5"]], COLUMNS, unpivot=UNPIVOT)

    assert values(result, "_haulier_output", "test") == [(2, "TEMP")]
    assert "column SYS is missing from the header of labs_1.csv" in result.notes


def test_none_of_the_listed_columns_filters_every_row() -> None:
    result = transformed(["SUBJECT"], [["1"], ["2"]], COLUMNS, unpivot=UNPIVOT)

    assert result.filtered == {"no value in any unpivoted column": 2}
    assert not result.accepted.any()


def test_a_label_that_breaks_the_contract_is_an_error_of_the_definition() -> None:
    unpivot = {**UNPIVOT, "columns": {**WIDE, "PULSE": "HR"}}

    with pytest.raises(DefinitionError, match="'HR' is not one of"):
        Canonical(definition(unpivot=unpivot), contract(*COLUMNS), [])


class TestReplay:
    ROWS: tuple[list[str | None], ...] = (["1", "120", "80", "36.5"], ["2", "90", "bad", "37"])

    def test_only_the_outputs_asked_for_are_hauled_again(self) -> None:
        result = unpivoted(list(self.ROWS), replayed=((2, 1), (3, 2)))

        assert values(result, "_haulier_row", "_haulier_output") == [(2, 1), (3, 2)]
        assert problems(result) == []
        assert result.accepted.tolist() == [True, True]
        assert result.filtered == {}

    def test_a_row_asked_for_as_a_whole_gives_all_its_outputs(self) -> None:
        result = unpivoted(list(self.ROWS), replayed=((2, None), (3, 0)))

        assert values(result, "_haulier_row", "_haulier_output") == [(2, 0), (2, 1), (2, 2), (3, 0)]

    def test_an_output_that_is_still_wrong_is_rejected_again(self) -> None:
        result = unpivoted(list(self.ROWS), replayed=((2, 1), (3, 1)))

        assert problems(result) == [(3, 1, [("type", "result")])]
        assert result.rejected_outputs == 1

    def test_a_row_that_is_broken_now_fails_each_output_that_was_asked_for(self) -> None:
        """Not the row: load resolves by row and output, and would take the outputs for mended."""
        result = unpivoted(
            [["x", "120", "80", "36.5"], ["y", "1", None, None]], replayed=((2, 2), (2, 0), (3, None))
        )

        assert problems(result) == [
            (2, 0, [("pattern", "subject")]),
            (2, 2, [("pattern", "subject")]),
            (3, -1, [("pattern", "subject")]),
        ]


class TestBeside:
    """What goes along with each label's cell."""

    HEADER = ("SUBJECT", "SYS", "DIA", "TEMP", "TEMP_U", "DT", "HIGH")
    COLUMNS = (*COLUMNS, column("unit", max_length=5), column("high", "numeric(6,1)"), column("day", "date"))
    UNPIVOT: ClassVar[dict[str, Any]] = {
        **UNPIVOT,
        "beside": {
            "unit": {"TEMP": "temp_u"},
            "high": {"SYSBP": "HIGH"},
            "day": {"SYSBP": "DT", "DIABP": "dt"},
        },
        "constants": {"unit": {"SYSBP": "mmHg", "DIABP": "mmHg"}, "day": {"TEMP": "2026-01-01"}},
    }

    def unpivoted(self, rows: list[list[str | None]], header: Sequence[str] = HEADER, **more: Any) -> Any:
        return transformed(header, rows, self.COLUMNS, unpivot={**self.UNPIVOT, **more})

    def test_each_cell_has_its_own_beside_it(self) -> None:
        result = self.unpivoted(
            [["1", "120", "80", "36.5", "C", "2026-01-05", "140"], ["2", "90", None, "98", "F", None, None]]
        )

        said = [
            (subject, test, unit, high and str(high), day and str(day))
            for subject, test, unit, high, day in values(result, "subject", "test", "unit", "high", "day")
        ]
        assert said == [
            ("1", "SYSBP", "mmHg", "140.0", "2026-01-05"),
            ("1", "DIABP", "mmHg", None, "2026-01-05"),
            ("1", "TEMP", "C", None, "2026-01-01"),
            ("2", "SYSBP", "mmHg", None, None),
            ("2", "TEMP", "F", None, "2026-01-01"),
        ]
        assert result.notes == []

    def test_what_breaks_the_contract_rejects_its_output_with_all_that_is_wrong_there(self) -> None:
        result = self.unpivoted([["1", "high", "80", "36.5", "Celsius", "yesterday", "x"]])

        assert problems(result) == [
            (2, 0, [("type", "result"), ("type", "high"), ("type", "day")]),
            (2, 1, [("type", "day")]),
            (2, 2, [("max_length", "unit")]),
        ]
        assert result.accepted.tolist() == [True]
        assert result.rejected_outputs == 3

    def test_an_empty_cell_is_no_output_whatever_stands_beside_it(self) -> None:
        result = self.unpivoted([["1", None, None, None, "Celsius", "yesterday", "x"]])

        assert problems(result) == []
        assert result.filtered == {"no value in any unpivoted column": 1}

    def test_an_empty_cell_is_kept_where_one_of_the_columns_that_keep_it_has_a_value(self) -> None:
        columns = [
            *COLUMNS[:2],
            column("result", "numeric(6,1)"),
            column("why", null_values=("0",)),
            column("done"),
        ]
        wide = {
            **UNPIVOT,
            "beside": {"why": {"SYSBP": "SYS_ND", "TEMP": "TEMP_ND"}},
            "keep_empty": ["why", "done"],
        }
        header = ["SUBJECT", "SYS", "DIA", "TEMP", "SYS_ND", "TEMP_ND", "DONE"]
        rows: list[list[str | None]] = [
            ["1", None, None, "36.5", "refused", "0", None],
            ["2", None, "80", None, "0", "", " "],
            ["3", None, None, None, None, None, "no"],
            ["4", None, None, None, "0", "0", None],
        ]
        result = transformed(header, rows, columns, unpivot=wide)

        found = values(result, "subject", "test", "result", "why", "done", "_haulier_output")
        assert [(*one[:2], one[2] and str(one[2]), *one[3:]) for one in found] == [
            ("1", "SYSBP", None, "refused", None, 0),
            ("1", "TEMP", "36.5", None, None, 2),
            ("2", "DIABP", "80.0", None, " ", 1),
            ("3", "SYSBP", None, None, "no", 0),
            ("3", "DIABP", None, None, "no", 1),
            ("3", "TEMP", None, None, "no", 2),
        ]
        assert result.filtered == {"no value in any unpivoted column": 1}

    def test_a_column_the_header_does_not_have_is_noted_once_and_gives_no_value(self) -> None:
        result = self.unpivoted([["1", "120", "80", "36.5"]], self.HEADER[:4])

        assert values(result, "unit") == [("mmHg",), ("mmHg",), (None,)]
        assert sorted(result.notes) == [
            f"column {name} is missing from the header of labs_1.csv" for name in ("DT", "HIGH", "temp_u")
        ]

    def test_a_header_that_has_the_contracts_column_too_is_refused(self) -> None:
        with pytest.raises(
            DefinitionError, match=r"'Unit' is in the header, and transform\.unpivot says unit"
        ):
            self.unpivoted([["1", "120", "80", "36.5", "C", None, None, "x"]], [*self.HEADER, "Unit"])

    def test_a_constant_that_breaks_the_contract_is_an_error_of_the_definition(self) -> None:
        with pytest.raises(
            DefinitionError, match=r"transform.unpivot.constants.unit.TEMP: 'Celsius' has more than"
        ):
            self.unpivoted([], beside={}, constants={"unit": {"TEMP": "Celsius"}})


CELL = st.sampled_from([None, "", "12", "x", "999", " 7 "])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["1", "x", None]), CELL, CELL, CELL), max_size=30))
def test_every_cell_is_an_output_a_reject_or_nothing(rows: list[tuple[str | None, ...]]) -> None:
    result = unpivoted([list(row) for row in rows])

    outputs = {(row, output) for row, output in values(result, "_haulier_row", "_haulier_output")}
    rejected = {(row, output) for row, output, _ in problems(result)}
    assert not outputs & rejected
    for number, (subject, *cells) in enumerate(rows, start=2):
        held = {at for at, cell in enumerate(cells) if cell and cell.strip()}
        if subject != "1":
            assert (number, -1) in rejected
            assert not any(row == number for row, _ in outputs)
        else:
            good = {at for at in held if cells[at] in ("12", " 7 ")}
            assert {output for row, output in outputs if row == number} == good
            assert {output for row, output in rejected if row == number} == held - good
            assert bool(result.accepted[number - 2]) == bool(held)
