"""PgBouncer in transaction mode between Haulier and PostgreSQL: nothing of it needs a session of its own."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest
from support.databases import administer
from support.hauling import KEYED, Sender
from support.ledger import findings
from support.pooler import pooled
from support.processes import at_once
from support.steps import command, environ, haul, run_cold
from support.things import day, place

from haulier.errors import DefinitionError, TransientError
from haulier.ledger.connection import connect
from haulier.ledger.migrate import upgrade
from haulier.settings import Settings

INSTANCES = 300
#: Far fewer connections to PostgreSQL than instances that want one.
SERVERS = 20
#: Longer than all merges of the test in a row: whoever is last waits for them.
PATIENT_SECONDS = 1_200


def test_three_hundred_instances_share_twenty_connections(database, tmp_path):
    """Each reserves, seals and loads by itself, all at once and into one table."""
    with pooled(database.environment, connections=SERVERS, patience=PATIENT_SECONDS) as environment:
        settings = Settings.from_env(
            {
                **environment,
                "HAULIER_EXCHANGE": f"file://{tmp_path}/exchange",
                "HAULIER_LOCK_TIMEOUT_SECONDS": str(PATIENT_SECONDS),
            }
        )
        sender = Sender(settings=settings, contract=KEYED)

        def hauled(number):
            name = f"i{number:03}"
            rows = [{"thing": f"{name}-{n}", "colour": name, "price": Decimal(number) / 4} for n in range(4)]
            return sender.send(0, {"a.csv": rows}, instance=name)

        outcomes = at_once(INSTANCES, hauled)
        found = findings(settings)

        assert {(outcome.outcome, outcome.exit_code) for outcome in outcomes} == {("loaded", 0)}
        assert found == []
        assert database.rows("SELECT thing, colour, price FROM shop.things ORDER BY 1") == [
            (f"i{number:03}-{n}", f"i{number:03}", Decimal(number) / 4)
            for number in range(INSTANCES)
            for n in range(4)
        ]
        # The connections it used are open still, and carry nothing over to whoever is next.
        assert database.rows(
            "SELECT count(*) <= %s, bool_and(state = 'idle') FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            [SERVERS],
        ) == [(True, True)]
        # Of this database: others use the server, too.
        assert database.rows(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        ) == [(0,)]
        assert database.rows("SELECT count(*) FROM pg_class WHERE relpersistence = 't'") == [(0,)]
        with connect(settings, "test") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('search_path'), current_setting('lock_timeout')")
            assert cursor.fetchone() == ('"$user", public', "0")


def test_the_ledger_is_made_through_it(tier):
    administer(tier, "CREATE DATABASE {}", "through_a_pooler")
    try:
        with pooled({**tier.environment, "PGDATABASE": "through_a_pooler"}, connections=2) as environment:
            at_once(3, lambda _: upgrade(environment))
            with connect(Settings.from_env(environment), "test"):
                pass
    finally:
        administer(tier, "DROP DATABASE {} WITH (FORCE)", "through_a_pooler")


@pytest.fixture
def here(tier, tmp_path):
    """Two days of files; the first is loaded. No limit of time ends anybody before the test has given up."""
    with place(tier, tmp_path) as made, pooled(made.database.environment, connections=3) as environment:
        limits = {"HAULIER_IDLE_TIMEOUT_SECONDS": "3600", "HAULIER_LOCK_TIMEOUT_SECONDS": "7000"}
        made = replace(made, environment={**made.environment, **environment, **limits})
        for number in (0, 1):
            made.write("one", number, 500)
        haul(made.settings, "things", "one", day(0))
        for step in ("extract", "transform"):
            code, _, said = run_cold(made.environment, step, "things", "one", day(1))
            assert code == 0, said
        yield made


def loading(here):
    return subprocess.Popen(
        command("load", "things", "one", day(1)),
        env=environ(here.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this should have happened by now"
        time.sleep(0.02)


def waiting(here, table):
    """Whether somebody waits for a lock on the table."""
    return here.database.rows(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass", [table]
    )[0][0]


def test_the_next_attempt_ends_a_frozen_one_and_only_that(here):
    with closing(here.database.connect()) as blocker:
        with blocker.cursor() as cursor:
            cursor.execute("LOCK TABLE haulier.chain IN ACCESS EXCLUSIVE MODE")
        frozen = loading(here)
        until(lambda: waiting(here, "haulier.chain"))
        frozen.send_signal(signal.SIGSTOP)
        blocker.rollback()
    try:
        newer = loading(here)
        said = newer.communicate(timeout=120)
    finally:
        frozen.send_signal(signal.SIGCONT)
        _, log = frozen.communicate(timeout=60)

    assert newer.returncode == 0, said
    # It reads the ledger once it has lost its connection, and finds the run done.
    assert frozen.returncode == 0, log.decode()
    assert here.database.rows("SELECT count(*) FROM haulier.load") == [(2,)]
    assert findings(here.settings) == []


def test_a_cancelled_load_stops_waiting_and_gives_its_connection_back(here):
    with closing(here.database.connect()) as blocker:
        with blocker.cursor() as cursor:
            cursor.execute("LOCK TABLE haulier.chain IN ACCESS EXCLUSIVE MODE")
        cancelled = loading(here)
        until(lambda: waiting(here, "haulier.chain"))
        cancelled.send_signal(signal.SIGTERM)
        _, log = cancelled.communicate(timeout=60)
        assert cancelled.returncode == 143, log.decode()
        until(lambda: not waiting(here, "haulier.chain"))

    code, result, said = run_cold(here.environment, "load", "things", "one", day(1))
    assert (code, result["outcome"]) == (0, "loaded"), said


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"PGPASSWORD": "wrong"}, DefinitionError),
        ({"PGUSER": "nobody_here"}, DefinitionError),
        ({"PGDATABASE": "no_such_place"}, DefinitionError),
    ],
)
def test_what_it_refuses_is_the_definitions_fault(database, changed, error):
    with (
        pooled(database.environment, connections=1) as environment,
        pytest.raises(error, match="PostgreSQL refused the connection"),
        connect(Settings.from_env({**environment, **changed}), "test"),
    ):
        pass


def test_who_finds_no_connection_free_may_try_again(database):
    with pooled(database.environment, connections=1, patience=1) as environment:
        settings = Settings.from_env(environment)
        with connect(settings, "one") as busy:
            with busy.cursor() as cursor:
                cursor.execute("SELECT 1")
            with pytest.raises(TransientError), connect(settings, "another"):
                pass
