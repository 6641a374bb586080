"""Events of a source table: truncations, and values that an update does not carry because they did not change."""

from __future__ import annotations

import itertools
from datetime import date

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.databases import fresh_database
from support.feed import CHANGES, feed_contract, history_of, row
from support.hauling import Sender, fates, partitioned, replace_struct
from support.ledger import findings

from haulier.cold.archive import archive
from haulier.cold.restore import restore
from haulier.definitions.drift import Drift
from haulier.rows import UNCHANGED
from haulier.settings import Settings

TRUNCATION = {"thing": None, "op": "T"}
JANUARY, MARCH = date(2026, 1, 15), date(2026, 3, 15)


def at(edited, **cells):
    return {**TRUNCATION, "edited": edited, **cells}


def bare(event):
    """An event of a contract whose columns are always there."""
    return {name: cell for name, cell in event.items() if name != UNCHANGED}


def settings_of(database, folder):
    places = {"HAULIER_EXCHANGE": f"file://{folder}", "HAULIER_ARCHIVE": f"file://{folder}-cold"}
    return Settings.from_env({**database.environment, **places})


def without(contract, **gone):
    """A contract whose columns say less: `truncates=()`."""
    return replace_struct(contract, columns=tuple(replace_struct(c, **gone) for c in contract.columns))


@pytest.fixture
def sender(database, tmp_path):
    """Asks for a clean ledger, deeply, once the test is over."""
    made = Sender(
        settings=settings_of(database, tmp_path / "exchange"), contract=feed_contract(), reject_threshold=1
    )
    yield made
    assert findings(made.settings) == []


def table(database, columns="thing, colour, body"):
    return database.rows(f"SELECT {columns} FROM shop.things ORDER BY {columns}")


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


