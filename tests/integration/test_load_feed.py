"""Events of a source table: truncations, and whatever way they come, the table is the source's."""

from __future__ import annotations

import itertools
from datetime import date

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.databases import fresh_database
from support.feed import CHANGES, at, bare, feed_sender, history_of, row, table, without
from support.hauling import fates, partitioned, replace_struct
from support.ledger import findings

from haulier.cold.archive import archive
from haulier.cold.restore import restore

JANUARY, MARCH = date(2026, 1, 15), date(2026, 3, 15)


@pytest.fixture
def sender(database, tmp_path):
    """Asks for a clean ledger, deeply, once the test is over."""
    made = feed_sender(database, tmp_path / "exchange")
    yield made
    assert findings(made.settings) == []


class TestTruncations:
    def test_every_older_row_leaves_and_its_history_keeps_it(self, sender, database):
        sender.send(0, {"a": [row("x", 1, colour="red"), row("y", 2)]})
        outcome = sender.send(1, {"b": [at(3), row("z", 4)]})

        assert fates(outcome) == {"inserted": 1, "unchanged": 1, "removed": 2}
        assert table(database, "thing") == [("z",)]
        assert database.rows("SELECT operation, key->>'thing' FROM haulier.history ORDER BY 2") == [
            ("remove", "x"),
            ("remove", "y"),
        ]

    def test_a_row_older_than_it_that_arrives_late_stays_out(self, sender, database):
        sender.send(0, {"a": [at(3)]})
        outcome = sender.send(1, {"b": [row("x", 2), row("y", 4)]})

        assert fates(outcome) == {"inserted": 1, "superseded": 1}
        assert table(database, "thing") == [("y",)]

    def test_in_one_file_with_the_rows_around_it_the_order_is_the_columns(self, sender, database):
        sender.send(0, {"a": [row("x", 1), row("y", 1)]})
        outcome = sender.send(1, {"b": [row("x", 5, colour="new"), row("z", 2), at(3), row("z", 2, op="D")]})

        assert fates(outcome) == {"updated": 1, "unchanged": 1, "superseded": 2, "removed": 1}
        assert table(database, "thing, colour") == [("x", "new")]

    def test_repeated_and_older_ones_change_nothing(self, sender, database):
        sender.send(0, {"a": [at(3), at(3), at(2)]})
        again = sender.send(1, {"b": [at(2), row("x", 4)]})
        same = sender.send(2, {"c": [at(3)]})

        assert fates(again) == {"inserted": 1, "superseded": 1}
        assert fates(same) == {"superseded": 1}
        assert table(database, "thing") == [("x",)]
        assert database.rows("SELECT key->>'_haulier_instance', ordering FROM haulier.tombstone") == [
            ("main", "3")
        ]

    def test_another_instances_rows_stay(self, sender, database):
        sender.send(0, {"a": [row("x", 1)]}, instance="one")
        sender.send(0, {"a": [row("y", 1)]}, instance="two")
        outcome = sender.send(1, {"b": [at(9)]}, instance="one")

        assert fates(outcome) == {"unchanged": 1, "removed": 1}
        assert table(database, "thing") == [("y",)]

    def test_a_key_of_another_instance_is_rejected(self, sender, database):
        sender.send(0, {"a": [row("x", 1)]}, instance="one")
        outcome = sender.send(0, {"a": [row("x", 2), row("y", 2)]}, instance="two")

        assert fates(outcome) == {"inserted": 1, "rejected": 1}
        assert database.rows("SELECT rule FROM haulier.reject") == [("key-taken",)]

    def test_a_quarantined_run_truncates_nothing(self, sender, database):
        sender.send(0, {"a": [row("x", 1)]})
        sender.reject_threshold = 0
        outcome = sender.send(1, {"b": [at(2)]}, rejects=[("b", 9, "type")])

        assert (outcome.outcome, outcome.counts["removed"]) == ("quarantined", 0)
        assert table(database, "thing") == [("x",)]
        assert database.rows("SELECT count(*) FROM haulier.tombstone") == [(0,)]

    def test_a_value_that_must_be_unique_is_free_once_its_row_is_gone(self, sender, database):
        price = sender.contract.column("price")
        sender.contract = replace_struct(
            sender.contract,
            columns=tuple(
                replace_struct(c, unique=True) if c == price else c for c in sender.contract.columns
            ),
        )
        sender.send(0, {"a": [row("x", 1, price=7)]})
        outcome = sender.send(1, {"b": [at(2), row("y", 3, price=7)]})

        assert fates(outcome) == {"inserted": 1, "unchanged": 1, "removed": 1}

    def test_one_that_a_newer_one_replaces_stays_in_the_ledger_and_its_seal(self, sender, database):
        sender.send(0, {"a": [at(3)]})
        sender.send(1, {"b": [at(5)]})

        assert database.rows("SELECT ordering FROM haulier.tombstone") == [("5",)]
        assert database.rows("SELECT ordering FROM haulier.former_tombstone") == [("3",)]

    def test_they_need_no_column_that_may_be_left_out(self, sender, database):
        sender.contract = without(sender.contract, unchanged_values=())
        sender.send(0, {"a": [bare(row("x", 1)), bare(row("y", 1))]})
        outcome = sender.send(1, {"b": [bare(row("x", 5, colour="new")), bare(at(3)), bare(row("y", 2))]})

        assert fates(outcome) == {"updated": 1, "unchanged": 1, "superseded": 1, "removed": 1}
        assert table(database, "thing, colour") == [("x", "new")]


