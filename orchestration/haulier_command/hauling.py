"""Runs hauled as Airflow would: their steps in order, exit codes acted on, instances side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from haulier.errors import Cancelled, DataError
from haulier.interval import Interval
from haulier_command.codes import retried, stops_instance
from haulier_command.steps import STEPS, Answer, Order, Start, StepName
from haulier_command.words import interval_name

_LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """One interval of one instance, or the replay of some of its rejects."""

    pipeline: str
    instance: str
    interval: Interval
    reprocess: str | None = None
    replay: int | None = None

    @property
    def lane(self) -> tuple[str, str]:
        """Runs of one lane do not overlap, unless they are asked for side by side."""
        return self.pipeline, self.instance

    def order(self, step: StepName, generation: int | None) -> Order:
        return Order(
            step=step,
            verb="run",
            pipeline=self.pipeline,
            instance=self.instance,
            interval=self.interval,
            generation=None if self.replay else generation,
            replay=self.replay,
            reprocess=self.reprocess if step == "extract" else None,
        )

    def __str__(self) -> str:
        return f"{self.pipeline}/{self.instance} {interval_name(self.interval)}"


@dataclass(frozen=True, kw_only=True)
class Hauled:
    """How a run ended."""

    run: Run
    #: loaded, already done, empty, quarantined, failed, cancelled, not run
    outcome: str
    code: int = 0
    step: str = ""
    generation: int | None = None
    error: str = ""
    log: Path | None = None
    attempts: int = 0
    seconds: float = 0.0
    #: What each step counted.
    counts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Files that extract saw and did not take yet, each with the reason.
    waits: tuple[str, ...] = ()
    #: What else a person should know of a run, however it ended: a header that looks like one of another delimiter, for one.
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        run = asdict(self.run)
        interval = run.pop("interval")
        return {
            **{name: value for name, value in run.items() if value is not None},
            "interval_start": interval["start"].isoformat(),
            "interval_end": interval["end"].isoformat(),
            **{
                name: value
                for name, value in vars(self).items()
                if name != "run" and value not in (None, "", {}, ())
            },
        }


class Watch(Protocol):
    """Who follows along."""

    def begin(self, run: Run) -> None: ...
    def step(self, run: Run, step: str, attempt: int) -> None: ...
    def end(self, hauled: Hauled) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Hauling:
    """How to haul: what starts a step, where logs go, how often to try again."""

    start: Start
    logs: Path
    retries: int
    watch: Watch
    #: What the ledger holds of a run: a step that only finds it quarantined exits 65 without a result.
    recorded: Callable[[Run], str | None] = lambda run: None
    pause_seconds: float = 1.0

    def haul(self, run: Run) -> Hauled:
        """Extract, transform and load one run, and build its models where it has some."""
        self.watch.begin(run)
        began = time.monotonic()
        generation: int | None = None
        attempts = 0
        counts: dict[str, Mapping[str, Any]] = {}
        waits: tuple[str, ...] = ()
        notes: dict[str, None] = {}
        steps = list(STEPS)
        for step in steps:
            answer, attempts = self._step(run, step, generation)
            counts[step] = answer.counts
            waits = answer.waits or waits
            notes |= dict.fromkeys(answer.notes)
            found = answer.result.get("generation")
            generation = found if isinstance(found, int) and found else generation
            if answer.code != 0:
                break
            if step == "load" and answer.result.get("models"):
                steps.append("models")
        outcome = outcome_of(answer, self.start.stopped.is_set())
        if answer.code == DataError.exit_code and outcome == "failed" and self.recorded(run) == "quarantined":
            outcome = "quarantined"
        if outcome == "cancelled":
            # A step that was ended before it could listen for signals says nothing of it.
            answer = replace(answer, code=Cancelled.exit_code, error="")
        # What the last step noted of a failure is its error.
        said = {*waits, *(answer.notes if answer.error else ())}
        hauled = Hauled(
            run=run,
            outcome=outcome,
            code=answer.code,
            step=step,
            generation=generation,
            error=answer.error,
            log=answer.log if answer.error else None,
            attempts=attempts,
            seconds=time.monotonic() - began,
            counts=counts,
            waits=waits,
            notes=tuple(note for note in notes if note not in said),
        )
        self.watch.end(hauled)
        return hauled

    def _step(self, run: Run, step: StepName, generation: int | None) -> tuple[Answer, int]:
        for attempt in range(1, self.retries + 2):
            self.watch.step(run, step, attempt)
            log = self.logs / log_name(run, step, attempt)
            answer = self.start(run.order(step, generation), log)
            if not retried(answer.code) or attempt > self.retries:
                break
            pause = min(self.pause_seconds * 2 ** (attempt - 1), _LONGEST_PAUSE_SECONDS)
            if self.start.stopped.wait(pause):
                break
        return answer, attempt

    def lane(self, runs: Sequence[Run]) -> list[Hauled]:
        """The runs of one instance, in order; after a failure that the next would meet too, none."""
        done: list[Hauled] = []
        for run in runs:
            if self.start.stopped.is_set():
                hauled = Hauled(
                    run=run, outcome="not run", code=Cancelled.exit_code, error="cancelled before it began"
                )
                self.watch.end(hauled)
            elif done and stops_instance(done[-1].code):
                why = f"left out after {interval_name(done[-1].run.interval)} failed"
                hauled = Hauled(run=run, outcome="not run", code=done[-1].code, error=why)
                self.watch.end(hauled)
            else:
                hauled = self.haul(run)
            done.append(hauled)
        return done

    def all(self, runs: Iterable[Run], jobs: int, *, side_by_side: bool = False) -> list[Hauled]:
        """Every run; at most ``jobs`` instances side by side, or runs. Cancelled, it returns what was done."""
        lanes = list(by_lane(runs).values())
        if side_by_side and self.start.threads:
            # Each hand takes every so many-th, in order, and stops by itself at what all would meet.
            lanes = [lane[hand::jobs] for lane in lanes for hand in range(min(jobs, len(lane)))]
        if not self.start.threads:
            return [hauled for lane in lanes for hauled in self.lane(lane)]
        futures: list[Future[list[Hauled]]] = []
        with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="instance") as pool:
            try:
                # The first lanes run while the others are still handed out.
                futures.extend(pool.submit(self.lane, lane) for lane in lanes)
            except Cancelled:
                self.start.stop()
                # What is left says for itself that it did not run.
                futures.extend(pool.submit(self.lane, lane) for lane in list(lanes)[len(futures) :])
            try:
                return [hauled for future in futures for hauled in future.result()]
            except Cancelled:
                self.start.stop()
                return [hauled for future in futures for hauled in future.result()]


def outcome_of(answer: Answer, stopped: bool) -> str:
    """One word for how the last step of a run ended."""
    said = answer.result.get("outcome")
    if answer.code == 0:
        return said if isinstance(said, str) else "loaded"
    if answer.code == 99:
        return "empty"
    if answer.code == 143 or (stopped and answer.code < 0):
        return "cancelled"
    return "quarantined" if said == "quarantined" else "failed"


def log_name(run: Run, step: str, attempt: int) -> str:
    replay = f"-replay{run.replay}" if run.replay else ""
    again = f"-attempt{attempt}" if attempt > 1 else ""
    return f"{run.pipeline}-{run.instance}-{run.interval.key}{replay}-{step}{again}.log"


def by_lane(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    lanes: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        lanes.setdefault(run.lane, []).append(run)
    return lanes
