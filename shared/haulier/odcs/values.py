"""Values written in a contract: limits and enums, comparable to their like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, cast

from haulier.problems import Problem, Trail, quoted


class Limit:
    """A limit's value and where it stands."""

    def __init__(self, value: Any, trail: Trail) -> None:
        self.value, self.trail = value, trail

    def __str__(self) -> str:
        return text_of(self.value)


def literal(value: Any, logical: str, pg_type: str) -> Any:
    """A value written in a contract, comparable to its like. Raises `ValueError` saying what it should be."""
    if logical == "string":
        if not isinstance(value, str):
            raise ValueError(needs_quotes(value))
        return value
    if logical == "boolean":
        if isinstance(value, bool) or value in ("true", "false"):
            return value in (True, "true")
        raise ValueError(f"{quoted(value)} is not true or false")
    if isinstance(value, bool) or value is None or isinstance(value, (dict, list)):
        raise ValueError(f"{quoted(value)} is not {_A_VALUE[logical]}")
    try:
        return _PARSE[logical](str(value), pg_type)
    except (ValueError, ArithmeticError) as exc:
        raise ValueError(f"{quoted(value)} is not {_A_VALUE[logical]}") from exc


def _integer(text: str, _pg_type: str) -> Decimal:
    value = _number(text, _pg_type)
    if value != value.to_integral_value():
        raise ValueError
    return value


def _number(text: str, _pg_type: str) -> Decimal:
    if not re.fullmatch(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", text, re.ASCII):
        raise ValueError
    return Decimal(text)


def _instant(text: str, pg_type: str) -> datetime:
    value = datetime.fromisoformat(text)
    if (value.tzinfo is None) is (pg_type == "timestamptz"):
        raise ValueError
    return value


_PARSE: dict[str, Callable[[str, str], Any]] = {
    "integer": _integer,
    "number": _number,
    "date": lambda text, _pg_type: date.fromisoformat(text),
    "timestamp": _instant,
    "time": lambda text, _pg_type: time.fromisoformat(text),
}
_A_VALUE = {
    "integer": "a whole number",
    "number": "a number",
    "date": "a date such as 2026-01-05",
    "timestamp": "a time such as 2026-01-05T08:50:00Z (timestamptz) or 2026-01-05T08:50:00 (timestamp)",
    "time": "a time such as 08:50",
    "object": "a value to compare with",
    "array": "a value to compare with",
}


def text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if isinstance(value, str) else cast(str, value.isoformat())


def needs_quotes(value: object) -> str:
    if value is None or isinstance(value, (dict, list)):
        return f"{quoted(value)} is not text"
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    kind = "a truth value" if isinstance(value, bool) else "a number"
    return f'{shown} is {kind} to YAML; write "{shown}" in quotes'


def useless_limits(found: Mapping[str, Limit]) -> Iterator[Problem]:
    """Limits between which no value fits, and soft ones that hard ones make useless."""
    for low in ("minimum", "exclusive_minimum", "soft_minimum"):
        for high in ("maximum", "exclusive_maximum", "soft_maximum"):
            if low in found and high in found:
                lower, upper = found[low], found[high]
                touching = "exclusive" in low + high and lower.value == upper.value
                if touching or lower.value > upper.value:
                    text = f"{upper} leaves no value beside {_camel(low)} {lower}"
                    yield Problem(upper.trail, text)
    for soft, hards, below in (
        ("soft_minimum", ("minimum", "exclusive_minimum"), True),
        ("soft_maximum", ("maximum", "exclusive_maximum"), False),
    ):
        for hard in hards:
            if soft in found and hard in found:
                value, limit = found[soft].value, found[hard].value
                if value <= limit if below else value >= limit:
                    text = f"{found[soft]} flags nothing: {_camel(hard)} {found[hard]} rejects it already"
                    yield Problem(found[soft].trail, text)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)
