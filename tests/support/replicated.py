"""A PostgreSQL whose log can be read, a table of it, and a pipeline that follows the table."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import yaml
from support import servers
from support.databases import Database
from support.processes import peak_bytes
from support.steps import haul
from support.things import Place, day, place

from haulier.definitions import Instance
from haulier.exchange import open_exchange
from haulier.ledger.connection import connect
from haulier.ledger.states import move
from haulier.ledger.verify import verify
from haulier.loading import load_pipeline, resolve_instance
from haulier.rows import UNAVAILABLE
from haulier.settings import Settings
from haulier_command import embedded
from haulier_command.embedded import Tier
from haulier_extract.sources import find
from haulier_extract.sources.sql.changes.slot import number_of

TABLE = """
    CREATE TABLE things (thing text PRIMARY KEY, colour text NOT NULL, body text, price numeric(12, 3));
    CREATE PUBLICATION hauled FOR TABLE things;
"""


_LOGICAL = {"fsync": "off", "wal_level": "logical", "wal_sender_timeout": "10s"}


@contextmanager
def logical_server() -> Iterator[Tier]:
    """A server of its own: its log is read, and nothing else writes there."""
    home = servers.make_home()
    try:
        yield servers.up(home, _LOGICAL)
    finally:
        servers.remove_home(home)


@contextmanager
def restorable_server() -> Iterator[Restorable]:
    """One whose files are at hand."""
    home = servers.make_home()
    try:
        yield Restorable(tier=embedded.up(home, settings=_LOGICAL))
    finally:
        servers.remove_home(home)


@dataclass(frozen=True, kw_only=True)
class Restorable:
    tier: Tier

    def keep(self) -> None:
        """A copy of its files as they are now."""
        with self._stopped() as data:
            subprocess.run(["cp", "-a", data, data.with_name("kept")], check=True)

    def restore(self, *, kept: bool) -> None:
        """Recover, from what was ``kept`` or from what is there, and go on: as after a backup, or as a standby that takes over."""
        with self._stopped() as data:
            if kept:
                shutil.rmtree(data)
                data.with_name("kept").rename(data)
            (data / "recovery.signal").touch()

    @contextmanager
    def _stopped(self) -> Iterator[Path]:
        embedded.down(self.tier.home, remove=False)
        yield (self.tier.home / "postgres" / "data").resolve()
        embedded.up(self.tier.home, settings={**_LOGICAL, "restore_command": "/bin/false"})


@dataclass(kw_only=True)
class Followed:
    """A database whose table `things` is published, and a place to load it."""

    place: Place
    #: The database that is followed.
    source: Database
    slot: str
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Any:
        return self.place.settings

    @property
    def definitions(self) -> Path:
        return Path(self.place.environment["HAULIER_DEFINITIONS"])

    def define(self, *, kept: bool = True, marks: Mapping[str, Any] | None = None, **changes: Any) -> None:
        """``kept``: the contract has a word for values that did not change."""
        where = self.source.environment
        sql = {
            "url": f"postgresql://{where['PGUSER']}@{where['PGHOST']}:{where['PGPORT']}/{where['PGDATABASE']}?sslmode=disable",
            "password": "LAB",
            "table": "public.things",
            "changes": {"slot": self.slot, "publication": "hauled", **changes},
        }
        document = {
            "pipeline": "things",
            "contract": "../contracts/things.odcs.yaml",
            "source": {"sql": sql},
            "load": {"reject_threshold": 1},
        }
        (self.definitions / "pipelines" / "things.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        (self.definitions / "contracts" / "things.odcs.yaml").write_text(
            yaml.safe_dump(contract(kept, marks or {"deletes": ["d"], "truncates": ["t"]}), sort_keys=False)
        )

    def do(self, *statements: str) -> None:
        """In one transaction there."""
        with closing(self.source.connect()) as connection, connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self.source.rows(statement)

    def run(self, number: int, **asked: Any) -> dict[str, Any]:
        return haul(self.settings, "things", "main", day(number), **asked)

    def hauled(self) -> list[tuple[Any, ...]]:
        """What arrived."""
        return self.place.database.rows(
            'SELECT thing, colour, body, price FROM shop.things ORDER BY thing COLLATE "C"'
        )

    def there(self) -> list[tuple[Any, ...]]:
        """What is at the source."""
        return self.rows('SELECT thing, colour, body, price FROM things ORDER BY thing COLLATE "C"')

    def position(self) -> str | None:
        found = self.place.database.rows("SELECT value ->> 'value' FROM haulier.state WHERE name = 'log'")
        return found[0][0] if found else None

    def confirmed(self) -> str:
        (found,) = self.rows("SELECT confirmed_flush_lsn::text FROM pg_replication_slots")
        return str(found[0])

    def drop_slot(self) -> None:
        self.do(f"SELECT pg_drop_replication_slot('{self.slot}')")


@contextmanager
def followed(logical: Tier, tier: Tier, folder: Path, **more: str) -> Iterator[Followed]:
    """A fresh one, whose pipeline is defined."""
    definitions = folder / "definitions"
    for name in ("pipelines", "contracts"):
        (definitions / name).mkdir(parents=True, exist_ok=True)
    name = f"lab_{uuid4().hex[:12]}"
    with _database(logical, name) as source:
        environment = {
            "HAULIER_DEFINITIONS": str(definitions),
            "HAULIER_SECRET_LAB": source.environment["PGPASSWORD"],
        }
        with place(tier, folder, **environment, **more) as made:
            here = Followed(place=made, source=source, slot=f"slot_{name}")
            here.do(TABLE)
            here.define()
            yield here


@contextmanager
def _database(logical: Tier, name: str) -> Iterator[Database]:
    with _administering(logical) as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield Database(environment={**logical.environment, "PGDATABASE": name})
    finally:
        with _administering(logical) as cursor:
            cursor.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            cursor.execute("SELECT slot_name FROM pg_replication_slots WHERE database = %s", (name,))
            for (slot,) in cursor.fetchall():
                _drop(cursor, slot)
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _administering(logical: Tier) -> Iterator[Any]:
    """A cursor whose statements are committed at once; the server may have been started anew in between."""
    with closing(psycopg2.connect(**_parameters(logical.environment))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


def reset(made: Followed) -> None:
    """What `haulier state reset` does."""
    with connect(made.settings, "test") as connection:
        move(connection, made.settings, "things", "main", "log", None, "test")


def told(made: Followed) -> Instance:
    """What its definition says."""
    return resolve_instance(load_pipeline(made.definitions, "things"), "main")


def log_end(made: Followed) -> int:
    return number_of(made.rows("SELECT pg_current_wal_lsn()::text")[0][0])


def clean(made: Followed) -> bool:
    """Whether the ledger's promises hold."""
    with connect(made.settings, "test") as connection:
        return verify(connection, made.settings, exchange=open_exchange(made.settings), deep=True) == []


