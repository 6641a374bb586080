"""The rules that records of a domain keep: those of every domain, and its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from haulier_clinical.judging.frames import Domain
from haulier_clinical.judging.rules.common import common
from haulier_clinical.judging.rules.dm import demographics
from haulier_clinical.judging.rules.lb import laboratory
from haulier_clinical.judging.rules.rule import Rule, Terms
from haulier_clinical.judging.rules.vs import vitals

_OWN: dict[str, Callable[[Domain, Mapping[str, Domain], Terms], Iterator[Rule]]] = {
    "DM": demographics,
    "LB": laboratory,
    "VS": vitals,
}


def rules_of(domain: Domain, domains: Mapping[str, Domain], terms: Terms) -> list[Rule]:
    """The rules for which the domain has what they look at."""
    own = _OWN.get(domain.name)
    rules = [*common(domain, terms), *(own(domain, domains, terms) if own else ())]
    return [rule for rule in rules if set(rule.needs) <= set(domain.frame.columns)]
