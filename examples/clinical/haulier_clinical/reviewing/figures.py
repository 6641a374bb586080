"""All figures of a review: what the page shows, and what programs get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from haulier_clinical.reviewing import (
    asking,
    board,
    changes,
    completeness,
    habits,
    lateness,
    reconciliation,
    trends,
)
from haulier_clinical.reviewing.reading import Trial


def figures(trial: Trial) -> dict[str, Any]:
    """Raises `HaulierError`."""
    found: dict[str, Any] = {
        "review": 1,
        "as_of": trial.asked.as_of,
        "study": trial.study,
        "domains": list(_domains(trial)),
        "blinded": trial.blinded,
        "board": board.figures(trial),
        "lateness": lateness.figures(trial),
        "completeness": completeness.figures(trial),
        "queries": asking.figures(trial),
        "trends": trends.figures(trial),
        "habits": habits.figures(trial),
        "reconciliation": reconciliation.figures(trial),
        "changes": changes.figures(trial),
    }
    found["attention"] = [
        {"section": section, "count": count, "what": what} for section, count, what in _wants(found) if count
    ]
    return found


def _domains(trial: Trial) -> Iterator[dict[str, Any]]:
    if trial.study is None:
        return
    for domain, relation in trial.relations.items():
        (extent,) = trial.sdtm("extent", domain)
        reached = [trial.positions[table] for table in relation.tables if table in trial.positions]
        newest = max(reached, key=lambda position: position.load_id, default=None)
        yield {
            "domain": domain,
            "relation": relation.shown,
            **extent,
            "load_id": newest.load_id if newest else None,
            "loaded_at": newest.loaded_at if newest else None,
            "chain": newest.chain if newest else None,
        }


def _wants(found: dict[str, Any]) -> Iterator[tuple[str, int, str]]:
    """What somebody should look at, in the order of the sections."""
    counts = {
        state: sum(table["counts"][state] for table in found["board"]["tables"]) for state in board.STATES
    }
    yield "board", counts["missing"], "files missing"
    yield (
        "board",
        counts["quarantined"] + counts["refused"] + counts["not loaded"],
        "site days quarantined, refused or not loaded",
    )
    yield "board", counts["late"], "site days late"
    slow = {
        site["site"]
        for domain in found["lateness"]["domains"]
        for site in domain["sites"]
        if site["within_percent"] is not None and site["within_percent"] < 50
    }
    yield (
        "lateness",
        len(slow),
        f"sites with less than half of their rows within {found['lateness']['within_days']} days",
    )
    domains = found["completeness"]["domains"]
    yield "completeness", sum(one["totals"]["overdue"] for one in domains), "visits overdue"
    yield "completeness", sum(one["totals"]["missed"] for one in domains), "visits missed"
    yield "queries", found["queries"]["totals"]["overdue"], "queries overdue"
    high = sum(one["alert"] == "high" for one in found["queries"]["sites"])
    yield "queries", high, f"sites with more than {asking.HIGH} % of their queries overdue"
    for one in found["trends"]["domains"]:
        yield (
            "trends",
            len(one["steps"]) + one.get("steps_left_out", 0),
            f"steps of a site's median in {one['domain']}",
        )
    yield (
        "trends",
        sum(site["prefers"] for site in found["habits"]["sites"]),
        "sites that prefer some last digits",
    )
    for kind in found["reconciliation"]["kinds"]:
        yield "reconciliation", kind["subjects"], kind["meaning"]
    yield (
        "changes",
        len(found["changes"]["files"]) + found["changes"]["files_left_out"],
        "changes of columns in files",
    )
