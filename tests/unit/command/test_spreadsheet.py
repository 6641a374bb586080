"""No cell of an export becomes a formula."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier_command.spreadsheet import csv_text, harmless

STARTS = "=+-@\t\r\n＝＋－＠"


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "＝1",
        " =1+1",
        '=HYPERLINK("http://x.test";"y")',
        "=cmd|' /C calc'!A0",
    ],
)
def test_a_formula_is_shown_not_computed(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "cell", ["", "701-004", "HAUL-301,701-004,98.6", "a=b", "1-2", "<0.5", "µmol/L", "a@b.test"]
)
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert harmless(cell) == cell


def test_no_cell_begins_after_a_semicolon_either() -> None:
    """Where the decimal mark is a comma, spreadsheets split at semicolons, quotes or no quotes."""
    assert harmless("x;=1+1;y") == "x;'=1+1;y"
    assert harmless('x;"=1+1"') == 'x;"\'=1+1"'
    assert harmless("x\n@now") == "x\n'@now"


@given(st.text())
def test_no_split_of_a_cell_starts_a_formula(cell: str) -> None:
    made = harmless(cell)
    assert made.replace("'", "") == cell.replace("'", "")
    for piece in made.replace("\t", ";").replace("\r", ";").replace("\n", ";").split(";"):
        assert not piece.strip(' "').startswith(tuple("=+-@"))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_a_csv_reader_gets_the_harmless_cells_back(cells: list[str]) -> None:
    text = csv_text(["head"], [cells])
    back = list(csv.reader(io.StringIO(text, newline="")))
    assert back == [["head"], [harmless(cell) for cell in cells]]


@pytest.mark.parametrize("start", STARTS)
def test_every_start_is_known(start: str) -> None:
    assert harmless(f"{start}x").startswith("'")
