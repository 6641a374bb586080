"""`replace`: a run's rows become all that its instance has in the table, and nobody who reads notices."""

from __future__ import annotations

import re
from contextlib import closing

import pytest
from support.hauling import KEYED, Sender, fates, ordered, replace_struct, settings_of, thing
from support.ledger import findings

from haulier.errors import DataError
from haulier_load.step import load


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


@pytest.fixture
def sender(settings):
    return Sender(settings=settings, mode="replace", reject_threshold=1)


@pytest.fixture(autouse=True)
def clean(settings):
    """Asks for a clean ledger, deeply, once the test is over."""
    yield
    assert findings(settings) == []


def table(database, columns="thing, colour"):
    return database.rows(f"SELECT {columns} FROM shop.things ORDER BY {columns}")


def test_what_is_no_longer_sent_is_removed_and_its_history_keeps_it_whole(sender, database):
    sender.send(0, {"a.csv": [thing("same"), thing("changed"), thing("gone")]})
    outcome = sender.send(1, {"a.csv": [thing("same"), thing("changed", "blue"), thing("new")]})

    assert fates(outcome) == {"inserted": 1, "updated": 1, "unchanged": 1, "removed": 1}
    assert table(database) == [("changed", "blue"), ("new", "red"), ("same", "red")]
    assert database.rows(
        "SELECT operation, key->>'thing', before->>'colour' FROM haulier.history ORDER BY operation"
    ) == [("remove", "gone", "red"), ("update", "changed", "red")]


def test_an_older_run_that_arrives_late_does_not_replace_newer_content(sender, database):
    sender.send(2, {"c.csv": [thing("x", "day 2")]})
    outcome = sender.send(1, {"b.csv": [thing("x", "day 1"), thing("y", "day 1")]})

    assert fates(outcome) == {"superseded": 2}
    assert table(database) == [("x", "day 2")]


def test_the_same_run_again_changes_nothing_though_newer_content_came(sender, database):
    sender.send(0, {"a.csv": [thing("x")]})
    sender.send(1, {"b.csv": [thing("y")]})
    again = load(sender.task(0, generation=1))

    assert again.outcome == "already done"
    assert table(database, "thing") == [("y",)]


def test_a_row_that_was_removed_and_is_sent_again_is_inserted(sender, database):
    sender.send(0, {"a.csv": [thing("x"), thing("y")]})
    sender.send(1, {"b.csv": [thing("y")]})
    outcome = sender.send(2, {"c.csv": [thing("x"), thing("y")]})

    assert fates(outcome) == {"inserted": 1, "unchanged": 1}
    assert table(database, "thing") == [("x",), ("y",)]


def test_a_run_without_rows_changes_nothing_and_does_not_count_as_newer_content(sender, database):
    sender.send(0, {"a.csv": [thing("x")]})
    empty = sender.send(3, {"d.csv": []})
    late = sender.send(1, {"b.csv": [thing("y")]})

    assert (fates(empty), fates(late)) == ({}, {"inserted": 1, "removed": 1})
    assert table(database, "thing") == [("y",)]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 2, 0), (2, 1, 0), (2, 0, 1)])
def test_what_is_replayed_of_a_run_that_brought_no_row_is_all_its_instance_has(sender, database, order):
    days = {0: [thing("day 0")], 1: [thing("day 1")], 2: []}
    for day in order:
        rejects = [("2.csv", 2, "type"), ("2.csv", 3, "type"), ("2.csv", 4, "type")] if day == 2 else []
        sender.send(day, {f"{day}.csv": days[day]}, rejects=rejects)
        if day == 2:
            sender.replay({"2.csv": [thing("mended", _row=2)]})
    assert table(database, "thing") == [("mended",)]

    (outcome,) = sender.replay({"2.csv": [thing("later", _row=3)]})
    assert fates(outcome) == {"inserted": 1, "rejected": 1}
    assert table(database, "thing") == [("later",), ("mended",)]


