"""A rule that records keep, and the codelists that many of them are of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from haulier_clinical.judging.findings import Severity
from haulier_clinical.judging.rules.values import days, same

#: For each record, whether it is as the rule wants it.
Test = Callable[[pd.DataFrame], "pd.Series[bool]"]
#: Of each record a value.
Values = Callable[[pd.DataFrame], "pd.Series[Any]"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule; its records are judged together. ``variable`` is shown of the records that break it."""

    name: str
    variable: str
    says: str
    test: Test
    #: Variables without which it has nothing to say.
    needs: tuple[str, ...]
    severity: Severity = "error"


class Terms:
    """Codelists: the values each one knows, and the name that goes with a code."""

    def __init__(self, rows: Iterable[Mapping[str, str]]) -> None:
        self._lists: dict[str, dict[str, str]] = {}
        for row in rows:
            self._lists.setdefault(row["codelist"], {})[row["value"]] = row.get("name") or ""

    def names(self, codelist: str) -> Mapping[str, str]:
        return self._lists.get(codelist, {})

    def rule(self, variable: str, codelist: str) -> Rule:
        known = {*self.names(codelist), ""}
        return Rule(
            name=f"term {variable}",
            variable=variable,
            says=f"is no current term of {codelist}",
            needs=(variable,),
            test=lambda frame: frame[variable].isin(known),
        )


def study_day(variable: str, moment: str, needs: tuple[str, ...], start: str, starts: Values) -> Rule:
    """The rule of a study day; ``starts``: of each record the day that is counted from, which ``start`` names."""
    return Rule(
        name=f"study-day {variable}",
        variable=variable,
        says=f"is not the number of days from {start} without a day 0",
        needs=(variable, moment, *needs),
        test=lambda frame: same(days(frame[moment], starts(frame)), frame[variable]),
    )
