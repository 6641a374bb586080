"""When a pipeline runs: a name, or a cron line of five fields."""

from __future__ import annotations

import re
from collections.abc import Iterator

from haulier.problems import Problem, listed, nearest, quoted

NAMED = ("@hourly", "@daily", "@weekly", "@monthly")
_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"
_CRON_NAMES = ("", "", "", _MONTHS, "sun mon tue wed thu fri sat")
_CRON_PART = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?")


def problems_of_schedule(schedule: str | None) -> Iterator[Problem]:
    if schedule is None or schedule in NAMED:
        return
    trail = ("schedule",)
    fields = schedule.split()
    if schedule.startswith("@") or len(fields) != len(_CRON_RANGES):
        near = nearest(schedule, NAMED)
        hint = (
            f"did you mean {quoted(near)}?"
            if near
            else f"use {listed(NAMED)}, or a cron line such as 30 4 * * *"
        )
        yield Problem(trail, f"{quoted(schedule)} is not a schedule; {hint}")
        return
    for text, (low, high), names in zip(fields, _CRON_RANGES, _CRON_NAMES, strict=True):
        if not all(_is_cron_part(part, low, high, names.split()) for part in text.split(",")):
            yield Problem(
                trail, f"{quoted(text)} in {quoted(schedule)} is not a cron field from {low} to {high}"
            )


def _is_cron_part(part: str, low: int, high: int, names: list[str]) -> bool:
    found = _CRON_PART.fullmatch(part)
    if not found or (found[1] == "*" and found[2]):
        return False
    values = [low if text == "*" else _cron_value(text, low, names) for text in found.group(1, 2) if text]
    return all(low <= value <= high for value in values) and values == sorted(values) and found[3] != "0"


def _cron_value(text: str, low: int, names: list[str]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + low
    return int(text) if text.isascii() and text.isdigit() else -1
