"""What of a followed table's log cannot be read any more, and what makes it whole again (docs/adr/0016)."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from support.processes import at_once
from support.replicated import clean, followed, log_end, logical_server, reset, restorable_server, told
from support.things import day

from haulier.definitions.sources import Sql
from haulier.errors import DataError, TransientError
from haulier.ledger.connection import connect
from haulier.ledger.states import move
from haulier_extract.sources import find
from haulier_extract.sources.sql.changes import slot as reading
from haulier_extract.sources.sql.changes.slot import number_of
from haulier_extract.sources.sql.engine import replicating


@pytest.fixture
def here(logical, tier, tmp_path):
    with followed(logical, tier, tmp_path) as made:
        yield made


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
