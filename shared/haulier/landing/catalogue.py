"""What the catalogue says of a live table."""

from __future__ import annotations

from haulier.contracts import Contract
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries

_SQL = queries("haulier.landing", "load.sql")

# How PostgreSQL's format_type writes what contracts abbreviate.
_CATALOGUE_NAMES = {
    "character varying": "varchar",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time without time zone": "time",
}


def live_columns(cursor: Cursor, contract: Contract) -> dict[str, str]:
    """name -> normalised type of the live table's columns; empty when there is no such table."""
    cursor.execute(_SQL["live_columns"], {"schema": contract.schema, "table": contract.table})
    return {name: normal(pg_type) for name, pg_type in cursor.fetchall()}


def normal(pg_type: str) -> str:
    head, bracket, rest = pg_type.partition("(")
    head = _CATALOGUE_NAMES.get(head.strip(), head.strip())
    return f"{head}({rest.replace(' ', '')}" if bracket else head
