"""The small trial whose review is counted by hand, and what the review says of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from support.databases import fresh_database
from support.reviewed import DAY, START, STUDY, Site

from haulier.interval import parse_instant
from haulier.ledger.connection import connect
from haulier_clinical.reviewing.reading import Asked, Trial
from haulier_command.embedded import Tier

#: Days of the trial: one file a site, domain and day.
DAYS = 10
AS_OF = "2026-01-16T06:00Z"
HOSTILE = "<img src=x onerror=alert(1)>"
#: Subject -> days of the reference start before the first file; planned: BASELINE day 1, WEEK 2 day 14, WEEK 4 day 28.
STARTS = {"1": 0, "2": 13, "3": 40, "4": 0}


def _subject(site: str, number: str) -> str:
    return f"{site}-{number}"


def _demographics(site: str) -> list[dict[str, str]]:
    rows = [
        {
            "STUDYID": STUDY,
            "USUBJID": _subject(site, number),
            "SUBJID": _subject(site, number),
            "SITEID": site,
            "SEX": "F",
            "RFSTDTC": f"{START - before * DAY:%Y-%m-%d}",
            "RFICDTC": f"{START - 60 * DAY:%Y-%m-%d}",
            "RFPENDTC": f"{START - 35 * DAY:%Y-%m-%d}" if number == "3" else "",
            "ARMCD": "SECRETARM",
            "ARM": "Secret arm",
            "COUNTRY": "DEU",
        }
        for number, before in STARTS.items()
    ]
    if site == "102":
        # Somebody without a result, at a site that no pipeline knows; and nobody knows 102-4.
        rows[3] |= {"USUBJID": "102-9", "SUBJID": "102-9", "SITEID": HOSTILE}
    return rows


def _labs(site: str, day: int, collected: datetime) -> list[dict[str, str]]:
    """Three subjects, and the fourth of 102; glucose of 102 is in mg/dL from the seventh day on, and says mmol/L."""
    who = ("1", "2", "3", "4") if site == "102" else ("1", "2", "3")
    rows = []
    for number in who:
        for test, result, low, high in (("K", 4.0, "3.5", "5.1"), ("GLUC", 5.0, "3.9", "6.1")):
            value = result + int(number) / 10
            if test == "GLUC" and site == "102" and day >= 6:
                value *= 18
            rows.append(
                {
                    "STUDYID": STUDY,
                    "USUBJID": _subject(site, number),
                    "VISIT": "WEEK 2" if number == "2" else "BASELINE",
                    "VISITNUM": "3" if number == "2" else "2",
                    "LBTESTCD": test,
                    "LBTEST": "",
                    "LBORRES": f"{value:.1f}",
                    "LBORRESU": "mmol/L",
                    "LBORNRLO": low,
                    "LBORNRHI": high,
                    "LBDTC": f"{collected:%Y-%m-%d}T08:00",
                }
            )
    return rows


def _vitals(site: str, day: int, collected: datetime) -> list[dict[str, str]]:
    """Two subjects; systolic pressures of 102 all end with a nought, and its weights are the same every day."""
    rows = []
    for number in ("1", "2"):
        other = site == "101"
        rows.append(
            {
                "STUDYID": STUDY,
                "USUBJID": _subject(site, number),
                "VISIT": "BASELINE",
                "VISITNUM": "2",
                "VSDTC": f"{collected:%Y-%m-%d}T08:00",
                "SYSBP": str(110 + day if other else 120 if day % 2 else 130),
                "WEIGHT": f"{70 + day / 10:.1f}" if other else "80.0",
            }
        )
    return rows


def _haul(site: Site) -> None:
    """As time went by: 102 collects four days before it sends, sends nothing on the fourth day, late on the fifth."""
    for name in site.sites:
        site.send("dm", name, 0, _demographics(name))
        site.haul("dm", name, 0)
    for day in range(DAYS):
        for name in site.sites:
            if name == "102" and day == 3:
                continue
            collected = START + day * DAY - (4 if name == "102" else 0) * DAY
            rows = _labs(name, day, collected)
            if name == "101" and day == 2:
                rows[0]["LBDTC"] = "31.02.2026"
            if name == "101" and day == 4:
                rows[0]["LBORRESU"] = HOSTILE
                rows[1] |= {"LBTESTCD": "", "LBTEST": HOSTILE}
            if name == "101" and day == 9:
                rows[0]["LBDTC"] = "2026-02-01T08:00"
            if name == "101" and day == 7:
                rows = [{**row, "LBDTC": "never"} for row in rows]
            if name == "101" and day >= 8:
                rows = [{**row, "COMMENTS": "none"} for row in rows]
            late = 3 if (name, day) == ("102", 4) else 0
            site.send("lb", name, day, rows, arrives=late)
            site.haul("lb", name, day)
            site.send("vs", name, day, _vitals(name, day, collected))
            site.haul("vs", name, day)
    site.put_back([("lb", "102", 4, 3)])


@contextmanager
def place(tier: Tier, folder: Path, sites: tuple[str, ...]) -> Iterator[Site]:
    """Sites that have sent nothing yet."""
    with fresh_database(tier) as database:
        site = Site(database=database, folder=folder, sites=sites)
        site.define()
        yield site


@contextmanager
def hauled(tier: Tier, folder: Path) -> Iterator[Site]:
    """Both sites' ten days."""
    with place(tier, folder, ("101", "102")) as site:
        _haul(site)
        yield site


def review(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as data managers give it."""
    command = [sys.executable, "-m", "haulier_clinical", "review", *arguments]
    return subprocess.run(
        command, env={**os.environ, **site.environment}, capture_output=True, text=True, check=False
    )


def figures(site: Site, *arguments: str) -> dict[str, Any]:
    """What it says in JSON, of twelve days."""
    done = review(site, "--as-of", AS_OF, "--days", "12", "--output", "json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def changed(site: Site, *statements: str, as_of: str = AS_OF) -> Iterator[Trial]:
    """The trial as it would be if the database were a little different; nothing of it stays."""
    with connect(site.settings, "test") as connection:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL session_replication_role = replica")
                for statement in statements:
                    cursor.execute(statement)
                asked = Asked(as_of=parse_instant(as_of, "as of"), days=12)
                yield Trial(cursor=cursor, settings=site.settings, asked=asked)
        finally:
            connection.rollback()


def of(items: Iterable[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    """The one item that has these."""
    (one,) = [item for item in items if all(item[name] == value for name, value in wanted.items())]
    return one
