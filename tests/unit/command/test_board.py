"""The demo's board, in the room that there is."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from haulier.interval import Interval
from haulier_command.board import Board
from haulier_command.hauling import Hauled, Run

START = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = [Interval(start=START + timedelta(days=n), end=START + timedelta(days=n + 1)) for n in range(5)]


@pytest.mark.parametrize(("width", "told"), [(120, "105 rows, -2"), (80, "105, -2")])
def test_every_row_says_which_it_is_and_every_cell_is_whole(width: int, told: str) -> None:
    lanes = [("labs", "701"), ("vitals", "703")]
    board = Board(lanes, DAYS, width=width)
    for day in DAYS:
        for pipeline, site in lanes:
            run = Run(pipeline=pipeline, instance=site, interval=day)
            counts = {"load": {"inserted": 105, "rejected": 2}, "transform": {}}
            outcome = "quarantined" if site == "703" else "loaded"
            board.end(Hauled(run=run, outcome=outcome, counts=counts))
    sink = io.StringIO()
    Console(file=sink, width=width).print(board.drawn())

    lines = sink.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    (labs,) = [line for line in lines if "701" in line]
    (vitals,) = [line for line in lines if "703" in line]
    assert labs.split("701")[0].strip() == "labs"
    assert labs.count(told) == 5
    assert vitals.split() == ["vitals", "703", *["quarantined"] * 5]
