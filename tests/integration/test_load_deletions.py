"""Rows that say that their key is gone: what leaves, what stays marked, and what an older row can no longer do."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from support.hauling import KEYED, Sender, deleting, fates, ordered, replace_struct, settings_of
from support.ledger import findings

from haulier.ledger.connection import connect
from haulier.ledger.verify import verify

HARD, SOFT = deleting(KEYED), deleting(KEYED, deleted_at="deleted_at")
COMPOSITE = replace_struct(
    KEYED,
    columns=(
        replace_struct(KEYED.columns[0], key_position=2),
        replace_struct(KEYED.columns[1], key_position=1, required=True),
        KEYED.columns[2],
    ),
)


def thing(name, colour="red", price="1.5", **more):
    return {"thing": name, "colour": colour, "price": Decimal(price), "op": "U", **more}


def gone(name, **more):
    return {"thing": name, "op": "D", **more}


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


@pytest.fixture
def sender(settings):
    return Sender(settings=settings, contract=HARD, reject_threshold=1)


@pytest.fixture(autouse=True)
def clean(settings):
    """Asks for a clean ledger, deeply, once the test is over."""
    yield
    assert findings(settings) == []


def table(database, columns="thing, colour"):
    return database.rows(f"SELECT {columns} FROM shop.things ORDER BY {columns}")


class TestLeaving:
    def test_the_column_that_marks_deletions_is_not_stored(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]})

        assert database.rows(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = 'shop.things'::regclass AND attname = 'op'"
        ) == [(0,)]

    def test_a_deleted_row_leaves_and_its_history_keeps_it_whole(self, sender, database):
        sender.send(0, {"a.csv": [thing("x"), thing("y")]})
        outcome = sender.send(1, {"b.csv": [gone("x")]})

        assert fates(outcome) == {"deleted": 1}
        assert table(database) == [("y", "red")]
        assert database.rows(
            "SELECT operation, key->>'thing', before->>'colour', before->>'_haulier_row' FROM haulier.history"
        ) == [("delete", "x", "red", "2")]

    def test_an_older_row_that_arrives_late_does_not_bring_it_back(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]})
        sender.send(2, {"c.csv": [gone("x")]})
        outcome = sender.send(1, {"b.csv": [thing("x", "blue")]})

        assert fates(outcome) == {"superseded": 1}
        assert table(database) == []

    def test_a_newer_row_inserts_it_again(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]})
        sender.send(1, {"b.csv": [gone("x")]})
        outcome = sender.send(2, {"c.csv": [thing("x", "blue")]})

        assert fates(outcome) == {"inserted": 1}
        assert table(database) == [("x", "blue")]

    def test_a_deletion_older_than_the_row_is_superseded(self, sender, database):
        sender.send(2, {"c.csv": [thing("x")]})
        outcome = sender.send(1, {"b.csv": [gone("x")]})

        assert fates(outcome) == {"superseded": 1}
        assert table(database) == [("x", "red")]

    def test_deleting_what_was_never_there_changes_nothing_but_holds_against_older_rows(
        self, sender, database
    ):
        outcome = sender.send(1, {"b.csv": [gone("x")]})
        late = sender.send(0, {"a.csv": [thing("x")]})

        assert (fates(outcome), fates(late)) == ({"unchanged": 1}, {"superseded": 1})
        assert table(database) == []
        assert database.rows("SELECT count(*) FROM haulier.history") == [(0,)]

    def test_a_repeated_deletion_moves_the_tombstone(self, sender, database):
        """In order it is: inserted, deleted, inserted again, deleted again."""
        sender.send(0, {"a.csv": [thing("x")]})
        sender.send(1, {"b.csv": [gone("x")]})
        again = sender.send(3, {"d.csv": [gone("x")]})
        between = sender.send(2, {"c.csv": [thing("x")]})

        assert (fates(again), fates(between)) == ({"unchanged": 1}, {"superseded": 1})
        assert database.rows("SELECT count(*), max(load_id) FROM haulier.tombstone") == [(1, 3)]

    def test_an_older_deletion_of_a_deleted_row_is_superseded(self, sender):
        sender.send(2, {"c.csv": [gone("x")]})

        assert fates(sender.send(1, {"b.csv": [gone("x")]})) == {"superseded": 1}

    def test_two_deletions_of_a_key_in_one_file_are_duplicates_whatever_else_they_say(self, sender):
        sender.send(0, {"a.csv": [thing("x")]})
        outcome = sender.send(1, {"b.csv": [gone("x", colour="red"), gone("x", colour="blue")]})

        assert fates(outcome) == {"deleted": 1, "duplicate": 1}

    def test_a_row_and_a_deletion_of_one_key_in_one_file_reject_both(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]})
        outcome = sender.send(1, {"b.csv": [thing("x", "blue"), gone("x")]})

        assert fates(outcome) == {"rejected": 2}
        assert table(database) == [("x", "red")]
        assert database.rows("SELECT DISTINCT rule FROM haulier.reject") == [("key-conflict",)]

    @pytest.mark.parametrize(("row", "deletion", "left"), [(3, 4, []), (4, 3, [("x", "blue")])])
    def test_an_ordering_column_decides_between_them(self, sender, database, row, deletion, left):
        sender.contract = deleting(ordered(KEYED))
        sender.send(5, {"a.csv": [thing("x", edited=1)]})
        sender.send(1, {"b.csv": [thing("x", "blue", edited=row), gone("x", edited=deletion)]})

        assert table(database) == left
        assert database.rows("SELECT ordering FROM haulier.tombstone") == ([("4",)] if not left else [])

    def test_numbers_order_tombstones_as_numbers(self, sender, database):
        sender.contract = deleting(ordered(KEYED))
        sender.send(0, {"a.csv": [gone("x", edited=10)]})
        outcome = sender.send(1, {"b.csv": [thing("x", edited=9)]})

        assert fates(outcome) == {"superseded": 1}

    def test_a_corrected_file_that_no_longer_deletes_brings_the_row_back(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]})
        sender.send(1, {"b.csv": [gone("x")]})
        outcome = sender.send(1, {"b.csv": [thing("x", "blue")]})

        assert (outcome.generation, fates(outcome)) == (2, {"inserted": 1})

    def test_a_file_of_another_name_and_site_breaks_a_tie_with_a_tombstone(self, sender, database):
        """Same interval, sequence, generation and row number: instance and logical name decide."""
        sender.send(0, {"a.csv": [gone("x")]}, instance="two")
        outcome = sender.send(0, {"a.csv": [thing("x")]}, instance="one")
        newer = sender.send(0, {"a.csv": [thing("x")]}, instance="twosome")

        assert (fates(outcome), fates(newer)) == ({"superseded": 1}, {"inserted": 1})

    def test_a_value_that_must_be_unique_is_free_once_its_row_is_deleted(self, sender, database):
        unique = replace_struct(KEYED.columns[1], unique=True)
        sender.contract = deleting(
            replace_struct(KEYED, columns=(KEYED.columns[0], unique, KEYED.columns[2]))
        )
        sender.send(0, {"a.csv": [thing("x", "red")]})
        outcome = sender.send(1, {"b.csv": [gone("x", colour="red"), thing("y", "red")]})

        assert fates(outcome) == {"deleted": 1, "inserted": 1}
        assert table(database) == [("y", "red")]

    def test_a_composite_key_is_deleted_as_a_whole(self, sender, database):
        sender.contract = deleting(COMPOSITE)
        sender.send(0, {"a.csv": [thing("x", "red"), thing("x", "blue"), thing("y", "red")]})
        outcome = sender.send(1, {"b.csv": [gone("x", colour="red")]})
        late = sender.send(0, {"late.csv": [thing("x", "red", price="9")]}, instance="other")

        assert (fates(outcome), fates(late)) == ({"deleted": 1}, {"superseded": 1})
        assert table(database) == [("x", "blue"), ("y", "red")]
        assert database.rows("SELECT key FROM haulier.tombstone") == [({"thing": "x", "colour": "red"},)]

    def test_a_quarantined_run_deletes_nothing(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]})
        sender.reject_threshold = 0
        outcome = sender.send(1, {"b.csv": [gone("x")]}, rejects=[("b.csv", 9, "type")])

        assert (outcome.outcome, outcome.counts["held"]) == ("quarantined", 1)
        assert table(database) == [("x", "red")]
        assert database.rows("SELECT count(*) FROM haulier.tombstone") == [(0,)]

    def test_a_replayed_deletion_keeps_its_version(self, sender, database):
        sender.send(0, {"a.csv": [thing("x"), thing("y")]})
        sender.send(1, {"b.csv": []}, rejects=[("b.csv", 8, "type"), ("b.csv", 9, "type")])
        sender.send(2, {"c.csv": [thing("y", "blue")]})
        (outcome,) = sender.replay({"b.csv": [gone("x", _row=8), gone("y", _row=9)]})

        assert fates(outcome) == {"deleted": 1, "superseded": 1}
        assert table(database) == [("y", "blue")]

    def test_a_contract_that_no_longer_deletes_still_keeps_deleted_rows_out(self, sender, database):
        sender.send(0, {"a.csv": [thing("x"), thing("y")]})
        sender.send(2, {"c.csv": [gone("x")]})
        sender.contract = KEYED
        rows = [{"thing": name, "colour": "late", "price": Decimal(1)} for name in ("x", "z")]
        outcome = sender.send(1, {"b.csv": rows})

        assert fates(outcome) == {"superseded": 1, "inserted": 1}
        assert table(database) == [("y", "red"), ("z", "late")]

    def test_tombstones_cannot_be_taken_away(self, sender, database):
        sender.send(0, {"a.csv": [gone("x")]})

        for statement in ("DELETE FROM haulier.tombstone", "TRUNCATE haulier.tombstone"):
            with pytest.raises(Exception, match="append-only"):
                database.rows(statement)


class TestStaying:
    @pytest.fixture
    def sender(self, settings):
        return Sender(settings=settings, contract=SOFT, reject_threshold=1)

    def at(self, day):
        """The end of a day's interval."""
        return datetime(2026, 1, 6 + day, tzinfo=UTC)

    def test_a_deleted_row_stays_with_its_values_and_the_time(self, sender, database):
        sender.send(0, {"a.csv": [thing("x"), thing("y")]})
        outcome = sender.send(1, {"b.csv": [gone("x")]})

        assert fates(outcome) == {"deleted": 1}
        assert table(database, "thing, colour, deleted_at") == [
            ("x", "red", self.at(1)),
            ("y", "red", None),
        ]
        assert database.rows("SELECT operation, before->>'deleted_at' FROM haulier.history") == [
            ("update", None)
        ]

    def test_a_newer_row_undoes_the_deletion_though_its_values_are_the_same(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]})
        sender.send(1, {"b.csv": [gone("x")]})
        outcome = sender.send(2, {"c.csv": [thing("x")]})

        assert fates(outcome) == {"updated": 1}
        assert table(database, "thing, deleted_at") == [("x", None)]

    def test_an_older_row_that_arrives_late_changes_the_values_of_a_deleted_row_only(self, sender, database):
        sender.send(0, {"a.csv": [thing("x", "day 0")]})
        sender.send(2, {"c.csv": [gone("x")]})
        outcome = sender.send(1, {"b.csv": [thing("x", "day 1")]})

        assert fates(outcome) == {"updated": 1}
        assert table(database, "colour, deleted_at") == [("day 1", self.at(2))]

    def test_a_row_older_than_the_deletion_before_it_enters_as_deleted(self, sender, database):
        outcome = sender.send(1, {"b.csv": [gone("x")]})
        late = sender.send(0, {"a.csv": [thing("x")]})

        assert (fates(outcome), fates(late)) == ({"unchanged": 1}, {"inserted": 1})
        assert table(database, "thing, deleted_at") == [("x", self.at(1))]

    def test_a_row_and_its_newer_deletion_in_one_file_both_count(self, sender, database):
        sender.contract = deleting(ordered(KEYED), deleted_at="deleted_at")
        rows = [thing("x", "blue", edited=1), gone("x", edited=2)]
        first = sender.send(0, {"a.csv": rows})
        rows = [thing("x", "green", edited=4), gone("x", edited=3)]
        second = sender.send(1, {"b.csv": rows})

        assert fates(first) == {"inserted": 1, "deleted": 1}
        assert fates(second) == {"updated": 1, "superseded": 1}
        assert table(database, "colour, deleted_at") == [("green", None)]

    def test_a_repeated_deletion_moves_the_time(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]})
        sender.send(1, {"b.csv": [gone("x")]})
        outcome = sender.send(3, {"d.csv": [gone("x")]})

        assert fates(outcome) == {"unchanged": 1}
        assert table(database, "deleted_at") == [(self.at(3),)]

    def test_a_table_without_the_column_is_refused_with_the_way_out(self, sender, database):
        sender.contract = HARD
        sender.send(0, {"a.csv": [thing("x")]})
        sender.contract = SOFT

        with pytest.raises(Exception, match='ADD COLUMN "deleted_at" timestamptz'):
            sender.send(1, {"b.csv": [thing("y")]})


def test_a_tombstone_of_a_load_that_the_ledger_does_not_know_is_found(sender, settings, database):
    sender.send(0, {"a.csv": [gone("x")]})
    database.rows("UPDATE haulier.tombstone SET generation = 9")

    with connect(settings, "test") as connection:
        found = verify(connection, settings)
    database.rows("UPDATE haulier.tombstone SET generation = 1")

    assert [finding.invariant for finding in found] == ["I2", "I8"]
    assert found[0].subject == 'tombstone {"thing": "x"} of shop.things'
