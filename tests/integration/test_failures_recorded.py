"""An attempt that failed says why in the ledger, and `haulier status` says it to people."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from generator.trial import Trial
from support.databases import Database
from support.hauled import Hauled, place

from haulier.errors import Cancelled, FencedError, NothingNew, TransientError
from haulier.interval import Interval
from haulier.run import remembering
from haulier.settings import Settings
from haulier.task import Task
from haulier_command.embedded import Tier

RUN = (
    "run",
    "--pipeline",
    "labs",
    "--instance",
    "701",
    "--from",
    "2026-01-05",
    "--to",
    "2026-01-06",
    "--in-process",
)
STATUS = ("status", "--pipeline", "labs", "--instance", "701", "--now", "2026-01-06T00:00:00Z")
#: Longer than a reason is kept.
LONG = "no answer " * 200


@pytest.fixture
def fresh(tier: Tier, database: Database, tmp_path: Path) -> Hauled:
    """The first day's files, and a table that they do not fit in."""
    made = place(tier, database, tmp_path / "home")
    Trial().deliver(0, made.home / "landing")
    database.rows("CREATE SCHEMA clinical CREATE TABLE labs (study int)")
    return made


def task(made: Hauled, **more: object) -> Task:
    interval = Interval.parse("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z")
    asked = {
        "step": "load",
        "verb": "run",
        "pipeline": "labs",
        "instance": "701",
        "interval": interval,
        **more,
    }
    return Task(**asked, settings=Settings.from_env(made.environ))  # type: ignore[arg-type]  # as each test says


def test_status_says_of_a_failed_run_where_and_why_until_it_is_through(fresh: Hauled) -> None:
    code, _, err = fresh.say(*RUN)
    assert code not in (0, 99)

    shown = fresh.json(*STATUS)
    assert [row["state"] for row in shown["instances"]] == ["failed"]
    (failed,) = shown["failed"]
    assert (failed["step"], failed["exit_code"], failed["actor"]) == ("load", code, "tester")
    assert failed["reason"].removesuffix("…") in err
    text = fresh.text(*STATUS)
    title, where, why, *_ = text.splitlines()
    assert title == "Failed: 1 run"
    assert re.fullmatch(rf"labs/701 2026-01-05, load, exit {code} \(definition\), at [-\d]+ [:\d]+Z:", where)
    assert failed["reason"].startswith(why.strip().removesuffix(" …"))

    fresh.database.rows("DROP TABLE clinical.labs")
    fresh.text(*RUN)
    after = fresh.json(*STATUS)
    assert ([row["state"] for row in after["instances"]], after["failed"]) == (["on time"], [])
    with pytest.raises(Exception, match="append-only"):
        fresh.database.rows("DELETE FROM haulier.failure")


def test_a_run_that_is_tried_again_has_not_failed_yet(fresh: Hauled) -> None:
    fresh.say(*RUN)
    fresh.database.rows(
        "INSERT INTO haulier.attempt (attempt_id, run_id, step, content, actor, started_at)"
        " SELECT gen_random_uuid(), run_id, 'load', 'g1', 'tester', clock_timestamp() FROM haulier.run"
    )
    shown = fresh.json(*STATUS)
    assert ([row["state"] for row in shown["instances"]], shown["failed"]) == (["late"], [])


def test_a_failure_that_cannot_be_recorded_changes_no_exit_code(fresh: Hauled) -> None:
    expected = fresh.say(*RUN)[0]
    fresh.database.rows("DROP TABLE haulier.failure")

    code, _, err = fresh.say(*RUN)

    assert code == expected
    assert "could not be recorded" not in err, "people are told of the failure"
    assert any(
        '"the failure is not in the ledger"' in log.read_text() for log in fresh.home.rglob("*-load.log")
    )


def test_what_is_no_failure_of_the_run_is_not_recorded(fresh: Hauled) -> None:
    for error, asked in (
        (NothingNew("nothing"), {}),
        (FencedError("a newer one"), {}),
        (Cancelled("ended by SIGTERM"), {}),
        (TransientError("away"), {"verb": "plan"}),
        (TransientError("away"), {"replay": 1}),
    ):
        with pytest.raises(type(error)), remembering(task(fresh, **asked), "load"):
            raise error
    assert fresh.database.rows("haulier.failure") == []


def test_a_bug_is_named_without_its_words_and_a_long_reason_is_cut(fresh: Hauled) -> None:
    """What a bug says may be a cell's value."""
    with pytest.raises(ValueError, match="Doe"), remembering(task(fresh), "load"):
        raise ValueError("invalid literal: Jane Doe")
    with pytest.raises(TransientError), remembering(task(fresh), "models"):
        raise TransientError(LONG)

    found = fresh.database.rows("SELECT step, exit_code, reason FROM haulier.failure ORDER BY failure_id")
    assert found == [
        ("load", 1, "a bug: ValueError; the step's log has it"),
        ("models", 75, f"{LONG[:999]}…"),
    ]


def test_a_failure_before_there_is_a_run_is_shown_where_somebody_waits_for_it(fresh: Hauled) -> None:
    """A mistyped interval has failed, too, and nobody misses it."""
    mistyped = Interval.parse("2026-01-05T00:00:00Z", "2026-01-05T23:00:00Z")
    with (
        pytest.raises(TransientError),
        remembering(task(fresh, step="extract", interval=mistyped), "extract"),
    ):
        raise TransientError("away")
    assert fresh.json(*STATUS)["failed"] == []

    with pytest.raises(TransientError), remembering(task(fresh, step="extract"), "extract"):
        raise TransientError("away")
    shown = fresh.json(*STATUS)
    assert [(row["state"], row["missing"]) for row in shown["instances"]] == [("failed", "2026-01-05")]
    assert [one["reason"] for one in shown["failed"]] == ["away"]


def test_status_says_once_what_failed_alike_and_counts_what_is_too_much(fresh: Hauled) -> None:
    for number in range(12):
        for site in ("701", "702"):
            reason = "the store is away" if number == 0 else f"file {number} is odd"
            interval = Interval.parse(
                f"2026-01-{number + 5:02}T00:00:00Z", f"2026-01-{number + 6:02}T00:00:00Z"
            )
            one = task(fresh, step="extract", instance=site, interval=interval)
            with pytest.raises(TransientError), remembering(one, "extract"):
                raise TransientError(reason)
    text = fresh.text("status", "--pipeline", "labs", "--now", "2026-01-17T00:00:00Z")

    assert text.startswith(
        "Failed: 24 runs\nlabs/702 2026-01-16 and 1 other, extract, exit 75 (transient), at "
    )
    assert text.count("is odd") == 10
    assert "\nand 4 others: --output json has all\n" in text
