"""What a person sees while runs are hauled: bars at a terminal, else a line for each run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from haulier_command.codes import meaning
from haulier_command.hauling import Hauled, Run, Watch
from haulier_command.plain import clean
from haulier_command.surroundings import near
from haulier_command.words import counted, interval_name

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from haulier_command.output import Screen

#: Above this many notes of a run the rest is only counted; its result line, in the log, has them all.
NOTES_AT_MOST = 5
#: Above this many instances a finished one loses its bar, so that the screen holds those at work.
BARS_AT_MOST = 12


@contextmanager
def watching(runs: Iterable[Run], screen: Screen) -> Iterator[Watch]:
    """A watch for these runs, for as long as they are hauled."""
    if not screen.live:
        yield Plainly(screen)
        return
    console = screen.error_console()
    bars = Bars(console, list(runs))
    with bars.progress:
        yield bars


class Plainly:
    """A line on stderr for each run that ended."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def begin(self, run: Run) -> None:
        pass

    def step(self, run: Run, step: str, attempt: int) -> None:
        if attempt > 1:
            self._screen.tell(f"{run}: {step} again, attempt {attempt}")

    def end(self, hauled: Hauled) -> None:
        if hauled.outcome != "not run":
            self._screen.tell(ending(hauled))


class Bars:
    """A bar for each instance and one for all."""

    def __init__(self, console: Console, runs: list[Run]) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = console
        self._lanes = Counter(run.lane for run in runs)
        self._tasks: dict[tuple[str, str], TaskID] = {}
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
        self._all = self.progress.add_task("all", total=len(runs), now="")
        if len(self._lanes) <= BARS_AT_MOST:
            for lane in self._lanes:
                self._task(lane)

    def begin(self, run: Run) -> None:
        self.progress.start_task(self._task(run.lane))

    def step(self, run: Run, step: str, attempt: int) -> None:
        again = f", attempt {attempt}" if attempt > 1 else ""
        self.progress.update(self._task(run.lane), now=f"{interval_name(run.interval)} {step}{again}")

    def end(self, hauled: Hauled) -> None:
        if (hauled.error or hauled.notes) and hauled.outcome != "not run":
            from rich.text import Text

            style = "red" if hauled.error else ""
            self._console.print(Text(clean(ending(hauled), keep="\n"), style=style))
        task = self._task(hauled.run.lane)
        self.progress.update(task, advance=1)
        self.progress.update(self._all, advance=1)
        if self.progress.tasks[task].finished:
            self.progress.update(task, now="", visible=len(self._lanes) <= BARS_AT_MOST)

    def _task(self, lane: tuple[str, str]) -> TaskID:
        if lane not in self._tasks:
            self._tasks[lane] = self.progress.add_task(
                " ".join(lane), total=self._lanes[lane], now="", start=False
            )
        return self._tasks[lane]


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
    for note in hauled.notes[:NOTES_AT_MOST]:
        line += f"\n    {note}"
    if (more := len(hauled.notes) - NOTES_AT_MOST) > 0:
        line += f"\n    and {counted(more, 'note')} more"
    return f"{line}\n    log: {near(hauled.log)}" if hauled.log else line
