"""A database to read from, of three kinds, and a pipeline that reads it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pymysql
import pytest
import yaml
from support import mariadb
from support.databases import Database, fresh_database
from support.steps import haul
from support.things import Place, day, place

from haulier.exchange import open_exchange
from haulier.ledger.connection import connect
from haulier.ledger.verify import verify
from haulier.task import Outcome
from haulier_command.embedded import Tier

CONTRACT = Path(__file__).parent.parent / "faults" / "definitions" / "contracts" / "things.odcs.yaml"
KINDS = ("postgresql", "mariadb", "sqlite")
#: How each database spells what the tests' table needs.
TYPES = {
    "postgresql": {"text": "text", "instant": "timestamptz", "mark": "?"},
    "mariadb": {"text": "varchar(200)", "instant": "timestamp(6) NULL", "mark": "?"},
    "sqlite": {"text": "text", "instant": "text", "mark": "?"},
}

#: Rows of such a table, and what arrives of them.
ROWS = [(f"t{n}", "red", Decimal(n) + Decimal("0.5"), f"2026-01-04 10:00:0{n}") for n in range(8)]
EXPECTED = [(f"t{n}", "red", Decimal(f"{n}.5")) for n in range(8)]
INSERT = "INSERT INTO things (thing, colour, price, changed) VALUES (?, ?, ?, ?)"


@dataclass(kw_only=True)
class Lab:
    """A place of one's own, beside it a database with a table `things` (thing, colour, price, changed)."""

    kind: str
    place: Place
    url: str
    password: str | None
    handle: Any = field(repr=False)

    @property
    def settings(self) -> Any:
        return self.place.settings

    @property
    def database(self) -> Database:
        """Where the rows go."""
        return self.place.database

    @property
    def definitions(self) -> Path:
        return Path(self.place.environment["HAULIER_DEFINITIONS"])

    def define(
        self,
        *,
        load: dict[str, Any] | None = None,
        schedule: str | None = None,
        models: Sequence[str] = (),
        **sql: Any,
    ) -> None:
        """The pipeline `things`; ``sql`` is laid over a source that reads the whole table."""
        secret = {"password": "LAB"} if self.password else {}
        source = {"url": self.url, **secret, "table": "things", "key": ["thing"], **sql}
        document = {
            "pipeline": "things",
            "contract": "../contracts/things.odcs.yaml",
            "source": {"sql": {name: value for name, value in source.items() if value is not None}},
            "load": {"reject_threshold": 0.6, **(load or {})},
        }
        if schedule:
            document["schedule"] = schedule
        if models:
            document["models"] = list(models)
        file = self.definitions / "pipelines" / "things.yaml"
        file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def keep_history(self) -> None:
        """Four days in which each of two rows is written anew; a run of a day reads that day's."""
        self.do("CREATE TABLE history (thing text, colour text, price text, at text)")
        days = [(f"colour of the {number}th", f"2026-01-0{number} 12:00:00") for number in range(5, 9)]
        rows = [(thing, colour, "1", at) for colour, at in days for thing in "ab"]
        self.do("INSERT INTO history VALUES (?, ?, ?, ?)", rows)
        self.define(table="history", interval="at", schedule="@daily")

    def do(self, statement: str, rows: Sequence[Sequence[Any]] = ()) -> None:
        """Carry out a statement in the database that is read; with ``?`` for each value of rows."""
        with self.session() as run:
            run(statement, rows)

    @contextmanager
    def session(self) -> Iterator[Any]:
        """A transaction of its own there, committed at the end."""
        with closing(self._connect()) as connection:
            cursor = connection.cursor()

            def run(statement: str, rows: Sequence[Sequence[Any]] = ()) -> None:
                if not rows:
                    cursor.execute(statement)
                elif self.kind == "sqlite":
                    cursor.executemany(statement, rows)
                else:
                    cursor.executemany(statement.replace("?", "%s"), rows)

            yield run
            connection.commit()

    def _connect(self) -> Any:
        if self.kind == "sqlite":
            return sqlite3.connect(self.handle)
        if self.kind == "postgresql":
            connection = self.handle.connect()
            connection.cursor().execute("SET TimeZone = 'UTC'")
            return connection
        return pymysql.connect(
            unix_socket=str(self.handle), user="root", database="lab", init_command="SET time_zone = '+00:00'"
        )

    def table(self) -> list[tuple[Any, ...]]:
        """What arrived."""
        return self.database.rows('SELECT thing, colour, price FROM shop.things ORDER BY thing COLLATE "C"')

    def say(self, *words: str) -> tuple[int, Any, str]:
        return self.place.say(*words)

    def position(self) -> str | None:
        found = self.database.rows("SELECT value ->> 'value' FROM haulier.state")
        return found[0][0] if found else None


