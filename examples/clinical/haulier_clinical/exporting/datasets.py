"""What a dataset is: an SDTM domain with the columns its relation has, in the order of SDTMIG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from haulier_clinical.references import table

#: Domain -> its name for people.
LABELS = {"DM": "Demographics", "VS": "Vital Signs", "LB": "Laboratory Test Results"}

#: `moment`: ISO 8601 as far as it is known, so a text.
Kind = Literal["text", "moment", "integer", "decimal"]
Value = str | int | object | None


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One variable of SDTMIG 3.4, as ``references/variables.csv`` has it."""

    domain: str
    name: str
    label: str
    is_number: bool
    #: Req, Exp or Perm.
    core: str
    is_moment: bool
    #: 1, 2, … for those that make a record what it is.
    key: int | None


@dataclass(frozen=True, kw_only=True)
class Column:
    """A variable as this export has it."""

    variable: Variable
    kind: Kind
    #: Left empty, because its contract calls it blinded.
    is_blinded: bool = False
    #: Most characters of a text; digits before the mark of a number.
    length: int = 1
    #: Most digits behind the mark.
    scale: int = 0
    #: Has no value in any row.
    is_empty: bool = False

    @property
    def name(self) -> str:
        return self.variable.name


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What one file of each format holds."""

    domain: str
    study: str
    rows: int
    columns: tuple[Column, ...]

    @property
    def label(self) -> str:
        return LABELS[self.domain]


def variables(domain: str) -> tuple[Variable, ...]:
    """In SDTMIG's order."""
    return tuple(
        Variable(
            domain=domain,
            name=row["variable"],
            label=row["label"],
            is_number=row["type"] == "Num",
            core=row["core"],
            is_moment=row["iso8601"] == "datetime",
            key=int(row["key"]) if row["key"] else None,
        )
        for row in table("variables")
        if row["domain"] == domain
    )
