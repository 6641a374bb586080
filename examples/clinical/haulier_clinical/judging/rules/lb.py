"""What records of laboratory results keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from haulier_clinical.judging.frames import Domain
from haulier_clinical.judging.rules.observations import observations
from haulier_clinical.judging.rules.rule import Rule, Terms
from haulier_clinical.judging.rules.values import number


def laboratory(domain: Domain, domains: Mapping[str, Domain], terms: Terms) -> Iterator[Rule]:
    """The rules of LB beside those of every domain."""
    yield from observations(domain, domains, terms, "UNIT")
    yield terms.rule("LBNRIND", "NRIND")
    yield terms.rule("LBSPEC", "SPECTYPE")
    yield Rule(
        name="range-indicator",
        variable="LBNRIND",
        says="is not what result and range say",
        needs=("LBNRIND", "LBORRES", "LBORNRLO", "LBORNRHI"),
        test=_indicated,
    )


def _indicated(frame: pd.DataFrame) -> pd.Series[bool]:
    """LOW, NORMAL and HIGH, where the result is a number and a limit is known, in the units as sent."""
    right = []
    for shown, result, low, high in zip(
        frame["LBNRIND"],
        *(frame[name].map(number) for name in ("LBORRES", "LBORNRLO", "LBORNRHI")),
        strict=True,
    ):
        if result is None or (low is None and high is None):
            right.append(True)
        elif low is not None and result < low:
            right.append(shown == "LOW")
        elif high is not None and result > high:
            right.append(shown == "HIGH")
        else:
            right.append(shown == "NORMAL")
    return pd.Series(right, index=frame.index, dtype=bool)
