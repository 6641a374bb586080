"""The columns of a source: each name once, and no more of them than a part can hold."""

from __future__ import annotations

from collections.abc import Sequence

from haulier.errors import DataError
from haulier.rows import DELIVERY, OUTPUT, ROW

#: A part of 10,000 columns takes 120 MB to write; PostgreSQL's tables have 1,600 at the most.
MOST_COLUMNS = 10_000


def column_names(header: Sequence[str | None], name: str) -> tuple[tuple[str, ...], list[str]]:
    """The names as written, without surrounding white space, each once; and which had to be made up.

    Raises `DataError` for too many.
    """
    check_count(len(header), name)
    taken, notes = {DELIVERY, ROW, OUTPUT}, []
    names = []
    repeats: dict[str, int] = {}
    for position, cell in enumerate(header, start=1):
        written = (cell or "").strip("\ufeff \t\r\n\xa0").strip()
        unique = base = written or f"column_{position}"
        while unique in taken:
            repeats[base] = repeats.get(base, 1) + 1
            unique = f"{base}#{repeats[base]}"
        if not written:
            notes.append(f"column {position} of {name} has no name; called {unique!r}")
        elif unique != base:
            notes.append(f"column {position} of {name} repeats the name {base!r}; called {unique!r}")
        taken.add(unique)
        names.append(unique)
    return tuple(names), notes


def check_count(count: int, name: str) -> None:
    if count > MOST_COLUMNS:
        raise DataError(
            f"{name} has {count} columns or more, {MOST_COLUMNS} are the most that can be read; "
            "is a value used where a column's name belongs?"
        )
