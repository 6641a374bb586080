"""A small trial for the review: files in the example's own layout, hauled by its pipelines, the clock put back afterwards.

Whoever hauls here does so today; a review is about days. `put_back` gives the ledger the times it would have had.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.databases import Database
from support.sdtm import DEFINITIONS
from support.steps import haul

from haulier.interval import Interval
from haulier.settings import Settings

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
STUDY = "REV-1"
#: What load and refusal wrote of their time -> the table it is in, and how it finds its run.
_CLOCKS = {
    "load": ("loaded_at", "t.run_id = r.run_id"),
    "delivery": ("seen_at", "t.run_id = r.run_id"),
    "schema_change": ("at", "t.run_id = r.run_id"),
}

Row = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a trial is hauled."""

    database: Database
    folder: Path
    sites: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.database.environment,
            "HAULIER_EXCHANGE": f"file://{self.folder}/exchange",
            "HAULIER_DEFINITIONS": str(self.folder / "definitions"),
            "HAULIER_SOURCE_ROOT": str(self.folder / "landing"),
            "HAULIER_ACTOR": "ada",
        }

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.environment)

    def define(self) -> None:
        """The example's definitions, with these sites for its own."""
        target = self.folder / "definitions"
        shutil.copytree(DEFINITIONS, target, ignore=shutil.ignore_patterns("*.md"))
        for path in (target / "pipelines").iterdir():
            head = path.read_text(encoding="utf-8").partition("\ninstances:")[0]
            lines = "".join(f'  "{site}": {{}}\n' for site in self.sites)
            # One bad row of a small file is a large share of it.
            text = head.replace("load:\n", "load:\n  reject_threshold: 0.5\n")
            path.write_text(f"{text}\ninstances:\n{lines}", encoding="utf-8")

    def send(self, pipeline: str, site: str, day: int, rows: Sequence[Row], arrives: int = 0) -> None:
        """A file of this day, written at eight in the evening of the day on which it arrives."""
        path = self.folder / f"landing/{site}/{pipeline}_{START + day * DAY:%Y-%m-%d}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        at = (START + (day + arrives) * DAY + timedelta(hours=20)).timestamp()
        os.utime(path, (at, at))

    def haul(self, pipeline: str, site: str, day: int) -> None:
        begin = START + day * DAY
        haul(self.settings, pipeline, site, Interval(start=begin, end=begin + DAY))

    def put_back(self, late: Iterable[tuple[str, str, int, int]] = ()) -> None:
        """Every run was at two in the morning after its day; of (pipeline, site, day, days) so many days later."""
        moved = ", ".join(
            f"('{pipeline}', '{site}', timestamptz '{START + day * DAY:%Y-%m-%d}Z', {days})"
            for pipeline, site, day, days in [*late, ("", "", -1, 0)]
        )
        for table, (column, joined) in _CLOCKS.items():
            self.database.rows(
                "SET session_replication_role = replica;"
                f"UPDATE haulier.{table} AS t SET {column} = r.interval_end + interval '2 hours'"
                " + coalesce(m.days, 0) * interval '1 day'"
                " FROM haulier.run AS r LEFT JOIN (VALUES " + moved + ") AS m (pipeline, instance, day, days)"
                " ON m.pipeline = r.pipeline AND m.instance = r.instance AND m.day = r.interval_start"
                f" WHERE {joined}"
            )
