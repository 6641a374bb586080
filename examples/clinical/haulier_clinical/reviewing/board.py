"""The site board: which site sent what on which day, and what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from haulier.loading import instances, resolve_instance
from haulier_clinical.reviewing.reading import Row, Trial
from haulier_clinical.reviewing.shares import MOST_SITES, percent

#: What a day of a site can be, the worst first.
STATES = (*("refused", "quarantined", "not loaded", "missing", "late", "corrected", "arrived", "waiting"),)
_DAY = timedelta(days=1)
#: Schedules whose runs are whole days.
_MIDNIGHT = ("@daily", "0 0 * * *")
#: Where a contract says no latency.
_LATENCY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class _Lane:
    """One instance of one pipeline, and what is expected of it."""

    pipeline: str
    instance: str
    target: str
    #: From when on a file is expected each day; None: nobody says so.
    first: date | None
    is_daily: bool
    latency: timedelta


def figures(trial: Trial) -> dict[str, Any]:
    """Per table, site and day: state, rows and rejects; and their sums per site."""
    last = trial.asked.today
    first = last - _DAY * (trial.asked.days - 1)
    lanes = list(_lanes(trial))
    came = {
        (row["pipeline"], row["instance"], row["day"]): row
        for row in trial.ledger("days", first=first, last=last, by_name=list(_by_name(trial)))
    }
    refused = {(row["pipeline"], row["instance"], row["day"]) for row in trial.ledger("refusals")}
    days = [first + _DAY * number for number in range(trial.asked.days)]
    tables: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for lane in lanes:
        cells = [
            _cell(
                lane,
                day,
                came.get((lane.pipeline, lane.instance, day)),
                (lane.pipeline, lane.instance, day) in refused,
                trial.asked.as_of,
            )
            for day in days
        ]
        tables[lane.target].append(_site(lane, cells))
    return {
        "first": first,
        "last": last,
        "days": days,
        "tables": [_table(target, sites) for target, sites in sorted(tables.items())],
    }


def _lanes(trial: Trial) -> Iterator[_Lane]:
    """What the definitions say, and what the ledger knows beside them."""
    known = {(row["pipeline"], row["instance"]): row for row in trial.ledger("lanes")}
    for name, file in sorted(trial.pipelines.items()):
        seconds = file.contract.latency_seconds
        for instance in instances(file):
            run = known.pop((name, instance), None)
            begun = run["first"] if run else None
            start = file.pipeline.start if file.pipeline.catchup else begun
            yield _Lane(
                pipeline=name,
                instance=instance,
                target=file.contract.target,
                first=start or begun,
                is_daily=_is_daily(file.pipeline.schedule),
                latency=_LATENCY if seconds is None else timedelta(seconds=seconds),
            )
    for (name, instance), run in known.items():
        # Of a definition that is gone: what came is shown, nothing more is expected.
        yield _Lane(
            pipeline=name,
            instance=instance,
            target=run["target"] or name,
            first=None,
            is_daily=False,
            latency=_LATENCY,
        )


def _by_name(trial: Trial) -> Iterator[str]:
    """Instances whose runs take the files that have their day in the name, and of no other: those of a run are of its day."""
    for name, file in trial.pipelines.items():
        if file.pipeline.schedule not in _MIDNIGHT:
            continue
        for instance in instances(file):
            files = resolve_instance(file, instance).source.files
            if files is not None and files.select == "name" and not files.look_back_days:
                yield f"{name}/{instance}"


def _is_daily(schedule: str | None) -> bool:
    """Whether a run ends on each day; of other schedules only what came is judged."""
    if schedule in ("@daily", "@hourly"):
        return True
    fields = (schedule or "").split()
    return len(fields) == 5 and fields[2:] == ["*", "*", "*"]


def _cell(lane: _Lane, day: date, row: Row | None, is_refused: bool, as_of: datetime) -> dict[str, Any]:
    due = datetime.combine(day + _DAY, time(), UTC) + lane.latency
    if row is None:
        return {"day": day, "state": _absent(lane, day, is_refused, due < as_of)}
    late = row["came_at"] - due
    state = "arrived"
    if row["is_quarantined"]:
        state = "quarantined"
    elif row["is_waiting"]:
        state = "not loaded"
    elif late > timedelta():
        state = "late"
    elif row["was_quarantined"]:
        state = "corrected"
    cell = {
        "day": day,
        "state": state,
        "files": row["files"],
        "rows": row["rows"],
        "rejected": row["rejected"],
    }
    if state == "late":
        # Begun days count as whole ones.
        cell["days_late"] = -(-late // _DAY)
    return cell


def _absent(lane: _Lane, day: date, is_refused: bool, is_over: bool) -> str | None:
    if is_refused:
        return "refused"
    if not lane.is_daily or lane.first is None or day < lane.first:
        return None
    return "missing" if is_over else "waiting"


def _site(lane: _Lane, cells: list[dict[str, Any]]) -> dict[str, Any]:
    states = [cell["state"] for cell in cells]
    rows = sum(cell.get("rows", 0) for cell in cells)
    rejected = sum(cell.get("rejected", 0) for cell in cells)
    return {
        "site": lane.instance,
        "pipeline": lane.pipeline,
        "counts": {state: states.count(state) for state in STATES},
        "rows": rows,
        "rejected": rejected,
        "reject_percent": percent(rejected, rows),
        "cells": cells,
    }


def _table(target: str, sites: list[dict[str, Any]]) -> dict[str, Any]:
    rows, rejected = (sum(site[name] for site in sites) for name in ("rows", "rejected"))
    worst = sorted(sites, key=lambda site: (-_wants(site), site["site"], site["pipeline"]))
    kept = sorted(worst[:MOST_SITES], key=lambda site: (site["site"], site["pipeline"]))
    return {
        "table": target,
        "counts": {state: sum(site["counts"][state] for site in sites) for state in STATES},
        "rows": rows,
        "rejected": rejected,
        "reject_percent": percent(rejected, rows),
        "sites": kept,
        "left_out": sorted(site["site"] for site in worst[MOST_SITES:]),
    }


def _wants(site: dict[str, Any]) -> int:
    return sum(site["counts"][state] for state in STATES[:5])
