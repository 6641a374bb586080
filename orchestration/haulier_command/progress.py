"""What a person sees while runs are hauled: bars at a terminal, else a line for each instance; failures at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from haulier_command.codes import meaning
from haulier_command.hauling import Hauled, Run, Watch
from haulier_command.plain import clean
from haulier_command.summary import outcome_words
from haulier_command.surroundings import near
from haulier_command.words import counted, interval_name

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from haulier_command.output import Screen

Lane = tuple[str, str]

#: Above this many notes the rest is only counted; the result line of each run, in its log, has them all.
NOTES_AT_MOST = 5
#: Above this many instances a finished one loses its bar, so that the screen holds those at work.
BARS_AT_MOST = 12


@contextmanager
def watching(runs: Iterable[Run], screen: Screen) -> Iterator[Watch]:
    """A watch for these runs, for as long as they are hauled."""
    lanes = Counter(run.lane for run in runs)
    if not screen.live:
        yield Plainly(lanes, screen)
        return
    console = screen.error_console()
    bars = Bars(console, lanes)
    with bars.progress:
        yield bars


class Lanes:
    """The runs of each instance, as they end."""

    def __init__(self, lanes: Mapping[Lane, int]) -> None:
        self._expected = lanes
        self._ended: dict[Lane, list[Hauled]] = {}
        self._lock = threading.Lock()

    def through(self, hauled: Hauled) -> list[Hauled]:
        """All runs of its instance where this was the last of them, else none."""
        with self._lock:
            mine = self._ended.setdefault(hauled.run.lane, [])
            mine.append(hauled)
            return mine if len(mine) == self._expected[hauled.run.lane] else []

    def __str__(self) -> str:
        with self._lock:
            ended = sum(map(len, self._ended.values()))
        return f"{ended} of {counted(sum(self._expected.values()), 'run')} ended"


class Plainly:
    """Lines on stderr: failures as they happen, each instance once it is through, and now and then that it goes on."""

    def __init__(self, lanes: Mapping[Lane, int], screen: Screen, *, silent_seconds: float = 60) -> None:
        self._lanes = Lanes(lanes)
        self._screen = screen
        self._silent_seconds = silent_seconds
        self._spoke = time.monotonic()

    def begin(self, run: Run) -> None:
        pass

    def step(self, run: Run, step: str, attempt: int) -> None:
        if attempt > 1:
            self._tell(f"{run}: {step} again, attempt {attempt}")

    def end(self, hauled: Hauled) -> None:
        if failed(hauled):
            self._tell(ending(hauled))
        if said := together(self._lanes.through(hauled)):
            self._tell(said)
        elif time.monotonic() - self._spoke >= self._silent_seconds:
            self._tell(str(self._lanes))

    def _tell(self, line: str) -> None:
        self._spoke = time.monotonic()
        self._screen.tell(line)


class Bars:
    """A bar for each instance and one for all."""

    def __init__(self, console: Console, lanes: Mapping[Lane, int]) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = console
        self._lanes = lanes
        self._ended = Lanes(lanes)
        self._tasks: dict[Lane, TaskID] = {}
        self.progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[now]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            refresh_per_second=8,
        )
        self._all = self.progress.add_task("all", total=sum(lanes.values()), now="")
        if len(self._lanes) <= BARS_AT_MOST:
            for lane in self._lanes:
                self._task(lane)

    def begin(self, run: Run) -> None:
        self.progress.start_task(self._task(run.lane))

    def step(self, run: Run, step: str, attempt: int) -> None:
        again = f", attempt {attempt}" if attempt > 1 else ""
        self.progress.update(self._task(run.lane), now=f"{interval_name(run.interval)} {step}{again}")

    def end(self, hauled: Hauled) -> None:
        if failed(hauled):
            self._print(ending(hauled), "red")
        mine = self._ended.through(hauled)
        if any(one.notes for one in mine):
            self._print(together(mine))
        task = self._task(hauled.run.lane)
        self.progress.update(task, advance=1)
        self.progress.update(self._all, advance=1)
        if self.progress.tasks[task].finished:
            self.progress.update(task, now="", visible=len(self._lanes) <= BARS_AT_MOST)

    def _print(self, said: str, style: str = "") -> None:
        from rich.text import Text

        if said:
            self._console.print(Text(clean(said, keep="\n"), style=style))

    def _task(self, lane: Lane) -> TaskID:
        if lane not in self._tasks:
            self._tasks[lane] = self.progress.add_task(
                " ".join(lane), total=self._lanes[lane], now="", start=False
            )
        return self._tasks[lane]


def failed(hauled: Hauled) -> bool:
    """Whether it is said at once how it ended."""
    return bool(hauled.error) and hauled.outcome != "not run"


def together(mine: Sequence[Hauled]) -> str:
    """How an instance's runs ended, in one line, and what to know of those that did not say it when they failed."""
    if all(one.outcome == "not run" for one in mine):
        return ""
    if len(mine) == 1:
        return "" if failed(mine[0]) else ending(mine[0])
    seconds = sum(one.seconds for one in mine)
    notes = dict.fromkeys(note for one in mine if not failed(one) for note in one.notes)
    return f"{outcomes(mine)} ({seconds:.1f} s){_noted(list(notes))}"


def outcomes(mine: Sequence[Hauled]) -> str:
    """``labs/701, 5 runs since 2026-01-05: 4 loaded, 1 empty``, or of a single run its day."""
    first = min((one.run for one in mine), key=lambda run: run.interval.start)
    counts = Counter(one.outcome for one in mine)
    if len(mine) == 1:
        return f"{first}: {mine[0].outcome}"
    named = f"{'/'.join(first.lane)}, {counted(len(mine), 'run')} since {interval_name(first.interval)}"
    return f"{named}: {outcome_words({'outcomes': counts})}"


def ending(hauled: Hauled) -> str:
    """One line on how a run ended, and one for each thing a person should know of it."""
    line = f"{hauled.run}: {hauled.outcome}"
    if hauled.outcome in ("failed", "cancelled"):
        line += f" in {hauled.step}"
    if hauled.error:
        tries = f" after {counted(hauled.attempts, 'attempt')}" if hauled.attempts > 1 else ""
        line += f"{tries} (exit {hauled.code}, {meaning(hauled.code)}): {hauled.error}"
    else:
        line += f" ({hauled.seconds:.1f} s)"
    line += _noted(hauled.notes)
    return f"{line}\n    log: {near(hauled.log)}" if hauled.log else line


def _noted(notes: Sequence[str]) -> str:
    more = len(notes) - NOTES_AT_MOST
    lines = [*notes[:NOTES_AT_MOST], *([f"and {counted(more, 'note')} more"] if more > 0 else [])]
    return "".join(f"\n    {line}" for line in lines)
