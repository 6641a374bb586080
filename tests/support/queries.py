"""What a test asks of queries and says of them, and rows that raise some."""

from __future__ import annotations

from support.hauling import thing

from haulier.ledger.connection import connect
from haulier.ledger.decisions import say
from haulier.ledger.verify import verify

ROWS = {"a.csv": [thing("x"), thing("y")]}


def queries(database, columns="query, status"):
    return database.rows(f"SELECT {columns} FROM haulier.query ORDER BY kind DESC, first_id")


def told(settings, word, *names, reason="seen"):
    with connect(settings, "test") as connection:
        return say(connection, settings, names, word, reason)


def wrong(settings):
    """The invariants that do not hold."""
    with connect(settings, "test") as connection:
        return {one.invariant for one in verify(connection, settings)}
