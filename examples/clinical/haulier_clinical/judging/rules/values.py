"""What the values of records are: numbers, moments, study days, and what goes together."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import pandas as pd

_ISO = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?)?)?"
)


def number(value: Any) -> Decimal | None:
    """A finite number, or None."""
    if value is None or isinstance(value, Decimal):
        return value
    try:
        found = Decimal(value)
    except (InvalidOperation, TypeError):
        return None
    return found if found.is_finite() else None


def _is_moment(value: str) -> bool:
    """Empty, or a date of the calendar as far as it is known."""
    if value == "":
        return True
    found = _ISO.fullmatch(value)
    if not found:
        return False
    year, month, day = (int(part) if part else 1 for part in found.groups()[:3])
    try:
        datetime.date(year, month, day)
    except ValueError:
        return False
    return True


def _day(value: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(value[:10]) if len(value) >= 10 else None
    except ValueError:
        return None


def days(moments: pd.Series[Any], starts: pd.Series[Any]) -> pd.Series[Any]:
    """The study day of each, None where one of the two dates is not whole."""
    found: list[int | None] = []
    for moment, start in zip(moments.map(_day), starts.map(_day), strict=True):
        if moment is None or start is None:
            found.append(None)
        else:
            found.append((moment - start).days + (1 if moment >= start else 0))
    return pd.Series(found, index=moments.index, dtype=object)


def same(left: pd.Series[Any], right: pd.Series[Any]) -> pd.Series[bool]:
    """Equal, or neither has a value."""
    return pd.Series(
        [
            ((one is None or pd.isna(one)) and other is None) or one == other
            for one, other in zip(left, right, strict=True)
        ],
        index=left.index,
        dtype=bool,
    )


def one_each(
    frame: pd.DataFrame, by: list[str], variable: str, counted: pd.Series[bool] | None = None
) -> pd.Series[bool]:
    """Whether each group has one value; records that do not count are never wrong."""
    values = frame[variable].where(counted) if counted is not None else frame[variable]
    several = values.groupby([frame[name] for name in by], dropna=False).transform("nunique") > 1
    return ~several | values.isna()


def is_filled(name: str, frame: pd.DataFrame) -> pd.Series:
    """Whether each record has a value of the variable."""
    return ~frame[name].isin(["", None])


def is_dated(name: str, frame: pd.DataFrame) -> pd.Series:
    """Whether each value is empty or a date, as far as it is known."""
    return frame[name].map(_is_moment)


def goes_with(given: str, due: str, frame: pd.DataFrame) -> pd.Series:
    """Whether each record that has a text of the one variable has one of the other."""
    return (frame[given] == "") | (frame[due] != "")
