"""A table of PostgreSQL, followed through its log (docs/adr/0016): a second server, whose log is read for real."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.processes import at_once, in_process
from support.replicated import followed, logical_server, peak_of_a_look, restorable_server
from support.things import day

import haulier_load.step as load_step
from haulier.definitions import Instance
from haulier.definitions.sources import Sql
from haulier.errors import DataError, DefinitionError, NothingNew, TransientError
from haulier.exchange import open_exchange
from haulier.ledger.connection import connect
from haulier.ledger.states import move
from haulier.ledger.verify import verify
from haulier.loading import load_pipeline, resolve_instance
from haulier.task import Task
from haulier_extract.sources import find
from haulier_extract.sources.sql.changes import slot as reading
from haulier_extract.sources.sql.changes.slot import number_of
from haulier_extract.sources.sql.engine import replicating
from haulier_extract.step import plan

LONG = "SELECT string_agg(md5(n::text), '') FROM generate_series(1, 300) n"


@pytest.fixture(scope="module")
def logical():
    with logical_server() as tier:
        yield tier


@pytest.fixture
def here(logical, tier, tmp_path):
    with followed(logical, tier, tmp_path) as made:
        yield made


def reset(made):
    with connect(made.settings, "test") as connection:
        move(connection, made.settings, "things", "main", "log", None, "test")


def told(made) -> Instance:
    return resolve_instance(load_pipeline(made.definitions, "things"), "main")


def log_end(made):
    return number_of(made.rows("SELECT pg_current_wal_lsn()::text")[0][0])


def clean(made):
    with connect(made.settings, "test") as connection:
        return verify(connection, made.settings, exchange=open_exchange(made.settings), deep=True) == []


class TestAsItGoes:
    def test_the_first_run_takes_the_rows_that_are_there_and_later_ones_what_happened(self, here):
        here.do(
            "INSERT INTO things VALUES ('a', 'red', 'x', 1.5), ('b', 'blue', NULL, NULL), ('c', 'green', 'z', 3)"
        )
        first = here.run(0)["load"]
        assert here.hauled() == here.there()
        assert first.counts["inserted"] == 3

        here.do(
            "INSERT INTO things VALUES ('d', 'new', NULL, 4)",
            "UPDATE things SET price = 2 WHERE thing = 'a'",
            "DELETE FROM things WHERE thing = 'c'",
        )
        counts = here.run(1)["load"].counts

        assert here.hauled() == here.there()
        assert {name: counts[name] for name in ("inserted", "updated", "deleted")} == {
            "inserted": 1,
            "updated": 1,
            "deleted": 1,
        }
        assert clean(here)

    def test_what_is_rolled_back_never_happened_and_the_last_of_many_changes_counts(self, here):
        here.run(0)
        with closing(here.source.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO things VALUES ('never', 'red', NULL, 1)")
            connection.rollback()
        here.do(
            "INSERT INTO things VALUES ('a', 'red', NULL, 1)",
            "UPDATE things SET colour = 'blue'",
            "DELETE FROM things",
            "INSERT INTO things VALUES ('a', 'green', NULL, 9)",
        )
        here.run(1)

        assert here.hauled() == here.there() == [("a", "green", None, 9)]

    def test_a_key_that_changes_is_gone_under_the_old_one(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', 'x', 1), ('b', 'red', 'x', 1)")
        here.run(0)
        here.do(
            "UPDATE things SET thing = 'c' WHERE thing = 'a'",
            "UPDATE things SET thing = 'a' WHERE thing = 'b'",
        )
        here.run(1)

        assert here.hauled() == here.there()
        assert [thing for thing, *_ in here.hauled()] == ["a", "c"]

    def test_a_truncation_takes_all_older_rows(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', 'x', 1), ('b', 'red', 'x', 1)")
        here.run(0)
        here.do("TRUNCATE things", "INSERT INTO things VALUES ('c', 'red', 'x', 1)")
        counts = here.run(1)["load"].counts

        assert here.hauled() == here.there()
        assert counts["removed"] == 2

    def test_a_long_value_that_did_not_change_is_kept(self, here):
        here.do(f"INSERT INTO things VALUES ('a', 'red', ({LONG}), 1)")
        here.run(0)
        here.do("UPDATE things SET colour = 'blue'")
        here.run(1)

        assert here.hauled() == here.there()
        assert len(here.hauled()[0][2]) == 9600

    def test_without_a_word_of_it_in_the_contract_such_a_row_is_rejected_and_nothing_is_made_up(self, here):
        here.define(kept=False)
        here.do(f"INSERT INTO things VALUES ('a', 'red', ({LONG}), 1)")
        here.run(0)
        here.do("UPDATE things SET colour = 'blue'")
        here.run(1)

        assert here.hauled()[0][1] == "red"
        ((rule, column, message),) = here.place.database.rows(
            "SELECT rule, column_name, message FROM haulier.reject"
        )
        assert (rule, column) == ("unchanged", "body")
        assert "REPLICA IDENTITY FULL" in message

    def test_with_the_whole_identity_every_value_is_there(self, here):
        here.define(kept=False)
        here.do(
            "ALTER TABLE things REPLICA IDENTITY FULL", f"INSERT INTO things VALUES ('a', 'red', ({LONG}), 1)"
        )
        here.run(0)
        here.do("UPDATE things SET colour = 'blue'", "UPDATE things SET thing = 'b'")
        here.run(1)

        assert here.hauled() == here.there()
        assert [thing for thing, *_ in here.hauled()] == ["b"]

    def test_an_identity_wider_than_the_key_makes_no_deletion_of_what_stays(self, here):
        here.do(
            "CREATE UNIQUE INDEX things_wide ON things (thing, colour)",
            "ALTER TABLE things REPLICA IDENTITY USING INDEX things_wide",
            "INSERT INTO things VALUES ('a', 'red', 'x', 1), ('b', 'red', 'x', 1)",
        )
        here.run(0)
        here.do("UPDATE things SET colour = 'blue'", "UPDATE things SET thing = 'c' WHERE thing = 'b'")
        counts = here.run(1)["load"].counts

        assert here.hauled() == here.there()
        assert (counts["produced"], counts["deleted"]) == (4, 1)

    def test_what_was_changed_while_the_log_did_not_say_the_key_stops_the_run(self, here):
        here.do(
            "CREATE UNIQUE INDEX things_other ON things (colour)",
            "INSERT INTO things VALUES ('a', 'red', NULL, 1), ('b', 'blue', NULL, 1)",
        )
        here.run(0)
        here.do("ALTER TABLE things REPLICA IDENTITY USING INDEX things_other")
        here.do("UPDATE things SET thing = 'c', price = 2 WHERE thing = 'a'")
        here.do("ALTER TABLE things REPLICA IDENTITY DEFAULT")
        with pytest.raises(DataError, match="the log did not say thing of rows that are gone"):
            here.run(1)
        reset(here)
        here.run(1)
        assert here.hauled() == here.there()

    def test_changes_beside_the_first_snapshot_end_as_the_source_has_them(self, here):
        """A transaction that is open while the slot is made, one that commits before the rows are read, one after."""
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1), ('b', 'red', NULL, 1)")
        with closing(here.source.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE things SET price = 2 WHERE thing = 'a'")
            running = threading.Thread(target=here.run, args=(0,))
            running.start()
            time.sleep(0.5)
            here.do("UPDATE things SET price = 3 WHERE thing = 'b'")
            connection.commit()
            running.join()
        here.do("UPDATE things SET price = price + 10")
        here.run(1)

        assert here.hauled() == here.there()
        assert [price for *_, price in here.hauled()] == [12, 13]

    def test_types_have_one_spelling_in_the_snapshot_and_in_the_log(self, here):
        here.do(
            "CREATE TYPE mood AS ENUM ('glad')",
            "CREATE DOMAIN yes AS boolean",
            "CREATE TABLE every (id int PRIMARY KEY, b yes, n numeric, f float8, t timestamptz, l timestamp, d date, j jsonb, "
            "a numeric[], w text[], m mood, y bytea, u uuid, i interval, c char(4))",
            "ALTER PUBLICATION hauled ADD TABLE every",
        )
        values = (
            "true, 12345678901234567890.123, 0.1, '2026-01-05 10:00:00.5+02', '2026-01-05 10:00', '2026-01-05', "
            """'{"a": [1, null]}', '{{1.50,NULL},{2,3}}', '{"a b","c\\"d",NULL}', 'glad', '\\x00ff', """
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '1 month 2 days', 'ab'"
        )
        here.do(f"INSERT INTO every VALUES (1, {values})")
        where = here.definitions / "pipelines" / "things.yaml"
        where.write_text(where.read_text().replace("public.things", "public.every"))

        instance = told(here)

        def lines(standing):
            found = find(instance, day(0), here.settings, standing)
            (file,) = found.files
            return [json.loads(line) for line in b"".join(file.open()).splitlines()], file.position.end

        (snapshot,), end = lines(None)
        here.do("DELETE FROM every", f"INSERT INTO every VALUES (1, {values})")
        (gone, streamed), _ = lines(end)

        own = ("__op", "__lsn")
        assert {k: v for k, v in snapshot.items() if k not in own} == {
            k: v for k, v in streamed.items() if k not in own
        }
        assert gone == {"__op": "d", "__lsn": gone["__lsn"], "id": "1"}
        assert streamed["b"] is True
        assert streamed["n"] == "12345678901234567890.123"
        assert streamed["t"] == "2026-01-05T08:00:00.5+00:00"
        assert streamed["l"] == "2026-01-05T10:00:00"
        assert streamed["a"] == "[[1.50,null],[2,3]]"
        assert streamed["w"] == '["a b","c\\"d",null]'
        assert (streamed["y"], streamed["i"], streamed["c"]) == ("\\x00ff", "P1M2D", "ab  ")


class TestPositions:
    def test_the_server_may_forget_only_what_is_loaded(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        first = here.confirmed()
        here.do("UPDATE things SET price = 2")
        here.run(1)
        assert here.confirmed() == first
        second = here.position()
        here.do("UPDATE things SET price = 3")
        here.run(2)

        assert number_of(here.confirmed()) == number_of(second) > number_of(first)
        assert here.hauled() == here.there()

    @pytest.mark.parametrize("moment", ["transform", "load"])
    def test_a_run_that_ends_early_goes_on_with_what_it_read_and_loses_nothing(self, here, moment):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        here.do("UPDATE things SET price = 2")
        here.run(1, before=moment)
        here.do("UPDATE things SET price = 3")
        with pytest.raises(TransientError, match="has not loaded yet what it read"):
            here.run(2)
        here.run(1)
        assert here.hauled()[0][3] == 2
        here.run(2)

        assert here.hauled() == here.there()
        assert clean(here)

    def test_a_load_that_fails_moves_nothing(self, here, monkeypatch):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        before = here.position()
        here.do("UPDATE things SET price = 2")

        def dies(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(load_step, "write", dies)
            with pytest.raises(KeyboardInterrupt):
                here.run(1)
        assert here.position() == before
        here.run(1)

        assert here.hauled() == here.there()

    def test_nothing_new_is_an_empty_run_and_moves_nothing(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        before = here.position()
        assert here.run(1)["extract"].exit_code == EMPTY
        assert (here.position(), here.confirmed()) == (before, before)

    def test_a_quiet_table_of_a_busy_database_lets_the_log_go(self, here):
        here.run(0)
        here.do("CREATE TABLE other AS SELECT repeat(md5(n::text), 9) FROM generate_series(1, 80000) n")
        before = number_of(here.position())
        assert here.run(1)["load"].counts["produced"] == 0

        assert number_of(here.position()) - before > 16 * 1024 * 1024
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(2)
        assert here.hauled() == here.there()
        assert clean(here)

    def test_a_run_ends_behind_a_transaction_when_it_is_full_and_the_next_goes_on(self, here):
        here.define(run_bytes=2000)
        here.run(0)
        for number in range(4):
            here.do(
                f"INSERT INTO things SELECT '{number}-' || n, 'red', NULL, n FROM generate_series(1, 40) n"
            )
        outcome = here.run(1)
        assert outcome["load"].counts["inserted"] == 40
        assert any("run_bytes" in note for note in outcome["extract"].notes)
        for number in range(2, 5):
            here.run(number)

        assert here.hauled() == here.there()
        assert len(here.hauled()) == 160

    def test_a_plan_leaves_the_server_as_it_is(self, here):

        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")

        def planned(number):
            task = Task(
                step="extract",
                verb="plan",
                pipeline="things",
                instance="main",
                interval=day(number),
                settings=here.settings,
            )
            return plan(task).counts["produced"]

        assert planned(0) == 1
        assert here.rows("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == [
            (0,)
        ]
        here.run(0)
        confirmed = here.confirmed()
        here.do("UPDATE things SET price = 2")
        assert planned(1) == 1
        here.run(1)
        here.do("UPDATE things SET price = 3")
        assert planned(2) == 1
        assert here.confirmed() == confirmed

    def test_without_a_snapshot_the_slot_says_where_to_begin(self, here):
        here.do("INSERT INTO things VALUES ('before', 'red', NULL, 1)")
        here.do(f"SELECT pg_create_logical_replication_slot('{here.slot}', 'pgoutput')")
        here.define(snapshot=False)
        here.do("INSERT INTO things VALUES ('after', 'red', NULL, 1)")
        here.run(0)

        assert [thing for thing, *_ in here.hauled()] == ["after"]


class TestLost:
    def test_a_slot_that_is_gone_stops_the_run_and_a_reset_takes_all_rows_anew(self, here):
        here.do(
            "INSERT INTO things VALUES ('a', 'red', NULL, 1), ('b', 'red', NULL, 1), ('same', 'red', NULL, 1)"
        )
        here.run(0)
        here.drop_slot()
        here.do("DELETE FROM things WHERE thing = 'b'", "UPDATE things SET price = 2 WHERE thing = 'a'")
        with pytest.raises(
            DataError, match=f"the slot {here.slot} is gone: what changed since then cannot be read"
        ):
            here.run(1)
        assert len(here.hauled()) == 3
        reset(here)
        counts = here.run(1)["load"].counts

        assert here.hauled() == here.there()
        assert (counts["removed"], counts["updated"]) == (1, 2)
        here.do("UPDATE things SET price = 5")
        here.run(2)
        assert here.hauled() == here.there()
        assert clean(here)

    def test_a_slot_that_somebody_else_read_stops_the_run(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        here.do("UPDATE things SET price = 2")
        here.do(
            f"SELECT count(*) FROM pg_logical_slot_get_binary_changes('{here.slot}', NULL, NULL, "
            "'proto_version', '1', 'publication_names', 'hauled')"
        )
        with pytest.raises(DataError, match="somebody else read it, or made it anew"):
            here.run(1)

    def test_another_server_under_the_same_address_stops_the_run(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        with connect(here.settings, "test") as connection:
            end = {"slot": here.slot, "value": here.position(), "system": "1"}
            move(connection, here.settings, "things", "main", "log", end, "test")
        with pytest.raises(DataError, match="another server's"):
            here.run(1)

    def test_after_a_move_to_another_server_its_rows_are_newer_whatever_its_log_says(
        self, here, tier, tmp_path_factory
    ):
        """A log that begins anew counts from zero; held against what is loaded, all of it would be old."""
        with logical_server() as old, followed(old, tier, tmp_path_factory.mktemp("moved")) as moved:
            while log_end(moved) <= log_end(here):
                moved.do("SELECT pg_logical_emit_message(false, 'lab', 'on'), pg_switch_wal()")
            for made in (moved, here):
                made.do("INSERT INTO things VALUES ('a', 'red', NULL, 1), ('b', 'red', NULL, 1)")
            moved.run(0)
            here.do("UPDATE things SET price = 2 WHERE thing = 'a'", "DELETE FROM things WHERE thing = 'b'")
            moved.source = here.source
            moved.define()
            moved.place.environment["HAULIER_SECRET_LAB"] = here.source.environment["PGPASSWORD"]
            here.do(f"SELECT pg_create_logical_replication_slot('{moved.slot}', 'pgoutput')")
            with pytest.raises(DataError, match="another server's"):
                moved.run(1)
            reset(moved)
            moved.run(1)
            assert moved.hauled() == here.there() == [("a", "red", None, 2)]
            here.do("UPDATE things SET price = 3")
            moved.run(2)
            assert moved.hauled() == here.there()
            assert clean(moved)

    def test_a_restored_server_that_has_written_past_what_was_read_stops_the_run(
        self, tier, tmp_path_factory
    ):
        """Its places in the log are as great as those that were read, and stand for something else."""
        with (
            restorable_server() as server,
            followed(server.tier, tier, tmp_path_factory.mktemp("restored")) as made,
        ):
            made.do("INSERT INTO things VALUES ('a', 'red', NULL, 1), ('b', 'red', NULL, 1)")
            made.run(0)
            server.keep()
            made.do("DELETE FROM things WHERE thing = 'b'", "UPDATE things SET price = 9 WHERE thing = 'a'")
            made.run(1)
            read = number_of(made.position())
            server.restore(kept=True)
            made.do("UPDATE things SET price = 2")
            while log_end(made) <= read:
                made.do("SELECT pg_logical_emit_message(false, 'lab', 'on'), pg_switch_wal()")
            with pytest.raises(DataError, match=r"has another one since .* \(timeline 2\): it was restored"):
                made.run(2)
            reset(made)
            made.run(2)
            assert made.hauled() == made.there()
            made.do("UPDATE things SET price = 3", "DELETE FROM things WHERE thing = 'a'")
            made.run(3)
            assert made.hauled() == made.there() == [("b", "red", None, 3)]
            assert clean(made)

    def test_a_server_that_took_over_with_all_that_was_read_goes_on(self, tier, tmp_path_factory):
        with (
            restorable_server() as server,
            followed(server.tier, tier, tmp_path_factory.mktemp("took_over")) as made,
        ):
            made.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
            made.run(0)
            made.do("UPDATE things SET price = 2")
            server.restore(kept=False)
            made.do("INSERT INTO things VALUES ('b', 'red', NULL, 1)")
            for number in (1, 2):
                made.run(number)
                assert made.hauled() == made.there()
                made.do("UPDATE things SET price = price + 1")
            timelines = made.place.database.rows("SELECT DISTINCT value ->> 'timeline' FROM haulier.state")
            assert timelines == [("2",)]

    def test_a_position_of_before_timelines_were_kept_goes_on(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        here.place.database.rows("UPDATE haulier.state SET value = value - 'timeline'")
        here.do("UPDATE things SET price = 2")
        here.run(1)

        assert here.hauled() == here.there()

    def test_two_first_runs_at_once_make_one_slot(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")

        def once(_):
            try:
                return here.run(0)["load"].outcome
            except TransientError:
                return "later"

        assert "loaded" in at_once(2, once)
        assert here.hauled() == here.there()

    def test_a_transaction_that_does_not_end_holds_up_the_first_run_only_so_long(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        with closing(here.source.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE things SET price = 2")
            with pytest.raises(
                TransientError, match=r"could not be made within 0\.5 s .* the end of every transaction"
            ):
                find(told(here), day(0), replace(here.settings, lock_timeout_seconds=0.5))
            assert here.rows("SELECT 1 FROM pg_replication_slots WHERE database = current_database()") == []
            connection.commit()
        here.run(0)

        assert here.hauled() == here.there()

    def test_a_slot_in_use_is_tried_again_later(self, here):

        here.run(0)
        start = number_of(here.position())

        sql: Sql = told(here).source.sql
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        with replicating(sql, here.settings) as log:
            held = reading.messages(log, sql.changes, start, start + 1, confirmed=False)
            next(held)
            with pytest.raises(TransientError, match="is active for PID"):
                here.run(1)
        here.run(1)
        assert here.hauled() == here.there()

    @pytest.mark.parametrize(
        ("anew", "why"),
        [
            (
                (
                    "ALTER TABLE things RENAME TO old",
                    "CREATE TABLE things (LIKE old INCLUDING ALL)",
                    "ALTER PUBLICATION hauled ADD TABLE things",
                ),
                "the table is another one of the same name",
            ),
            (
                ("DROP PUBLICATION hauled", "CREATE PUBLICATION hauled FOR TABLE things"),
                "the publication was made anew",
            ),
        ],
    )
    def test_another_table_or_publication_of_the_same_name_stops_the_run(self, here, anew, why):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        here.do(*anew)
        here.do("INSERT INTO things VALUES ('b', 'red', NULL, 1)")
        with pytest.raises(DataError, match=why):
            here.run(1)
        reset(here)
        here.run(1)
        assert here.hauled() == here.there()

    def test_a_reset_heals_whatever_was_loaded_behind_the_slots_beginning(self, here):
        """The slot still begins where it was made, before the rows and the truncation that are loaded."""
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        here.do("TRUNCATE things", "INSERT INTO things VALUES ('b', 'red', NULL, 1), ('c', 'red', NULL, 1)")
        here.run(1)
        here.place.database.rows("DELETE FROM shop.things WHERE thing = 'c'")
        here.place.database.rows("UPDATE shop.things SET colour = 'spoilt'")
        reset(here)
        here.run(2)

        assert here.hauled() == here.there()

    def test_without_a_snapshot_too_the_first_run_says_from_where_on_nothing_may_be_lost(self, here):
        here.define(snapshot=False)
        here.run(0)
        assert here.position() is not None
        here.drop_slot()
        with pytest.raises(DataError, match="is gone"):
            here.run(1)


class TestAsked:
    @pytest.mark.parametrize(
        ("made", "why"),
        [
            ("REPLICA IDENTITY USING INDEX things_other", "does not say thing of a row that is gone"),
            ("REPLICA IDENTITY NOTHING", "does not say thing of a row that is gone"),
            (
                "DROP CONSTRAINT things_pkey, ADD PRIMARY KEY (thing) DEFERRABLE, REPLICA IDENTITY FULL",
                "is DEFERRABLE",
            ),
            ("DROP CONSTRAINT things_pkey, REPLICA IDENTITY FULL", "source.sql.key is missing"),
        ],
    )
    def test_a_key_that_the_log_could_not_follow_is_refused_and_no_slot_made(self, here, made, why):
        here.do("CREATE UNIQUE INDEX things_other ON things (colour)", f"ALTER TABLE things {made}")
        with pytest.raises(DefinitionError, match=why):
            here.run(0)
        assert here.rows("SELECT 1 FROM pg_replication_slots WHERE database = current_database()") == []

    def test_rows_of_tables_that_inherit_have_a_log_of_their_own(self, here):
        here.do("CREATE TABLE more () INHERITS (things)", "INSERT INTO more VALUES ('z', 'red', NULL, 1)")
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        assert [thing for thing, *_ in here.hauled()] == ["a"]

    def test_a_log_without_a_word_of_the_table_is_not_confirmed_by_looking(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        confirmed = here.confirmed()
        here.do("CREATE TABLE other AS SELECT md5(n::text) FROM generate_series(1, 400000) n")
        here.do("UPDATE things SET price = 2")
        instance, standing = told(here), {"slot": here.slot, "value": here.position()}
        find(instance, day(1), here.settings, standing, preview=True)

        assert here.confirmed() == confirmed

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"publication": "other"}, "CREATE PUBLICATION other FOR TABLE public.things"),
            ({"slot": "taken"}, "taken is there and not of this database with the plugin pgoutput"),
        ],
    )
    def test_what_is_not_as_it_must_be_is_named_before_a_run(self, here, changes, why):
        here.do(
            "SELECT pg_create_logical_replication_slot('taken', 'test_decoding')"
        ) if "slot" in changes else None
        here.define(**changes)
        with pytest.raises(DefinitionError, match=why):
            here.run(0)

    def test_a_publication_decides_which_rows_and_columns_there_are(self, here):
        here.do(
            "ALTER PUBLICATION hauled SET TABLE things (thing, colour, price) WHERE (thing < 'n')",
            "INSERT INTO things VALUES ('a', 'red', 'x', 1), ('z', 'red', 'x', 1)",
        )
        here.run(0)
        assert here.hauled() == [("a", "red", None, 1)]
        here.do("UPDATE things SET price = 2")
        here.run(1)
        assert here.hauled() == [("a", "red", None, 2)]

    def test_a_publication_without_deletions_is_said(self, here):
        here.do("ALTER PUBLICATION hauled SET (publish = 'insert, update')")
        notes = here.run(0)["extract"].notes
        assert "the publication hauled leaves out deletions and truncations" in notes

    def test_rows_that_a_policy_would_hide_are_an_error_and_not_left_out(self, here):
        """The log has them whatever the policy: a snapshot without them would not be its beginning."""
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1), ('b', 'blue', NULL, 1)")
        secret = here.source.environment["PGPASSWORD"]
        here.do(
            f"CREATE ROLE reader_of_{here.slot} LOGIN REPLICATION PASSWORD '{secret}'",
            f"GRANT SELECT ON things TO reader_of_{here.slot}",
            "ALTER TABLE things ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY reds ON things FOR SELECT USING (colour = 'red')",
        )
        file = here.definitions / "pipelines" / "things.yaml"
        user = here.source.environment["PGUSER"]
        file.write_text(file.read_text().replace(f"//{user}@", f"//reader_of_{here.slot}@"))
        try:
            with pytest.raises(DefinitionError, match="would be affected by row-level security"):
                here.run(0)
            here.do(f"ALTER ROLE reader_of_{here.slot} BYPASSRLS")
            here.run(0)
        finally:
            here.do(f"DROP OWNED BY reader_of_{here.slot}", f"DROP ROLE reader_of_{here.slot}")

        assert here.hauled() == here.there()

    def test_no_password_and_no_user_shows(self, here):
        broken = here.settings.secrets | {"LAB": "very wrong"}

        instance = told(here)
        with pytest.raises((DefinitionError, TransientError)) as raised:
            find(instance, day(0), replace(here.settings, secrets=broken))
        assert "very wrong" not in str(raised.value)


EMPTY = NothingNew.exit_code


class TestForPeople:
    def test_check_finds_what_a_run_would_stumble_over(self, here):
        here.define(publication="other")
        _, found, _ = here.place.say("check", "--pipeline", "things")
        assert "CREATE PUBLICATION other" in json.dumps(found)
        here.define()
        code, found, _ = here.place.say("check", "--pipeline", "things")
        assert code == 0, found
        assert here.rows("SELECT 1 FROM pg_replication_slots WHERE database = current_database()") == []

    def test_check_refuses_a_slot_that_two_instances_name(self, here):
        file = here.definitions / "pipelines" / "things.yaml"
        document = {**yaml.safe_load(file.read_text()), "instances": {"one": {}, "two": {}}}
        file.write_text(yaml.safe_dump(document))
        code, found, _ = here.place.say("check", "--pipeline", "things")

        assert code == 2
        assert f"{here.slot} is also that of things/two" in json.dumps(found)
        assert f"{here.slot} is also that of things/one" in json.dumps(found)
        (here.definitions / "pipelines" / "others.yaml").write_text(
            yaml.safe_dump({**document, "pipeline": "others", "instances": {"one": {}}})
        )
        _, found, _ = here.place.say("check", "--pipeline", "others")
        assert f"{here.slot} is also that of things/one, things/two" in json.dumps(found)
        document["source"]["sql"]["changes"]["slot"] = "slot_{pipeline}_{instance}"
        for name in ("things", "others"):
            (here.definitions / "pipelines" / f"{name}.yaml").write_text(
                yaml.safe_dump({**document, "pipeline": name})
            )
        code, found, _ = here.place.say("check")
        assert code == 0, found

    def test_discover_proposes_a_contract_that_a_run_can_follow_the_table_by(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', 'x', 1.5), ('b', 'blue', NULL, 2)")
        code, text, _ = here.place.say("discover", "--pipeline", "things", "--table", "shop.things")
        assert code == 0
        (here.definitions / "contracts" / "things.odcs.yaml").write_text(json.dumps(text["contract"]))
        here.run(0)
        here.do(
            f"UPDATE things SET body = ({LONG}) WHERE thing = 'a'", "DELETE FROM things WHERE thing = 'b'"
        )
        here.run(1)
        here.do("UPDATE things SET colour = 'green'")
        here.run(2)

        assert here.hauled() == here.there()
        here.do("TRUNCATE things")
        here.run(3)
        assert here.hauled() == []

    def test_a_person_sees_and_moves_the_position(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        begun = here.position()
        here.do("UPDATE things SET price = 2")
        here.run(1)
        _, shown, _ = here.place.say("state", "show", "--pipeline", "things")
        assert here.position() in json.dumps(shown)
        code, moved, _ = here.place.say(
            "state", "set", "--pipeline", "things", "--value", begun, "--reason", "again"
        )
        assert (code, moved["after"]) == (0, {"slot": here.slot, "value": begun})
        assert here.run(2)["load"].counts["unchanged"] == 1
        here.place.say("state", "set", "--pipeline", "things", "--value", "nowhere", "--reason", "again")
        with pytest.raises(DefinitionError, match="'nowhere' is no place in a log"):
            here.run(3)


def test_a_transaction_of_many_rows_streams(here):
    """Rows pass; only what one message holds is in memory."""
    here.run(0)
    here.do(
        "INSERT INTO things SELECT 't' || n, 'red', repeat(md5(n::text), 60), n FROM generate_series(1, 60000) n"
    )
    made = told(here)
    peak = in_process(peak_of_a_look, made.pipeline, dict(here.place.environment), here.position())
    assert peak["bytes"] > 100_000_000
    assert peak["memory"] < 80_000_000, peak


KEYS, BODIES = ("a", "b", "c"), ("NULL", "'short'", f"({LONG})")
keys = st.sampled_from(KEYS)
statements = st.one_of(
    st.builds(
        "INSERT INTO things VALUES ('{}', 'red', {}, {}) ON CONFLICT (thing) DO UPDATE SET colour = 'blue', body = excluded.body".format,
        keys,
        st.sampled_from(BODIES),
        st.integers(0, 9),
    ),
    st.builds("UPDATE things SET price = {} WHERE thing = '{}'".format, st.integers(0, 9), keys),
    st.builds("DELETE FROM things WHERE thing = '{}'".format, keys),
    st.builds(
        "UPDATE things SET thing = '{1}' WHERE thing = '{0}' AND NOT EXISTS (SELECT FROM things WHERE thing = '{1}')".format,
        keys,
        keys,
    ),
    st.just("TRUNCATE things"),
)
transactions = st.lists(st.lists(statements, min_size=1, max_size=4), max_size=3)
#: What is committed before a run, and before which step the run's first attempt ends.
days = st.lists(
    st.tuples(transactions, st.sampled_from(["", "", "transform", "load"])), min_size=1, max_size=4
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=transactions, history=days, whole=st.booleans())
def test_the_table_is_the_source_after_every_run_whatever_happened(
    logical, tier, tmp_path_factory, before, history, whole
):
    with followed(logical, tier, tmp_path_factory.mktemp("followed")) as here:
        if whole:
            here.do("ALTER TABLE things REPLICA IDENTITY FULL")
        for transaction in before:
            here.do(*transaction)
        here.run(0)
        assert here.hauled() == here.there()
        for number, (committed, ends) in enumerate(history, 1):
            for transaction in committed:
                here.do(*transaction)
            at_the_source = here.there()
            if ends and here.run(number, before=ends)["extract"].exit_code != EMPTY:
                here.do("INSERT INTO things VALUES ('late', 'red', NULL, 1) ON CONFLICT DO NOTHING")
            here.run(number)
            if not unknown(here):
                assert here.hauled() == at_the_source
            here.do("DELETE FROM things WHERE thing = 'late'")
        here.run(len(history) + 1)
        if not unknown(here):
            assert here.hauled() == here.there()
        assert clean(here)


def unknown(made):
    """Whether a row was renamed whose long value the log does not have: it waits as a reject, which is no loss."""
    return made.place.database.rows("SELECT 1 FROM haulier.reject WHERE rule = 'unchanged'") != []
