"""Date and time formats: ``iso``, or what ``strptime`` reads the same in every locale."""

from __future__ import annotations

import re

from haulier.problems import quoted

#: ISO 8601.
ISO = "iso"
#: Directive -> what it reads.
DIRECTIVES = {
    "%Y": "year, four digits",
    "%y": "year, two digits",
    "%m": "month",
    "%b": "month, Jan",
    "%B": "month, January",
    "%d": "day of the month",
    "%j": "day of the year",
    "%H": "hour",
    "%I": "hour of twelve",
    "%p": "AM or PM",
    "%M": "minute",
    "%S": "second",
    "%f": "fraction of a second",
    "%z": "offset, +0100 or Z",
    "%a": "day of the week, Mon",
    "%A": "day of the week, Monday",
    "%%": "%",
}
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
_DATE = {"Y", "y", "m", "b", "B", "d", "j"}
#: As Java and spreadsheets write them, longest first.
_OTHERS_SAY = {
    "yyyy": "%Y", "YYYY": "%Y", "uuuu": "%Y", "yy": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%m",
    "dd": "%d", "DD": "%d", "d": "%d", "HH": "%H", "H": "%H", "hh": "%I", "h": "%I", "a": "%p", "mm": "%M",
    "ss": "%S", "SSS": "%f", "SS": "%f", "XXX": "%z", "Z": "%z", "z": "%z",
}  # fmt: skip
_OTHER = re.compile("|".join(_OTHERS_SAY) + r"|'[^']*'")


def problem_of_format(text: str) -> str | None:
    """Why this is no format; None when it is one."""
    if text == ISO:
        return None
    if "%" not in text:
        other = _OTHER.sub(lambda found: _OTHERS_SAY.get(found[0], found[0].strip("'")), text)
        hint = f"; did you mean {quoted(other)}?" if "%" in other else ""
        return f'{quoted(text)} is not a strptime format such as "%d.%m.%Y", or "iso"{hint}'
    for letter in _DIRECTIVE.findall(text):
        if f"%{letter}" not in DIRECTIVES:
            return f'"%{letter}" in {quoted(text)} is not a directive; use {", ".join(DIRECTIVES)}'
    given = _DIRECTIVE.findall(text)
    twice = sorted({letter for letter in given if letter != "%" and given.count(letter) > 1})
    return f'"%{twice[0]}" is twice in {quoted(text)}' if twice else None


def problem_for(text: str, logical_type: str) -> str | None:
    """Why this is no format for values of that type; None when it is one."""
    problem = problem_of_format(text)
    if problem is not None or text == ISO:
        return problem
    said = set(_DIRECTIVE.findall(text))
    if logical_type == "time" and said & _DATE:
        return f"{quoted(text)} has a date in it, the column is a time"
    if logical_type != "time" and not names_a_day(text):
        return f"{quoted(text)} does not say one full date: a year, and month and day or %j"
    if ("I" in said) != ("p" in said):
        return f"{quoted(text)}: %I and %p need each other; an hour of 24 is %H"
    hours = len(said & {"H", "I"})
    if hours > 1 or (not hours and (logical_type == "time" or said & {"M", "S", "f"})):
        return f"{quoted(text)} does not say one hour"
    return None


def names_a_day(text: str) -> bool:
    """Whether the format says one year, and one month and day of it."""
    said = set(_DIRECTIVE.findall(text))
    months = len(said & {"m", "b", "B"})
    by_month = months == 1 and "d" in said and "j" not in said
    by_number = "j" in said and not months and "d" not in said
    return len(said & {"Y", "y"}) == 1 and (by_month or by_number)
