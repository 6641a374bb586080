"""The text of a cell, as docs/adr/0008 decides it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

Style = Literal["number", "date", "datetime", "time", "elapsed"]

#: Formats that are Excel's own and show a date or a time.
_OWN_FORMATS: dict[int, Style] = {
    **dict.fromkeys((14, 15, 16, 17), "date"),
    **dict.fromkeys((18, 19, 20, 21, 45, 47), "time"),
    22: "datetime",
    46: "elapsed",
    # East Asian dates.
    **dict.fromkeys((*range(27, 32), 34, 35, 36, *range(50, 59)), "date"),
    **dict.fromkeys((32, 33), "time"),
}
#: What is shown as it is written in a format: quoted, escaped, filled or padded; colours and conditions.
_LITERAL = re.compile(r'"[^"]*"|\\.|[*_].|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_INTEGER = re.compile(r"-?[0-9]+")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")

#: Excel shows and compares numbers by so many significant digits.
DIGITS = 15
#: Days that Excel counts from: in its first system a 29 February 1900 that never was is day 60.
_LAST_DAY = {False: 2_958_465, True: 2_957_003}
_NEVER = 60
_DAY_MS = 86_400_000


def style_of(number: int, code: str | None) -> Style:
    """What kind of value a number format shows."""
    if code is None:
        return _OWN_FORMATS.get(number, "number")
    shown = _LITERAL.sub("", code.partition(";")[0])
    if _ELAPSED.search(shown):
        return "elapsed"
    letters = set(shown.lower().replace("general", "").replace("am/pm", "h").replace("a/p", "h"))
    clock, calendar = bool(letters & set("hs")), bool(letters & set("yd"))
    if clock:
        return "datetime" if calendar else "time"
    return "date" if calendar or "m" in letters else "number"


def number_text(stored: str, style: Style, *, from_1904: bool) -> str:
    """A number as a person reads it in Excel: plain, or the date or time it stands for."""
    try:
        value = float(stored)
    except ValueError:
        return stored
    if style != "number" and (moment := _moment(value, style, from_1904)) is not None:
        return moment
    if _INTEGER.fullmatch(stored) and (value or not stored.startswith("-")):
        return stored
    text = f"{value:.{DIGITS}g}"
    if "e" in text and 1e-7 <= abs(value) < 1e21:
        text = f"{Decimal(text):f}"
    return "0" if text == "-0" else text


def unescaped(text: str) -> str:
    """A text with the characters that XML cannot hold, which Excel writes as ``_x0007_``."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _moment(value: float, style: Style, from_1904: bool) -> str | None:
    """``None`` where Excel shows no date either: before its first day or after its last."""
    if not 0 <= value < _LAST_DAY[from_1904] + 1:
        return None
    days, rest = divmod(round(value * _DAY_MS), _DAY_MS)
    if style == "elapsed":
        return _clock(days * _DAY_MS + rest)
    if style == "time" and days == 0:
        return _clock(rest)
    day = _day(days, from_1904)
    return f"{day} {_clock(rest)}" if rest or style != "date" else day


def _day(days: int, from_1904: bool) -> str:
    if from_1904:
        return (date(1904, 1, 1) + timedelta(days=days)).isoformat()
    if days == _NEVER:
        return "1900-02-29"
    if days == 0:
        return "1900-01-00"
    return (date(1899, 12, 31 if days < _NEVER else 30) + timedelta(days=days)).isoformat()


def _clock(milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, second = divmod(seconds, 60)
    text = f"{minutes // 60:02}:{minutes % 60:02}:{second:02}"
    return f"{text}.{fraction:03}" if fraction else text
