"""The door to PostgreSQL: what a driver's error becomes, and what it never says."""

from __future__ import annotations

import psycopg2
import pytest
from support.databases import administer

from haulier.errors import DataError, DefinitionError, TransientError
from haulier.ledger.connection import SCHEMA_VERSION, connect, driver_errors, limit_idle, transaction
from haulier.settings import Settings


@pytest.fixture
def settings(database):
    return Settings.from_env(database.environment)


def broken(database, statement):
    with driver_errors():
        database.rows(statement)


def test_a_ledger_that_is_not_there_names_the_command_that_makes_it(tier):
    administer(tier, "CREATE DATABASE {}", "bare")
    try:
        settings = Settings.from_env({**tier.environment, "PGDATABASE": "bare"})
        with (
            pytest.raises(DefinitionError, match=r"does not exist.*haulier migrate"),
            connect(settings, "test"),
        ):
            pass
    finally:
        administer(tier, "DROP DATABASE {}", "bare")


def test_a_ledger_of_another_version_is_refused(database, settings):
    database.rows("UPDATE haulier.alembic_version SET version_num = '0000'")

    with (
        pytest.raises(DefinitionError, match=f"is at version 0000, this program needs {SCHEMA_VERSION}"),
        connect(settings, "test"),
    ):
        pass


def test_a_wrong_password_is_a_definition_error(database):
    settings = Settings.from_env({**database.environment, "PGPASSWORD": "wrong"})

    with pytest.raises(DefinitionError, match="authentication failed"), connect(settings, "test"):
        pass


def test_a_server_that_is_not_there_is_transient(database):
    settings = Settings.from_env({**database.environment, "PGPORT": "1"})

    with pytest.raises(TransientError, match="cannot be reached"), connect(settings, "test"):
        pass


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELECT 'secret value'::integer", DataError),
        ("SELECT 1 FROM haulier.nowhere", DefinitionError),
        ("DO $$ BEGIN RAISE deadlock_detected; END $$", TransientError),
        ("DO $$ BEGIN RAISE disk_full; END $$", TransientError),
        ("DO $$ BEGIN RAISE lock_not_available; END $$", TransientError),
        ("SELECT 1 +", RuntimeError),
    ],
)
def test_a_sqlstate_says_what_to_do(database, statement, error):
    with pytest.raises(error):
        broken(database, statement)


@pytest.mark.requirement("R-16")
def test_row_values_are_never_passed_on(database):
    with pytest.raises(DataError) as caught:
        broken(
            database,
            "CREATE TEMP TABLE one (secret text UNIQUE); INSERT INTO one VALUES ('Mrs Smith'), ('Mrs Smith')",
        )

    assert "Smith" not in str(caught.value)
    assert "23505" in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.requirement("R-12")
def test_every_transaction_runs_under_our_limits(settings):
    with connect(settings, "test") as connection, transaction(connection, settings) as cursor:
        cursor.execute(
            "SELECT current_setting('TimeZone'), current_setting('idle_in_transaction_session_timeout'),"
            " current_setting('lock_timeout'), current_setting('transaction_timeout')"
        )
        assert cursor.fetchone() == ("UTC", "20s", "2min", "2h")


def test_who_may_idle_does_so_whatever_the_database_says_until_limited(database, settings):
    database.rows(f'ALTER DATABASE "{database.name}" SET idle_in_transaction_session_timeout = 7000')
    with connect(settings, "test") as connection, transaction(connection, settings, may_idle=True) as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        unlimited = cursor.fetchone()
        limit_idle(cursor, settings)
        cursor.execute("SHOW idle_in_transaction_session_timeout")

        assert (unlimited, cursor.fetchone()) == (("0",), ("20s",))


def test_a_transaction_that_raises_leaves_nothing(settings, database):
    def half(connection):
        with transaction(connection, settings) as cursor:
            cursor.execute("CREATE TABLE public.left_over ()")
            cursor.execute("SELECT 1/0")

    with connect(settings, "test") as connection, pytest.raises(psycopg2.errors.DivisionByZero):
        half(connection)

    assert database.rows("SELECT to_regclass('public.left_over')") == [(None,)]
