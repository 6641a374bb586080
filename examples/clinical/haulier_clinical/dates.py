"""Dates and times as sites write them, as ISO 8601: truncated where a part is not known, never padded."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time
from functools import cache

from haulier.errors import DefinitionError
from haulier_clinical.folding import folded, plain

#: Parts that are not known.
_UNKNOWN = r"[Uu][Nn][Kk]?[Nn]?|[Xx]{2,4}|-{2,4}|\?{2,4}|[Nn][Kk]|00"
_ISO = re.compile(
    r"(?P<Y>[0-9]{4})(?:-(?P<m>[0-9]{2})(?:-(?P<d>[0-9]{2})(?:[T ](?P<H>[0-9]{2}):(?P<M>[0-9]{2})"
    r"(?::(?P<S>[0-9]{2})(?:\.[0-9]+)?)?(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})?)?)?)?"
)
_ENGLISH = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
#: Names of months, folded -> which they are; the reference words has those of other languages.
_MONTHS = {folded(text): at for at, name in enumerate(_ENGLISH, 1) for text in (name, name[:3])} | {"sept": 9}
_NAME = r"[^\W\d_]{3,}\.?"
_DIRECTIVES = {
    "%Y": rf"(?P<Y>[0-9]{{4}}|{_UNKNOWN})",
    "%y": rf"(?P<y>[0-9]{{2}}|{_UNKNOWN})",
    "%m": rf"(?P<m>[0-9]{{1,2}}|{_UNKNOWN})",
    "%b": rf"(?P<b>{_UNKNOWN}|{_NAME})",
    "%B": rf"(?P<b>{_UNKNOWN}|{_NAME})",
    "%d": rf"(?P<d>[0-9]{{1,2}}|{_UNKNOWN})",
    "%H": rf"(?P<H>[0-9]{{1,2}}|{_UNKNOWN})",
    "%I": rf"(?P<I>[0-9]{{1,2}}|{_UNKNOWN})",
    "%p": r"(?P<p>[AaPp]\.? ?[Mm]\.?)",
    "%M": rf"(?P<M>[0-9]{{2}}|{_UNKNOWN})",
    "%S": rf"(?P<S>[0-9]{{2}}|{_UNKNOWN})",
    "%z": r"(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})",
    "%%": "%",
}
#: Two digits are of this century up to here.
_PIVOT = 68
#: A cell that was a day becomes midnight in many an export.
_MIDNIGHT = re.compile(r"T00:00(:00)?")
_DAY = len("2014-01-02")


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What became of a date and a time."""

    text: str = ""
    #: Why it cannot be read: nothing where it can, or where nothing of it is known.
    problem: str = ""
    #: Which of the two cells the problem is in.
    in_time: bool = False


def read_moment(
    day: str,
    clock: str,
    formats: Sequence[str],
    time_formats: Sequence[str],
    month_of: Callable[[str], str | None] = lambda _: None,
) -> Moment:
    """ISO 8601 of a date and of a time beside it. Formats are `strptime`'s, or ``iso``; all of them are tried, and two
    that read different dates out of one text read none. ISO 8601 itself means one date only, so it is always read.

    ``month_of`` gives the English name of a month that has another one."""
    day, clock = plain(day), plain(clock)
    if not day or _is_unknown(day):
        return Moment()
    found = {text for text in (_read(day, one, month_of) for one in formats) if text is not None}
    if not found and (plainly := _read(day, "iso", month_of)) is not None:
        found = {plainly}
    shown = " or ".join(formats)
    if not found:
        return Moment(problem=f"it is no date as this site writes them ({shown})")
    if len(found) > 1:
        return Moment(problem=f"it means {' or '.join(sorted(found))}, by the formats {shown}")
    text = found.pop()
    if not clock or _is_unknown(clock) or len(text) < _DAY:
        return Moment(text=text)
    times = {one for one in (_read(clock, form, month_of) for form in time_formats) if one is not None}
    if len(times) != 1:
        problem = f"it is no time as this site writes them ({' or '.join(time_formats)})"
        return Moment(problem=problem, in_time=True)
    day, inside, beside = text[:_DAY], text[_DAY:], times.pop()
    if not beside or inside.startswith(beside):
        return Moment(text=text)
    if inside and not _MIDNIGHT.fullmatch(inside) and not beside.startswith(inside):
        return Moment(problem=f"it is {beside[1:]}, and the date has {inside[1:]}", in_time=True)
    return Moment(text=day + beside)


