"""Runs are hauled as Airflow would haul them; the steps here only pretend."""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from haulier.errors import Cancelled
from haulier.interval import Interval
from haulier_command.hauling import Hauled, Hauling, Run, outcome_of
from haulier_command.output import Screen
from haulier_command.progress import Plainly, ending
from haulier_command.steps import Answer, Order
from haulier_command.summary import outcome_words, summary, tables
from haulier_command.verbs.run import without_accounts

DAY = timedelta(days=1)
START = datetime(2026, 1, 5, tzinfo=UTC)


def run(day: int = 0, instance: str = "701", **more: Any) -> Run:
    interval = Interval(start=START + day * DAY, end=START + (day + 1) * DAY)
    return Run(pipeline="labs", instance=instance, interval=interval, **more)


@dataclass(kw_only=True)
class Pretence:
    """Answers as it was told to, and remembers what it was asked."""

    says: Callable[[Order], Answer]
    threads: bool = True
    asked: list[Order] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __call__(self, order: Order, log: Path) -> Answer:
        self.asked.append(order)
        return self.says(order)

    def stop(self) -> None:
        self.stopped.set()


class Silence:
    def begin(self, run: Run) -> None: ...
    def step(self, run: Run, step: str, attempt: int) -> None: ...
    def end(self, hauled: Hauled) -> None: ...


def hauling(says: Callable[[Order], Answer], retries: int = 2) -> tuple[Hauling, Pretence]:
    start = Pretence(says=says)
    return Hauling(start=start, logs=Path("logs"), retries=retries, watch=Silence(), pause_seconds=0), start


def fine(order: Order) -> Answer:
    outcome = "loaded" if order.step == "load" else "sealed"
    return Answer(code=0, result={"outcome": outcome, "generation": 4, "counts": {"rejected": 1}})


def test_three_steps_in_order_and_the_generation_is_handed_on() -> None:
    haul, start = hauling(fine)
    hauled = haul.haul(run(reprocess="units were wrong"))
    assert [(order.step, order.generation) for order in start.asked] == [
        ("extract", None),
        ("transform", 4),
        ("load", 4),
    ]
    assert [order.reprocess for order in start.asked] == ["units were wrong", None, None]
    assert (hauled.outcome, hauled.code, hauled.generation) == ("loaded", 0, 4)


def test_a_replay_is_handed_to_every_step_and_no_generation_is() -> None:
    haul, start = hauling(fine)
    haul.haul(run(replay=17))
    assert [(order.replay, order.generation) for order in start.asked] == [(17, None)] * 3


def test_what_a_person_should_know_of_a_run_is_said_once_and_without_what_waits() -> None:
    def says(order: Order) -> Answer:
        said = {
            "extract": ["a.csv waits", "b.csv is a copy"],
            "transform": ["b.csv is a copy", "new column c"],
        }
        counts = {"waiting": 1} if order.step == "extract" else {}
        return Answer(
            code=0, result={"outcome": "loaded", "counts": counts, "notes": said.get(order.step, [])}
        )

    hauled = hauling(says)[0].haul(run())

    assert (hauled.waits, hauled.notes) == (("a.csv waits",), ("b.csv is a copy", "new column c"))
    assert ending(hauled).splitlines()[1:] == ["    b.csv is a copy", "    new column c"]
    assert hauled.as_json()["notes"] == hauled.notes


def test_a_run_that_failed_says_what_its_earlier_steps_noted() -> None:
    def says(order: Order) -> Answer:
        if order.step == "load":
            why = "too many rows were rejected"
            return Answer(code=65, result={"outcome": "quarantined", "notes": [why]}, error=why)
        return Answer(code=0, result={"outcome": "sealed", "notes": ["is csv.delimiter right?"]})

    hauled = hauling(says)[0].haul(run())

    assert (hauled.error, hauled.notes) == ("too many rows were rejected", ("is csv.delimiter right?",))
    assert ending(hauled).splitlines()[1:] == ["    is csv.delimiter right?"]


def test_many_notes_of_a_run_are_counted() -> None:
    hauled = hauling(lambda order: Answer(code=0, result={"notes": [f"note {n}" for n in range(7)]}))[0].haul(
        run()
    )

    assert ending(hauled).splitlines()[-2:] == ["    note 4", "    and 2 notes more"]


def test_nothing_new_ends_the_run_as_empty() -> None:
    haul, start = hauling(lambda order: Answer(code=99, result={"outcome": "empty"}))
    assert (haul.haul(run()).outcome, len(start.asked)) == ("empty", 1)


