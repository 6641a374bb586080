"""Lateness: from the day of collection to the load that gave a row its values."""

from __future__ import annotations

from typing import Any

from haulier_clinical.reviewing.reading import Row, Trial
from haulier_clinical.reviewing.shares import MOST_SITES, percent


def figures(trial: Trial) -> dict[str, Any]:
    domains = []
    for domain in trial.domains:
        if not trial.landed(domain):
            domains.append({"domain": domain, "unknown": True, "sites": [], "left_out": []})
            continue
        rows = trial.sdtm("lateness", domain, within=trial.asked.within_days)
        (every,) = [row for row in rows if row["site"] is None] or [{}]
        sites = [_site(row) for row in rows if row["site"] is not None]
        slowest = sorted(sites, key=lambda one: (-(one["p90"] or 0), one["site"]))
        kept = {one["site"] for one in slowest[:MOST_SITES]}
        domains.append(
            {
                "domain": domain,
                "unknown": False,
                "all": _site(every) if every.get("records") else None,
                "sites": [one for one in sites if one["site"] in kept],
                "left_out": [one["site"] for one in sites if one["site"] not in kept],
            }
        )
    return {"within_days": trial.asked.within_days, "domains": domains}


def _site(row: Row) -> dict[str, Any]:
    dated = row["records"] - row["undated"]
    return {
        "site": row["site"],
        "records": row["records"],
        "undated": row["undated"],
        "median": _days(row["median"]),
        "p90": _days(row["p90"]),
        "longest": row["longest"],
        "within_percent": percent(row["within"], dated),
    }


def _days(days: float | None) -> float | None:
    return None if days is None else round(days, 1)