class TestUnchanged:
    def test_a_feed_needs_no_column_of_operations_for_it(self, sender, database):
        contract = sender.contract
        columns = tuple(c for c in contract.columns if c.name != "op")
        sender.contract = replace_struct(contract, columns=columns)
        events = [row("x", 1, body="long"), row("x", 2, colour="blue", keep=["body"])]
        for day, event in enumerate(events):
            sender.send(day, {f"{day}": [{name: cell for name, cell in event.items() if name != "op"}]})

        assert table(database) == [("x", "blue", "long")]

    def test_a_table_that_is_there_gets_its_own_column_for_it(self, sender, database):
        told = sender.contract
        sender.contract = without(told, unchanged_values=())
        sender.send(0, {"a": [bare(row("x", 1, colour="red", body="long"))]})
        sender.contract, sender.drift = told, Drift(new_column="evolve")
        sender.send(2, {"c": [row("x", 3, colour="blue", keep=["body"])]})
        outcome = sender.send(1, {"b": [row("x", 2, colour="green", body="longer")]})

        assert fates(outcome) == {"updated": 1}
        assert table(database) == [("x", "blue", "longer")]

    def test_the_row_keeps_its_value_and_takes_the_rest(self, sender, database):
        sender.send(0, {"a": [row("x", 1, colour="red", body="long")]})
        outcome = sender.send(1, {"b": [row("x", 2, colour="blue", keep=["body"])]})

        assert fates(outcome) == {"updated": 1}
        assert table(database) == [("x", "blue", "long")]

    def test_an_update_that_comes_late_is_heard_where_the_newer_one_did_not_speak(self, sender, database):
        sender.send(0, {"a": [row("x", 1, colour="red", body="one")]})
        sender.send(2, {"c": [row("x", 3, colour="blue", keep=["body"])]})
        outcome = sender.send(1, {"b": [row("x", 2, colour="green", body="two")]})

        assert fates(outcome) == {"updated": 1}
        assert table(database) == [("x", "blue", "two")]
        assert database.rows("SELECT operation, before->>'body' FROM haulier.history ORDER BY 1") == [
            ("fill", "one"),
            ("update", "one"),
        ]

    def test_one_that_says_the_same_still_says_that_it_is_newer(self, sender, database):
        sender.send(0, {"a": [row("x", 1, body="one")]})
        sender.send(3, {"d": [row("x", 4, colour="blue", keep=["body"])]})
        sender.send(2, {"c": [row("x", 3, body="one")]})
        outcome = sender.send(1, {"b": [row("x", 2, body="two")]})

        assert fates(outcome) == {"superseded": 1}
        assert table(database) == [("x", "blue", "one")]

    def test_in_one_file_the_newest_known_value_at_or_before_it_wins(self, sender, database):
        events = [
            row("x", 4, colour="four", keep=["body"]),
            row("x", 1, colour="one", body="one"),
            row("x", 3, body="three", keep=["colour"]),
            row("x", 2, colour="two", keep=["body"]),
        ]
        outcome = sender.send(0, {"a": events})

        assert fates(outcome) == {"inserted": 1, "superseded": 3}
        assert table(database) == [("x", "four", "three")]

    def test_without_a_row_to_keep_it_from_the_row_is_rejected_and_can_be_replayed(self, sender, database):
        late = [
            row("x", 2, colour="blue", price=2, keep=["body"]),
            row("x", 3, price=3, keep=["colour", "body"]),
        ]
        outcome = sender.send(1, {"b": late})

        assert fates(outcome) == {"rejected": 2}
        assert (
            database.rows("SELECT rule, message LIKE '%replay%' FROM haulier.reject")
            == [("unchanged", True)] * 2
        )
        sender.send(0, {"a": [row("x", 1, colour="red", body="long")]})
        (replayed,) = sender.replay({"b": [{**one, "_row": n} for n, one in enumerate(late, 2)]})
        assert fates(replayed) == {"updated": 1, "superseded": 1}
        assert table(database, "thing, colour, body, price") == [("x", "blue", "long", 3)]

    def test_a_deletion_between_makes_what_was_before_it_no_value(self, sender, database):
        sender.send(0, {"a": [row("x", 1, body="before")]})
        outcome = sender.send(1, {"b": [row("x", 2, op="D"), row("x", 3, colour="red", keep=["body"])]})

        assert fates(outcome) == {"deleted": 1, "rejected": 1}
        assert table(database) == []

    def test_a_truncation_between_makes_it_none_either(self, sender, database):
        sender.send(0, {"a": [row("x", 1, body="before")]})
        outcome = sender.send(1, {"b": [at(2), row("x", 3, colour="red", keep=["body"])]})

        assert fates(outcome) == {"unchanged": 1, "rejected": 1, "removed": 1}

    def test_one_older_than_its_deletion_is_only_old(self, sender):
        sender.send(1, {"b": [row("x", 3, op="D")]})

        assert fates(sender.send(0, {"a": [row("x", 2, keep=["body"])]})) == {"superseded": 1}

    def test_one_older_than_a_deletion_of_an_earlier_load_gives_a_newer_one_no_value(self, sender, database):
        sender.send(0, {"a": [row("x", 1, body="first")]})
        sender.send(1, {"b": [row("x", 5, op="D")]})
        events = [row("x", 3, body="before"), row("x", 7, colour="red", keep=["body"])]
        outcome = sender.send(2, {"c": events})

        assert fates(outcome) == {"superseded": 1, "rejected": 1}
        assert database.rows("SELECT rule, row_number FROM haulier.reject") == [("unchanged", 3)]
        assert table(database) == []

        sender.send(3, {"d": [row("x", 6, colour="blue", body="after")]})
        (replayed,) = sender.replay({"c": [{**events[1], "_row": 3}]})
        assert fates(replayed) == {"updated": 1}
        assert table(database) == [("x", "red", "after")]

    def test_after_a_deletion_and_a_new_insertion_only_the_latters_values_are_kept(self, sender, database):
        sender.send(0, {"a": [row("x", 1, colour="one", body="before")]})
        sender.send(1, {"b": [row("x", 2, op="D")]})
        sender.send(2, {"c": [row("x", 3, colour="three", body="after")]})
        outcome = sender.send(
            3, {"d": [row("x", 1, colour="late", body="late"), row("x", 4, colour="four", keep=["body"])]}
        )

        assert fates(outcome) == {"updated": 1, "superseded": 1}
        assert table(database) == [("x", "four", "after")]

    def test_what_a_row_kept_is_not_taken_from_before_a_deletion_that_came_before_it(self, sender, database):
        sender.send(0, {"a": [row("x", 2, op="D"), row("x", 3, colour="three", keep=["body"])]})
        sender.send(1, {"b": [row("x", 4, body="four", keep=["colour"])]})
        outcome = sender.send(2, {"c": [row("x", 1, colour="one", body="one")]})

        assert fates(outcome) == {"superseded": 1}
        assert table(database) == []
        assert database.rows("SELECT rule, count(*) FROM haulier.open_reject GROUP BY 1") == [
            ("unchanged", 2)
        ]

    def test_a_repeated_deletion_still_ends_what_was_before_it(self, sender, database):
        sender.send(0, {"a": [row("x", 1, body="before")]})
        sender.send(1, {"b": [row("x", 5, op="D")]})
        again = [row("x", 3, body="before"), row("x", 5, op="D"), row("x", 7, keep=["body"])]
        outcome = sender.send(2, {"c": again})

        assert outcome.counts["rejected"] == 1
        assert outcome.counts["unchanged"] + outcome.counts["superseded"] == 2
        assert table(database) == []

    def test_repeated_it_is_a_duplicate_and_later_unchanged(self, sender):
        sender.send(0, {"a": [row("x", 1, body="long")]})
        event = row("x", 2, colour="blue", keep=["body"])

        assert fates(sender.send(1, {"b": [event]})) == {"updated": 1}
        assert fates(sender.send(2, {"c": [event, event]})) == {"unchanged": 1, "duplicate": 1}

    def test_no_value_and_an_unchanged_one_are_two_values(self, sender, database):
        sender.send(0, {"a": [row("x", 1, body="long")]})
        outcome = sender.send(1, {"b": [row("x", 2, body=None), row("x", 2, keep=["body"])]})

        assert fates(outcome) == {"rejected": 2}
        assert table(database, "body") == [("long",)]

    def test_a_key_may_be_called_as_statements_call_things(self, sender, database):
        names = {"thing": "id", "price": "place"}
        sender.contract = replace_struct(
            sender.contract,
            columns=tuple(replace_struct(c, name=names.get(c.name, c.name)) for c in sender.contract.columns),
        )

        def renamed(one):
            return {names.get(name, name): value for name, value in one.items()}

        sender.send(
            0, {"a": [renamed(row("x", 1, body="long", price=1)), renamed(row("x", 2, keep=["body"]))]}
        )

        assert table(database, "id, body, place") == [("x", "long", None)]


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
        sender = Sender(
            settings=settings_of(database, tmp_path_factory.mktemp("exchange")),
            contract=feed_contract(),
            reject_threshold=1,
        )
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
