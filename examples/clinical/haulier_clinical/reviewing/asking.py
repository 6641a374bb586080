"""Queries: what waits for an answer or a decision, at whom, for how long, and what it is about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from haulier_clinical.reviewing.reading import Trial
from haulier_clinical.reviewing.shares import MOST_SITES, percent

#: Shares of overdue queries from which on a site is worth a look, and an alarm; in percent. docs/queries.md.
ELEVATED, HIGH = 5, 10
_TOP = 3
MOST_RULES = 15


def figures(trial: Trial) -> dict[str, Any]:
    overdue_before = trial.asked.as_of - timedelta(days=trial.asked.overdue_after_days)
    rows = trial.ledger("queries", overdue_before=overdue_before)
    rules = trial.ledger("rules", overdue_before=overdue_before)
    sites = []
    for row in rows:
        waiting = row["open"] + row["answered"]
        share = percent(row["overdue"], waiting)
        mine = [
            one for one in rules if (one["pipeline"], one["instance"]) == (row["pipeline"], row["instance"])
        ]
        sites.append(
            {
                "site": row["instance"],
                **{name: value for name, value in row.items() if name != "instance"},
                "overdue_percent": share,
                "alert": alert(share),
                "rules": [{"rule": one["rule"], "queries": one["queries"]} for one in mine[:_TOP]],
            }
        )
    sites.sort(key=lambda one: (-(one["overdue_percent"] or 0), -one["open"], one["site"], one["pipeline"]))
    totals = {
        name: sum(one[name] for one in sites)
        for name in ("open", "answered", "overdue", "released", "corrected", "closed")
    }
    share = percent(totals["overdue"], totals["open"] + totals["answered"])
    return {
        "overdue_after_days": trial.asked.overdue_after_days,
        "elevated_percent": ELEVATED,
        "high_percent": HIGH,
        "totals": {
            **totals,
            "overdue_percent": share,
            "alert": alert(share),
            "oldest_days": max(
                (one["oldest_days"] for one in sites if one["oldest_days"] is not None), default=None
            ),
        },
        "sites": sites[:MOST_SITES],
        "left_out": [one["site"] for one in sites[MOST_SITES:]],
        "rules": _rules(rules),
    }


def alert(share: float | None) -> str:
    """As `haulier queries list` says it."""
    if share is None or share <= ELEVATED:
        return ""
    return "high" if share > HIGH else "elevated"


def _rules(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in rules:
        line = found.setdefault(
            (one["rule"], one["kind"]),
            {"rule": one["rule"], "kind": one["kind"], "queries": 0, "overdue": 0, "sites": set()},
        )
        line["queries"] += one["queries"]
        line["overdue"] += one["overdue"]
        line["sites"].add(one["instance"])
    lines = [{**line, "sites": len(line["sites"])} for line in found.values()]
    lines.sort(key=lambda line: (-line["queries"], line["rule"], line["kind"]))
    return lines[:MOST_RULES]
