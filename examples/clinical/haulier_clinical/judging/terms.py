"""Terms, units, dates and what records say of one another, as pandera schemas of each domain."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from haulier_clinical.judging.findings import Finding, Severity, Verdict
from haulier_clinical.judging.frames import Domain
from haulier_clinical.references import table

NAME = "terms and values"
_EXAMPLES = 3
_ISO = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?)?)?"
)
_CODE = re.compile(r"[A-Z_][A-Z0-9_]{0,7}")

#: For each record, whether it is as the rule wants it.
Test = Callable[[pd.DataFrame], "pd.Series[bool]"]


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


def judge(domains: Mapping[str, Domain], more_terms: Iterable[Mapping[str, str]] = ()) -> Verdict:
    """Apply every rule to every domain it is for. ``more_terms``: what a trial's lists have beside the package's."""
    terms = Terms([*table("terms"), *more_terms])
    passed, findings = 0, []
    for domain in domains.values():
        rules = _rules(domain, domains, terms)
        found = [*_of_variables(domain), *_of_records(domain, rules)]
        findings += found
        passed += len(rules) + len(_VARIABLE_RULES) - len(found)
    return Verdict(judge=NAME, passed=passed, findings=findings)


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


# Which variables there are

_VARIABLE_RULES = ("variable-unknown", "variable-missing", "variable-order")


def _of_variables(domain: Domain) -> Iterator[Finding]:
    listed = {row["variable"]: row["core"] for row in table("variables") if row["domain"] == domain.name}
    has = list(domain.frame.columns)
    order = [name for name in listed if name in has]
    wrong = {
        "variable-unknown": ([name for name in has if name not in listed], "SDTMIG 3.4 has no such variable"),
        "variable-missing": (
            [name for name, core in listed.items() if core != "Perm" and name not in has],
            "a required or expected variable is not there",
        ),
        "variable-order": (
            [name for name, due in zip((n for n in has if n in listed), order, strict=True) if name != due],
            "the variables are not in the order of SDTMIG 3.4",
        ),
    }
    for rule, (names, says) in wrong.items():
        if names:
            yield Finding(
                judge=NAME,
                rule=rule,
                domain=domain.name,
                severity="error",
                count=len(names),
                says=says,
                examples=tuple(names[:_EXAMPLES]),
            )


# What records say


def _of_records(domain: Domain, applied: Iterable[Rule]) -> Iterator[Finding]:
    frame, rules = domain.frame, {rule.name: rule for rule in applied}
    # A rule looks at whole records and is a check of the variable it is about: so pandera tells that value alone.
    checks: dict[str, list[pa.Check]] = {}
    for rule in rules.values():
        check = pa.Check(lambda _, rule=rule: rule.test(frame), name=rule.name, ignore_na=False)
        checks.setdefault(rule.variable, []).append(check)
    schema = pa.DataFrameSchema(
        {variable: pa.Column(checks=those, nullable=True) for variable, those in checks.items()}
    )
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as exc:
        cases = exc.failure_cases
        if cases["index"].isna().any():
            raise RuntimeError(f"a rule cannot be applied: {exc.message['DATA']['CHECK_ERROR']}") from exc
        for name, rows in cases.groupby("check", sort=False)["index"]:
            rule = rules[str(name)]
            yield Finding(
                judge=NAME,
                rule=rule.name,
                domain=domain.name,
                severity=rule.severity,
                count=len(rows),
                says=rule.says,
                examples=tuple(_example(domain, rule, row) for row in rows[:_EXAMPLES]),
            )


def _example(domain: Domain, rule: Rule, row: Any) -> str:
    record = domain.frame.loc[row]
    place = record.get(f"{domain.name}SEQ", "")
    return f"{record['USUBJID']} {place}: {rule.variable} {str(record[rule.variable])!r}".replace("  ", " ")


def _rules(domain: Domain, domains: Mapping[str, Domain], terms: Terms) -> list[Rule]:
    """The rules for which the domain has what they look at."""
    own = _demographics() if domain.name == "DM" else _findings(domain, domains, terms)
    rules = [*_common(domain, terms), *own]
    return [rule for rule in rules if set(rule.needs) <= set(domain.frame.columns)]


def _common(domain: Domain, terms: Terms) -> Iterator[Rule]:
    for row in table("variables"):
        name = row["variable"]
        if row["domain"] != domain.name or name not in domain.frame.columns:
            continue
        if row["core"] == "Req":
            yield Rule(
                name=f"required {name}",
                variable=name,
                says="is required and empty",
                needs=(name,),
                test=partial(_is_filled, name),
            )
        if row["iso8601"] == "datetime":
            yield Rule(
                name=f"date {name}",
                variable=name,
                says="is no date of ISO 8601, whole or truncated",
                needs=(name,),
                test=partial(_is_dated, name),
            )
        if row["codelist_ccode"] == "C66742":
            yield terms.rule(name, "NY")
        if name in ("SEX", "AGEU", "RACE", "ETHNIC", "ARMNRS", "EPOCH"):
            yield terms.rule(name, name)
    key = [
        row["variable"]
        for row in table("variables")
        if row["domain"] == domain.name and row["key"] and row["variable"] in domain.frame.columns
    ]
    yield Rule(
        name="key",
        variable="USUBJID",
        says=f"another record has the same {', '.join(key)}",
        needs=("USUBJID",),
        test=lambda frame: ~frame.duplicated(key, keep=False),
    )


def _demographics() -> Iterator[Rule]:
    yield Rule(
        name="age",
        variable="AGE",
        says="is not from 0 to 130",
        needs=("AGE",),
        test=lambda frame: frame["AGE"].map(lambda age: age is None or 0 <= age <= 130),
    )
    yield Rule(
        name="study-day DMDY",
        variable="DMDY",
        says="is not the number of days from RFSTDTC without a day 0",
        needs=("DMDY", "DMDTC", "RFSTDTC"),
        test=lambda frame: _same(_days(frame["DMDTC"], frame["RFSTDTC"]), frame["DMDY"]),
    )


def _findings(domain: Domain, domains: Mapping[str, Domain], terms: Terms) -> Iterator[Rule]:
    d = domain.name
    code, test, orres, unit = f"{d}TESTCD", f"{d}TEST", f"{d}ORRES", f"{d}ORRESU"
    text, number, standard = f"{d}STRESC", f"{d}STRESN", f"{d}STRESU"
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
        yield terms.rule(variable, "UNIT" if d == "LB" else "VSRESU")
    yield Rule(
        name="one-unit",
        variable=standard,
        says="the test has more than one standard unit",
        needs=(code, standard, number),
        test=lambda frame: _one_each(
            frame, [name for name in (code, "LBSPEC") if name in frame], standard, frame[number].notna()
        ),
    )
    yield Rule(
        name="unit-missing",
        variable=standard,
        says="is empty beside a number, and other records of the test have a unit",
        needs=(code, standard, number),
        test=lambda frame: (
            ~(
                frame[number].notna()
                & (frame[standard] == "")
                & frame[code].isin(frame.loc[frame[standard] != "", code])
            )
        ),
    )
    yield Rule(
        name="original-unit-missing",
        variable=unit,
        says="is empty beside a number, and other records of the test have a unit",
        needs=(code, unit, orres),
        test=lambda frame: (
            ~(
                frame[orres].map(_number).notna()
                & (frame[unit] == "")
                & frame[code].isin(frame.loc[frame[unit] != "", code])
            )
        ),
    )
    yield Rule(
        name="number-of-text",
        variable=number,
        says=f"is not the number that {text} is",
        needs=(text, number),
        test=lambda frame: _same(frame[text].map(_number), frame[number]),
    )
    yield Rule(
        name="not-standardised",
        variable=orres,
        says=f"has no {text}",
        needs=(orres, text),
        test=lambda frame: (frame[orres] == "") | (frame[text] != ""),
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
        test=lambda frame: _one_each(frame, ["VISITNUM"], "VISIT") & _one_each(frame, ["VISIT"], "VISITNUM"),
    )
    yield from _of_subjects(d, domains)
    yield from _laboratory(terms) if d == "LB" else _vitals(terms)


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
        test=lambda frame: (frame[reason] == "") | (frame[status] != ""),
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
    yield Rule(
        name=f"study-day {d}DY",
        variable=f"{d}DY",
        says="is not the number of days from DM's RFSTDTC without a day 0",
        needs=(f"{d}DY", f"{d}DTC", "USUBJID"),
        test=lambda frame: _same(
            _days(frame[f"{d}DTC"], frame["USUBJID"].map(starts).fillna("")), frame[f"{d}DY"]
        ),
    )


def _laboratory(terms: Terms) -> Iterator[Rule]:
    yield terms.rule("LBNRIND", "NRIND")
    yield terms.rule("LBSPEC", "SPECTYPE")
    yield Rule(
        name="range-indicator",
        variable="LBNRIND",
        says="is not what result and range say",
        needs=("LBNRIND", "LBORRES", "LBORNRLO", "LBORNRHI"),
        test=_indicated,
    )


def _vitals(terms: Terms) -> Iterator[Rule]:
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


# What values are


def _number(value: Any) -> Decimal | None:
    if value is None or isinstance(value, Decimal):
        return value
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError):
        return None
    return number if number.is_finite() else None


def _is_moment(value: str) -> bool:
    """Empty, or a date of the calendar as far as it is known."""
    if value == "":
        return True
    found = _ISO.fullmatch(value)
    if not found:
        return False
    year, month, day = (int(part) if part else 1 for part in found.groups()[:3])
    try:
        datetime.date(year, month, day)
    except ValueError:
        return False
    return True


def _day(value: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(value[:10]) if len(value) >= 10 else None
    except ValueError:
        return None


def _days(moments: pd.Series[Any], starts: pd.Series[Any]) -> pd.Series[Any]:
    """The study day of each, None where one of the two dates is not whole."""
    found: list[int | None] = []
    for moment, start in zip(moments.map(_day), starts.map(_day), strict=True):
        if moment is None or start is None:
            found.append(None)
        else:
            found.append((moment - start).days + (1 if moment >= start else 0))
    return pd.Series(found, index=moments.index, dtype=object)


def _same(left: pd.Series[Any], right: pd.Series[Any]) -> pd.Series[bool]:
    """Equal, or neither has a value."""
    return pd.Series(
        [
            ((one is None or pd.isna(one)) and other is None) or one == other
            for one, other in zip(left, right, strict=True)
        ],
        index=left.index,
        dtype=bool,
    )


def _one_each(
    frame: pd.DataFrame, by: list[str], variable: str, counted: pd.Series[bool] | None = None
) -> pd.Series[bool]:
    """Whether each group has one value; records that do not count are never wrong."""
    values = frame[variable].where(counted) if counted is not None else frame[variable]
    several = values.groupby([frame[name] for name in by], dropna=False).transform("nunique") > 1
    return ~several | values.isna()


def _indicated(frame: pd.DataFrame) -> pd.Series[bool]:
    """LOW, NORMAL and HIGH, where the result is a number and a limit is known, in the units as sent."""
    right = []
    for shown, result, low, high in zip(
        frame["LBNRIND"],
        *(frame[name].map(_number) for name in ("LBORRES", "LBORNRLO", "LBORNRHI")),
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


def _is_filled(name: str, frame: pd.DataFrame) -> pd.Series:
    return ~frame[name].isin(["", None])


def _is_dated(name: str, frame: pd.DataFrame) -> pd.Series:
    return frame[name].map(_is_moment)


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
