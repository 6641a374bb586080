"""Databases for tests: each a clone of one that has the ledger, made in a moment and dropped afterwards."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from haulier_command.embedded import Tier

TEMPLATE = "haulier_template"


@dataclass(frozen=True, kw_only=True)
class Database:
    """One database of the test server."""

    #: The PG* variables that lead to it.
    environment: dict[str, str] = field(repr=False)

    @property
    def name(self) -> str:
        return self.environment["PGDATABASE"]

    def connect(self) -> Connection:
        """A new connection. What is still open when the test ends is cut off."""
        return psycopg2.connect(
            host=self.environment["PGHOST"],
            port=self.environment["PGPORT"],
            user=self.environment["PGUSER"],
            password=self.environment["PGPASSWORD"],
            dbname=self.name,
            sslmode=self.environment["PGSSLMODE"],
        )

    def rows(
        self, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """What a query gives; a table's name alone stands for all its rows, in an order of their own.

        Statements that give no rows are carried out, too.
        """
        if " " not in query.strip():
            query = f"SELECT * FROM {query} AS one ORDER BY one::text"
        with closing(self.connect()) as connection, connection, connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def fresh_database(tier: Tier) -> Iterator[Database]:
    """A database of one's own with an empty ledger in it."""
    make_template(tier)
    name = f"test_{uuid4().hex}"
    # FILE_COPY and DROP each ask for a checkpoint; this strategy needs none.
    administer(tier, "CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log", name, TEMPLATE)
    try:
        yield Database(environment=environment_of(tier, name))
    finally:
        administer(tier, "DROP DATABASE {} WITH (FORCE)", name)


def make_template(tier: Tier) -> None:
    """The database with the ledger's schema, made by the first who needs it, of however many processes."""
    from haulier.ledger.migrate import upgrade

    made = tier.home / "template.made"
    if made.exists():
        return
    with (tier.home / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            administer(tier, "DROP DATABASE IF EXISTS {}", TEMPLATE)
            administer(tier, "CREATE DATABASE {}", TEMPLATE)
            upgrade(environment_of(tier, TEMPLATE))
            made.touch()


def environment_of(tier: Tier, name: str) -> dict[str, str]:
    """The variables that lead to one database, whatever else is in the environment."""
    ours = {name: value for name, value in tier.environment.items() if name.startswith("PG")}
    return ours | {"PGDATABASE": name}


def administer(tier: Tier, statement: str, *names: str) -> None:
    """Carry out a statement about whole databases."""
    with closing(Database(environment=environment_of(tier, "postgres")).connect()) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
