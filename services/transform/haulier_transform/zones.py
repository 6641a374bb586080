"""Local times of a zone to instants, with the ones that never were and the ones that were twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np
from numpy.typing import NDArray

from haulier.errors import DefinitionError
from haulier_transform.arrays import Mask
from haulier_transform.formats import DAY

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local times are counted from a local midnight
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Instants:
    """Microseconds since 1970-01-01T00:00Z, one per local time."""

    micros: NDArray[np.int64]
    #: Skipped when clocks went forward; their instant means nothing.
    never: Mask
    #: Passed twice when clocks went back; their instant is the earlier one.
    twice: Mask


def open_zone(name: str) -> tzinfo:
    """Raises `DefinitionError` for a zone the IANA database does not know."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise DefinitionError(
            f"transform.time_zone: {name!r} is not a time zone; use one such as Europe/Berlin or UTC"
        ) from exc


def instants(local: NDArray[np.int64], zone: tzinfo) -> Instants:
    """When the local times were, given as microseconds since their own 1970-01-01T00:00."""
    never, twice = np.zeros(len(local), dtype=bool), np.zeros(len(local), dtype=bool)
    if zone is UTC or not len(local):
        return Instants(micros=local, never=never, twice=twice)
    days, day_of = np.unique(local // DAY, return_inverse=True)
    # Clocks change on two days a year: on all the others one offset serves the whole day.
    offsets = [_offset_all_day(int(day), zone) for day in days]
    steady = np.array([offset is not None for offset in offsets], dtype=bool)
    shift = np.array([offset or 0 for offset in offsets], dtype=np.int64)[day_of]
    for position in np.flatnonzero(~steady[day_of]):
        first, second = _offsets(int(local[position]), zone)
        shift[position] = first
        never[position], twice[position] = first < second, first > second
    return Instants(micros=local - shift, never=never, twice=twice)


def _offset_all_day(day: int, zone: tzinfo) -> int | None:
    try:
        found = {*_offsets(day * DAY, zone), *_offsets((day + 1) * DAY, zone)}
    except OverflowError:  # the last day of year 9999
        return None
    return found.pop() if len(found) == 1 else None


def _offsets(local: int, zone: tzinfo) -> tuple[int, int]:
    """Microseconds east of UTC by the clock before and after a change: unequal only around one."""
    wall = _EPOCH + timedelta(microseconds=local)
    first, second = (zone.utcoffset(wall.replace(fold=fold)) or timedelta() for fold in (0, 1))
    return first // _MICROSECOND, second // _MICROSECOND
