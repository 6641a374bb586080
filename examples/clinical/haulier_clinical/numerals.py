"""Numbers as text and back: exact, without exponents, and without the noise of binary floats."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import cache

#: What a binary float carries at all: digits behind these are its noise, 0.049999999999999996 is 0.05.
EXACT_DIGITS = 15
#: A converted result keeps the digits of the original, and at least these.
CONVERTED_DIGITS = 6
#: Decimals of numeric(38,18), and digits before its mark.
_SCALE, _WHOLE = 18, 20
_FINE = Context(prec=80, rounding=ROUND_HALF_UP)


@cache
def number_pattern(mark: str) -> re.Pattern[str]:
    """A number at the beginning of a text."""
    escaped = re.escape(mark)
    return re.compile(
        rf"[+-]?(?:[0-9]{{1,{_WHOLE}}}(?:{escaped}[0-9]*)?|{escaped}[0-9]+)(?:[eE][+-]?[0-9]{{1,2}})?"
    )


def parse_number(text: str, mark: str) -> Decimal | None:
    """The number, or nothing for what is none or fits no column."""
    if not number_pattern(mark).fullmatch(text):
        return None
    number = Decimal(text.replace(mark, "."))
    return number if number.adjusted() < _WHOLE else None


def rounded(value: Fraction, *, digits: int, decimals: int | None = None) -> Decimal:
    """Half away from zero, to so many significant digits or decimals, as a plain number without trailing zeros."""
    exact = _FINE.divide(Decimal(value.numerator), Decimal(value.denominator))
    if decimals is None:
        exact = Context(prec=digits, rounding=ROUND_HALF_UP).plus(exact)
        decimals = _SCALE
    exponent: int = exact.as_tuple().exponent  # type: ignore[assignment]  # of a finite number
    if exponent < -decimals:
        exact = exact.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP, context=_FINE)
    return Decimal(written(exact))


def written(number: Decimal) -> str:
    """Its text: no exponent, no trailing zeros, no ``-0``."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "", "-") else text


def significant(number: Decimal) -> int:
    """How many digits it was given with."""
    return max(len(number.as_tuple().digits), 1)
