"""The one door to PostgreSQL: how a step connects, and how the driver's errors become ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions

from haulier.errors import DataError, DefinitionError, HaulierError, TransientError
from haulier.run import cancelling, heard
from haulier.settings import Settings

#: The newest migration; `haulier migrate` brings a ledger there.
SCHEMA_VERSION = "0015"

# libpq also reads its variables by itself; these are handed over so that a secret read from a
# file never has to enter the environment, and so that one process can use two databases.
_CONNINFO = {
    "PGHOST": "host",
    "PGHOSTADDR": "hostaddr",
    "PGPORT": "port",
    "PGUSER": "user",
    "PGPASSWORD": "password",
    "PGPASSFILE": "passfile",
    "PGDATABASE": "dbname",
    "PGSERVICE": "service",
    "PGSSLMODE": "sslmode",
    "PGSSLROOTCERT": "sslrootcert",
    "PGSSLCERT": "sslcert",
    "PGSSLKEY": "sslkey",
    "PGCONNECT_TIMEOUT": "connect_timeout",
    "PGTARGETSESSIONATTRS": "target_session_attrs",
}

# A peer that vanished without a word is noticed within a minute.
_KEEPALIVE = {"keepalives": 1, "keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3}

Connection = psycopg2.extensions.connection
Cursor = psycopg2.extensions.cursor


def conninfo(postgres: Mapping[str, str]) -> dict[str, Any]:
    """libpq's environment variables as the driver's keywords."""
    return {keyword: postgres[name] for name, keyword in _CONNINFO.items() if name in postgres}


@contextmanager
def connect(settings: Settings, application_name: str) -> Iterator[Connection]:
    """A connection to the ledger's database, closed at the end, its driver's errors translated; a signal that asks this
    process to end also ends the statement it waits for.

    Raises `DefinitionError` when the ledger is not migrated to this version.
    """
    keywords: dict[str, Any] = {"connect_timeout": 10, **conninfo(settings.postgres), **_KEEPALIVE}
    with driver_errors():
        connection = heard(partial(psycopg2.connect, **keywords, application_name=application_name))
        try:
            with cancelling(connection.cancel):
                with connection, connection.cursor() as cursor:
                    _require_schema(cursor)
                yield connection
        finally:
            connection.close()


@contextmanager
def transaction(connection: Connection, settings: Settings, *, may_idle: bool = False) -> Iterator[Cursor]:
    """One transaction under this project's session rules; committed at the end, else rolled back.

    With ``may_idle`` it may wait for its client until `limit_idle`: as long as it holds no lock that
    anybody waits for. Everything is ``SET LOCAL``, so that a pooler in transaction mode may stand between.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'iso_8601';"
            "SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL search_path = pg_catalog;"
            "SELECT set_config('lock_timeout', %s, true), set_config('transaction_timeout', %s, true)",
            [
                _milliseconds(settings.lock_timeout_seconds),
                _milliseconds(settings.transaction_timeout_seconds),
            ],
        )
        # Said either way: a limit of the role or the database may be shorter than the exchange is slow.
        _idle_at_most(cursor, 0 if may_idle else settings.idle_timeout_seconds)
        yield cursor


def limit_idle(cursor: Cursor, settings: Settings) -> None:
    """From here on, whoever freezes is ended, and those who wait for its locks go on."""
    _idle_at_most(cursor, settings.idle_timeout_seconds)


def _idle_at_most(cursor: Cursor, seconds: float) -> None:
    """0: without a limit."""
    cursor.execute(
        "SELECT set_config('idle_in_transaction_session_timeout', %s, true)",
        [_milliseconds(seconds)],
    )


def _milliseconds(seconds: float) -> str:
    return f"{int(seconds * 1000)}ms"


def _require_schema(cursor: Cursor) -> None:
    try:
        cursor.execute("SELECT version_num FROM haulier.alembic_version")
        found = (cursor.fetchone() or (None,))[0]
    except psycopg2.errors.UndefinedTable:
        found = None
    if found != SCHEMA_VERSION:
        state = f"is at version {found}" if found else "does not exist"
        raise DefinitionError(
            f"the ledger {state}, this program needs {SCHEMA_VERSION}; run: haulier migrate"
        )


@contextmanager
def driver_errors() -> Iterator[None]:
    """Translate psycopg2's errors at one door.

    PostgreSQL puts row values into details and context, so only the SQLSTATE, the constraint and
    the column are passed on.
    """
    try:
        yield
    except psycopg2.Error as exc:
        translated = translate(exc)
        if isinstance(translated, HaulierError):
            raise translated from None
        raise translated from exc


#: What is said where trying again does not help; the last three by PgBouncer.
_REFUSALS = (
    *("authentication failed", "does not exist", "no password supplied"),
    *("no such database", "no such user", "unsupported startup parameter"),
)
#: SQLSTATE classes and codes (PostgreSQL, appendix A) that a later attempt may not meet again.
_TRANSIENT = ("08", "40", "53", "55P03", "57", "25P03", "25P04", "25006", "58030")
_BAD_DATA = ("21", "22", "23")
_NOT_NULL = "23502"
_TOO_LARGE = "54000"


def translate(exc: psycopg2.Error) -> Exception:
    """What a driver error means to an orchestrator."""
    state = exc.pgcode
    if state is None:
        # No SQLSTATE: the connection was refused, lost or never made. libpq's text names host and user.
        text = " ".join(str(exc).split())
        if any(words in text for words in _REFUSALS):
            return DefinitionError(f"PostgreSQL refused the connection: {text}")
        return TransientError(f"PostgreSQL cannot be reached or was lost: {text}")
    diagnostics = exc.diag
    where = {
        "sqlstate": state,
        "constraint": diagnostics.constraint_name,
        "table": diagnostics.table_name,
        "column": diagnostics.column_name,
    }
    named = ", ".join(f"{name} {value}" for name, value in where.items() if value)
    if state.startswith(_TRANSIENT):
        return TransientError(
            f"PostgreSQL ended the transaction ({named}: {diagnostics.message_primary})", **where
        )
    if state == _NOT_NULL:
        table = f'"{diagnostics.schema_name}"."{diagnostics.table_name}"'
        return DataError(
            f"PostgreSQL refused the rows ({named}): the column takes no empty value. Where the contract lets it be empty: "
            f'ALTER TABLE {table} ALTER COLUMN "{diagnostics.column_name}" DROP NOT NULL; else the contract says required',
            **where,
        )
    if state == _TOO_LARGE:
        return DataError(
            f"PostgreSQL refused the rows ({named}: {diagnostics.message_primary}). Where a value is too long for a key or an "
            "index, say its maxLength in the contract: such rows are rejected then, and the others enter",
            **where,
        )
    if state.startswith(_BAD_DATA):
        return DataError(f"PostgreSQL refused the rows ({named})", **where)
    if state in ("42501", "42P01", "3F000", "42703", "28P01", "28000", "3D000"):
        return DefinitionError(f"PostgreSQL: {diagnostics.message_primary} ({named})", **where)
    return RuntimeError(f"PostgreSQL: {diagnostics.message_primary} ({named})")
