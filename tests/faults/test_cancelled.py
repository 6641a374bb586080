"""SIGTERM while a step waits for a lock or for a long statement, where Python itself would not notice it."""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa
from support import mariadb
from support.lab import lab
from support.steps import command, environ
from support.things import day, place

from haulier.errors import Cancelled
from haulier.loading import load_pipeline, resolve_instance
from haulier_extract.sources.sql.engine import connected

_WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_extract_ends_143_though_nobody_gives_it_the_lock(tier, tmp_path):
    with place(tier, tmp_path) as here, closing(here.database.connect()) as connection:
        here.write("one", 0, 100)
        connection.cursor().execute("LOCK TABLE haulier.delivery")
        patient = {**here.environment, "HAULIER_LOCK_TIMEOUT_SECONDS": "600"}
        cancelled(patient, "one", lambda: bool(here.database.rows(_WAITING)))


@pytest.mark.parametrize("lock", ["run", "state"])
def test_whatever_is_asked_of_the_ledger_ends_143(lock, tier, tmp_path):
    with lab("sqlite", tier, tmp_path) as made, closing(made.database.connect()) as connection:
        made.define(watermark={"column": "changed"})
        connection.cursor().execute(f"LOCK TABLE haulier.{lock}")
        patient = {**made.place.environment, "HAULIER_LOCK_TIMEOUT_SECONDS": "600"}
        cancelled(patient, "main", lambda: bool(made.database.rows(_WAITING)))


def test_a_connection_that_is_gone_keeps_the_signal_from_no_other():
    code = """
import os, signal, threading
from haulier.run import cancel_on_signals, cancelling
from haulier.errors import Cancelled

def gone():
    raise OSError

told = threading.Event()
cancel_on_signals()
with cancelling(gone), cancelling(told.set):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    except Cancelled:
        print(told.wait(10))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("True\n", "")


LOG = {"changes": {"slot": "things", "publication": "things"}, "load": {"mode": "append"}}


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A server that takes a connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_ledger_that_does_not_answer_while_it_is_reached_ends_143(deaf, tier, tmp_path):
    with place(tier, tmp_path) as here:
        here.write("one", 0, 100)
        there = {"PGHOST": "127.0.0.1", "PGPORT": str(deaf.getsockname()[1]), "PGCONNECT_TIMEOUT": "600"}
        cancelled({**here.environment, **there}, "one", lambda: asked_of(deaf))


@pytest.mark.parametrize("more", [{}, LOG], ids=["rows", "log"])
def test_a_source_that_does_not_answer_while_it_is_reached_ends_143(deaf, more, tier, tmp_path):
    with lab("postgresql", tier, tmp_path) as made:
        url = f"postgresql://reader@127.0.0.1:{deaf.getsockname()[1]}/lims"
        made.define(url=url, timeout_seconds=3600, **more)
        cancelled(made.place.environment, "main", lambda: asked_of(deaf))


def asked_of(deaf: socket.socket) -> bool:
    """Whether somebody has connected."""
    return bool(select.select([deaf], [], [], 0)[0])


#: Kind -> a query that does not end, and what says that it is being answered.
_ENDLESS = {
    "postgresql": (
        "SELECT thing, colour, price, pg_sleep(600)::text AS slept FROM things",
        "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    ),
    "mariadb": (
        "SELECT thing, colour, price, sleep(600) AS slept FROM things",
        "SELECT 1 FROM information_schema.processlist WHERE state = 'User sleep'",
    ),
    "sqlite": (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT thing, colour, price, (SELECT max(i) FROM n) AS counted FROM things",
        "",
    ),
}


@pytest.mark.parametrize("kind", _ENDLESS)
def test_a_long_statement_of_a_source_ends_143_and_nothing_of_it_goes_on(kind, tier, tmp_path, request):
    query, going_on = _ENDLESS[kind]
    socket = request.getfixturevalue("maria") if kind == "mariadb" else None
    with lab(kind, tier, tmp_path, socket) as made:
        (made.definitions / "queries" / "long.sql").write_text(query)
        made.define(table=None, query="../queries/long.sql")
        made.do("INSERT INTO things VALUES ('a', 'red', 1, NULL)")

        def goes_on() -> bool:
            if kind == "postgresql":
                return bool(made.handle.rows(going_on))
            with mariadb.as_root(made.handle) as cursor:
                return bool(cursor.execute(going_on))

        since = time.monotonic()
        # SQLite has nobody to ask: by then it counts.
        cancelled(
            made.place.environment,
            "main",
            goes_on if going_on else lambda: time.monotonic() > since + 3,
        )
        assert not (going_on and goes_on())


def test_a_signal_between_two_statements_of_a_source_stays_what_it_is(tier, tmp_path):
    """SQLAlchemy wraps what is raised while it prepares one."""

    class Told(sa.TypeDecorator[str]):
        impl = sa.String
        cache_ok = True

        def process_bind_param(self, value, dialect):
            raise Cancelled("ended by SIGTERM")

    with lab("sqlite", tier, tmp_path) as made:
        made.define()
        source = resolve_instance(load_pipeline(made.definitions, "things"), "main").source
        with pytest.raises(Cancelled), connected(source.sql, made.settings) as connection:
            connection.execute(sa.select(sa.literal("x", Told())))


def cancelled(environment: dict[str, str], instance: str, waits: Callable[[], bool]) -> None:
    """An extract that is told to end once it waits, and does."""
    process = subprocess.Popen(
        command("extract", "things", instance, day(0)),
        env=environ(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    while not waits() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == 143, said.decode()
