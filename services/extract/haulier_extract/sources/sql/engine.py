"""The one door to a source's database: how it is reached, and what its driver's errors mean."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError, NoSuchModuleError, StatementError
from sqlalchemy.pool import NullPool

from haulier.definitions.sources import Sql
from haulier.errors import Cancelled, DataError, DefinitionError, HaulierError, TransientError
from haulier.run import cancelling, heard
from haulier.settings import Settings

#: The drivers that extract has, whichever a URL names.
_DRIVERS = {"postgresql": "psycopg2", "mysql": "pymysql", "mariadb": "pymysql"}
#: MySQL's errors that no later attempt would be spared: access, names, statements.
_MYSQL_WRONG = frozenset({1044, 1045, 1049, 1052, 1054, 1060, 1064, 1142, 1143, 1146, 1227, 1305, 1370})
#: Of other databases, by the class that PEP 249 gives an error.
_SQLITE_WRONG = (
    "no such",
    "unable to open",
    "syntax error",
    "not authorized",
    "ambiguous column",
    "misuse of",
)


@contextmanager
def connected(sql: Sql, settings: Settings) -> Iterator[sa.Connection]:
    """A connection that writes nothing, its driver's errors translated.

    Raises `DefinitionError` for what no later attempt would be spared, `TransientError` otherwise.
    """
    url = _url(sql, settings)
    with _translated(place(sql), _asking(url, settings)):
        engine = sa.create_engine(
            url, poolclass=NullPool, hide_parameters=True, **_arguments(url, sql, settings)
        )
        try:
            # A file is open at once, and stays in the thread that opens it.
            opened = engine.connect() if engine.name == "sqlite" else heard(engine.connect)
            with opened as connection, _heard(connection):
                yield connection
        finally:
            engine.dispose()


@contextmanager
def replicating(sql: Sql, settings: Settings) -> Iterator[Any]:
    """A connection of psycopg2 over which PostgreSQL sends its log, errors translated as above."""
    import psycopg2
    from psycopg2.extras import LogicalReplicationConnection

    url = _url(sql, settings)
    if url.get_backend_name() != "postgresql":
        raise DefinitionError("source.sql.changes is for PostgreSQL; read another database by a watermark")
    with _translated(place(sql), _asking(url, settings)):
        engine = sa.create_engine(url, poolclass=NullPool)
        _, given = engine.dialect.create_connect_args(url)
        more = _arguments(url, sql, settings)["connect_args"]
        try:
            # Else the server ends a connection from which it hears nothing for a while.
            told = {**given, **more, "options": "-c wal_sender_timeout=0"}
            connection = heard(
                partial(psycopg2.connect, **told, connection_factory=LogicalReplicationConnection)
            )
            with closing(connection), cancelling(connection.cancel):
                yield connection
        except psycopg2.Error as exc:
            raise DBAPIError(None, None, exc) from None


@contextmanager
def _heard(connection: sa.Connection) -> Iterator[None]:
    """A signal that asks this process to end also ends what the database is doing for it."""
    raw: Any = connection.connection.driver_connection
    # PostgreSQL's and Oracle's drivers, and SQLite's, wait in C; PyMySQL waits in Python, where a signal is heard.
    interrupt = getattr(raw, "cancel", None) or getattr(raw, "interrupt", None)
    try:
        with cancelling(interrupt) if interrupt else nullcontext():
            yield
    except Cancelled:
        # Whatever is half done on it: a rollback would fail, and be what this run is said to have ended with.
        connection.invalidate()
        if hasattr(raw, "thread_id"):
            _kill(connection.engine, raw.thread_id())
        raise


def _kill(engine: sa.Engine, thread: int) -> None:
    """MySQL, hung up on, would compute on."""
    # It may have ended by itself, or not be reached any more.
    with suppress(DBAPIError), engine.connect() as other:
        other.exec_driver_sql(f"KILL {thread:d}")


def place(sql: Sql) -> str:
    """The database without who asks: no user, no option."""
    url = sa.make_url(sql.url)
    return sa.URL.create(
        url.get_backend_name(), host=url.host, port=url.port, database=url.database
    ).render_as_string()


def _url(sql: Sql, settings: Settings) -> sa.URL:
    try:
        url = sa.make_url(sql.url)
    except (ArgumentError, ValueError):
        # Not `from exc`, which repeats it: there may be a password in it.
        raise DefinitionError("source.sql.url is no address that SQLAlchemy reads") from None
    if driver := _DRIVERS.get(url.get_backend_name()):
        url = url.set(drivername=f"{url.get_backend_name()}+{driver}")
    if sql.password is None:
        return url
    if sql.password not in settings.secrets:
        raise DefinitionError(
            f"source.sql.password: there is no secret {sql.password}; set HAULIER_SECRET_{sql.password}, "
            f"or HAULIER_SECRET_{sql.password}_FILE to a file that holds it"
        )
    return url.set(password=settings.secrets[sql.password])


def _asking(url: sa.URL, settings: Settings) -> re.Pattern[str]:
    """Who asks, wherever a driver repeats it: the password, and the user as a word of its own."""
    users = [url.username, *url.normalized_query.get("user", ())]
    if url.get_backend_name() == "postgresql":
        # libpq takes the ledger's where the address names none.
        users.append(settings.postgres.get("PGUSER"))
    password = [re.escape(str(url.password))] if url.password else []
    return re.compile(
        "|".join([*password, *(rf"(?<!\w){re.escape(user)}(?!\w)" for user in users if user)]) or r"(?!)"
    )


def _arguments(url: sa.URL, sql: Sql, settings: Settings) -> dict[str, Any]:
    """What `create_engine` is told beside the address."""
    backend = url.get_backend_name()
    if backend == "postgresql":
        keepalive = {"keepalives": 1, "keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3}
        told: dict[str, Any] = {
            "connect_timeout": sql.timeout_seconds,
            "client_encoding": "utf8",
            **keepalive,
        }
        if not url.password and "password" not in url.query:
            # Else libpq offers this server the ledger's, which it finds in the environment.
            told["password"] = ""
        return {
            "isolation_level": "REPEATABLE READ",
            "use_native_hstore": False,
            "connect_args": {**told, "application_name": "haulier extract"},
        }
    if backend in ("mysql", "mariadb"):
        return {
            "isolation_level": "REPEATABLE READ",
            "connect_args": {"connect_timeout": sql.timeout_seconds, "charset": "utf8mb4"},
        }
    if backend == "sqlite":
        if not url.database or url.database == ":memory:":
            raise DefinitionError("source.sql.url names no file; write sqlite:///folder/file.db")
        path = settings.source_root / url.database
        if not path.is_file():
            raise DefinitionError(f"source.sql.url: there is no file {path}; is HAULIER_SOURCE_ROOT right?")
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        return {"creator": lambda: sqlite3.connect(address, uri=True, timeout=sql.timeout_seconds)}
    return {}


@contextmanager
def _translated(shown: str, asking: re.Pattern[str]) -> Iterator[None]:
    try:
        yield
    except DBAPIError as exc:
        kind, said = _meaning(exc)
        why = asking.sub("***", said)
    except StatementError as exc:
        # SQLAlchemy wraps a signal that comes while it prepares a statement.
        if isinstance(exc.orig, HaulierError):
            raise exc.orig from None
        raise
    except NoSuchModuleError:
        kind, why = (
            DefinitionError,
            "SQLAlchemy knows no such database; install its dialect into the extract image",
        )
    except (ImportError, InvalidRequestError) as exc:
        kind, why = DefinitionError, str(exc)
    else:
        return
    # Not `from exc`: a driver's text may quote rows, and SQLAlchemy's the statement with its values.
    raise kind(f"{shown}: {why}") from None


def _meaning(exc: DBAPIError) -> tuple[type[HaulierError], str]:
    """What a driver's error means to an orchestrator, in words without a value of a row."""
    original = exc.orig
    module = type(original).__module__.partition(".")[0]
    if module == "psycopg2":
        return _of_postgresql(original)
    if module == "pymysql":
        number = original.args[0] if original and original.args else 0
        if number in _MYSQL_WRONG:
            return DefinitionError, f"{original.args[1]} (error {number})" if original else ""
        return TransientError, f"{type(original).__name__} {number}; try again later"
    if module == "sqlite3":
        said = str(original)
        if said.startswith(_SQLITE_WRONG) or "syntax error" in said or "not a database" in said:
            return DefinitionError, said
        return TransientError, f"{said}; try again later"
    name = type(exc).__name__
    if name == "ProgrammingError":
        return DefinitionError, f"it refuses the statement ({type(original).__name__})"
    if name == "DataError":
        return DataError, f"it cannot compute the statement for these rows ({type(original).__name__})"
    return TransientError, f"{type(original).__name__}; try again later"


def _of_postgresql(original: Any) -> tuple[type[HaulierError], str]:
    from haulier.ledger.connection import translate

    state = original.pgcode
    if state == "55006":
        return TransientError, f"{original.diag.message_primary}; try again later"
    # 25006: the statement writes.
    if state and (state.startswith("42") or state == "25006"):
        return DefinitionError, f"{original.diag.message_primary} (sqlstate {state})"
    meant = translate(original)
    return (type(meant), str(meant)) if isinstance(meant, HaulierError) else (DefinitionError, str(meant))
