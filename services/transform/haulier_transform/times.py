"""Text to dates, times of day and instants: days of the calendar only, years 1 to 9999."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

import numpy as np
import pyarrow as pa

from haulier.formats import ISO
from haulier_transform import kernels as pc
from haulier_transform.arrays import (
    Array,
    Parsed,
    Parser,
    Wrong,
    matches,
    numbers_of,
    of_mask,
    of_numbers,
    positions,
    valid_of,
)
from haulier_transform.formats import DAY, compiled
from haulier_transform.zones import instants

_KINDS = {"date": "date", "time": "time of day", "timestamp": "date and time", "timestamptz": "date and time"}
#: Microseconds since 1970 of 0001-01-01 and of 10000-01-01.
FIRST, END = -62_135_596_800_000_000, 253_402_300_800_000_000
#: Times that Arrow's own cast reads right: no day after the 28th, so every one exists. 15 ms
#: instead of 183 ms for 250,000 of them.
_PLAIN = (
    "[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    "[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?"
)


def moments(pg_type: str, forms: Sequence[str], zone: tzinfo, where: str) -> Parser:
    """Reads dates, times, timestamps; ``zone`` is that of times without an offset.

    Formats are tried in order and the first that fits decides. Raises `DefinitionError` for a
    format that cannot give a value of the type.
    """
    formats = [compiled(form, pg_type, where) for form in forms]
    examples = " or ".join(dict.fromkeys(form.example for form in formats))
    says = f"is not a {_KINDS[pg_type]} such as {examples}"
    fast = pg_type in ("timestamp", "timestamptz") and forms[0] == ISO

    def parse(texts: Array) -> Parsed:
        count = len(texts)
        local, offset = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        found, has_offset = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        valid = valid_of(texts)
        if fast:
            found = matches(texts, _PLAIN)
            plain = pc.cast(pc.filter_(texts, of_mask(found)), pa.timestamp("us"))
            local[found] = numbers_of(plain)
        for form in formats:
            open_ = positions(valid & ~found)
            if not len(open_):
                break
            fields = form.read(pc.take(texts, of_numbers(open_)))
            at = open_[fields.found]
            local[at] = fields.days * DAY + fields.of_day
            offset[at], has_offset[at] = fields.offset, fields.has_offset
            found[at] = True
        return _typed(pg_type, zone, says, valid, found, local, offset, has_offset)

    return parse


def _typed(
    pg_type: str,
    zone: tzinfo,
    says: str,
    valid: np.ndarray,
    found: np.ndarray,
    local: np.ndarray,
    offset: np.ndarray,
    has_offset: np.ndarray,
) -> Parsed:
    wrong: list[Wrong] = []
    odd: list[Wrong] = []

    def refuse(rule: str, mask: np.ndarray, reason: str) -> None:
        nonlocal found
        if mask.any():
            wrong.append(Wrong(rule=rule, at=positions(mask), says=reason))
            found = found & ~mask

    refuse("type", valid & ~found, says)
    if pg_type == "date":
        refuse("type", found & (local % DAY != 0), f"{says}: it has a time of day")
    if pg_type != "timestamptz":
        refuse("type", found & has_offset, "has an offset from UTC, for which the column has no place")
    else:
        naive = found & ~has_offset
        there = instants(local[naive], zone)
        local = local - offset
        local[naive] = there.micros
        never, twice = naive.copy(), naive.copy()
        never[naive], twice[naive] = there.never, there.twice
        refuse("time-zone", never, f"never was in {zone}: the clocks went forward over it")
        refuse("range", found & ((local < FIRST) | (local >= END)), "is outside the years 1 to 9999 in UTC")
        if (twice & found).any():
            clock = f"was twice in {zone}, when the clocks went back; the earlier one was taken"
            odd.append(Wrong(rule="ambiguous-time", at=positions(twice & found), says=clock))
    return Parsed(values=_array(pg_type, local, found), wrong=wrong, odd=odd)


def _array(pg_type: str, local: np.ndarray, found: np.ndarray) -> Array:
    if pg_type == "date":
        return of_numbers((local // DAY).astype(np.int32), found, pa.date32())
    if pg_type == "time":
        return of_numbers(local, found, pa.time64("us"))
    return of_numbers(local, found, pa.timestamp("us", "UTC" if pg_type == "timestamptz" else None))
