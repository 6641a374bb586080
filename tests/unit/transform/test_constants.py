"""Columns that the definition fills, since the source does not have them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
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

from haulier.errors import DefinitionError
from haulier_transform.canonical import Canonical

COLUMNS = [
    column("subject", key_position=1),
    column("study", required=True, aliases=("TRIAL",), max_length=5),
    column("day", "date"),
    column("result", "numeric(6,1)", soft_maximum="50"),
]


def test_a_constant_stands_in_every_row_as_the_contract_types_it() -> None:
    result = transformed(
        ["subject", "result"],
        [["1", "5"], ["2", None]],
        COLUMNS,
        constants={"study": "S1", "day": "2026-01-05"},
    )

    assert values(result, "subject", "study", "day") == [
        ("1", "S1", date(2026, 1, 5)),
        ("2", "S1", date(2026, 1, 5)),
    ]
    assert result.notes == []


def test_a_constant_is_read_by_the_pipelines_formats_and_marks() -> None:
    result = transformed(
        ["subject", "study"],
        [["1", "S1"]],
        COLUMNS,
        constants={"day": "05.01.2026", "result": "1,5"},
        date_formats={"day": ["%d.%m.%Y"]},
        decimal_mark=",",
    )

    assert [(str(day), str(number)) for day, number in values(result, "day", "result")] == [
        ("2026-01-05", "1.5")
    ]


def test_an_empty_constant_is_what_a_quoted_empty_cell_is() -> None:
    result = transformed(["subject"], [["1"]], COLUMNS, constants={"study": "", "day": ""})

    assert values(result, "study", "day") == [("", None)]


def test_a_constant_outside_the_soft_limits_flags_every_row() -> None:
    result = transformed(["subject"], [["1"], ["2"]], COLUMNS, constants={"study": "S1", "result": "70"})

    assert (result.flags.source.tolist(), result.flags.rule) == ([0, 1], ["implausible"] * 2)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"study": "S12345"}, "transform.constants.study: 'S12345' has more than 5 characters"),
        ({"study": "S1", "day": "tomorrow"}, "transform.constants.day: 'tomorrow' "),
        ({"study": "S1", "result": "12.34"}, "transform.constants.result: '12.34' has more than 1 decimals"),
    ],
)
def test_a_constant_that_breaks_the_contract_is_an_error_of_the_definition(
    constants: Any, message: str
) -> None:
    with pytest.raises(DefinitionError, match=message):
        Canonical(definition(constants=constants), contract(*COLUMNS), [])


@pytest.mark.parametrize("name", ["Study", "trial"])
def test_a_header_that_has_the_column_too_is_refused(name: str) -> None:
    with pytest.raises(
        DefinitionError, match=f"labs_1.csv: '{name}' is in the header, and transform.constants says study"
    ):
        transformed(["subject", name], [["1", "S2"]], COLUMNS, constants={"study": "S1"})


def test_a_column_that_is_named_as_something_else_is_free() -> None:
    canonical = Canonical(
        definition(columns={"Trial": "result"}, constants={"study": "S1"}), contract(*COLUMNS), [delivery()]
    )

    result = canonical.batch(text_table(["subject", "trial"], [["1", "7"]]))

    assert [(study, str(number)) for study, number in values(result, "study", "result")] == [("S1", "7.0")]


def test_other_rows_rejects_are_as_ever() -> None:
    result = transformed(["subject", "result"], [["1", "x"]], COLUMNS, constants={"study": "S1"})

    assert problems(result) == [(2, -1, [("type", "result")])]