def test_a_run_whose_rows_were_all_rejected_changes_nothing(sender, database):
    sender.send(0, {"a.csv": [thing("x")]})
    outcome = sender.send(
        1, {"b.csv": [thing("y", "red"), thing("y", "blue")]}, rejects=[("b.csv", 9, "type")]
    )

    assert fates(outcome) == {"rejected": 2}
    assert table(database, "thing") == [("x",)]


def test_a_quarantined_run_changes_nothing(sender, database):
    sender.send(0, {"a.csv": [thing("x")]})
    sender.reject_threshold = 0
    outcome = sender.send(1, {"b.csv": [thing("y")]}, rejects=[("b.csv", 9, "type")])

    assert (outcome.outcome, outcome.counts["held"]) == ("quarantined", 1)
    assert table(database, "thing") == [("x",)]


def test_a_corrected_file_replaces_what_its_run_sent_before(sender, database):
    sender.send(1, {"a.csv": [thing("x"), thing("y")]})
    outcome = sender.send(1, {"a.csv": [thing("x", "fixed")]})

    assert (outcome.generation, fates(outcome)) == (2, {"updated": 1, "removed": 1})
    assert table(database) == [("x", "fixed")]


def test_an_ordering_column_decides_within_a_run_and_never_against_a_later_one(sender, database):
    """A source that was set back is set back in the table, too."""
    sender.contract = ordered(KEYED)
    sender.send(0, {"a.csv": [thing("x", "old", edited=3), thing("x", "new", edited=9)]})
    assert table(database) == [("x", "new")]
    outcome = sender.send(1, {"b.csv": [thing("x", "set back", edited=2)]})

    assert fates(outcome) == {"updated": 1}
    assert table(database) == [("x", "set back")]


def test_every_instance_has_a_share_of_its_own(sender, database):
    sender.send(0, {"a.csv": [thing("x"), thing("y")]}, instance="one")
    sender.send(0, {"a.csv": [thing("p"), thing("q")]}, instance="two")
    outcome = sender.send(1, {"a.csv": [thing("x")]}, instance="one")

    assert fates(outcome) == {"unchanged": 1, "removed": 1}
    assert table(database, "thing") == [("p",), ("q",), ("x",)]


def test_a_key_of_another_share_is_rejected(sender, database):
    sender.send(0, {"a.csv": [thing("x", "mine")]}, instance="one")
    outcome = sender.send(1, {"a.csv": [thing("x", "yours"), thing("y")]}, instance="two")

    assert fates(outcome) == {"inserted": 1, "rejected": 1}
    assert table(database) == [("x", "mine"), ("y", "red")]
    assert database.rows("SELECT rule, row_number FROM haulier.reject") == [("key-taken", 2)]


def test_a_value_that_must_be_unique_is_free_once_its_row_is_no_longer_sent(sender, database):
    unique = replace_struct(KEYED.columns[1], unique=True)
    sender.contract = replace_struct(KEYED, columns=(KEYED.columns[0], unique, KEYED.columns[2]))
    sender.send(0, {"a.csv": [thing("x", "red"), thing("z", "green")]})
    outcome = sender.send(1, {"b.csv": [thing("y", "red"), thing("z", "green")]})

    assert fates(outcome) == {"inserted": 1, "unchanged": 1, "removed": 1}
    assert table(database) == [("y", "red"), ("z", "green")]


def test_a_replay_adds_to_its_runs_content_and_removes_nothing(sender, database):
    sender.contract = ordered(KEYED)
    rejects = [("a.csv", n, "type") for n in (7, 8, 9)]
    rows = [thing("x", "kept", edited=5), thing("y", "kept", edited=5)]
    sender.send(0, {"a.csv": rows}, rejects=rejects)
    fixed = [
        thing("x", "older", edited=4, _row=7),
        thing("y", "newer", edited=6, _row=8),
        thing("z", "missing", edited=1, _row=9),
    ]
    (outcome,) = sender.replay({"a.csv": fixed})

    assert fates(outcome) == {"inserted": 1, "updated": 1, "superseded": 1}
    assert table(database) == [("x", "kept"), ("y", "newer"), ("z", "missing")]