@contextmanager
def lab(kind: str, tier: Tier, folder: Path, maria: Path | None = None, **more: str) -> Iterator[Lab]:
    """A fresh one; ``maria``: the socket of a server that runs."""
    definitions = folder / "definitions"
    for name in ("pipelines", "contracts", "queries"):
        (definitions / name).mkdir(parents=True, exist_ok=True)
    (definitions / "contracts" / "things.odcs.yaml").write_text(CONTRACT.read_text())
    with _source(kind, tier, folder, maria) as (url, password, handle):
        secrets = {"HAULIER_SECRET_LAB": password} if password else {}
        with place(tier, folder, HAULIER_DEFINITIONS=str(definitions), **secrets, **more) as made:
            made_lab = Lab(kind=kind, place=made, url=url, password=password, handle=handle)
            if kind == "sqlite":
                made_lab.handle = made.landing / "lab.db"
            types = TYPES[kind]
            made_lab.do(
                f"CREATE TABLE things (thing {types['text']} NOT NULL PRIMARY KEY, colour {types['text']}, "
                f"price numeric(12, 3), changed {types['instant']})"
            )
            yield made_lab


@contextmanager
def lab_of(request: pytest.FixtureRequest, tier: Tier, folder: Path) -> Iterator[Lab]:
    """A fresh one of the kind that the fixture's parameter names."""
    maria = request.getfixturevalue("maria") if request.param == "mariadb" else None
    with lab(request.param, tier, folder, maria) as made:
        yield made


def put(made: Lab, rows: Sequence[Sequence[Any]]) -> None:
    plain = [[str(v) if made.kind == "sqlite" and isinstance(v, Decimal) else v for v in row] for row in rows]
    made.do(INSERT, plain)


def run(made: Lab, number: int = 0, **asked: Any) -> dict[str, Outcome]:
    return haul(made.settings, "things", "main", day(number), **asked)


def clean(made: Lab) -> bool:
    """Whether the ledger's promises hold."""
    with connect(made.settings, "test") as connection:
        return verify(connection, made.settings, exchange=open_exchange(made.settings), deep=True) == []


@contextmanager
def _source(kind: str, tier: Tier, folder: Path, maria: Path | None) -> Iterator[tuple[str, str | None, Any]]:
    if kind == "sqlite":
        yield "sqlite:///lab.db", None, None
    elif kind == "postgresql":
        with fresh_database(tier) as database:
            where = database.environment
            url = (
                f"postgresql://{where['PGUSER']}@{where['PGHOST']}:{where['PGPORT']}/{where['PGDATABASE']}"
                f"?sslmode={where['PGSSLMODE']}"
            )
            yield url, where["PGPASSWORD"], database
    else:
        assert maria is not None
        with mariadb.as_root(maria) as cursor:
            cursor.execute("DROP DATABASE lab")
            cursor.execute("CREATE DATABASE lab CHARACTER SET utf8mb4")
        yield f"mariadb://reader@localhost/lab?unix_socket={maria}", mariadb.PASSWORD, maria
