"""Tempting variants of the commit that lose data. They stay here so that nobody is tempted twice."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.hauling import KEYED, Sender, deleting, settings_of

import haulier_load.step as step
from haulier.landing.upsert import Upsert
from haulier.ledger.connection import connect
from haulier.ledger.verify import verify
from haulier_load.modes.cumulative import Cumulative


@pytest.fixture
def sender(database, tmp_path):
    settings = settings_of(database, tmp_path)
    return Sender(settings=settings)


def red_then_red_then_blue_late(sender):
    """Day 0 says red, day 2 says red again, day 1 arrives last and says blue: red is the newest word."""
    for day, colour in ((0, "red"), (2, "red"), (1, "blue")):
        sender.send(day, {f"{day}.csv": [{"thing": "x", "colour": colour, "price": Decimal(1)}]})


def test_as_built_the_newest_word_stays(sender, database):
    red_then_red_then_blue_late(sender)

    assert database.rows("SELECT colour FROM shop.things") == [("red",)]


def test_skipping_unchanged_rows_without_advancing_their_stamp_loses_the_newest_word(
    sender, database, monkeypatch
):
    skipping = Upsert.statements["update"].replace(
        "AND t.ctid = m.tid AND m.newer", "AND t.ctid = m.tid AND m.newer AND m.other"
    )
    assert skipping != Upsert.statements["update"]
    monkeypatch.setitem(Upsert.statements, "update", skipping)
    monkeypatch.setattr(Upsert, "_expect", lambda *_: None)

    red_then_red_then_blue_late(sender)

    assert database.rows("SELECT colour FROM shop.things") == [("blue",)]


def deleted_and_late(sender):
    """Day 0 says x, day 2 deletes it, day 1 arrives last and says x."""
    sender.contract = deleting(KEYED)
    for day, operation in ((0, "U"), (2, "D"), (1, "U")):
        sender.send(day, {f"{day}.csv": [{"thing": "x", "price": Decimal(day), "op": operation}]})


def test_as_built_what_was_deleted_stays_deleted(sender, database):
    deleted_and_late(sender)

    assert database.rows("SELECT thing FROM shop.things") == []


def test_deleting_without_a_tombstone_lets_an_older_row_bring_back_what_was_deleted(
    sender, database, monkeypatch
):
    monkeypatch.setitem(Upsert.statements, "bury", "SELECT 1")

    deleted_and_late(sender)

    assert database.rows("SELECT thing FROM shop.things") == [("x",)]


def test_a_tombstone_for_rows_that_were_there_only_lets_an_older_row_in(sender, database, monkeypatch):
    """The deletion comes first: there is nothing to delete, and yet it must hold."""
    only_rows = Upsert.statements["bury"].replace("IN ('deleted', 'unchanged')", "IN ('deleted')")
    assert only_rows != Upsert.statements["bury"]
    monkeypatch.setitem(Upsert.statements, "bury", only_rows)
    sender.contract = deleting(KEYED)
    for day, operation in ((1, "D"), (0, "U")):
        sender.send(day, {f"{day}.csv": [{"thing": "x", "price": Decimal(day), "op": operation}]})

    assert database.rows("SELECT thing FROM shop.things") == [("x",)]


def without_y_and_late(sender):
    """Day 0 says x and y, day 2 no longer has y, day 1 arrives last and has it still."""
    sender.content, sender.removal_threshold = "cumulative", 0.5
    for day, keys in ((0, "xy"), (2, "x"), (1, "xy")):
        sender.send(day, {f"{day}.csv": [{"thing": key, "price": Decimal(1)} for key in keys]})


def test_as_built_what_vanished_stays_away(sender, database):
    without_y_and_late(sender)

    assert database.rows("SELECT thing FROM shop.things") == [("x",)]


def test_taking_rows_away_without_a_tombstone_of_all_keys_lets_an_earlier_file_bring_them_back(
    sender, database, monkeypatch
):
    monkeypatch.setitem(Cumulative.statements, "bury_vanished", "SELECT 1")

    without_y_and_late(sender)

    assert database.rows("SELECT thing FROM shop.things ORDER BY thing") == [("x",), ("y",)]


def test_a_ledger_in_a_second_transaction_leaves_rows_nobody_answers_for(sender, database, monkeypatch):
    """The rows commit, then the process dies before the ledger does; `haulier verify` sees it."""
    sender.send(0, {"0.csv": [{"thing": "w", "colour": "red", "price": Decimal(1)}]})

    def commit_rows_then_die(self, cursor, judged):
        cursor.execute("SET LOCAL session_replication_role = replica")
        judged.apply(99)
        cursor.connection.commit()
        raise KeyboardInterrupt

    monkeypatch.setattr(step._Load, "_record", commit_rows_then_die)
    with pytest.raises(KeyboardInterrupt):
        sender.send(1, {"1.csv": [{"thing": "x", "colour": "red", "price": Decimal(1)}]})

    with connect(sender.settings, "test") as connection:
        assert {finding.invariant for finding in verify(connection, sender.settings)} == {"I2"}