@pytest.mark.parametrize("code", [2, 65, 77])
def test_some_failures_are_final(code: int) -> None:
    haul, start = hauling(lambda order: Answer(code=code, error="no"))
    hauled = haul.haul(run())
    assert (hauled.code, hauled.step, hauled.attempts, len(start.asked)) == (code, "extract", 1, 1)


@pytest.mark.parametrize("code", [1, 75, 143, -9])
def test_others_are_tried_again(code: int) -> None:
    answers = iter([Answer(code=code, error="lost"), Answer(code=code, error="lost")])
    haul, start = hauling(lambda order: next(answers, None) or fine(order))
    hauled = haul.haul(run())
    assert hauled.outcome == "loaded"
    assert [order.step for order in start.asked] == ["extract"] * 3 + ["transform", "load"]


def test_retries_come_to_an_end() -> None:
    haul, start = hauling(lambda order: Answer(code=75, error="away"), retries=1)
    hauled = haul.haul(run())
    assert (hauled.outcome, hauled.code, hauled.attempts, len(start.asked)) == ("failed", 75, 2, 2)


def test_a_quarantined_run_leaves_the_next_one_alone() -> None:
    def says(order: Order) -> Answer:
        if order.step == "load" and order.interval.start == START:
            return Answer(code=65, result={"outcome": "quarantined"})
        return fine(order)

    haul, _ = hauling(says)
    assert [one.outcome for one in haul.all([run(0), run(1)], jobs=2)] == ["quarantined", "loaded"]


def test_after_a_failure_that_the_next_run_would_meet_too_it_is_left_out() -> None:
    haul, start = hauling(lambda order: Answer(code=2, error="labs.yaml is wrong"))
    first, second = haul.all([run(0), run(1)], jobs=2)
    assert (first.outcome, second.outcome, second.code) == ("failed", "not run", 2)
    assert "2026-01-05" in second.error
    assert len(start.asked) == 1


def test_one_instance_keeps_its_order_and_others_go_on_beside_it() -> None:
    both = threading.Barrier(2, timeout=10)

    def says(order: Order) -> Answer:
        if order.step == "extract" and order.interval.start == START:
            both.wait()  # passes only when two instances are at work at once
        return fine(order)

    haul, start = hauling(says)
    runs = [run(day, instance) for day in range(3) for instance in ("701", "702")]
    hauled = haul.all(runs, jobs=2)
    assert {one.outcome for one in hauled} == {"loaded"}
    for instance in ("701", "702"):
        mine = [order.interval.start for order in start.asked if order.instance == instance]
        assert mine == sorted(mine)


