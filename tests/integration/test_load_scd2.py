"""`scd2`: every version of a row, each until the next one or a deletion begins, whatever arrives when."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import psycopg2.errors
import pytest
from support.hauling import KEYED, Sender, deleting, fates, ordered, replace_struct, settings_of, versioned
from support.ledger import findings


def thing(name, colour, edited, op="U"):
    return {"thing": name, "colour": colour, "price": Decimal(1), "edited": edited, "op": op}


def gone(name, edited):
    return thing(name, None, edited, op="D")


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


@pytest.fixture
def sender(settings):
    return Sender(
        settings=settings, contract=versioned(deleting(ordered(KEYED))), mode="scd2", reject_threshold=1
    )


@pytest.fixture(autouse=True)
def clean(settings):
    """Asks for a clean ledger, deeply, once the test is over."""
    yield
    assert findings(settings) == []


def table(database):
    return database.rows(
        "SELECT colour, edited, valid_to, is_current FROM shop.things ORDER BY thing, edited"
    )


def test_a_change_ends_the_version_before_it(sender, database):
    sender.send(0, {"a.csv": [thing("x", "red", 1)]})
    outcome = sender.send(1, {"b.csv": [thing("x", "blue", 5)]})

    assert fates(outcome) == {"inserted": 1}
    assert table(database) == [("red", 1, 5, False), ("blue", 5, None, True)]


def test_several_versions_in_one_file_follow_one_another(sender, database):
    outcome = sender.send(0, {"a.csv": [thing("x", "c", 3), thing("x", "a", 1), thing("x", "b", 2)]})

    assert fates(outcome) == {"inserted": 3}
    assert table(database) == [("a", 1, 2, False), ("b", 2, 3, False), ("c", 3, None, True)]


def test_an_identical_version_is_unchanged(sender, database):
    sender.send(0, {"a.csv": [thing("x", "red", 1)]})
    outcome = sender.send(1, {"b.csv": [thing("x", "red", 1), thing("x", "red", 1)]})

    assert fates(outcome) == {"unchanged": 1, "duplicate": 1}
    assert table(database) == [("red", 1, None, True)]


def test_a_backdated_version_comes_in_between(sender, database):
    sender.send(0, {"a.csv": [thing("x", "a", 1), thing("x", "c", 9)]})
    outcome = sender.send(1, {"b.csv": [thing("x", "b", 5)]})
    sender.send(2, {"c.csv": [thing("x", "first", 0)]})

    assert fates(outcome) == {"inserted": 1}
    assert table(database) == [
        ("first", 0, 1, False),
        ("a", 1, 5, False),
        ("b", 5, 9, False),
        ("c", 9, None, True),
    ]


def test_a_version_is_corrected_by_a_later_delivery_and_not_by_an_older_one(sender, database):
    sender.send(1, {"b.csv": [thing("x", "blue", 5)]})
    older = sender.send(0, {"a.csv": [thing("x", "red", 5)]})
    newer = sender.send(2, {"c.csv": [thing("x", "green", 5)]})

    assert (fates(older), fates(newer)) == ({"superseded": 1}, {"updated": 1})
    assert table(database) == [("green", 5, None, True)]
    assert database.rows("SELECT operation, key, before->>'colour' FROM haulier.history") == [
        ("update", {"thing": "x", "edited": 5}, "blue")
    ]


def test_a_deletion_ends_the_version_it_follows_and_a_reinserted_row_begins_anew(sender, database):
    sender.send(0, {"a.csv": [thing("x", "red", 1)]})
    deleted = sender.send(1, {"b.csv": [gone("x", 4)]})
    assert table(database) == [("red", 1, 4, False)]
    again = sender.send(2, {"c.csv": [thing("x", "red", 7)]})

    assert (fates(deleted), fates(again)) == ({"unchanged": 1}, {"inserted": 1})
    assert table(database) == [("red", 1, 4, False), ("red", 7, None, True)]


def test_a_deletion_that_came_first_ends_what_arrives_later(sender, database):
    sender.send(1, {"b.csv": [gone("x", 4), gone("x", 8)]})
    sender.send(0, {"a.csv": [thing("x", "red", 1)]})
    sender.send(2, {"c.csv": [thing("x", "blue", 6)]})

    assert table(database) == [("red", 1, 4, False), ("blue", 6, 8, False)]


def test_a_deletion_at_the_moment_of_a_version_takes_it_away(sender, database):
    sender.send(0, {"a.csv": [thing("x", "red", 1), thing("x", "blue", 5)]})
    outcome = sender.send(1, {"b.csv": [gone("x", 5)]})
    late = sender.send(0, {"late.csv": [thing("x", "blue", 5)]}, instance="other")

    assert (fates(outcome), fates(late)) == ({"deleted": 1}, {"superseded": 1})
    assert table(database) == [("red", 1, 5, False)]


def test_two_values_at_one_moment_in_one_file_reject_both(sender, database):
    outcome = sender.send(0, {"a.csv": [thing("x", "red", 1), thing("x", "blue", 1), thing("x", "green", 2)]})

    assert fates(outcome) == {"inserted": 1, "rejected": 2}
    assert table(database) == [("green", 2, None, True)]


def test_versions_hold_from_and_to_moments_of_the_ordering_columns_own_type(sender, database):
    edited = replace_struct(sender.contract.column("edited"), logical_type="timestamp", pg_type="timestamptz")
    columns = tuple(edited if c.name == "edited" else c for c in sender.contract.columns)
    sender.contract = replace_struct(sender.contract, columns=columns)
    at = [datetime(2026, 1, day, 8, 30, tzinfo=UTC) for day in (1, 2, 3)]
    sender.send(0, {"a.csv": [gone("x", at[1])]})
    sender.send(1, {"b.csv": [thing("x", "red", at[0]), thing("x", "blue", at[2])]})

    assert table(database) == [("red", at[0], at[1], False), ("blue", at[2], None, True)]


def test_the_table_itself_holds_one_current_version_of_a_key(sender, database):
    sender.send(0, {"a.csv": [thing("x", "red", 1), thing("x", "blue", 2)]})

    with pytest.raises(psycopg2.errors.UniqueViolation, match="things_current"):
        database.rows("UPDATE shop.things SET valid_to = NULL")


def test_other_keys_are_left_alone(sender, database):
    sender.send(0, {"a.csv": [thing("x", "red", 1), thing("y", "red", 1)]})
    before = database.rows("SELECT ctid, * FROM shop.things WHERE thing = 'y'")
    sender.send(1, {"b.csv": [thing("x", "blue", 2)]})

    assert database.rows("SELECT ctid, * FROM shop.things WHERE thing = 'y'") == before
