"""How times and runs are written for people, and read from them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from haulier.errors import DefinitionError
from haulier.interval import Interval, parse_instant


def interval_name(interval: Interval) -> str:
    """``2026-01-05`` for a day, else both ends; always UTC."""
    start, end = interval.start, interval.end
    if start.time() == end.time() == time():
        return (
            f"{start:%Y-%m-%d}" if end - start == timedelta(days=1) else f"{start:%Y-%m-%d}..{end:%Y-%m-%d}"
        )
    pattern = "%H:%MZ" if start.date() == end.date() else "%Y-%m-%d %H:%MZ"
    return f"{start:%Y-%m-%d %H:%M}..{end.strftime(pattern)}"


def utc(instant: datetime) -> str:
    """ISO 8601 with Z, as the steps' own options take it."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def day_or_instant(text: str, option: str) -> datetime:
    """A date, which means its UTC midnight, or a time with its offset. Raises `DefinitionError`."""
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        return parse_instant(text, option)


def span(seconds: float) -> str:
    """``3 h``, ``2 d``: how long ago, roughly."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def counted(number: int, thing: str, things: str = "") -> str:
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def short(digest: str) -> str:
    """A digest as people compare it; files and JSON have all 64 digits."""
    return digest[:12]


def option(name: str, value: str | None) -> str:
    """The value of an option that must be given. Raises `DefinitionError`."""
    if value is None:
        raise DefinitionError(f"{name} is missing; say it on the command line")
    return value
