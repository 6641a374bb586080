"""`haulier state`: how far a source was read, and a person who moves that."""

from __future__ import annotations

import psycopg2
import pytest
from support.lab import lab
from support.steps import haul
from support.things import day


@pytest.fixture
def here(tier, tmp_path):
    with lab("sqlite", tier, tmp_path) as made:
        made.keep_history()
        yield made


@pytest.fixture
def marked(here):
    here.define(table="history", key=["thing", "at"], watermark={"column": "at"}, schedule="@daily")
    here.do("UPDATE history SET thing = thing || substr(at, 9, 2)")
    haul(here.settings, "things", "main", day(0))
    return here


def test_it_is_shown_with_the_run_that_moved_it(marked):
    _, document, _ = marked.say("state", "show")
    (state,) = document["states"]

    assert state["value"] == {"column": "at", "value": "2026-01-08 12:00:00"}
    assert (state["interval_start"][:10], document["changes"]) == ("2026-01-05", [])


def test_what_a_person_moves_is_kept_with_who_and_why(marked):
    code, document, _ = marked.say(
        "state",
        "set",
        "--pipeline",
        "things",
        "--value",
        "2026-01-07 00:00:00",
        "--reason",
        "calibrated anew",
    )
    assert (code, document["before"]["value"]) == (0, "2026-01-08 12:00:00")
    haul(marked.settings, "things", "main", day(1))
    assert marked.database.rows("SELECT read FROM haulier.source_account ORDER BY load_id") == [
        (8,),
        (4,),
    ]
    marked.say("state", "reset", "--pipeline", "things", "--reason", "all again")
    haul(marked.settings, "things", "main", day(2))

    assert marked.database.rows(
        "SELECT before ->> 'value', after ->> 'value', reason, actor FROM haulier.state_change ORDER BY 1"
    ) == [
        ("2026-01-08 12:00:00", "2026-01-07 00:00:00", "calibrated anew", "tester"),
        ("2026-01-08 12:00:00", None, "all again", "tester"),
    ]
    assert marked.database.rows("SELECT read FROM haulier.source_account ORDER BY load_id")[-1] == (8,)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
        marked.database.rows("UPDATE haulier.state_change SET reason = 'another'")


def test_a_run_that_is_left_behind_is_named(marked):
    marked.do("INSERT INTO history VALUES ('c', 'red', 'much', '2026-01-08 13:00:00')")
    marked.define(
        table="history", key=["thing", "at"], watermark={"column": "at"}, load={"reject_threshold": 0.1}
    )
    haul(marked.settings, "things", "main", day(1))
    _, document, _ = marked.say(
        "state", "set", "--pipeline", "things", "--value", "2026-01-08 13:00:00", "--reason", "c is known"
    )

    assert [(one["interval_start"][:10], one["status"]) for one in document["left_behind"]] == [
        ("2026-01-06", "quarantined")
    ]


def test_a_source_without_a_position_has_none_to_move(here):
    code, document, _ = here.say("state", "reset", "--pipeline", "things", "--reason", "why not")

    assert (code, "has no position" in document["error"]) == (2, True)


def test_a_reason_is_wanted(marked):
    code, document, _ = marked.say("state", "reset", "--pipeline", "things", "--reason", " ")

    assert (code, "--reason is empty" in document["error"]) == (2, True)
