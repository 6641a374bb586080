"""Terms, units, dates and what records say of one another, as pandera schemas of each domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandera.pandas as pa
from pandera.errors import SchemaErrors

from haulier_clinical.judging.findings import Finding, Verdict
from haulier_clinical.judging.frames import Domain
from haulier_clinical.judging.rules import rules_of
from haulier_clinical.judging.rules.rule import Rule, Terms
from haulier_clinical.references import table

NAME = "terms and values"
_EXAMPLES = 3


def judge(domains: Mapping[str, Domain], more_terms: Iterable[Mapping[str, str]] = ()) -> Verdict:
    """Apply every rule to every domain it is for. ``more_terms``: what a trial's lists have beside the package's."""
    terms = Terms([*table("terms"), *more_terms])
    passed, findings = 0, []
    for domain in domains.values():
        rules = rules_of(domain, domains, terms)
        found = [*_of_variables(domain), *_of_records(domain, rules)]
        findings += found
        passed += len(rules) + len(_VARIABLE_RULES) - len(found)
    return Verdict(judge=NAME, passed=passed, findings=findings)


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
