"""Tables as plain text, for pipes and files: aligned, uncut, without a colour or a box."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Protocol


class _Column(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def number(self) -> bool: ...
    @property
    def zeros(self) -> bool: ...


def clean(text: str, keep: str = "") -> str:
    """Text without what could steer a terminal.

    Rows and file names come from outside; an escape sequence in one is shown as ``\\x1b``, not obeyed.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or not _steers(c) else _escaped(c) for c in text)


def cell_text(value: object, *, thousands: bool = False) -> str:
    """How a value is written in a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if thousands else str(value)
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}Z"
    if isinstance(value, date):
        return value.isoformat()
    return clean(str(value))


def shown_columns(columns: Sequence[_Column], rows: Sequence[Sequence[object]]) -> list[int]:
    """Positions of the columns worth showing: those that may be left out hold something."""
    return [
        position
        for position, column in enumerate(columns)
        if column.zeros or any(row[position] for row in rows)
    ]


def plain_table(columns: Sequence[_Column], rows: Sequence[Sequence[object]]) -> list[str]:
    """The lines of a table, its columns two spaces apart."""
    shown = [columns[position] for position in shown_columns(columns, rows)]
    positions = shown_columns(columns, rows)
    cells = [
        [column.name for column in shown],
        *([cell_text(row[position]) for position in positions] for row in rows),
    ]
    widths = [max(_width(line[number]) for line in cells) for number in range(len(shown))]
    return [
        "  ".join(
            " " * (width - _width(cell)) + cell if column.number else cell + " " * (width - _width(cell))
            for column, cell, width in zip(shown, line, widths, strict=True)
        ).rstrip()
        for line in cells
    ]


def _steers(character: str) -> bool:
    # Cc: controls; Cf: invisible marks, which can also turn the direction of text; Zl, Zp: line ends to some.
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )
