"""A landing folder, a pipeline of things and all it needs, to haul any format through all three steps."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from support.databases import Database
from support.ledger import findings
from support.processes import peak_bytes
from support.steps import haul

from haulier.exchange import Exchange, open_exchange
from haulier.interval import Interval
from haulier.settings import Settings
from haulier.task import Outcome

DAY = Interval(start=datetime(2026, 1, 5, tzinfo=UTC), end=datetime(2026, 1, 6, tzinfo=UTC))
COLUMNS = {
    "thing": ("string", "text"),
    "price": ("number", "numeric(12,2)"),
    "at": ("timestamp", "timestamptz"),
    "day": ("date", "date"),
    "ok": ("boolean", "boolean"),
    "more": ("object", "jsonb"),
}


@dataclass
class Ground:
    """A landing folder, definitions, a ledger and an exchange of one's own."""

    database: Database
    environment: dict[str, str] = field(repr=False)
    definitions: Path
    landing: Path

    @classmethod
    def made(cls, database: Database, exchange: Mapping[str, str], folder: Path) -> Self:
        definitions, landing = folder / "definitions", folder / "landing"
        landing.mkdir()
        environment = {
            **database.environment,
            **exchange,
            "HAULIER_DEFINITIONS": str(definitions),
            "HAULIER_SOURCE_ROOT": str(landing),
            "HAULIER_ACTOR": "tester",
        }
        return cls(database, environment, definitions, landing)

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.environment)

    @property
    def exchange(self) -> Exchange:
        return open_exchange(self.settings)

    def contract(self, columns: Mapping[str, tuple[str, str]], **key: Any) -> None:
        """One of the table ``shop.things``: column -> its types; ``key`` is said of the key column as well."""
        properties = [
            {
                "name": name,
                "logicalType": logical,
                "physicalType": physical,
                **({"primaryKey": True, **key} if name == "thing" else {}),
            }
            for name, (logical, physical) in columns.items()
        ]
        table = {"name": "things", "physicalName": "shop.things", "logicalType": "object"}
        contract = {"apiVersion": "v3.0.2", "kind": "DataContract", "id": "things", "version": "1.0.0"}
        schema = [{**table, "properties": properties}]
        self.write("contracts/things.yaml", {**contract, "status": "active", "schema": schema})

    def write(self, name: str, document: dict[str, Any]) -> None:
        path = self.definitions / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))


@dataclass
class Site(Ground):
    """Where any format is hauled through all three steps."""

    def define(
        self,
        form: dict[str, Any],
        path: str = "*",
        *,
        columns: Mapping[str, tuple[str, str]] = COLUMNS,
        mode: str = "upsert",
    ) -> None:
        pipeline = {
            "pipeline": "things",
            "contract": "../contracts/things.yaml",
            "source": {"files": {"path": path}, **form},
            "load": {"reject_threshold": 1, "mode": mode},
        }
        self.write("pipelines/things.yaml", pipeline)
        self.contract(columns)

    def send(self, name: str, data: bytes, interval: Interval = DAY) -> None:
        path = self.landing / name
        path.write_bytes(data)
        noon = (interval.start + timedelta(hours=12)).timestamp()
        os.utime(path, (noon, noon))

    def run(self, interval: Interval = DAY) -> dict[str, Outcome]:
        """step -> outcome."""
        return haul(self.settings, "things", "main", interval)

    def haul(self) -> dict[str, Any]:
        return self.run()["load"].counts

    def whole(self) -> dict[int, tuple[int, dict[str, Any]]]:
        """row -> (its length, what else is said of it) of each reject that is kept in part."""
        found = self.database.rows(
            "SELECT row_number, verbatim_bytes, problems->0 FROM haulier.reject WHERE verbatim_bytes > length(verbatim)"
        )
        return {row: (length, problem) for row, length, problem in found}

    def rejects(self) -> list[tuple[Any, ...]]:
        """(row, step, rule, verbatim) of the ledger's rejects."""
        found = self.database.rows(
            "SELECT row_number, step, rule, verbatim FROM haulier.reject ORDER BY row_number"
        )
        return [(row, step, rule, bytes(verbatim)) for row, step, rule, verbatim in found]

    def verified(self) -> list[Any]:
        """What the ledger's invariants find wrong, every original read again."""
        return findings(self.settings)


def peak_of_haul(site: Site) -> int:
    """The most memory this process has had in use after it; for a process of its own."""
    site.haul()
    return peak_bytes()