def test_ctrl_c_while_lanes_are_handed_out_ends_those_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The main thread is told in between two of them, as a busy machine lets it be."""

    def says(order: Order) -> Answer:
        assert start.stopped.wait(30), "nobody ended this step"
        return Answer(code=143)

    haul, start = hauling(says)
    submit, handed = ThreadPoolExecutor.submit, []

    def interrupted(pool: ThreadPoolExecutor, *what: Any) -> Any:
        handed.append(what)
        if len(handed) == 2:
            raise Cancelled("ended by SIGINT")
        return submit(pool, *what)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    found = haul.all([run(instance=name) for name in ("701", "702", "703")], jobs=2)

    assert [(one.run.instance, one.outcome) for one in found] == [
        ("701", "cancelled"),
        ("702", "not run"),
        ("703", "not run"),
    ]


def test_side_by_side_one_instance_has_as_many_hands_as_jobs_and_each_keeps_its_order() -> None:
    both = threading.Barrier(2, timeout=10)

    def says(order: Order) -> Answer:
        if order.step == "extract" and order.interval.start < START + 2 * DAY:
            both.wait()  # passes only when two runs are at work at once
        return fine(order)

    haul, start = hauling(says)
    hauled = haul.all([run(day) for day in range(5)], jobs=2, side_by_side=True)
    assert [one.outcome for one in hauled] == ["loaded"] * 5
    assert len({order.interval for order in start.asked}) == 5


def test_side_by_side_what_all_would_meet_is_met_once_by_each_hand() -> None:
    haul, start = hauling(lambda order: Answer(code=2, error="labs.yaml is wrong"))
    hauled = haul.all([run(day) for day in range(9)], jobs=2, side_by_side=True)
    assert [one.outcome for one in hauled].count("failed") == 2 == len(start.asked)


def test_what_ended_a_step_has_one_word() -> None:
    assert outcome_of(Answer(code=0, result={"outcome": "already done"}), False) == "already done"
    assert outcome_of(Answer(code=65, result={"outcome": "quarantined"}), False) == "quarantined"
    assert outcome_of(Answer(code=65), False) == "failed"
    assert outcome_of(Answer(code=143), False) == "cancelled"
    assert outcome_of(Answer(code=-15), True) == "cancelled"
    assert outcome_of(Answer(code=-9), False) == "failed"


def lines(*hauled: Hauled, silent_seconds: float = 60) -> list[str]:
    """What is told beside the answer where nobody watches."""
    err = io.StringIO()
    screen = Screen("text", {}, io.StringIO(), err)
    watch = Plainly(Counter(one.run.lane for one in hauled), screen, silent_seconds=silent_seconds)
    for one in hauled:
        watch.end(one)
    return err.getvalue().splitlines()


def test_where_nobody_watches_many_runs_of_an_instance_are_one_line_and_failures_are_told_at_once() -> None:
    well = [Hauled(run=run(day), outcome="loaded", seconds=1.0) for day in range(300)]
    bad = Hauled(run=run(300), outcome="failed", code=75, step="load", error="no answer")
    other = [Hauled(run=run(day, "702"), outcome=outcome) for day, outcome in enumerate(["loaded", "empty"])]

    assert lines(*well[:7], bad, *well[7:], *other) == [
        "labs/701 2026-11-01: failed in load (exit 75, transient): no answer",
        "labs/701, 301 runs since 2026-01-05: 1 failed, 300 loaded (300.0 s)",
        "labs/702, 2 runs since 2026-01-05: 1 loaded, 1 empty (0.0 s)",
    ]


def test_the_only_run_of_an_instance_has_its_own_line() -> None:
    assert lines(Hauled(run=run(), outcome="loaded", seconds=2.0)) == ["labs/701 2026-01-05: loaded (2.0 s)"]
    failed = Hauled(run=run(), outcome="failed", code=2, step="extract", error="labs.yaml is wrong")
    assert lines(failed) == [ending(failed)], "once"
    assert lines(Hauled(run=run(), outcome="not run", code=143, error="cancelled before it began")) == []


def test_where_nothing_was_loaded_it_is_said_once_why_runs_were_not_begun() -> None:
    ended = [
        Hauled(run=run(day), outcome="not run", code=143, error="cancelled before it began")
        for day in range(2)
    ]

    assert without_accounts(ended).lines == [
        "labs/701, 2 runs since 2026-01-05: 2 not run",
        "not run: cancelled before it began",
    ]


def test_notes_of_an_instance_are_told_once_and_the_many_are_counted() -> None:
    noted = [
        Hauled(run=run(day), outcome="loaded", notes=("the same", f"new column in file {day}"))
        for day in range(9)
    ]
    assert lines(*noted)[1:] == [
        *("    the same", *(f"    new column in file {day}" for day in range(4))),
        "    and 5 notes more",
    ]


def test_a_long_silence_is_broken() -> None:
    well = [Hauled(run=run(day), outcome="loaded") for day in range(3)]
    assert lines(*well, silent_seconds=0)[:2] == ["1 of 3 runs ended", "2 of 3 runs ended"]


def account(instance: str, **more: int) -> dict[str, object]:
    zeros = dict.fromkeys(
        [
            *(
                "deliveries",
                "read",
                "accepted",
                "filtered",
                "source_rejected",
                "stripped",
                "produced",
                "inserted",
            ),
            *("updated", "unchanged", "superseded", "duplicate", "deleted", "rejected", "held"),
        ],
        0,
    )
    return {"pipeline": "labs", "instance": instance, **zeros, **more}


def test_the_summary_has_a_line_per_instance_and_both_accounts() -> None:
    hauled = [
        Hauled(run=run(day), outcome=outcome, seconds=0.5)
        for day, outcome in enumerate(["loaded", "quarantined"])
    ]
    held = [
        account("701", deliveries=1, read=10, accepted=9, source_rejected=1, produced=9, inserted=9),
        account("701", deliveries=1, read=5, accepted=1, source_rejected=4, produced=1, held=1),
        account("702", deliveries=7),
    ]
    (line,) = summary(hauled, held)
    assert line["source"] == {"read": 15, "accepted": 10, "filtered": 0, "rejected": 5, "stripped": 0}
    assert line["outcomes"] == {"loaded": 1, "quarantined": 1}
    assert outcome_words(line) == "1 quarantined, 1 loaded"
    assert (line["runs"], line["deliveries"], line["seconds"]) == (2, 2, 1.0)
    assert [len(table.rows[0]) == len(table.columns) for table in tables([line])] == [True, True]
