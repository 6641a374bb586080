"""What records of subjects keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from haulier_clinical.judging.frames import Domain
from haulier_clinical.judging.rules.rule import Rule, Terms, study_day


def demographics(domain: Domain, domains: Mapping[str, Domain], terms: Terms) -> Iterator[Rule]:
    """The rules of DM beside those of every domain."""
    yield Rule(
        name="age",
        variable="AGE",
        says="is not from 0 to 130",
        needs=("AGE",),
        test=lambda frame: frame["AGE"].map(lambda age: age is None or 0 <= age <= 130),
    )
    yield study_day("DMDY", "DMDTC", ("RFSTDTC",), "RFSTDTC", lambda frame: frame["RFSTDTC"])
