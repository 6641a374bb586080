"""A column's cells: what is null, what breaks which rule, and what is said of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.transforming import column

from haulier.contracts import Column
from haulier.definitions import Transform
from haulier_transform.judging import Judge, Judged


def judged(column: Column, cells: list[str | None], **transform: Any) -> Judged:
    return Judge(column, Transform(**transform)).cells(pa.array(cells, pa.string()))


def rows(found: Judged, count: int) -> list[Any]:
    return list(found.take(np.arange(count)).to_pylist())


def messages(found: Judged) -> dict[int, list[str]]:
    by_row: dict[int, list[str]] = {}
    for finding in found.problems:
        for at, which in zip(finding.at, finding.which, strict=True):
            by_row.setdefault(int(at), []).append(f"{finding.rule}: {finding.messages[which]}")
    return by_row


class TestNull:
    def test_text_is_never_trimmed_and_an_empty_text_is_a_value(self) -> None:
        found = judged(column("x"), [" a ", "", None, "NA"])

        assert rows(found, 4) == [" a ", "", None, "NA"]

    def test_null_values_are_the_columns_and_the_definitions(self) -> None:
        found = judged(column("x", null_values=("", "-")), ["", "-", ".", " -", "a"], null_values=(".",))

        assert rows(found, 5) == [None, None, None, " -", "a"]

    def test_other_types_are_trimmed_and_their_empty_cells_null(self) -> None:
        found = judged(
            column("x", "integer", null_values=("n/a",)), [" 1\u00a0", "", "  ", " n/a ", None, "\t2"]
        )

        assert rows(found, 6) == [1, None, None, None, None, 2]

    @pytest.mark.parametrize("key", [{"required": True}, {"key_position": 1}])
    def test_a_required_column_refuses_null_in_every_form(self, key: dict[str, Any]) -> None:
        found = judged(
            column("dose", "integer", how_to_fix="Fill DOSE.", **key),
            [None, "", " NA", "3"],
            null_values=("NA",),
        )

        assert messages(found) == {
            0: ["required: an empty cell is no value; dose is required. Fill DOSE."],
            1: ["required: '' is no value; dose is required. Fill DOSE."],
            2: ["required: ' NA' is no value; dose is required. Fill DOSE."],
        }

    def test_a_column_missing_from_the_header_fails_every_row_if_required(self) -> None:
        found = Judge(column("dose", "integer", required=True), Transform()).missing(2)

        assert messages(found) == {
            n: ["required: the column is missing from the header; dose is required"] for n in (0, 1)
        }
        assert rows(found, 2) == [None, None]
        assert Judge(column("dose", "integer"), Transform()).missing(2).problems == []


class TestMessages:
    def test_a_message_says_what_was_expected_and_how_to_mend_it(self) -> None:
        limited = column("dose", "numeric(6,2)", maximum="50", how_to_fix="Send milligrams.")

        found = judged(limited, ["1,5", "1.234", "99999", "70", "50"])

        assert messages(found) == {
            0: ["type: '1,5' is not a number such as 12.5. Send milligrams."],
            1: ["scale: '1.234' has more than 2 decimals. Send milligrams."],
            2: ["range: '99999' has more than 4 digits before the decimal mark. Send milligrams."],
            3: ["maximum: '70' is more than 50. Send milligrams."],
        }

    def test_a_long_value_is_shortened_and_stays_on_one_line(self) -> None:
        (message,) = messages(judged(column("x", "integer"), ["line\n" + "9" * 500]))[0]

        assert "…" in message
        assert "\n" not in message
        assert len(message) < 120

    def test_every_rule_a_value_breaks_is_named(self) -> None:
        coded = column("x", enum=("abc",), pattern="[a-z]+", max_length=3)

        assert [text.split(":")[0] for text in messages(judged(coded, ["1234"]))[0]] == [
            "enum",
            "pattern",
            "max_length",
        ]


@pytest.mark.parametrize("pg_type", ["numeric(7,2)", "text", "varchar(4)", "date"])
def test_reading_distinct_texts_is_reading_every_row(pg_type: str) -> None:
    """Whether a column is read once per distinct text is a matter of speed and nothing else."""
    kinds = ["{}", "{}.5", "x{}", "", " {} ", "{}.125", None, "2026-01-{}"]
    cells = [kind and kind.format(n) for n in range(1000) for kind in kinds]
    judge = Judge(column("x", pg_type, required=True), Transform())

    whole = judge.cells(pa.array(cells, pa.string()))
    pieces = [judge.cells(pa.array(cells[start : start + 100], pa.string())) for start in range(0, 8000, 100)]

    assert whole.codes is None
    assert pg_type == "text" or all(piece.codes is not None for piece in pieces)
    assert rows(whole, 8000) == [value for piece in pieces for value in rows(piece, 100)]
    assert messages(whole) == {
        100 * number + at: found
        for number, piece in enumerate(pieces)
        for at, found in messages(piece).items()
    }


def test_a_column_that_comes_dictionary_encoded_is_read_alike() -> None:
    cells = pa.chunked_array(
        [pa.array(["1", None, "x"]).dictionary_encode(), pa.array(["2", "1"]).dictionary_encode()]
    )

    found = Judge(column("x", "integer"), Transform()).cells(cells)

    assert rows(found, 5) == [1, None, None, 2, 1]
    assert list(messages(found)) == [2]


def test_typed_values_are_judged_by_the_same_rules() -> None:
    judge = Judge(column("x", "numeric(6,2)", required=True, maximum="50"), Transform())
    values = pa.array([Decimal("50.00"), Decimal("50.01"), None], pa.decimal128(6, 2))

    found = judge.typed(values)

    assert [(one.rule, one.at.tolist()) for one in found] == [("required", [2]), ("maximum", [1])]
    assert found[1].messages == ["'50.01' is more than 50"]
