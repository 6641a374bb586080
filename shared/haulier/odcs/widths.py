"""Which of two PostgreSQL types holds all that the other holds."""

from __future__ import annotations

import re

#: Whole numbers by width, with the digits of their greatest value.
_INTEGERS = {"smallint": 5, "integer": 10, "bigint": 19}
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_VARCHAR = re.compile(r"varchar\((\d+)\)")


def is_wider(one: str, other: str) -> bool:
    """Whether a type holds every value of another, exactly, and more than those."""
    if one == other:
        return False
    if length := _VARCHAR.fullmatch(other):
        longer = _VARCHAR.fullmatch(one)
        return one == "text" or (longer is not None and int(longer[1]) > int(length[1]))
    if other in _INTEGERS and one in _INTEGERS:
        return _INTEGERS[one] > _INTEGERS[other]
    whole, fraction = digits(other)
    if whole is None or fraction is None:
        return False
    if one == "numeric":
        return True
    new_whole, new_fraction = digits(one) if _NUMERIC.fullmatch(one) else (None, None)
    if new_whole is None or new_fraction is None:
        return False
    return new_whole >= whole and new_fraction >= fraction


def kind_of_change(before: str, after: str) -> str | None:
    """`widened`, `narrowed` or `retyped`; ``None``: it is the same type."""
    if before == after:
        return None
    if is_wider(after, before):
        return "widened"
    return "narrowed" if is_wider(before, after) else "retyped"


def digits(pg_type: str) -> tuple[int | None, int | None]:
    """Digits before and behind the decimal point; None: no exact number of limited size."""
    if pg_type in _INTEGERS:
        return _INTEGERS[pg_type], 0
    numeric = _NUMERIC.fullmatch(pg_type)
    return (int(numeric[1]) - int(numeric[2]), int(numeric[2])) if numeric else (None, None)


def characters(pg_type: str) -> int | None:
    """The most characters that a text may have; None: no text of limited length."""
    found = _VARCHAR.fullmatch(pg_type)
    return int(found[1]) if found else None