def test_a_replay_of_a_run_whose_content_was_replaced_changes_nothing(sender, database):
    sender.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type")])
    sender.send(1, {"b.csv": [thing("y")]})
    (outcome,) = sender.replay({"a.csv": [thing("z", _row=9)]})

    assert fates(outcome) == {"superseded": 1}
    assert table(database, "thing") == [("y",)]


def test_a_run_that_is_missing_a_delivery_removes_nothing(sender, database):
    """One that another run loaded is left out, so this content is not whole."""
    sender.send(0, {"a.csv": [thing("x"), thing("z")]})
    outcome = sender.send_missing_first(1, {"b.csv": [thing("y")]}, first=[thing("x")])

    assert fates(outcome) == {"inserted": 1, "duplicate": 1}
    assert table(database, "thing") == [("x",), ("y",), ("z",)]


def test_views_grants_comments_constraints_and_readers_live_through_it(sender, database):
    sender.send(0, {"a.csv": [thing("x"), thing("y")]})
    database.rows(
        "CREATE ROLE reader_of_things; CREATE VIEW shop.named AS SELECT thing FROM shop.things;"
        "GRANT USAGE ON SCHEMA shop TO reader_of_things; GRANT SELECT ON shop.things TO reader_of_things;"
        "COMMENT ON TABLE shop.things IS 'kept'; CREATE INDEX mine ON shop.things (colour);"
        "ALTER TABLE shop.things ADD CONSTRAINT cheap CHECK (price < 1000)"
    )
    around = (
        "SELECT 'shop.things'::regclass::oid, relfilenode, relacl::text, obj_description(oid), "
        "(SELECT array_agg(conname ORDER BY conname) FROM pg_constraint WHERE conrelid = c.oid),"
        "(SELECT array_agg(indexrelid ORDER BY indexrelid) FROM pg_index WHERE indrelid = c.oid)"
        " FROM pg_class c WHERE oid = 'shop.things'::regclass"
    )
    before = database.rows(around)
    try:
        with closing(database.connect()) as reader, reader, reader.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SET ROLE reader_of_things")
            cursor.execute("SELECT thing FROM shop.things ORDER BY 1")
            assert cursor.fetchall() == [("x",), ("y",)]
            sender.send(1, {"b.csv": [thing("z")]})
            cursor.execute("SELECT thing FROM shop.things ORDER BY 1")
            assert cursor.fetchall() == [("x",), ("y",)]
        assert database.rows("SELECT thing FROM shop.named") == [("z",)]
        assert database.rows(around) == before
    finally:
        database.rows("DROP OWNED BY reader_of_things; DROP ROLE reader_of_things")


class TestRemovalThreshold:
    @pytest.fixture
    def sender(self, settings):
        return Sender(settings=settings, mode="replace", removal_threshold=0.5, reject_threshold=1)

    def test_up_to_the_threshold_is_removed(self, sender, database):
        sender.send(0, {"a.csv": [thing("x"), thing("y")]})

        assert fates(sender.send(1, {"b.csv": [thing("x")]})) == {"unchanged": 1, "removed": 1}

    def test_more_than_the_threshold_stops_the_run_and_changes_nothing(self, sender, database):
        sender.send(0, {"a.csv": [thing(key) for key in "xyz"]})
        stopped = sender.send(1, {"b.csv": [thing(key, "blue") for key in "xn"]})

        assert (stopped.outcome, stopped.exit_code) == ("quarantined", 65)
        assert fates(stopped) == {"held": 2, "vanished": 2}
        assert re.match("2 of the 3 rows .* no longer sent, 66.67%: more than", stopped.notes[0])
        assert table(database, "thing, colour") == [(key, "red") for key in "xyz"]

    def test_more_than_the_threshold_stops_a_replay_too(self, sender, database):
        """The first row that comes of a run is all that its instance has."""
        sender.send(0, {"a.csv": [thing(key) for key in "xyz"]})
        sender.send(1, {"b.csv": []}, rejects=[("b.csv", 2, "type")])
        with pytest.raises(DataError, match=r"3 of the 3 rows .* then: replay"):
            sender.replay({"b.csv": [thing("w", _row=2)]})

        assert table(database, "thing") == [("x",), ("y",), ("z",)]
