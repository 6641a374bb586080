"""Values that an update does not carry because they did not change: the row keeps its own."""

from __future__ import annotations

import pytest
from support.feed import at, bare, feed_sender, row, table, without
from support.hauling import fates, replace_struct
from support.ledger import findings

from haulier.definitions.drift import Drift


@pytest.fixture
def sender(database, tmp_path):
    """Asks for a clean ledger, deeply, once the test is over."""
    made = feed_sender(database, tmp_path / "exchange")
    yield made
    assert findings(made.settings) == []


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
