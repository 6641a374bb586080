"""What values a test can have, and what it mostly has: the reference ``limits``."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

import pandas as pd

from haulier_clinical.records import records
from haulier_clinical.units import Unit, Units, fraction


class Limits(NamedTuple):
    """What is possible and what is usual of a test, in one unit."""

    unit: Unit
    hard_low: Fraction | None
    hard_high: Fraction | None
    soft_low: Fraction | None
    soft_high: Fraction | None

    def is_impossible(self, value: Fraction) -> bool:
        return _beyond(value, self.hard_low, self.hard_high)

    def is_unusual(self, value: Fraction) -> bool:
        return _beyond(value, self.soft_low, self.soft_high)


def read_limits(references: Mapping[str, pd.DataFrame], units: Units, domain: str) -> dict[str, Limits]:
    """Of each test of a domain; none without the table. Raises `DefinitionError` for what is no number or no unit."""
    if "limits" not in references:
        return {}
    names = ("hard_low", "hard_high", "soft_low", "soft_high")
    found = {}
    for record in records(references, "limits", ("domain", "testcd", "unit", *names)):
        if record["domain"] == domain:
            where = f"reference limits: {record['testcd']}"
            ends = (fraction(record[name], where) if record[name] else None for name in names)
            found[record["testcd"]] = Limits(units.named(record["unit"], where), *ends)
    return found


def _beyond(value: Fraction, low: Fraction | None, high: Fraction | None) -> bool:
    return (low is not None and value < low) or (high is not None and value > high)
