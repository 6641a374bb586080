"""Files that hold everything so far: what becomes of the rows they no longer have."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from support.databases import fresh_database
from support.hauling import KEYED, Sender, fates, interval, ordered, partitioned, replace_struct

from haulier.cold.archive import archive
from haulier.cold.restore import restore
from haulier.ledger.connection import connect
from haulier.ledger.reports import report
from haulier.ledger.verify import verify
from haulier.settings import Settings
from haulier_load.step import plan

SOFT = replace_struct(KEYED, deleted_at="deleted_at")
UNIQUE = replace_struct(
    KEYED, columns=(KEYED.columns[0], replace_struct(KEYED.columns[1], unique=True), KEYED.columns[2])
)


def thing(name, colour="red", **more):
    return {"thing": name, "colour": colour, "price": Decimal("1.5"), **more}


def things(names, colour="red"):
    return [thing(name, colour) for name in names]


def sender_into(settings):
    return Sender(settings=settings, content="cumulative", removal_threshold=0.5, reject_threshold=1)


@pytest.fixture
def settings(database, tmp_path):
    return Settings.from_env(
        {
            **database.environment,
            "HAULIER_EXCHANGE": f"file://{tmp_path}/exchange",
            "HAULIER_ARCHIVE": f"file://{tmp_path}/cold",
        }
    )


@pytest.fixture
def sender(settings):
    return sender_into(settings)


def is_clean(sender):
    with connect(sender.settings, "test") as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT DISTINCT run_id FROM haulier.load")
            runs = [None, *(run_id for (run_id,) in cursor.fetchall())]
        how = {"exchange": sender.exchange, "deep": True}
        return [verify(connection, sender.settings, run_id=one, **how) for one in runs] == [[]] * len(runs)


@pytest.fixture(autouse=True)
def clean(sender):
    """Asks for a clean ledger, deeply, once the test is over."""
    yield
    assert is_clean(sender)


def table(database, columns="thing", where="true"):
    return database.rows(f"SELECT {columns} FROM shop.things WHERE {where} ORDER BY {columns}")


def names(database, where="true"):
    return "".join(name for (name,) in table(database, where=where))


def test_a_key_that_vanished_leaves_and_its_history_keeps_it_whole(sender, database):
    sender.send(0, {"a.csv": [*things("xy"), thing("z", "blue")]})
    outcome = sender.send(1, {"b.csv": things("xy")})

    assert fates(outcome) == {"unchanged": 2, "removed": 1, "vanished": 1}
    assert outcome.notes == ("1 keys of this instance are no longer in its cumulative files; removed",)
    assert names(database) == "xy"
    assert database.rows("SELECT operation, key->>'thing', before->>'colour' FROM haulier.history") == [
        ("remove", "z", "blue")
    ]


def test_where_deleted_rows_stay_it_is_marked_until_a_later_file_has_it_again(sender, database):
    sender.contract = SOFT
    sender.send(0, {"a.csv": things("xyz")})
    outcome = sender.send(1, {"b.csv": things("xy")})

    assert fates(outcome) == {"unchanged": 2, "removed": 1, "vanished": 1}
    assert outcome.notes == (
        "1 keys of this instance are no longer in its cumulative files; marked as deleted",
    )
    assert table(database, "thing, deleted_at") == [
        ("x", None),
        ("y", None),
        ("z", datetime(2026, 1, 7, tzinfo=UTC)),
    ]
    assert fates(sender.send(2, {"c.csv": things("xy")})) == {"unchanged": 2}

    assert fates(sender.send(3, {"d.csv": things("xyz")})) == {"updated": 1, "unchanged": 2}
    assert names(database, "deleted_at IS NULL") == "xyz"
    assert database.rows(
        "SELECT operation, key->>'thing', before->>'deleted_at' IS NULL FROM haulier.history ORDER BY history_id"
    ) == [("update", "z", True), ("update", "z", False)]


def test_a_key_that_left_comes_again_with_a_later_file(sender, database):
    sender.send(0, {"a.csv": things("xy")})
    sender.send(1, {"b.csv": things("x")})

    assert fates(sender.send(2, {"c.csv": things("xy")})) == {"inserted": 1, "unchanged": 1}
    assert names(database) == "xy"


@pytest.mark.parametrize("contract", [KEYED, SOFT])
def test_more_than_the_threshold_stops_the_run_and_changes_nothing(sender, database, contract):
    sender.contract = contract
    sender.send(0, {"a.csv": things("uvwxyz")})
    before = database.rows("shop.things")
    stopped = sender.send(1, {"b.csv": [*things("xy", "blue"), thing("new")]})

    assert (stopped.outcome, stopped.exit_code) == ("quarantined", 65)
    assert fates(stopped) == {"held": 3, "vanished": 4}
    assert database.rows("shop.things") == before
    assert stopped.notes == (
        "4 of the 6 rows that this instance has in shop.things are no longer sent, 66.67%: more than load.removal_threshold, "
        "50.00%, lets go, so nothing in shop.things changed. If the source is wrong, have it sent anew; if they are really "
        "gone, raise the threshold; then: haulier run --pipeline things --instance main --interval-start "
        "2026-01-06T00:00:00+00:00 --interval-end 2026-01-07T00:00:00+00:00 --reprocess REASON",
    )
    assert database.rows("SELECT count(*) FROM haulier.history") == [(0,)]
    with connect(sender.settings, "test") as connection:
        told = report(connection, sender.settings, "things", "main", interval(1))
    assert told["outcome"] == "quarantined"
    assert [(one["removed"], one["vanished"]) for one in told["loads"]] == [(0, 4)]


def test_after_a_stop_the_run_enters_once_the_threshold_lets_it(sender, database):
    sender.send(0, {"a.csv": things("wxyz")})
    sender.send(1, {"b.csv": things("x")})
    sender.removal_threshold = 0.75
    sender.definition_digest = "e" * 64
    outcome = sender.send(1, {"b.csv": things("x")}, reprocess="three left the study")

    assert (outcome.outcome, fates(outcome)) == ("loaded", {"unchanged": 1, "removed": 3, "vanished": 3})
    assert names(database) == "x"


def test_after_a_stop_a_corrected_file_enters(sender, database):
    sender.send(0, {"a.csv": things("wxyz")})
    sender.send(1, {"b.csv": things("x")})

    assert fates(sender.send(1, {"b.csv": things("wxy")})) == {"unchanged": 3, "removed": 1, "vanished": 1}
    assert names(database) == "wxy"


def test_exactly_the_threshold_may_go(sender, database):
    """0.29 of 100 is 29, though 0.29 * 100 is a little less to a computer."""
    sender.removal_threshold = 0.29
    keys = [f"{number:02}" for number in range(100)]
    sender.send(0, {"a.csv": things(keys)})

    assert fates(sender.send(1, {"b.csv": things(keys[29:])})) == {
        "unchanged": 71,
        "removed": 29,
        "vanished": 29,
    }


@pytest.mark.parametrize("threshold", [0, 0.5, 1])
def test_a_file_without_a_row_stops_the_run_whatever_may_go(sender, database, threshold):
    sender.removal_threshold = threshold
    sender.send(0, {"a.csv": things("xy")})
    stopped = sender.send(1, {"b.csv": []})

    assert (stopped.outcome, stopped.exit_code, fates(stopped)) == ("quarantined", 65, {"vanished": 2})
    why = "what holds no row never takes any away" if threshold == 1 else "more than load.removal_threshold"
    assert why in stopped.notes[0]
    assert names(database) == "xy"


def test_a_file_without_a_row_enters_where_there_is_nothing_to_lose(sender):
    outcome = sender.send(0, {"a.csv": []})

    assert (outcome.outcome, fates(outcome)) == ("loaded", {})


@pytest.mark.parametrize("threshold", [None, 1])
def test_a_plan_without_a_file_would_lose_nothing(sender, monkeypatch, threshold):
    """A run without one ends before its load; files that are gone since are left out of a plan."""
    sender.removal_threshold = threshold
    sender.send(0, {"a.csv": things("xy")})
    manifest = sender.seal(1, sender.reserve(1, {}), {})
    monkeypatch.setattr("haulier_load.step.read_manifest", lambda *_: manifest)
    planned = plan(dataclasses.replace(sender.task(1, generation=1), verb="plan"))

    assert (planned.counts["would_be"], fates(planned)) == ("loaded", {})


@pytest.mark.parametrize(
    "contract", [KEYED, ordered(KEYED), SOFT], ids=["leaves", "leaves, ordered", "stays"]
)
def test_an_earlier_file_that_arrives_late_brings_nothing_back_and_takes_nothing_away(
    sender, database, contract
):
    """Not even with a greater value of the ordering column: the later file is the later word."""
    sender.contract = contract

    def sent(keys, colour="red", edited=1):
        more = {"edited": edited} if contract.ordering else {}
        return [thing(key, colour, **more) for key in keys]

    sender.send(0, {"a.csv": sent("wxy")})
    sender.send(3, {"d.csv": sent("xyz")})
    before = database.rows("shop.things")
    late = sender.send(1, {"b.csv": sent("wxu", "late", edited=9)})

    assert fates(late) == {"superseded": 3}
    assert database.rows("shop.things") == before


@pytest.mark.parametrize("marks", [False, True])
def test_files_that_load_in_any_order_end_the_same(tier, tmp_path, marks):
    days = {0: "uvwx", 1: "vwx", 2: "wxy", 3: "uxy"}
    for number, order in enumerate(itertools.permutations(days)):
        if number % 3:
            continue
        with fresh_database(tier) as database:
            environment = {**database.environment, "HAULIER_EXCHANGE": f"file://{tmp_path}/{number}"}
            sender = sender_into(Settings.from_env(environment))
            sender.contract, sender.removal_threshold = SOFT if marks else KEYED, 1
            for day in order:
                sender.send(day, {f"{day}.csv": things(days[day], f"day {day}")})

            found = table(database, "thing, colour", "deleted_at IS NULL" if marks else "true")
            assert found == [(key, "day 3") for key in "uxy"], order
            assert is_clean(sender)


def test_a_content_with_rejected_rows_takes_nothing_away(sender, database):
    """Any of them may be the row that seems to have vanished."""
    sender.send(0, {"a.csv": things("wxyz")})
    outcome = sender.send(1, {"b.csv": things("xyz")}, rejects=[("b.csv", 9, "type")])

    assert fates(outcome) == {"unchanged": 3, "vanished": 1}
    assert outcome.notes == (
        "1 keys of this instance are no longer in its cumulative files; kept, since rows of this run were rejected and may be "
        "theirs",
    )
    assert names(database) == "wxyz"
    (replayed,) = sender.replay({"b.csv": [thing("w", "mended", _row=9)]})
    assert fates(replayed) == {"updated": 1}
    assert fates(sender.send(2, {"c.csv": things("xyz")})) == {"unchanged": 3, "removed": 1, "vanished": 1}


def test_a_row_that_load_rejects_takes_nothing_away_either(sender, database):
    sender.send(0, {"a.csv": things("wxyz")})
    outcome = sender.send(1, {"b.csv": [*things("yz"), thing("x", "red"), thing("x", "blue")]})

    assert fates(outcome) == {"unchanged": 2, "rejected": 2, "vanished": 2}
    assert names(database) == "wxyz"


def test_more_missing_than_the_rejected_rows_can_be_stops_the_run(sender, database):
    sender.send(0, {"a.csv": things("uvwxyz")})
    stopped = sender.send(1, {"b.csv": things("x")}, rejects=[("b.csv", 9, "type")])

    assert (stopped.outcome, fates(stopped)) == ("quarantined", {"held": 1, "vanished": 5})
    assert stopped.notes[0].startswith("4 of the 6 rows")
    assert names(database) == "uvwxyz"


def test_what_is_replayed_of_a_run_whose_key_a_later_file_left_out_stays_out(sender, database):
    sender.send(0, {"a.csv": things("xy")}, rejects=[("a.csv", 9, "type")])
    sender.send(1, {"b.csv": things("xy")})
    (replayed,) = sender.replay({"a.csv": [thing("z", _row=9)]})

    assert fates(replayed) == {"superseded": 1}
    assert names(database) == "xy"


def test_an_instance_loses_only_rows_of_its_own(sender, database):
    sender.send(0, {"a.csv": things("xy")}, instance="one")
    sender.send(0, {"a.csv": things("pq")}, instance="two")
    outcome = sender.send(1, {"b.csv": things("x")}, instance="one")

    assert fates(outcome) == {"unchanged": 1, "removed": 1, "vanished": 1}
    assert names(database) == "pqx"


def test_a_key_of_another_instance_is_rejected(sender, database):
    sender.send(0, {"a.csv": [thing("x", "mine")]}, instance="one")
    outcome = sender.send(1, {"a.csv": [thing("x", "yours"), thing("y")]}, instance="two")

    assert fates(outcome) == {"inserted": 1, "rejected": 1}
    assert table(database, "thing, colour") == [("x", "mine"), ("y", "red")]
    assert database.rows("SELECT rule, row_number FROM haulier.reject") == [("key-taken", 2)]


def test_a_value_that_must_be_unique_is_free_once_its_row_vanished(sender, database):
    sender.contract = UNIQUE
    sender.send(0, {"a.csv": [thing("x", "red"), thing("z", "green")]})
    outcome = sender.send(1, {"b.csv": [thing("y", "red"), thing("z", "green")]})

    assert fates(outcome) == {"inserted": 1, "unchanged": 1, "removed": 1, "vanished": 1}
    assert table(database, "thing, colour") == [("y", "red"), ("z", "green")]


def test_a_value_that_must_be_unique_is_kept_with_the_row_that_a_reject_keeps(sender, database):
    """Two rows claim a value, so the content has a gap, so the row that seems to have vanished stays, and its value."""
    sender.contract = UNIQUE
    sender.send(0, {"a.csv": [thing("x", "red"), thing("z", "green")]})
    outcome = sender.send(
        1, {"b.csv": [thing("y", "red"), thing("z", "green"), thing("v", "blue"), thing("w", "blue")]}
    )

    assert fates(outcome) == {"unchanged": 1, "rejected": 3, "vanished": 1}
    assert table(database, "thing, colour") == [("x", "red"), ("z", "green")]


@pytest.mark.parametrize("threshold", [None, 1])
def test_a_run_that_is_missing_a_delivery_loses_nothing_and_reports_nothing(sender, database, threshold):
    """One that another run loaded is left out, so nobody knows what vanished."""
    sender.removal_threshold = threshold
    sender.send(0, {"a.csv": things("xz")})
    outcome = sender.send_missing_first(1, {"b.csv": things("y")}, first=things("x"))

    assert fates(outcome) == {"inserted": 1, "duplicate": 1}
    assert names(database) == "xyz"


def test_a_corrected_file_takes_away_what_its_run_sent_before(sender, database):
    sender.send(1, {"a.csv": things("xyz")})
    outcome = sender.send(1, {"a.csv": things("xy")})

    assert (outcome.generation, fates(outcome)) == (2, {"unchanged": 2, "removed": 1, "vanished": 1})
    assert names(database) == "xy"


def test_rows_of_an_archived_partition_are_no_gap(sender, settings, database):
    sender.contract = partitioned(KEYED, seen="month")
    old, new = datetime(2025, 11, 5).date(), datetime(2026, 1, 5).date()
    sender.send(0, {"a.csv": [thing("w", seen=old), thing("x", seen=new), thing("y", seen=new)]})
    archive(settings, "shop.things", partition="things_2025_11")
    outcome = sender.send(1, {"b.csv": [thing("w", "late", seen=old), thing("x", seen=new)]})

    assert fates(outcome) == {"unchanged": 1, "rejected": 1, "removed": 1, "vanished": 1}
    restore(settings, "shop.things", "things_2025_11")
    (replayed,) = sender.replay({"b.csv": [thing("w", "late", seen=old, _row=2)]})
    assert fates(replayed) == {"updated": 1}
    assert table(database, "thing, colour") == [("w", "late"), ("x", "red")]


def test_a_plan_counts_what_would_go_and_leaves_it(sender, database, monkeypatch):
    sender.send(0, {"a.csv": things("wxyz")})
    for day, left, would_be, removed in ((1, "wxy", "loaded", 1), (2, "x", "quarantined", 0)):
        reservation = sender.reserve(day, {f"{day}.csv": b"h\n1\n"})
        manifest = sender.seal(day, reservation, {f"{day}.csv": things(left)})
        monkeypatch.setattr("haulier_load.step.read_manifest", lambda *_, manifest=manifest: manifest)
        planned = plan(dataclasses.replace(sender.task(day, generation=1), verb="plan"))

        assert (planned.counts["would_be"], planned.counts["removed"]) == (would_be, removed)
        assert planned.counts["vanished"] == 4 - len(left)
    assert names(database) == "wxyz"
