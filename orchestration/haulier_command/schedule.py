"""How a schedule cuts time into runs: consecutive ticks, in UTC, are a run's start and end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from itertools import pairwise

from cronsim import CronSim, CronSimError

from haulier.errors import DefinitionError
from haulier.interval import Interval

#: What a definition may write instead of five fields.
NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}

_ONE = timedelta(seconds=1)


def ticks(schedule: str, start: datetime) -> Iterator[datetime]:
    """The instants of a schedule from ``start`` on, itself included. Raises `DefinitionError`."""
    # CronSim begins after the instant it is given, and knows whole seconds only.
    before = start.astimezone(UTC) if start.microsecond else start.astimezone(UTC) - _ONE
    try:
        return CronSim(_fields(schedule), before)
    except CronSimError as exc:
        raise DefinitionError(f"schedule: {schedule!r} is not a five-field cron line ({exc})") from exc


def cut(schedule: str, start: datetime, end: datetime) -> Iterator[Interval]:
    """The runs that lie wholly in ``[start, end)``, oldest first. Raises `DefinitionError`."""
    for begin, until in pairwise(ticks(schedule, start)):
        if until > end:
            return
        yield Interval(start=begin, end=until)


def latest(schedule: str, now: datetime) -> Interval:
    """The newest run that has ended by ``now``."""
    try:
        # Backwards too, CronSim leaves out the instant it is given.
        backwards = CronSim(
            _fields(schedule), now.astimezone(UTC).replace(microsecond=0) + _ONE, reverse=True
        )
        end = next(backwards)
        return Interval(start=next(backwards), end=end)
    except CronSimError as exc:
        raise DefinitionError(f"schedule: {schedule!r} is not a five-field cron line ({exc})") from exc


def due(schedule: str, start: date | None, catchup: bool, now: datetime) -> Iterator[Interval]:
    """The runs that should have happened by ``now``, oldest first.

    All since ``start``; without it, or without catchup, only the newest.
    """
    first = datetime.combine(start, time(), UTC) if start else None
    if first and catchup:
        yield from cut(schedule, first, now)
        return
    newest = latest(schedule, now)
    if first is None or newest.start >= first:
        yield newest


def _fields(schedule: str) -> str:
    if not schedule.startswith("@"):
        if len(schedule.split()) != 5:
            raise DefinitionError(f"schedule: {schedule!r} has not the five fields of a cron line")
        return schedule
    try:
        return NAMED[schedule]
    except KeyError:
        near = get_close_matches(schedule, NAMED, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use {', '.join(NAMED)} or a five-field cron line"
        raise DefinitionError(f"schedule: {schedule!r} is not known; {hint}") from None
