"""What records of vital signs keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial

import pandas as pd

from haulier_clinical.judging.frames import Domain
from haulier_clinical.judging.rules.observations import observations
from haulier_clinical.judging.rules.rule import Rule, Terms
from haulier_clinical.references import table


def vitals(domain: Domain, domains: Mapping[str, Domain], terms: Terms) -> Iterator[Rule]:
    """The rules of VS beside those of every domain."""
    yield from observations(domain, domains, terms, "VSRESU")
    limits = {row["testcd"]: row for row in table("vitals_limits")}
    yield terms.rule("VSPOS", "POSITION")
    hard = "is outside of what a living person can have"
    soft = "is unusual"
    for name, low, high, says, severity in (
        ("impossible", "hard_low", "hard_high", hard, "error"),
        ("unusual", "soft_low", "soft_high", soft, "warning"),
    ):
        yield Rule(
            name=name,
            variable="VSSTRESN",
            says=says,
            needs=("VSTESTCD", "VSSTRESN"),
            severity=severity,  # type: ignore[arg-type]  # one of the two words
            test=partial(_is_within, limits, low, high),
        )
    yield Rule(
        name="pressures",
        variable="VSSTRESN",
        says="the diastolic pressure is not below the systolic one of the same moment",
        needs=("VSTESTCD", "VSSTRESN", "USUBJID", "VSDTC"),
        test=_pressures,
    )


def _pressures(frame: pd.DataFrame) -> pd.Series[bool]:
    moment = [name for name in ("USUBJID", "VISITNUM", "VSDTC", "VSTPT", "VSPOS") if name in frame]
    systolic = {
        tuple(record[:-1]): record[-1]
        for record in frame.loc[frame["VSTESTCD"] == "SYSBP", [*moment, "VSSTRESN"]].itertuples(index=False)
        if record[-1] is not None
    }
    right = [
        code != "DIABP" or value is None or place not in systolic or value < systolic[place]
        for code, value, place in zip(
            frame["VSTESTCD"],
            frame["VSSTRESN"],
            frame[moment].itertuples(index=False, name=None),
            strict=True,
        )
    ]
    return pd.Series(right, index=frame.index, dtype=bool)


def _is_within(
    limits: Mapping[str, Mapping[str, str]], low: str, high: str, frame: pd.DataFrame
) -> pd.Series:
    """Whether each result is none, of a test without limits, or within them."""
    return pd.Series(
        [
            value is None
            or code not in limits
            or Decimal(limits[code][low]) <= value <= Decimal(limits[code][high])
            for code, value in zip(frame["VSTESTCD"], frame["VSSTRESN"], strict=True)
        ],
        index=frame.index,
        dtype=bool,
    )
