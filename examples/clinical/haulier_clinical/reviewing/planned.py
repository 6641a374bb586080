"""The trial's own reference tables, as far as a review needs them: which visits are planned, and what is usual of a test."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from haulier.errors import DefinitionError
from haulier_clinical.units import fraction


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A visit of the protocol that has a planned day."""

    name: str
    number: str
    day: int


def planned_visits(path: Path) -> list[Visit]:
    """The visits with a number and a planned day, in the order of the days. Raises `DefinitionError`."""
    rows = rows_of(path, "visits", ("visit", "visitnum", "visitdy"))
    try:
        found = [
            Visit(name=row["visit"], number=plain(row["visitnum"]), day=int(row["visitdy"]))
            for row in rows
            if row["visitnum"] and row["visitdy"]
        ]
    except ValueError as exc:
        raise DefinitionError(f"{path}: a visitnum or visitdy is no number ({exc})") from exc
    return sorted(found, key=lambda visit: (visit.day, float(visit.number)))


def soft_limits(path: Path) -> dict[str, list[dict[str, str]]]:
    """Domain -> what is usual of each test, in each unit. Raises `DefinitionError`.

    Of a test and unit that stand there more than once, the last counts; as where results are judged when they are hauled.
    """
    rows = rows_of(path, "limits", ("domain", "testcd", "unit", "soft_low", "soft_high"))
    found: dict[str, dict[tuple[str, str], dict[str, str]]] = {}
    for number, row in enumerate(rows, 1):
        ends = {
            end: _decimal(path, number, name, row[name])
            for end, name in (("low", "soft_low"), ("high", "soft_high"))
        }
        limits = found.setdefault(row["domain"], {})
        key = (row["testcd"], row["unit"].lower())
        limits.pop(key, None)
        if all(ends.values()):
            limits[key] = {"testcd": row["testcd"], "unit": row["unit"], **ends}
    return {domain: list(limits.values()) for domain, limits in found.items() if limits}


def _decimal(path: Path, number: int, name: str, text: str) -> str:
    """As PostgreSQL reads it; an empty text stays one."""
    if not text.strip():
        return ""
    where = f"{path}, row {number}: {name}"
    limit = fraction(text, where)
    # Digits behind the mark without an end, such as those of 5/9, are cut where no result has any.
    return f"{limit.numerator / Decimal(limit.denominator):f}"


def rows_of(path: Path, what: str, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of one of the trial's reference tables; an empty cell is an empty text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file)
            rows = [{name: line[name] or "" for name in columns} for line in lines]
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as exc:
        raise DefinitionError(
            f"{path} cannot be read as {what} ({type(exc).__name__}); it has the columns {', '.join(columns)}"
        ) from exc
    return rows


def plain(number: Any) -> str:
    """3 and 3.00 are one visit."""
    text = f"{float(number):.4f}".rstrip("0").rstrip(".")
    return text or "0"
