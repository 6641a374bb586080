"""Reconciliation: where the domains do not say the same of a subject, and days that cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from haulier_clinical.reviewing.reading import Row, Trial

#: Of each kind, so many lines are shown.
MOST = 60
#: Kind -> what it is, in the page's words.
KINDS = {
    "stranger": "subjects with results whom DM does not have",
    "site": "subjects with results of another site than in DM",
    "sex": "subjects with results of another sex than in DM",
    "silent": "subjects of DM without any result",
    "start": "subjects with results before the reference start, at a visit planned on or after it",
    "consent": "subjects with results before the informed consent",
    "future": "subjects with results in the future",
}


def figures(trial: Trial) -> dict[str, Any]:
    """Per kind: how many lines, of how many subjects, and the first of them."""
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for domain in trial.domains:
        if trial.has_subjects:
            for row in trial.sdtm("strangers", domain):
                found["stranger"].append(_line(domain, row))
            for row in trial.sdtm("mismatches", domain):
                for kind, own, said in (("site", "site", "said_site"), ("sex", "sex", "said_sex")):
                    if row[own] and row[said] and row[own] not in ("?", row[said]):
                        line = {"site": row["site"], "usubjid": row["usubjid"], "records": row["records"]}
                        found[kind].append(_line(domain, line) | {"dm": row[own], "said": row[said]})
        for row in trial.sdtm("misdated", domain):
            found[row.pop("reason")].append(_line(domain, row))
    if trial.has_subjects and trial.domains:
        found["silent"] = _silent(trial)
    return {
        "kinds": [
            {
                "kind": kind,
                "meaning": meaning,
                "lines": len(found[kind]),
                "subjects": len({line["usubjid"] for line in found[kind]}),
                "sites": dict(sorted(Counter(line["site"] for line in found[kind]).items())),
                "rows": found[kind][:MOST],
                "left_out": max(0, len(found[kind]) - MOST),
            }
            for kind, meaning in KINDS.items()
        ]
    }


def _silent(trial: Trial) -> list[dict[str, Any]]:
    """Without a result in any domain; what one alone lacks, completeness tells visit by visit."""
    by_domain: Sequence[list[Row]] = [trial.sdtm("silent", domain) for domain in trial.domains]
    everywhere = set.intersection(*({row["usubjid"] for row in rows} for rows in by_domain))
    return [row for row in by_domain[0] if row["usubjid"] in everywhere]


def _line(domain: str, row: Row) -> dict[str, Any]:
    return {"domain": domain, **row}
