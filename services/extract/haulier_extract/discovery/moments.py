"""Dates and times as people write them, and which of the ways is certain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from haulier_extract.discovery.guess import Guess, all_match

_SHORT = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_OFFSET = r"(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
_TIME = re.compile(f"{_CLOCK}(?::[0-5][0-9])?")
_YMD = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_INSTANT = re.compile(rf"({_YMD})[T ]{_CLOCK}(?::[0-5][0-9](?:\.[0-9]{{1,6}})?)?({_OFFSET})?")
#: A day as people write it -> its shape. `iso` is first, so that it wins.
_DAYS: dict[str, re.Pattern[str]] = {
    "%Y-%m-%d": re.compile(_YMD),
    "%d.%m.%Y": re.compile(r"[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}"),
    "%d/%m/%Y": re.compile(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}"),
    "%m/%d/%Y": re.compile(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}"),
    "%d-%m-%Y": re.compile(r"[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}"),
    "%m-%d-%Y": re.compile(r"[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}"),
    "%Y/%m/%d": re.compile(r"[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}"),
    "%d-%b-%Y": re.compile(rf"[0-9]{{1,2}}-(?:{_SHORT})-[0-9]{{4}}", re.IGNORECASE),
    "%d %b %Y": re.compile(rf"[0-9]{{1,2}} (?:{_SHORT}) [0-9]{{4}}", re.IGNORECASE),
}
_CLOCKS = {"%H:%M": re.compile(_CLOCK), "%H:%M:%S": re.compile(f"{_CLOCK}:[0-5][0-9]")}


def moment(texts: Sequence[str]) -> Guess | None:
    """A date, a time of day or a timestamp, where every text is one; ``None``: some are not."""
    fits = [
        form
        for form, shape in _DAYS.items()
        if all_match(texts, shape) and all(is_day(one, form) for one in texts)
    ]
    if fits:
        return _dated("date", fits, "")
    if all_match(texts, _TIME):
        return Guess(logical="time")
    found = [_INSTANT.fullmatch(text) for text in texts]
    if all(one and is_day(one[1], "%Y-%m-%d") and "1000" <= one[1] < "9999" for one in found):
        offsets = {bool(one and one[2]) for one in found}
        if len(offsets) == 1:
            return _instant(with_offset=offsets.pop())
        remark = "some times have an offset from UTC and some have not"
        return Guess(logical="string", remarks=(remark,))
    for clock, shape in _CLOCKS.items():
        parts = [text.partition(" " if text.count(" ") == 1 else "\0") for text in texts]
        if all(shape.fullmatch(time) for _, _, time in parts):
            days = [day for day, _, _ in parts]
            fits = [
                form
                for form, one in _DAYS.items()
                if all_match(days, one) and all(is_day(d, form) for d in days)
            ]
            return _dated("timestamp", fits, f" {clock}") if fits else None
    return None


def _dated(logical: str, fits: Sequence[str], clock: str) -> Guess:
    if len(fits) > 1:
        both = " or ".join(f'"{form}{clock}"' for form in fits)
        return Guess(
            logical="string", remarks=(f"every value is a {logical} as {both}: say which as its format",)
        )
    form = fits[0] + clock
    if logical == "timestamp":
        return _instant(with_offset=False, form=form)
    return Guess(logical=logical, format=None if form == "%Y-%m-%d" else form)


def _instant(*, with_offset: bool, form: str | None = None) -> Guess:
    if with_offset:
        return Guess(logical="timestamp", physical="timestamptz", format=form)
    remark = "times without an offset: with transform.time_zone and timestamptz they would be instants"
    return Guess(logical="timestamp", physical="timestamp", format=form, remarks=(remark,))


def is_day(text: str, form: str) -> bool:
    """Whether it is a day of the calendar, written in that way."""
    try:
        return datetime.strptime(text, form).year > 0  # noqa: DTZ007 - only the day
    except ValueError:
        return False