def _drop(cursor: Any, slot: str) -> None:
    """Once whoever read it is gone."""
    for _ in range(100):
        cursor.execute("SELECT active FROM pg_replication_slots WHERE slot_name = %s", (slot,))
        if cursor.fetchall() != [(True,)]:
            break
        cursor.execute("SELECT pg_sleep(0.05)")
    cursor.execute("SELECT pg_drop_replication_slot(%s)", (slot,))


def _parameters(environment: Mapping[str, str]) -> dict[str, str]:
    names = {
        "PGHOST": "host",
        "PGPORT": "port",
        "PGUSER": "user",
        "PGPASSWORD": "password",
        "PGDATABASE": "dbname",
    }
    return {theirs: environment[ours] for ours, theirs in names.items()}


def contract(kept: bool, marks: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    keeps = {"customProperties": [{"property": "unchangedValues", "value": [UNAVAILABLE]}]} if kept else {}
    properties = [
        {"name": "thing", "logicalType": "string", "primaryKey": True},
        {"name": "colour", "logicalType": "string", "required": True},
        {"name": "body", "logicalType": "string", **keeps},
        {"name": "price", "logicalType": "number", "physicalType": "numeric(12,3)"},
        {"name": "lsn", "logicalType": "integer", "required": True, "synonyms": [{"synonym": "__lsn"}]},
        {
            "name": "op",
            "logicalType": "string",
            "synonyms": [{"synonym": "__op"}],
            "customProperties": [{"property": name, "value": list(value)} for name, value in marks.items()],
        },
    ]
    table = {
        "name": "things",
        "physicalName": "shop.things",
        "properties": properties,
        "customProperties": [{"property": "ordering", "value": "lsn"}],
    }
    head = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "things",
        "version": "1.0.0",
        "status": "active",
    }
    return {**head, "schema": [table]}


def peak_of_a_look(pipeline: str, environment: dict[str, str], position: str) -> dict[str, int]:
    """In a process of its own: bytes that a look finds, and the memory it takes beyond what was there."""
    settings = Settings.from_env(environment)
    instance = resolve_instance(load_pipeline(settings.definitions, pipeline), "main")
    assert instance.source.sql is not None
    assert instance.source.sql.changes is not None
    standing = {"slot": instance.source.sql.changes.slot, "value": position}
    before = peak_bytes()
    (file,) = find(instance, day(1), settings, standing, preview=True).files
    return {"bytes": file.bytes, "memory": peak_bytes() - before}
