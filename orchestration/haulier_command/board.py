"""The demo's board: a line for each pipeline and site, a column for each day, filled in as runs end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from haulier.interval import Interval
from haulier_command.hauling import Hauled, Run, Watch
from haulier_command.progress import Plainly

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from haulier_command.output import Screen

_CELL = 13
#: As wide as ``quarantined``.
_NARROW = 11


@contextmanager
def watching(lanes: Sequence[tuple[str, str]], days: Sequence[Interval], screen: Screen) -> Iterator[Watch]:
    """A board for these instances and days, for as long as the demo hauls."""
    if not screen.live:
        yield Plainly(dict.fromkeys(lanes, len(days)), screen)
        return
    from rich.live import Live

    console = screen.error_console()
    board = Board(lanes, days, width=console.width)
    with Live(console=console, get_renderable=board.drawn, refresh_per_second=8):
        yield board
    screen.tell("")


class Board:
    """What is known of each instance and day."""

    def __init__(
        self, lanes: Sequence[tuple[str, str]], days: Sequence[Interval], *, width: int = 120
    ) -> None:
        names = max((len(pipeline) + len(site) for pipeline, site in lanes), default=0)
        #: Whether a day's column has no room for more than numbers.
        self._narrow = names + 4 + len(days) * (_CELL + 2) > width
        self._lanes = lanes
        self._days = days
        self._cells: dict[tuple[tuple[str, str], Interval], tuple[str, str]] = {}
        self._began = time.monotonic()

    def begin(self, run: Run) -> None:
        pass

    def step(self, run: Run, step: str, attempt: int) -> None:
        self._cells[run.lane, run.interval] = (step if attempt == 1 else f"{step} #{attempt}", "blue")

    def end(self, hauled: Hauled) -> None:
        self._cells[hauled.run.lane, hauled.run.interval] = cell(hauled)

    def drawn(self) -> Table:
        from rich import box
        from rich.table import Table

        table = Table(
            box=box.SIMPLE_HEAD,
            padding=(0, 0 if self._narrow else 1, 0, 0),
            show_edge=False,
            caption_justify="left",
        )
        table.add_column("pipeline", no_wrap=True)
        table.add_column("site", no_wrap=True)
        for day in self._days:
            table.add_column(
                f"{day.start:%d %b}" if self._narrow else f"{day.start:%a %d %b}",
                min_width=_NARROW if self._narrow else _CELL,
                no_wrap=True,
            )
        for pipeline, site in self._lanes:
            table.add_row(pipeline, site, *(self._drawn_cell((pipeline, site), day) for day in self._days))
        table.caption = f"rows that entered, -rows rejected; {time.monotonic() - self._began:.0f} s"
        return table

    def _drawn_cell(self, lane: tuple[str, str], day: Interval) -> Text:
        from rich.text import Text

        text, style = self._cells.get((lane, day), ("", ""))
        if self._narrow:
            text = text.replace(" rows", "")
        return Text(text, style=style)


def cell(hauled: Hauled) -> tuple[str, str]:
    """What a run's end looks like on the board, and its colour."""
    if hauled.outcome == "loaded":
        loaded, transformed = hauled.counts.get("load", {}), hauled.counts.get("transform", {})
        rejected = loaded.get("rejected", 0) + transformed.get("rejected", 0)
        entered = sum(loaded.get(name, 0) for name in ("inserted", "updated", "unchanged"))
        return (f"{entered} rows, -{rejected}", "yellow") if rejected else (f"{entered} rows", "green")
    styles = {"already done": "cyan", "empty": "dim", "not run": "dim"}
    return hauled.outcome, styles.get(hauled.outcome, "bold red")
