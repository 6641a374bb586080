"""Text to whole numbers, decimals and doubles: exact, or refused with the reason."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation

import numpy as np
import pyarrow as pa

from haulier_transform import kernels as pc
from haulier_transform.arrays import (
    Array,
    Mask,
    Parsed,
    Parser,
    Positions,
    Wrong,
    matches,
    numbers_of,
    of_decimals,
    of_numbers,
    only,
    patched,
    positions,
    valid_of,
)

#: pg_type -> lowest and highest value.
WHOLE_RANGES: dict[str, tuple[int, int]] = {
    "smallint": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
_NON_ZERO_DIGIT = frozenset("123456789")


def whole(pg_type: str, arrow_type: pa.DataType) -> Parser:
    """Digits with an optional sign. Leading zeros are fine; a decimal mark or an exponent is not."""
    low, high = WHOLE_RANGES[pg_type]

    def parse(texts: Array) -> Parsed:
        plain, odd, missed = _parted(texts, "-?[0-9]{1,18}", "[+-]?[0-9]+")
        values = pc.cast(only(texts, plain), pa.int64())
        at, found = [], []
        outside = np.zeros(len(texts), dtype=bool)
        for position in odd.tolist():
            value = _integer(texts[position].as_py())
            if value is None or not low <= value <= high:
                outside[position] = True
            else:
                at.append(position)
                found.append(value)
        values = patched(values, at, of_numbers(np.array(found, dtype=np.int64)))
        if arrow_type != pa.int64():
            numbers = numbers_of(values)
            outside |= (numbers < low) | (numbers > high)
            values = pc.cast(only(values, ~outside), arrow_type)
        wrong = [
            Wrong(rule="type", at=missed, says="is not a whole number such as 42"),
            Wrong(rule="range", at=positions(outside), says=f"is outside {low} to {high}"),
        ]
        return Parsed(values=values, wrong=wrong)

    return parse


def number(precision: int, scale: int, mark: str, *, declared: bool = True) -> Parser:
    """Decimals of at most ``precision`` digits, ``scale`` of them after the mark; never rounded."""
    escaped = "[.]" if mark == "." else ","
    integers = precision - scale
    fraction = f"{escaped}[0-9]{{1,{scale}}}"
    # What surely fits: Arrow's cast fails for a whole column when one value does not.
    plain_shape = (
        f"-?[0-9]{{1,{integers}}}(?:{fraction if scale else ''})?" if integers else f"-?0?{fraction}"
    )
    room = f"has more than {integers} digits before the decimal mark"
    decimals = f"has more than {scale} decimals"
    if not declared:
        decimals += ", the most a numeric without a scale keeps"
    example = f"12{mark}5"

    def parse(texts: Array) -> Parsed:
        plain, odd, missed = _parted(texts, plain_shape, _number_shape(escaped))
        pointed = texts if mark == "." else pc.replace_substring(texts, mark, ".")
        values = pc.cast(only(pointed, plain), pa.decimal128(precision, scale))
        at: list[int] = []
        found: list[Decimal] = []
        refused: dict[str, list[int]] = {"range": [], "scale": []}
        for position in odd.tolist():
            value = _decimal(pointed[position].as_py(), precision, scale)
            if isinstance(value, str):
                refused[value].append(position)
            else:
                at.append(position)
                found.append(value)
        wrong = [
            Wrong(rule="type", at=missed, says=f"is not a number such as {example}"),
            Wrong(rule="range", at=np.array(refused["range"], dtype=np.int64), says=room),
            Wrong(rule="scale", at=np.array(refused["scale"], dtype=np.int64), says=decimals),
        ]
        return Parsed(values=patched(values, at, of_decimals(found, values.type)), wrong=wrong)

    return parse


def double(mark: str) -> Parser:
    """Finite binary floating point numbers, the nearest one to what is written."""
    escaped = "[.]" if mark == "." else ","
    # Short enough that it can be neither infinite nor vanish.
    plain_shape = f"-?[0-9]{{1,100}}(?:{escaped}[0-9]{{1,100}})?"
    extreme = "is too large or too small for double precision"

    def parse(texts: Array) -> Parsed:
        plain, odd, missed = _parted(texts, plain_shape, _number_shape(escaped))
        pointed = texts if mark == "." else pc.replace_substring(texts, mark, ".")
        values = pc.cast(only(pointed, plain), pa.float64())
        at, found, outside = [], [], []
        for position in odd.tolist():
            text = pointed[position].as_py()
            value = float(text)
            if math.isinf(value) or (value == 0 and _NON_ZERO_DIGIT & set(_mantissa(text))):
                outside.append(position)
            else:
                at.append(position)
                found.append(value)
        wrong = [
            Wrong(rule="type", at=missed, says=f"is not a finite number such as 12{mark}5"),
            Wrong(rule="range", at=np.array(outside, dtype=np.int64), says=extreme),
        ]
        return Parsed(values=patched(values, at, of_numbers(np.array(found, dtype=np.float64))), wrong=wrong)

    return parse


def fitted(value: Decimal, precision: int, scale: int) -> Decimal | str:
    """The value itself where ``numeric(precision, scale)`` holds it exactly, else the rule it breaks."""
    if not value:
        return Decimal(0)
    if value.adjusted() >= precision - scale:
        return "range"
    _, digits, exponent = value.as_tuple()
    lost = -scale - int(exponent)
    if lost > 0 and (lost >= len(digits) or any(digits[-lost:])):
        return "scale"
    return value


def _number_shape(mark: str) -> str:
    return f"[+-]?(?:[0-9]+(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?"


def _parted(texts: Array, plain_shape: str, shape: str) -> tuple[Mask, Positions, Positions]:
    """Which texts Arrow may cast; where those are that Python must read; where what is no number is."""
    plain = matches(texts, plain_shape)
    rest = positions(valid_of(texts) & ~plain)
    shaped = matches(pc.take(texts, of_numbers(rest)), shape)
    return plain, rest[shaped], rest[~shaped]


def _integer(text: str) -> int | None:
    """``None`` for one far out of any range: Python would refuse to read thousands of digits."""
    digits = text.lstrip("+-").lstrip("0") or "0"
    if len(digits) > 19:
        return None
    return -int(digits) if text[0] == "-" else int(digits)


def _decimal(text: str, precision: int, scale: int) -> Decimal | str:
    if not _NON_ZERO_DIGIT & set(_mantissa(text)):
        return Decimal(0)
    try:
        return fitted(Decimal(text), precision, scale)
    except InvalidOperation:  # an exponent beyond even Decimal's
        return "scale" if "e-" in text.lower() else "range"


def _mantissa(text: str) -> str:
    return text.lower().partition("e")[0]
