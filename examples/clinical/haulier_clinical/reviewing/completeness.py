"""Completeness: which visits of whom are in, missed, overdue or still to come."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from haulier_clinical.reviewing.planned import Visit, plain, planned_visits
from haulier_clinical.reviewing.reading import Row, Trial

#: Beyond so many subjects a site is a line.
MOST_SUBJECTS = 60
#: Of visits that are overdue, so many are named.
MOST_NAMED = 60
#: A domain is part of a visit where such a share of those who came to it have a record.
_DONE = 0.25
STATES = ("received", "missed", "overdue", "to come")


def figures(trial: Trial) -> dict[str, Any]:
    """Per domain: subjects, or sites, by visit."""
    path = trial.asked.visits or trial.settings.definitions / "references" / "visits.csv"
    found: dict[str, Any] = {"window_days": trial.asked.window_days, "visits": [], "domains": []}
    if not trial.has_subjects:
        return found
    if trial.asked.visits is None and not path.is_file():
        return {**found, "no_visits": "references/visits.csv"}
    visits = planned_visits(path)
    subjects = trial.sdtm("subjects")
    received = {domain: _received(trial.sdtm("received", domain)) for domain in trial.domains}
    # Who came to a later visit, for whatever it was, did not come to this one.
    seen: dict[str, set[str]] = defaultdict(set)
    for records in received.values():
        for subject, numbers in records.items():
            seen[subject] |= numbers.keys()
    found["visits"] = [{"visit": one.name, "number": one.number, "day": one.day} for one in visits]
    found["subjects"] = len(subjects)
    found["without_start"] = sorted(row["usubjid"] for row in subjects if row["start"] is None)
    found["domains"] = [
        _domain(trial, domain, visits, subjects, records, seen) for domain, records in received.items()
    ]
    return found


def _received(rows: Sequence[Row]) -> dict[str, dict[str, Row]]:
    records: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        records[row["usubjid"]][plain(row["visitnum"])] = row
    return records


def _domain(
    trial: Trial,
    domain: str,
    visits: Sequence[Visit],
    subjects: Sequence[Row],
    records: Mapping[str, Mapping[str, Row]],
    seen: Mapping[str, set[str]],
) -> dict[str, Any]:
    # A plan names visits, not what is done at each: where few of those who came have a record, none is waited for.
    came = Counter(number for numbers in seen.values() for number in numbers)
    have = Counter(number for numbers in records.values() for number in numbers)
    counted = [
        visit for visit in visits if have[visit.number] and have[visit.number] >= _DONE * came[visit.number]
    ]
    lines = [
        {
            "site": subject["site"],
            "subject": subject["usubjid"],
            "cells": [
                _state(trial, visit, visits, subject, records.get(subject["usubjid"], {}), seen)
                for visit in counted
            ],
        }
        for subject in subjects
    ]
    totals = Counter(cell["state"] for line in lines for cell in line["cells"])
    waiting = [
        {"site": line["site"], "subject": line["subject"], "visit": visit.name, **cell}
        for line in lines
        for visit, cell in zip(counted, line["cells"], strict=True)
        if cell["state"] == "overdue"
    ]
    waiting.sort(key=lambda one: (one["planned"], one["site"], one["subject"]))
    many = len(lines) > MOST_SUBJECTS
    return {
        "domain": domain,
        "visits": [visit.name for visit in counted],
        "not_counted": [visit.name for visit in visits if visit not in counted],
        "totals": {state: totals[state] for state in STATES},
        "subjects": [] if many else lines,
        "sites": _by_site(lines, len(counted)),
        "overdue": waiting[:MOST_NAMED],
        "overdue_left_out": max(0, len(waiting) - MOST_NAMED),
    }


def _state(
    trial: Trial,
    visit: Visit,
    visits: Sequence[Visit],
    subject: Row,
    records: Mapping[str, Row],
    seen: Mapping[str, set[str]],
) -> dict[str, Any]:
    """What became of one visit of one subject in one domain; None: it is not expected, or nobody knows when."""
    row = records.get(visit.number)
    planned = _planned(subject["start"], visit)
    if row is not None and row["done"]:
        return {"state": "received", "records": row["records"], "planned": planned}
    if row is not None:
        # Nothing but NOT DONE: the site itself says so.
        return {"state": "missed", "records": row["records"], "planned": planned}
    if planned is None or (subject["ended"] is not None and planned > subject["ended"]):
        return {"state": None, "records": 0, "planned": planned}
    later = {one.number for one in visits if one.day > visit.day}
    if later & seen.get(subject["usubjid"], set()):
        return {"state": "missed", "records": 0, "planned": planned}
    is_over = (trial.asked.today - planned).days > trial.asked.window_days
    return {"state": "overdue" if is_over else "to come", "records": 0, "planned": planned}


def _planned(start: date | None, visit: Visit) -> date | None:
    """None: nobody knows, or there is no such day: a start in the year 9999 is a slip, and its visits lie behind all dates."""
    if start is None:
        return None
    try:
        # There is no day 0.
        return start + timedelta(days=visit.day - (1 if visit.day > 0 else 0))
    except OverflowError:
        return None


def _by_site(lines: Sequence[Mapping[str, Any]], visits: int) -> list[dict[str, Any]]:
    sites: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        sites[line["site"]].append(line)
    return [
        {
            "site": site,
            "subjects": len(members),
            "cells": [
                {
                    state: sum(member["cells"][place]["state"] == state for member in members)
                    for state in STATES
                }
                for place in range(visits)
            ],
            "totals": {
                state: sum(cell["state"] == state for member in members for cell in member["cells"])
                for state in STATES
            },
        }
        for site, members in sorted(sites.items())
    ]
