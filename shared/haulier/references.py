"""Tables that functions look things up in: CSV files beside a definition, read with it and sealed with it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path

from haulier.errors import DefinitionError
from haulier.problems import Problem, quoted, suggestion

#: Every manifest of a run carries the table whole.
MOST_BYTES = 1024 * 1024
#: What "surrogateescape" makes of byte 0 and the like.
_ESCAPED = 0xDC00
#: A NUL, or a byte that could not be decoded.
_ODD = re.compile("[\0\udc80-\udcff]")


def load_references(
    folder: Path, seen_from: Path, names: Mapping[str, str]
) -> tuple[dict[str, str], list[Problem]]:
    """Name -> the file's text, of those that are good; and what is wrong with the others.

    Paths are seen from ``seen_from`` and stay inside ``folder``.
    """
    texts, problems = {}, []
    for name, given in names.items():
        try:
            texts[name] = _read(folder, seen_from, given)
        except DefinitionError as exc:
            problems.append(Problem(("transform", "references", name), str(exc)))
    return texts, problems


def records_of(text: str) -> list[list[str]]:
    """The table's lines as cells, its header first; blank lines left out. The text is one that was loaded."""
    return [record for record in csv.reader(io.StringIO(text, newline=""), strict=True) if record]


def _read(folder: Path, seen_from: Path, given: str) -> str:
    path = seen_from / given
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DefinitionError(f"{quoted(given)} lies outside the definitions folder; move it inside")
    if not path.is_file():
        known = sorted(folder.glob("*/*.csv"))
        near = suggestion(given, [f"../{one.parent.name}/{one.name}" for one in known])
        raise DefinitionError(f"there is no file {quoted(given)}, seen from {seen_from}{near}")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise DefinitionError(
            f"{quoted(given)} has {size} bytes, a reference at most {MOST_BYTES}: load it as a table, and join it in a model"
        )
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as exc:
        problem = f"{quoted(given)} cannot be read ({type(exc).__name__}); is it this user's to read?"
        raise DefinitionError(problem) from exc
    _check(text, given)
    return text


def _check(text: str, given: str) -> None:
    """Raises `DefinitionError` for what is no table of one width with a name for each column, in text that a database takes."""
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    ended, is_odd = 0, _ODD.search(text) is not None
    try:
        for record in lines:
            first, ended = ended + 1, lines.line_num
            if not record:
                continue
            if is_odd:
                _check_cells(record, header, f"{quoted(given)}: line {first}")
            if not header:
                header = record
                if "" in header:
                    raise DefinitionError(f"{quoted(given)}: a column of its header has no name")
                if twice := next((name for name in header if header.count(name) > 1), None):
                    raise DefinitionError(f"{quoted(given)}: its header names {quoted(twice)} twice")
            elif len(record) != len(header):
                raise DefinitionError(
                    f"{quoted(given)}: line {lines.line_num} has {len(record)} cells, its header {len(header)}"
                )
    except csv.Error as exc:
        raise DefinitionError(f"{quoted(given)}: line {lines.line_num} is no CSV: {exc}") from exc
    if not header:
        raise DefinitionError(f"{quoted(given)} is empty; its first line names its columns")


def _check_cells(record: list[str], header: list[str], where: str) -> None:
    for at, cell in enumerate(record):
        if found := _ODD.search(cell):
            place = f"column {quoted(header[at])}" if at < len(header) else f"cell {at + 1}"
            why = (
                "holds a NUL byte, which no database takes; remove it"
                if found[0] == "\0"
                else f"holds the byte 0x{ord(found[0]) - _ESCAPED:02x}, which is no UTF-8 there; save the file as UTF-8"
            )
            raise DefinitionError(f"{where}, {place} {why}")