class TestPartitions:
    """Every partition numbers its rows from the first: one place is a row in each of them."""

    @pytest.fixture
    def sender(self, sender):
        sender.contract = partitioned(sender.contract, seen="month")
        return sender

    def test_a_truncation_empties_all_of_them(self, sender, database):
        sender.send(0, {"a": [row("x", 1, seen=JANUARY), row("y", 1, seen=MARCH)]})
        outcome = sender.send(1, {"b": [at(3), row("z", 4, seen=JANUARY)]})

        assert fates(outcome) == {"inserted": 1, "unchanged": 1, "removed": 2}
        assert table(database, "thing") == [("z",)]

    def test_a_late_value_reaches_its_own_row(self, sender, database):
        months = (JANUARY, MARCH)
        sender.send(0, {"a": [row("x", 1, seen=seen, colour="red", body="one") for seen in months]})
        sender.send(2, {"c": [row("x", 3, seen=seen, colour="blue", keep=["body"]) for seen in months]})
        outcome = sender.send(1, {"b": [row("x", 2, seen=MARCH, colour="green", body="two")]})

        assert fates(outcome) == {"updated": 1}
        assert table(database, "seen, colour, body") == [(JANUARY, "blue", "one"), (MARCH, "blue", "two")]

    def test_a_truncation_waits_while_rows_are_in_the_archive(self, sender, database):
        sender.send(0, {"a": [row("x", 1, seen=JANUARY), row("y", 1, seen=MARCH)]})
        archive(sender.settings, "shop.things", partition="shop.things_2026_01")
        outcome = sender.send(1, {"b": [at(3), row("z", 4, seen=MARCH)]})

        assert fates(outcome) == {"inserted": 1, "rejected": 1}
        assert database.rows("SELECT rule, message LIKE '%restore%' FROM haulier.reject") == [
            ("archived", True)
        ]
        restore(sender.settings, "shop.things", "shop.things_2026_01")
        (replayed,) = sender.replay({"b": [{**at(3), "_row": 2}]})

        assert fates(replayed) == {"unchanged": 1, "removed": 2}
        assert table(database, "thing") == [("z",)]


def assert_no_value_outlives_a_deletion(database):
    """No row keeps a value from before a deletion of its key that the ledger has."""
    assert (
        database.rows("""
            SELECT t.thing, kept.key, kept.value, k.ordering
            FROM shop.things t JOIN haulier.tombstone k ON k.key ->> 'thing' = t.thing, jsonb_each(t._haulier_kept) kept
            WHERE (kept.value ->> 0)::int < k.ordering::int
        """)
        == []
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, chance=st.randoms(use_true_random=False), whole=st.booleans())
def test_the_table_is_the_source_table_whatever_way_its_events_come(
    tier, tmp_path_factory, changes, chance, whole
):
    """Shuffled, repeated, in files of several runs that load in any order; what waited is replayed."""
    source = history_of(changes)
    # Without an event there is nothing to load, and no table.
    assume(source.events)
    events = source.events + chance.choices(source.events, k=2)
    chance.shuffle(events)
    runs = [
        [events[n] for n in range(len(events)) if places[n] == run]
        for places in [[chance.randrange(4) for _ in events]]
        for run in range(4)
    ]
    days = list(range(4))
    chance.shuffle(days)
    with fresh_database(tier) as database:
        sender = feed_sender(database, tmp_path_factory.mktemp("exchange"))
        for day in days:
            if runs[day]:
                sender.send(day, {f"{day}": runs[day]})
                assert_no_value_outlives_a_deletion(database)
        asked = {f"{day}": [{**one, "_row": n} for n, one in enumerate(runs[day], 2)] for day in days}
        # A replay may itself come before what it waits for.
        for _ in itertools.takewhile(lambda _: database.rows("SELECT 1 FROM haulier.open_reject"), range(8)):
            sender.replay(asked)
            assert_no_value_outlives_a_deletion(database)
        assert database.rows("SELECT rule, message FROM haulier.open_reject") == []
        assert database.rows("SELECT thing, colour, body, price::int FROM shop.things ORDER BY 1") == sorted(
            (thing, cells["colour"], cells["body"], cells["price"]) for thing, cells in source.rows.items()
        )
        before = database.rows("SELECT thing, colour, body, price FROM shop.things ORDER BY 1")
        again = sender.send(4, {"again": [*events, *source.events]})
        assert [again.counts[name] for name in ("inserted", "deleted", "removed", "updated")] == [0, 0, 0, 0]
        assert database.rows("SELECT thing, colour, body, price FROM shop.things ORDER BY 1") == before
        assert findings(sender.settings) == []
