"""Trials of the clinical product: definitions of their own laid over those a trial starts from, and their files."""

from __future__ import annotations

import csv
import gzip
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.databases import Database
from support.steps import haul

from haulier.interval import Interval
from haulier.settings import Settings
from haulier_command.embedded import Tier

DATA = Path(os.environ.get("HAULIER_CLINICAL_DATA", "../shared/data/clinical"))
#: Of a test that reads it.
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the clinical data folder is absent (HAULIER_CLINICAL_DATA)"
)
PRODUCT = Path("examples/clinical/sdtm")
TRIALS = Path("tests/e2e/trials")
DAY = datetime(2026, 1, 5, tzinfo=UTC)
#: What a laboratory knows nothing of: the columns that make the finished domain of the raw one.
STANDARD_LB = frozenset(
    [
        "DOMAIN",
        "LBSEQ",
        "LBSTRESC",
        "LBSTRESN",
        "LBSTRESU",
        "LBSTNRLO",
        "LBSTNRHI",
        "LBNRIND",
        "LBBLFL",
        "VISITDY",
        "LBDY",
    ]
)

Row = Mapping[str, str]


def read(name: str, header_rows: int = 1) -> list[dict[str, str]]:
    """A file of the data folder; of several header rows the first names the columns."""
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))[header_rows - 1 :]


def make_definitions(trial: str, folder: Path) -> Path:
    """What the trial's own folder has, over the definitions every trial starts from."""
    shutil.copytree(PRODUCT, folder, ignore=shutil.ignore_patterns("README.md"))
    for own in (folder / "pipelines").iterdir():
        own.unlink()
    of_tests = shutil.ignore_patterns("sent", "expected", "added")
    shutil.copytree(TRIALS / trial, folder, ignore=of_tests, dirs_exist_ok=True)
    return folder


def environment_of(database: Database, tier: Tier, root: Path) -> dict[str, str]:
    return {
        **database.environment,
        **{name: value for name, value in tier.environment.items() if name.startswith("AWS_")},
        "HAULIER_EXCHANGE": f"s3://haulier/{root.name}-{os.getpid()}",
        "HAULIER_DEFINITIONS": str(root / "definitions"),
        "HAULIER_SOURCE_ROOT": str(root / "landing"),
    }


def settings_of(database: Database, tier: Tier, root: Path) -> Settings:
    return Settings.from_env(environment_of(database, tier, root))


def by_site(rows: Iterable[Row], site: str, start: int = 0, length: int = 3) -> dict[str, list[Row]]:
    """Site -> its rows, where part of a column says whose they are."""
    found = defaultdict(list)
    for row in rows:
        found[row[site][start : start + length]].append(row)
    return dict(found)


def write_file(path: Path, rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def haul_day(settings: Settings, pipeline: str, instances: Iterable[str]) -> None:
    """One run of each instance, in this process."""
    for instance in instances:
        haul(settings, pipeline, instance, Interval(start=DAY, end=DAY + timedelta(days=1)))


def haul_pilot(settings: Settings, root: Path, only: Sequence[str] = ()) -> None:
    """The pilot trial's nine sites, or some: a raw file of labs and one of vital signs each, and the finished DM that days
    count from."""
    raw = [
        {name: cell for name, cell in row.items() if name not in STANDARD_LB} for row in read("pilot_sdtm_lb")
    ]
    subjects = by_site(read("pilot_sdtm_dm"), "SITEID")
    files = {
        "lb": by_site(raw, "USUBJID", 3),
        "vs": by_site(read("pilot_raw_vs"), "PATNUM"),
    }
    sites = [site for site in sorted(files["lb"]) if site in only or not only]
    files["dm"] = {site: subjects[site] for site in sites}
    for pipeline in ("dm", "lb", "vs"):
        for site in sites:
            write_file(root / f"landing/{site}/{pipeline}_{DAY:%Y-%m-%d}.csv", files[pipeline][site])
        haul_day(settings, pipeline, sites)


def account(database: Database) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """target -> rows read, stripped, accepted, filtered, rejected; then rows produced, inserted."""
    read_and_kept = database.rows(
        "SELECT l.target, sum(a.read), sum(a.stripped), sum(a.accepted), sum(a.filtered), sum(a.rejected)"
        " FROM haulier.source_account a JOIN haulier.load l USING (load_id) GROUP BY 1 ORDER BY 1"
    )
    produced = database.rows(
        "SELECT target, sum(produced), sum(inserted) FROM haulier.load GROUP BY 1 ORDER BY 1"
    )
    return {target: tuple(map(int, rest)) for target, *rest in read_and_kept}, {
        target: tuple(map(int, rest)) for target, *rest in produced
    }


def flags(database: Database, target: str) -> dict[str, int]:
    """rule -> how many flags of it."""
    return dict(
        database.rows(
            "SELECT f.rule, count(*) FROM haulier.flag f JOIN haulier.load l USING (load_id) WHERE l.target = %s"
            " GROUP BY 1",
            [target],
        )
    )
