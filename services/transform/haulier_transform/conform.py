"""What a function made of a column, as the contract's type: exact, or an error that says what to do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from haulier import rows
from haulier.contracts import Column
from haulier.definitions import Transform
from haulier.errors import DefinitionError
from haulier_transform.arrays import Array, Parsed, Wrong, mask_of, of_numbers, only, positions
from haulier_transform.formats import DAY
from haulier_transform.numerics import WHOLE_RANGES, fitted
from haulier_transform.parsing import parser_of
from haulier_transform.times import END, FIRST

_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_ADVICE = {
    "numeric": "floats are not exact: use Decimal, as with .astype(pd.ArrowDtype(pa.decimal128(38, 10)))",
    "timestamptz": 'use instants, as with .dt.tz_localize("UTC")',
    "timestamp": "use times without a zone, as with .dt.tz_localize(None)",
    "date": "use dates, as with .dt.date",
}


def conformed(given: Any, column: Column) -> Parsed:
    """The column's values as the contract's Arrow type, and those that do not fit it.

    ``given`` is what ``pa.array`` makes of the Series. Raises `DefinitionError` when it is of
    another type altogether.
    """
    array = _plain(given)
    want, have = rows.arrow_type(column.pg_type), array.type
    kind = column.pg_type.partition("(")[0]
    if array.null_count == len(array):
        return Parsed(values=pa.nulls(len(array), want))
    if kind in ("text", "varchar", "uuid", "jsonb"):
        if isinstance(array, pa.ExtensionArray) and have == want:
            return Parsed(values=array)
        if pa.types.is_string(have):
            return parser_of(column, Transform())(array)
    elif kind in WHOLE_RANGES:
        if pa.types.is_integer(have):
            return _whole(array, *WHOLE_RANGES[kind], want)
    elif kind == "numeric":
        if pa.types.is_integer(have) or pa.types.is_decimal(have):
            return _decimal(array, want)
    elif kind == "double precision":
        if pa.types.is_floating(have) or pa.types.is_integer(have):
            return _double(array)
    elif kind in ("timestamp", "timestamptz"):
        if pa.types.is_timestamp(have) and (have.tz is None) == (want.tz is None):
            return _moment(array, want)
    elif have == want:
        return _day(array) if kind == "date" else Parsed(values=array)
    advice = f"; {_ADVICE[kind]}" if kind in _ADVICE else ""
    raise DefinitionError(f"column {column.name} is {have}, and the contract says {column.pg_type}{advice}")


def uuid_text(array: Array) -> Array:
    """UUIDs as functions see them: 36 characters."""
    digits = [None if value is None else str(value) for value in array.to_pylist()]
    return pa.array(digits, pa.string())


def _plain(given: Any) -> Array:
    """One array, neither dictionary nor a wide or narrow cousin of a type the contract has."""
    array = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else given
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        array = array.cast(pa.string())
    if pa.types.is_time(array.type) and array.type != pa.time64("us"):
        array = array.cast(pa.time64("us"))
    return array


def _whole(array: Array, low: int, high: int, want: pa.DataType) -> Parsed:
    signed = pa.types.is_signed_integer(array.type)
    least = -(2 ** (array.type.bit_width - 1)) if signed else 0
    most = 2 ** (array.type.bit_width - signed) - 1
    # Compared in its own type: int64 would not hold every unsigned integer.
    above = pc.greater_equal(array, pa.scalar(max(low, least), array.type))
    below = pc.less_equal(array, pa.scalar(min(high, most), array.type))
    outside = mask_of(array.is_valid()) & ~mask_of(pc.and_(above, below))
    wrong = Wrong(rule="range", at=positions(outside), says=f"is outside {low} to {high}")
    return Parsed(values=pc.cast(only(array, ~outside), want), wrong=[wrong])


def _decimal(array: Array, want: Any) -> Parsed:
    try:
        if pa.types.is_decimal(array.type):
            return Parsed(values=pc.cast(array, want))
        values = [None if value is None else Decimal(value) for value in array.to_pylist()]
        return Parsed(values=pa.array(values, want))
    except pa.ArrowInvalid:
        pass
    found: list[Decimal | str | None] = [
        None if value is None else fitted(Decimal(value), want.precision, want.scale)
        for value in array.to_pylist()
    ]
    rules = {
        "range": f"has more than {want.precision - want.scale} digits before the decimal mark",
        "scale": f"has more than {want.scale} decimals: round it to as many as the contract keeps",
    }
    wrong = [
        Wrong(rule=rule, at=positions(np.array([value == rule for value in found], dtype=bool)), says=says)
        for rule, says in rules.items()
    ]
    values = [value if isinstance(value, Decimal) else None for value in found]
    return Parsed(values=pa.array(values, want), wrong=wrong)


def _double(array: Array) -> Parsed:
    values = pc.cast(array, pa.float64(), safe=False)
    finite = mask_of(pc.is_finite(values)) | mask_of(values.is_null())
    exact = np.ones(len(array), dtype=bool)
    if pa.types.is_integer(array.type):
        exact = mask_of(pc.less_equal(pc.abs(values), float(2**53))) | mask_of(values.is_null())
    wrong = [
        Wrong(rule="type", at=positions(~finite), says="is not a finite number"),
        Wrong(rule="scale", at=positions(~exact), says="has more digits than double precision keeps"),
    ]
    return Parsed(values=only(values, finite & exact), wrong=wrong)


def _moment(array: Array, want: Any) -> Parsed:
    valid = mask_of(array.is_valid())
    counts = pc.fill_null(array.view(pa.int64()), 0).to_numpy(zero_copy_only=False)
    outside, lost = np.zeros(len(counts), dtype=bool), np.zeros(len(counts), dtype=bool)
    if array.type.unit == "ns":
        micros, lost = counts // 1000, valid & (counts % 1000 != 0)
    else:
        factor = _MICROSECONDS[array.type.unit]
        outside = valid & ((counts < FIRST // factor) | (counts >= END // factor))
        micros = np.where(outside, 0, counts) * factor
    wrong = [
        Wrong(rule="range", at=positions(outside), says="is outside the years 1 to 9999"),
        Wrong(rule="scale", at=positions(lost), says="is finer than a microsecond: round it"),
    ]
    return Parsed(values=of_numbers(micros, valid & ~outside & ~lost, want), wrong=wrong)


def _day(array: Array) -> Parsed:
    days = pc.fill_null(array.view(pa.int32()), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    outside = (days < FIRST // DAY) | (days >= END // DAY)
    wrong = Wrong(rule="range", at=positions(outside), says="is outside the years 1 to 9999")
    return Parsed(values=only(array, ~outside), wrong=[wrong])
