"""A pipeline that loads raw and builds models: definitions a test may change, and files it writes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.databases import Database
from support.ledger import findings
from support.steps import haul
from support.things import day

from haulier.ledger.verify import Finding
from haulier.settings import Settings
from haulier.task import Outcome, Step, Task
from haulier_load.step import load
from haulier_transform.models.step import build

RAW = """\
apiVersion: v3.1.0
kind: DataContract
id: things-raw
version: 1.0.0
status: active
schema:
  - name: things_raw
    physicalName: shop.things_raw
    properties:
      - {name: thing, logicalType: string}
      - {name: colour, logicalType: string}
      - {name: price, logicalType: string}
"""
THINGS = """\
apiVersion: v3.1.0
kind: DataContract
id: things
version: 1.0.0
status: active
schema:
  - name: things
    physicalName: shop.things
    properties:
      - {name: thing, logicalType: string, primaryKey: true, primaryKeyPosition: 1}
      - name: colour
        logicalType: string
        enum: [{value: red}, {value: green}, {value: blue}]
      - name: price
        logicalType: number
        physicalType: numeric(8,2)
        required: true
        logicalTypeOptions: {minimum: 0}
        customProperties: [{property: softMaximum, value: 1000}]
"""
PIPELINE = """\
pipeline: things
contract: ../contracts/raw.odcs.yaml
schedule: "@daily"
start: 2026-01-05
source:
  files: {path: "{instance}_{date:%Y-%m-%d}*.csv", select: name, logical_name: "{name}"}
load: {mode: append, reject_threshold: 0.5}
models: [dear, things, colours]
instances: {a: {}, b: {}}
"""
MODELS = {
    "things": """\
-- materialized: merge
-- contract: ../contracts/things.odcs.yaml
SELECT r.thing, lower(r.colour) AS colour, r.price,
       CASE WHEN r.thing = 'cursed' THEN 'nobody wants it' END AS _haulier_reject,
       CASE WHEN r.thing = 'odd' THEN 'look at it' END AS _haulier_flag,
       r._haulier_delivery, r._haulier_row
FROM shop.things_raw r
WHERE r.thing IS DISTINCT FROM 'skip'
""",
    "colours": """\
-- materialized: table
-- target: shop.colours
-- description: How many things there are of each colour.
SELECT colour, count(*) AS things, sum(price) AS worth FROM shop.things GROUP BY colour
""",
    "dear": """\
-- materialized: view
-- target: shop.dear
WITH ranked AS (
    SELECT thing, colour, row_number() OVER (PARTITION BY colour ORDER BY worth DESC, thing) AS place
    FROM shop.things JOIN shop.colours USING (colour)
)
SELECT thing, colour FROM ranked WHERE place = 1
""",
}


@dataclass(frozen=True, kw_only=True)
class Site:
    """Definitions, a landing area, a database and an exchange."""

    database: Database
    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    @classmethod
    def made(cls, database: Database, folder: Path, **environment: str) -> Site:
        for name in ("pipelines", "contracts", "models", "landing"):
            (folder / name).mkdir()
        site = cls(
            database=database,
            folder=folder,
            environment={
                **database.environment,
                "HAULIER_EXCHANGE": f"file://{folder}/exchange",
                "HAULIER_DEFINITIONS": str(folder),
                "HAULIER_SOURCE_ROOT": str(folder / "landing"),
                "HAULIER_ACTOR": "tester",
                **environment,
            },
        )
        site.define("pipelines/things.yaml", PIPELINE)
        site.define("contracts/raw.odcs.yaml", RAW)
        site.define("contracts/things.odcs.yaml", THINGS)
        for name, text in MODELS.items():
            site.define(f"models/{name}.sql", text)
        return site

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.environment)

    def define(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def send(self, number: int, *rows: str, instance: str = "a", name: str = "") -> None:
        """A file of one day: ``thing,colour,price`` a row."""
        path = self.folder / "landing" / f"{instance}_{day(number).start:%Y-%m-%d}{name}.csv"
        path.write_text("\n".join(["thing,colour,price", *rows, ""]))
        arrived = day(number).start.timestamp()
        os.utime(path, (arrived, arrived))

    def haul(self, number: int, instance: str = "a", **asked: Any) -> dict[str, Outcome]:
        return haul(self.settings, "things", instance, day(number), **asked)

    def load(self, number: int) -> Outcome:
        """The load alone, of the run's first generation."""
        return load(self._task("load", number, "a"))

    def build(self, number: int, instance: str = "a") -> Outcome:
        """The models alone, of the run's first generation."""
        return build(self._task("transform", number, instance))

    def things(self) -> list[tuple[Any, ...]]:
        return self.database.rows("SELECT thing, colour, price FROM shop.things ORDER BY thing")

    def violations(self) -> list[Finding]:
        return findings(self.settings)

    def _task(self, step: Step, number: int, instance: str) -> Task:
        return Task(
            step=step,
            verb="run",
            pipeline="things",
            instance=instance,
            interval=day(number),
            generation=1,
            settings=self.settings,
        )


#: Words by which a command names the first day's run.
RUN = ("--pipeline", "things", "--instance", "a")
DAY = ("--interval-start", "2026-01-05T00:00:00Z", "--interval-end", "2026-01-06T00:00:00Z")


def commanded(site: Site, *words: str) -> tuple[int, str]:
    """`haulier …` as a person asks it: (exit code, what it says)."""
    done = subprocess.run(
        [sys.executable, "-m", "haulier_command", *words],
        env={**os.environ, **site.environment, "HAULIER_HOME": str(site.folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