def _is_unknown(text: str) -> bool:
    return bool(re.fullmatch(_UNKNOWN, text)) or text.casefold() == "unknown"


@cache
def _pattern(form: str) -> re.Pattern[str]:
    if form == "iso":
        return _ISO
    parts, at = [], 0
    while at < len(form):
        word = form[at : at + 2]
        if form[at] == "%":
            if word not in _DIRECTIVES:
                raise DefinitionError(f"parameter date_formats: {word!r} of {form!r} is not read here")
            parts.append(_DIRECTIVES[word])
            at += 2
        else:
            parts.append(r"\s+" if form[at] == " " else re.escape(form[at]))
            at += 1
    try:
        return re.compile("".join(parts))
    except re.error as exc:
        raise DefinitionError(f"parameter date_formats: {form!r} names a part twice") from exc


def _read(text: str, form: str, month_of: Callable[[str], str | None]) -> str | None:
    """ISO 8601 of it, the empty text where no part is known, nothing where it is of another form or no day at all."""
    pattern = _pattern(form)
    matched = pattern.fullmatch(text)
    if matched is None:
        return None
    parts = matched.groupdict()
    if not {"Y", "y"} & parts.keys():
        return _clock(parts)
    year, month, day = _year(parts), _month(parts, month_of), _number(parts.get("d"))
    if year is None:
        return ""
    if month is None:
        return f"{year:04}" if _may_be(year, 1, 1) else None
    if day is None:
        return f"{year:04}-{month:02}" if _may_be(year, month, 1) else None
    if not _may_be(year, month, day):
        return None
    clock = _clock(parts)
    return None if clock is None else f"{year:04}-{month:02}-{day:02}{clock}"


def _clock(parts: dict[str, str | None]) -> str | None:
    """``T13:05`` of the parts; the empty text where the hour or the minute is not known."""
    hour, minute, second = (_time_part(parts.get(name)) for name in ("H", "M", "S"))
    if parts.get("I") is not None:
        half = _time_part(parts["I"])
        if half is not None and not 1 <= half <= 12:
            return None
        afternoon = (parts.get("p") or "")[:1].lower() == "p"
        hour = None if half is None else half % 12 + 12 * afternoon
    if hour is None or minute is None:
        return ""
    try:
        time(hour, minute, second or 0)
    except ValueError:
        return None
    offset = parts.get("z") or ""
    if offset and offset != "Z" and ":" not in offset:
        offset = f"{offset[:3]}:{offset[3:]}"
    return f"T{hour:02}:{minute:02}{'' if second is None else f':{second:02}'}{offset}"


def _year(parts: dict[str, str | None]) -> int | None:
    if parts.get("Y") is not None:
        year = _number(parts["Y"])
        return None if parts["Y"] == "0000" else year
    short = _time_part(parts.get("y"))
    return None if short is None else short + (2000 if short <= _PIVOT else 1900)


def _month(parts: dict[str, str | None], month_of: Callable[[str], str | None]) -> int | None:
    name = parts.get("b")
    if name is None:
        return _number(parts.get("m"))
    if re.fullmatch(_UNKNOWN, name):
        return None
    return _MONTHS.get(folded(name)) or _MONTHS.get(folded(month_of(name) or ""), 99)


def _number(text: str | None) -> int | None:
    """The part, nothing where it is not known: a month or day 00 is one way of saying so."""
    return int(text) if text is not None and text.isdecimal() and int(text) else None


def _time_part(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _may_be(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
