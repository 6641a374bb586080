"""What records of every domain keep."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from haulier_clinical.judging.frames import Domain
from haulier_clinical.judging.rules.rule import Rule, Terms
from haulier_clinical.judging.rules.values import is_dated, is_filled
from haulier_clinical.references import table


def common(domain: Domain, terms: Terms) -> Iterator[Rule]:
    """What SDTMIG says of the domain's variables."""
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
                test=partial(is_filled, name),
            )
        if row["iso8601"] == "datetime":
            yield Rule(
                name=f"date {name}",
                variable=name,
                says="is no date of ISO 8601, whole or truncated",
                needs=(name,),
                test=partial(is_dated, name),
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
