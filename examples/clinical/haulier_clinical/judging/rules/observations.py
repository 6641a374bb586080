"""What records of every domain of the Findings class keep."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial

import pandas as pd

from haulier_clinical.judging.frames import Domain
from haulier_clinical.judging.rules.rule import Rule, Terms, study_day
from haulier_clinical.judging.rules.values import goes_with, number, one_each, same

_CODE = re.compile(r"[A-Z_][A-Z0-9_]{0,7}")


def observations(domain: Domain, domains: Mapping[str, Domain], terms: Terms, units: str) -> Iterator[Rule]:
    """The rules of every domain of the class; ``units``: the codelist of its units."""
    d = domain.name
    code, test, orres, unit = f"{d}TESTCD", f"{d}TEST", f"{d}ORRES", f"{d}ORRESU"
    stresc, stresn, standard = f"{d}STRESC", f"{d}STRESN", f"{d}STRESU"
    names = terms.names(code)
    yield Rule(
        name=f"code {code}",
        variable=code,
        says="is not up to 8 of A-Z, 0-9 and _, beginning with no digit",
        needs=(code,),
        test=lambda frame: frame[code].map(lambda value: bool(_CODE.fullmatch(value))),
    )
    yield terms.rule(code, code)
    yield Rule(
        name=f"term {test}",
        variable=test,
        says=f"is not the current name of its {code}",
        needs=(code, test),
        test=lambda frame: (
            (frame[code].map(dict(names)).fillna("") == frame[test]) | ~frame[code].isin(names)
        ),
    )
    for variable in (unit, standard):
        yield terms.rule(variable, units)
    yield Rule(
        name="one-unit",
        variable=standard,
        says="the test has more than one standard unit",
        needs=(code, standard, stresn),
        test=lambda frame: one_each(
            frame, [name for name in (code, "LBSPEC") if name in frame], standard, frame[stresn].notna()
        ),
    )
    yield _with_unit("unit-missing", code, standard, stresn)
    yield _with_unit("original-unit-missing", code, unit, orres)
    yield Rule(
        name="number-of-text",
        variable=stresn,
        says=f"is not the number that {stresc} is",
        needs=(stresc, stresn),
        test=lambda frame: same(frame[stresc].map(number), frame[stresn]),
    )
    yield Rule(
        name="not-standardised",
        variable=orres,
        says=f"has no {stresc}",
        needs=(orres, stresc),
        test=partial(goes_with, orres, stresc),
    )
    yield from _completion(d, terms)
    yield Rule(
        name="sequence",
        variable=f"{d}SEQ",
        says="is not a whole number above 0 that its subject has once",
        needs=(f"{d}SEQ", "USUBJID"),
        test=lambda frame: (
            frame[f"{d}SEQ"].map(lambda value: isinstance(value, int) and value > 0)
            & ~frame.duplicated(["USUBJID", f"{d}SEQ"], keep=False)
        ),
    )
    yield Rule(
        name="visit",
        variable="VISIT",
        says="one VISITNUM has several VISITs, or one VISIT several VISITNUMs",
        needs=("VISIT", "VISITNUM"),
        test=lambda frame: one_each(frame, ["VISITNUM"], "VISIT") & one_each(frame, ["VISIT"], "VISITNUM"),
    )
    yield from _of_subjects(d, domains)


def _with_unit(name: str, code: str, unit: str, result: str) -> Rule:
    """A number has a unit where other records of its test have one."""
    return Rule(
        name=name,
        variable=unit,
        says="is empty beside a number, and other records of the test have a unit",
        needs=(code, unit, result),
        test=lambda frame: (
            ~(
                frame[result].map(number).notna()
                & (frame[unit] == "")
                & frame[code].isin(frame.loc[frame[unit] != "", code])
            )
        ),
    )


def _completion(d: str, terms: Terms) -> Iterator[Rule]:
    status, reason = f"{d}STAT", f"{d}REASND"
    results = [f"{d}{part}" for part in ("ORRES", "STRESC", "STRESN")]
    yield terms.rule(status, "ND")
    yield Rule(
        name="not-done-with-result",
        variable=status,
        says="says that nothing was measured, and there is a result",
        needs=(status, *results),
        test=lambda frame: (frame[status] == "") | frame[results].isin(["", None]).all(axis=1),
    )
    yield Rule(
        name="no-result",
        variable=f"{d}ORRES",
        says=f"is empty, and {status} does not say why",
        needs=(f"{d}ORRES",),
        test=lambda frame: (
            (frame[f"{d}ORRES"] != "")
            | (frame[status] != "" if status in frame else pd.Series(False, index=frame.index))
        ),
    )
    yield Rule(
        name="reason-without-status",
        variable=reason,
        says=f"is given, and {status} is empty",
        needs=(status, reason),
        test=partial(goes_with, reason, status),
    )


def _of_subjects(d: str, domains: Mapping[str, Domain]) -> Iterator[Rule]:
    """What DM says of a record's subject."""
    if "DM" not in domains:
        return
    subjects = domains["DM"].frame
    starts = dict(zip(subjects["USUBJID"], subjects["RFSTDTC"], strict=True)) if "RFSTDTC" in subjects else {}
    yield Rule(
        name="subject",
        variable="USUBJID",
        says="is not in DM",
        needs=("USUBJID",),
        test=lambda frame: frame["USUBJID"].isin(subjects["USUBJID"]),
    )
    yield study_day(
        f"{d}DY",
        f"{d}DTC",
        ("USUBJID",),
        "DM's RFSTDTC",
        lambda frame: frame["USUBJID"].map(starts).fillna(""),
    )
