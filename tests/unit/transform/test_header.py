"""Which column of a header feeds which column of the contract."""

from __future__ import annotations

import pytest
from support.transforming import column, contract, definition

from haulier.errors import DefinitionError
from haulier_transform.header import Header, match

THINGS = contract(
    column("subject", aliases=("PATIENT",)),
    column("result", "numeric"),
    column("flagged", "boolean", derived=True),
)


def matched(header: list[str], **transform: object) -> Header:
    return match(header, THINGS, definition(**transform).transform)


def test_names_match_without_regard_to_case_and_space_around() -> None:
    assert matched([" Subject ", "RESULT"]).columns == {"subject": 0, "result": 1}


@pytest.mark.requirement("R-32")
def test_a_renamed_column_goes_before_names_and_aliases() -> None:
    found = matched(["result", "Wert", "patient"], columns={"WERT": "result"})

    assert found.columns == {"result": 1, "subject": 2}
    assert found.unknown == ("result",)


def test_a_rename_this_header_does_not_have_leaves_the_name() -> None:
    assert matched(["subject", "result"], columns={"WERT": "result"}).columns == {"subject": 0, "result": 1}


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (["subject", "PATIENT"], {}),
        (["result", " RESULT"], {}),
        (["WERT", "VALUE"], {"WERT": "result", "VALUE": "result"}),
    ],
)
def test_two_columns_for_one_are_an_error(header: list[str], columns: dict[str, str]) -> None:
    with pytest.raises(DefinitionError, match=f"{header[0]}.*{header[1]}.*transform.columns"):
        matched(header, columns=columns)


def test_twins_that_nobody_wants_are_no_error() -> None:
    assert matched(["subject", "result", "note", "note"]).unknown == ("note", "note")


def test_what_is_new_missing_or_computed_is_noted() -> None:
    found = matched(["subject", "DEVICE", "Flagged"])

    assert list(found.notes("vitals_1.csv")) == [
        "new column DEVICE in vitals_1.csv: not in the contract, not loaded",
        "column Flagged in vitals_1.csv: computed by the pipeline, not loaded",
        "column result is missing from the header of vitals_1.csv",
    ]
    assert "flagged" not in found.columns


def test_a_file_without_a_header_does_not_get_its_first_row_into_a_note() -> None:
    notes = list(matched(["701-1001", "Jane Doe"]).notes("labs_1.csv"))

    assert notes == ["no column in labs_1.csv is in the contract; has it a header?"]


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_a_header_that_another_delimiter_would_divide_says_so(delimiter: str) -> None:
    (note,) = matched([delimiter.join(("Patient", "result", "device"))]).notes("labs_1.csv")

    assert note == (
        f"no column in labs_1.csv is in the contract; its cells seem to be divided by {delimiter!r}: "
        "see source.csv.delimiter"
    )


def test_a_single_column_that_no_delimiter_makes_known_may_lack_a_header() -> None:
    assert matched(["Jane;Doe"]).delimiter is None


def test_names_in_notes_are_short_and_on_one_line() -> None:
    (note,) = [
        n for n in matched(["subject", "result", "a\n" + "b" * 500]).notes("f.csv") if n.startswith("new")
    ]

    assert "\n" not in note
    assert len(note) < 130


def test_unpivoted_columns_keep_their_places() -> None:
    wide = contract(column("subject"), column("test"), column("result", "numeric"))
    unpivot = {
        "columns": {"SYS": "SYSBP", "DIA": "DIABP", "TEMP": "TEMP"},
        "names_to": "test",
        "values_to": "result",
    }

    found = match(["temp", "subject", "sys", "result"], wide, definition(unpivot=unpivot).transform)

    assert found.unpivoted == {0: 2, 2: 0}
    assert found.missing == ("DIA",)
    assert found.unknown == ("result",)
