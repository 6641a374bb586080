"""What to do where a file, its contract and the table no longer have the same columns.

Six kinds of drift at two ends, by four policies. What makes no sense at an end is refused with its reason;
docs/landing.md has the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from haulier.definitions.words import Section

_CONTRACT_DECIDES = (
    "the contract says what the table has, and a file does not change it; change the contract and let load.drift "
    "evolve the table"
)
_KNOWN = "it is for columns the contract does not know, and this one has its place"
_FITS = "every value fits, so there is no row to reject"


class SourceDrift(Section, frozen=True, kw_only=True):
    """What to do where a file's columns are not those of the contract. `stop` ends the run with code 65, nothing loaded."""

    refused: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "new_column": {"evolve": _CONTRACT_DECIDES},
        "missing_column": {
            "evolve": "there is nothing to add, and no column is ever dropped",
            "keep": "there is no value to keep",
        },
        "renamed": {"keep": _KNOWN},
        "widened": {"evolve": _CONTRACT_DECIDES, "keep": _KNOWN},
        "narrowed": {"keep": _KNOWN, "reject": _FITS},
        "retyped": {"evolve": _CONTRACT_DECIDES, "keep": _KNOWN},
    }

    #: A column the contract does not know: `note` says so in the run's notes and does not load it; `keep` puts its
    #: values as text into the table's JSONB column `_extra`; `reject` rejects the rows that have a value in it.
    new_column: Literal["note", "keep", "reject", "stop"] = "note"
    #: A column of the contract that the file does not have: `note` says so in the run's notes and leaves it empty (where
    #: it is required, rows are rejected all the same); `reject` rejects the file's rows.
    missing_column: Literal["note", "reject", "stop"] = "note"
    #: A column under a name that the contract approves as a synonym: `evolve` reads it; `reject` rejects the rows that
    #: have a value in it. What `transform.columns` names is expected, and no drift.
    renamed: Literal["evolve", "reject", "stop"] = "evolve"
    #: A source with types: the column's type holds more than the contract's. `reject`: the rows whose value does not fit.
    widened: Literal["reject", "stop"] = "reject"
    #: A source with types: the contract's type holds more. `evolve`: taken as it is.
    narrowed: Literal["evolve", "stop"] = "evolve"
    #: A source with types: any other type. `reject`: the rows whose value cannot be read as the contract's type.
    retyped: Literal["reject", "stop"] = "reject"


class Drift(Section, frozen=True, kw_only=True):
    """What to do where the table is not yet what its contract says. `stop` ends the load with code 2 and what to do."""

    refused: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "new_column": {"keep": _KNOWN},
        "missing_column": {
            "keep": "the contract has no value for it",
            "reject": "every row lacks it, so none would ever be loaded",
        },
        "renamed": {"keep": _KNOWN},
        "widened": {"keep": _KNOWN},
        "narrowed": {"keep": _KNOWN, "reject": _FITS},
        "retyped": {
            "evolve": "neither type holds all that the other does; convert the column by hand",
            "keep": _KNOWN,
            "reject": "no value has a place in the table; convert the column by hand",
        },
    }

    #: A column the table does not have: `evolve` adds it, empty in the rows that are there; `reject` rejects the rows that
    #: have a value for it.
    new_column: Literal["evolve", "reject", "stop"] = "stop"
    #: A column of the table that the contract does not have: `evolve` leaves it as it is, and empty in new rows.
    missing_column: Literal["evolve", "stop"] = "evolve"
    #: A column the table has under a name that the contract approves as a synonym: `evolve` adds the new one beside it,
    #: empty in the rows that are there; `reject` rejects the rows that have a value for it.
    renamed: Literal["evolve", "reject", "stop"] = "stop"
    #: The contract's type holds more than the table's: `evolve` widens the table (`varchar(10)` to `text`, `integer` to
    #: `bigint`, `numeric(8,2)` to `numeric(12,3)`); `reject` rejects the rows whose value does not fit. None: as
    #: `type_change` says.
    widened: Literal["evolve", "reject", "stop"] | None = None
    #: The table's type holds more: `evolve` leaves it as wide as it is. None: as `type_change` says.
    narrowed: Literal["evolve", "stop"] | None = None
    #: Any other type.
    retyped: Literal["stop"] = "stop"
    #: What `widened` and `narrowed` are where they say nothing.
    type_change: Literal["evolve", "stop"] = "stop"

    def policy(self, kind: str) -> str:
        """What is said of a kind of drift, by its field's name."""
        said: str | None = getattr(self, kind)
        return said or self.type_change
