"""PostgreSQL: reached, the right version, encrypted, on time, and this role may do what a load does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg2
from psycopg2.extras import RealDictCursor

from haulier.errors import HaulierError
from haulier.ledger.connection import SCHEMA_VERSION, conninfo, driver_errors
from haulier.ledger.queries import queries
from haulier.settings import Settings
from haulier_command.doctor import Look, Looking, Looks

_SQL = queries("haulier_command.doctor", "postgres.sql")
#: Fewer free connections than this: a wave of runs would wait for one another.
FREE_CONNECTIONS = 10
#: More, and what a clock says on one side is not believed on the other.
CLOCK_SECONDS = 2.0
_NEEDED, _TESTED = 17, 18
_LOCAL = ("", "localhost", "127.0.0.1", "::1")


def looks(settings: Settings) -> Looks:
    look = Looking("PostgreSQL")
    host = settings.postgres.get("PGHOST", "")
    named = f"{settings.postgres.get('PGUSER', 'whoever runs this')} at {host or 'the local socket'}"
    try:
        with driver_errors():
            keywords: dict[str, Any] = {"connect_timeout": 10, **conninfo(settings.postgres)}
            connection = psycopg2.connect(**keywords, application_name="haulier doctor")
    except HaulierError as exc:
        yield look.error("reached", exc, "look at PGHOST, PGPORT, PGUSER, PGDATABASE and the password")
        return
    try:
        with driver_errors(), connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
            before = datetime.now(UTC)
            cursor.execute(_SQL["server"])
            found = dict(cursor.fetchone() or {})
            took = datetime.now(UTC) - before
            yield look.ok("reached", f"{named}, database {connection.info.dbname}")
            yield from _server(look, found, host, settings)
            yield clock(look, (found["now"] - (before + took / 2)).total_seconds(), took.total_seconds())
            yield from _rights(look, found)
            yield from _ledger(look, cursor, found)
    except HaulierError as exc:
        yield look.error("questions", exc, "see the server's log")
    finally:
        connection.close()


def clock(look: Looking, ahead: float, took: float) -> Look:
    """How far the other side's clock is from this one's; the answer's way is no difference."""
    apart = max(0.0, abs(ahead) - took / 2)
    if apart <= CLOCK_SECONDS:
        return look.ok("clock", f"less than {CLOCK_SECONDS:.0f} s apart from this machine's")
    shown = f"{apart:.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    return look.warn("clock", shown, "let both machines keep time by NTP: runs are chosen by it")


def _server(look: Looking, found: dict[str, Any], host: str, settings: Settings) -> Looks:
    major = found["version"] // 10_000
    if major < _NEEDED:
        yield look.fail(
            "version", found["shown"], f"PostgreSQL {_NEEDED} or {_TESTED}: a load sets transaction_timeout"
        )
    elif major > _TESTED:
        yield look.warn("version", found["shown"], f"{_NEEDED} and {_TESTED} are tested; a newer one may do")
    else:
        yield look.ok("version", found["shown"])
    local = found["socket"] or host in _LOCAL or host.startswith("/")
    mode = settings.postgres.get("PGSSLMODE", "prefer")
    if found["tls"] and (local or mode.startswith("verify")):
        yield look.ok("TLS", f"{found['tls_version']}, sslmode {mode}")
    elif found["tls"]:
        advice = "PGSSLMODE=verify-full and PGSSLROOTCERT: else nobody checks who answers"
        yield look.warn("TLS", f"{found['tls_version']}, sslmode {mode}", advice)
    elif local:
        yield look.ok("TLS", "none, and the connection does not leave this machine")
    else:
        yield look.warn("TLS", f"none, over the network to {host}", "PGSSLMODE=verify-full and PGSSLROOTCERT")
    if found["read_only"]:
        yield look.fail("writable", "the server only reads: a standby?", "PGHOST names the primary")
    if found["encoding"] != "UTF8":
        yield look.fail("encoding", found["encoding"], "a database made with ENCODING 'UTF8'")
    careless = [name for name in ("fsync", "full_page_writes") if not found[name]]
    if found["synchronous_commit"] == "off":
        careless.append("synchronous_commit")
    if careless:
        yield look.warn("settings", f"{', '.join(careless)} off", "on: a power cut loses what was committed")
    else:
        yield look.ok("settings", "what is committed survives a power cut; UTF8")
    free = found["connections"] - found["reserved"] - found["used"]
    shown = f"{free} of {found['connections']} free"
    if free < FREE_CONNECTIONS:
        yield look.warn(
            "connections", shown, "a larger max_connections, or fewer runs at once (an Airflow pool)"
        )
    else:
        yield look.ok("connections", shown)


def _rights(look: Looking, found: dict[str, Any]) -> Looks:
    role = found["role"]
    if not found["temporary"]:
        yield look.fail(
            "temporary tables", "not allowed", f"GRANT TEMPORARY ON DATABASE … TO {role}: a load stages there"
        )
    if found["schemas"]:
        yield look.ok("new schemas", "allowed")
    else:
        advice = f"make the targets' schemas first, with CREATE on them for {role}"
        yield look.warn("new schemas", "not allowed", advice)
    if found["signals"]:
        yield look.ok("ending attempts", "those of every role (pg_signal_backend)")
    else:
        yield look.ok("ending attempts", f"those of {role}: let all loads of a target run as it")


def _ledger(look: Looking, cursor: Any, found: dict[str, Any]) -> Looks:
    migrate = "haulier migrate, with a role that may create schemas"
    if not found["migrated"]:
        yield look.fail("ledger", "there is none", migrate)
        return
    cursor.execute(_SQL["ledger"])
    ledger = dict(cursor.fetchone())
    version = ledger["version"]
    if version != SCHEMA_VERSION:
        newer = str(version) > SCHEMA_VERSION
        advice = "a program as new as the ledger" if newer else migrate
        yield look.fail("ledger", f"version {version}, this program needs {SCHEMA_VERSION}", advice)
        return
    if ledger["closed"]:
        tables = ", ".join(ledger["closed"][:3])
        advice = f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA haulier TO {found['role']}"
        yield look.fail("ledger", f"version {version}, but {tables} cannot be read and added to", advice)
    else:
        yield look.ok("ledger", f"version {version}")
    if not ledger["staging"]:
        advice = f"GRANT CREATE, USAGE ON SCHEMA haulier_stage TO {found['role']}"
        yield look.warn("shards", "this role cannot stage runs that are split", advice)
