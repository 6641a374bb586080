"""Reference ranges as laboratories write them, and where a result stands to its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from haulier_clinical.folding import plain
from haulier_clinical.numerals import number_pattern, parse_number
from haulier_clinical.results import OPERATORS, Result

_BEGINS = re.compile(
    r"(<=|>=|=<|=>|[<>] ?or ?=|[<>≤≥]|(?:less than|greater than|more than|below|above|under|over|up to|at least|from|to)\b)\s*",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\s*(?:-|\.\.+|to|bis|and|;|~)\s*", re.IGNORECASE)
_BRACKETS = "()[] "
#: What stands behind the number of a range that is open: 40 or less.
_ENDS = re.compile(
    r"(?:or|and) (?:less|below|lower)|以下|(?P<below>未満)|(?P<lower>(?:or|and) (?:more|above|higher|greater)|以上)",
    re.IGNORECASE,
)
_OPEN = OPERATORS | {"up to": "<=", "to": "<=", "at least": ">=", "from": ">="}


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One end of a range."""

    number: Decimal
    #: The number as sent.
    text: str
    #: Whether a result at the limit itself is beyond it: ``<5`` as the upper one.
    is_exclusive: bool = False


@dataclass(frozen=True, kw_only=True)
class Range:
    low: Limit | None = None
    high: Limit | None = None
    #: Of a test whose results are words, the one that is normal.
    words: str = ""
    problem: str = ""


def read_range(
    low: str, high: str, both: str, *, mark: str = ".", is_unit: Callable[[str], bool] = lambda _: False
) -> Range:
    """Of two columns, or of one text such as ``3.3 - 4.9``, ``<5`` or ``60-``; a unit may stand behind."""
    lower, upper, whole = (_without_unit(_bare(plain(text)), mark, is_unit) for text in (low, high, both))
    if not (lower or upper):
        return _whole(whole, mark) if whole else Range()
    found = _sided(lower, mark, "low"), _sided(upper, mark, "high")
    if lower and not upper and found[0] is None:
        return _whole(lower, mark)
    if upper and not lower and found[1] is None:
        return _whole(upper, mark)
    if lower == upper and not _is_number_like(lower):
        return Range(words=lower)
    if (lower and found[0] is None) or (upper and found[1] is None):
        return Range(problem="a limit of its reference range is no number")
    return _ordered(*found)


def indicator(result: Result, limits: Range) -> str:
    """LOW, NORMAL or HIGH; the empty text where it cannot be told.

    A limit such as ``<0.2`` against 0.2 cannot: both are rounded, and the value may be either.
    """
    low, high, number = limits.low, limits.high, result.number
    if number is None or not (low or high):
        return ""
    if result.operator in ("<", "<="):
        if low and number < low.number:
            return "LOW"
        return "NORMAL" if low is None and high and number <= high.number else ""
    if result.operator:
        if high and number > high.number:
            return "HIGH"
        return "NORMAL" if high is None and low and number >= low.number else ""
    if low and (number < low.number or (low.is_exclusive and number == low.number)):
        return "LOW"
    if high and (number > high.number or (high.is_exclusive and number == high.number)):
        return "HIGH"
    return "NORMAL"


def _whole(text: str, mark: str) -> Range:
    if begins := _BEGINS.match(text):
        operator = _operator(begins[1])
        limit = _number(text[begins.end() :], mark)
        if limit is not None:
            limit = Limit(number=limit.number, text=limit.text, is_exclusive=operator in ("<", ">"))
            return Range(high=limit) if operator.startswith("<") else Range(low=limit)
    if (matched := number_pattern(mark).match(text)) and (
        ends := _ENDS.fullmatch(text[matched.end() :].strip())
    ):
        limit = _number(matched[0], mark)
        if limit and ends["lower"]:
            return Range(low=limit)
        if limit:
            return Range(high=replace(limit, is_exclusive=bool(ends["below"])))
    if (matched := number_pattern(mark).match(text)) and (between := _BETWEEN.match(text, matched.end())):
        low, rest = _number(matched[0], mark), text[between.end() :]
        high = _number(rest, mark)
        if low and (high or not rest):
            return _ordered(low, high)
    if not _is_number_like(text):
        return Range(words=text)
    return Range(problem="its reference range is none that is read here, such as 3.3 - 4.9, <5 or >60")


def _operator(text: str) -> str:
    sign = text.casefold()
    return _OPEN.get(sign) or f"{sign[0]}="


def _sided(text: str, mark: str, side: str) -> Limit | None:
    """A limit in a column of its own; an operator there has to mean that side."""
    begins = _BEGINS.match(text)
    if begins is None:
        return _number(text, mark)
    operator = _operator(begins[1])
    limit = _number(text[begins.end() :], mark)
    if limit is None or operator.startswith("<") != (side == "high"):
        return None
    return Limit(number=limit.number, text=limit.text, is_exclusive=operator in ("<", ">"))


def _without_unit(text: str, mark: str, is_unit: Callable[[str], bool]) -> str:
    """What stands before the unit behind the last number, if that is one."""
    found = re.match(rf".*?[0-9](?:{re.escape(mark)}?[0-9])*(?=[^0-9]*$)", text)
    tail = text[found.end() :].strip() if found else ""
    return text[: found.end()].strip() if found and tail and is_unit(tail) else text


def _bare(text: str) -> str:
    """Without brackets around it, unless these are what it says: ``(-)``."""
    return text.strip(_BRACKETS) if any(c.isalnum() for c in text) else text


def _number(text: str, mark: str) -> Limit | None:
    shown = text.strip()
    number = parse_number(shown, mark)
    return None if number is None else Limit(number=number, text=shown)


def _ordered(low: Limit | None, high: Limit | None) -> Range:
    if low and high and low.number > high.number:
        return Range(problem="the lower limit of its reference range is above the upper one")
    return Range(low=low, high=high)


def _is_number_like(text: str) -> bool:
    return any(c.isdecimal() for c in text)
