"""A landing folder of one instance, extracted from alone: files arrive on a day, and what is sealed of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from support.site import Ground
from support.things import day

from haulier.manifest import Manifest
from haulier.parts import row_groups
from haulier.sealing import read_manifest
from haulier.task import Outcome, Task
from haulier_extract.step import extract

ROWS = b"thing,price\none,1\ntwo,2\n"


@dataclass
class Site(Ground):
    """Where ``things`` are extracted, and nothing else is done."""

    def define(
        self, *, csv: dict[str, Any] | None = None, load: dict[str, Any] | None = None, **files: Any
    ) -> None:
        source = {"files": {"path": "{instance}/*", **files}, "csv": csv or {}}
        pipeline = {"pipeline": "things", "contract": "../contracts/things.yaml", "source": source}
        self.write("pipelines/things.yaml", {**pipeline, "load": load or {}, "instances": {"one": {}}})
        self.contract({"thing": ("string", "text"), "price": ("number", "numeric")}, required=True)

    def send(self, name: str, data: bytes = ROWS, number: int = 0, hour: float = 12) -> Path:
        path = self.landing / "one" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        at = (day(number).start + timedelta(hours=hour)).timestamp()
        os.utime(path, (at, at))
        return path

    def task(self, number: int = 0, **asked: Any) -> Task:
        settings = replace(self.settings, **asked.pop("settings", {}))
        asked = {"verb": "run", **asked}
        return Task(
            step="extract",
            pipeline="things",
            instance="one",
            interval=day(number),
            settings=settings,
            **asked,
        )

    def extract(self, number: int = 0, **asked: Any) -> Outcome:
        return extract(self.task(number, **asked))

    def manifest(self, content: str = "g1", number: int = 0) -> Manifest:
        return read_manifest(self.exchange, self.task(number).keys(content), "extract")

    def rows(self, content: str = "g1", number: int = 0) -> list[tuple[Any, ...]]:
        """(delivery, row, cells…) of what was sealed."""
        tables = row_groups(self.exchange, self.manifest(content, number).parts)
        return [tuple(row.values()) for table in tables for row in table.to_pylist()]

    def count(self, table: str) -> int:
        return int(self.database.rows(f"SELECT count(*) FROM haulier.{table}")[0][0])
