"""The few Arrow and numpy moves that parsing and judging share, and the shape of what they find.

``pa.array``, ``pa.scalar`` and ``to_numpy`` import pandas wherever it is installed, to see whether
they were given any of it; that takes longer than ten thousand rows take to transform. Whatever runs
without users' functions goes through the buffers here instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from haulier_transform import kernels as pc

#: An Arrow array; pyarrow carries no types.
Array = Any
Mask = NDArray[np.bool_]
Positions = NDArray[np.int64]

SHOWN_CHARACTERS = 60
_DTYPES = {"float": "f4", "double": "f8"} | {f"uint{bits}": f"u{bits // 8}" for bits in (8, 16, 32, 64)}
#: Enough digits that nothing is rounded.
_EXACT = Context(prec=200)


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """What is wrong with some values of a column: where, by which rule, in words that follow the value."""

    rule: str
    at: Positions
    says: str


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """One typed value per text: null where the text is null or does not hold a value of the type."""

    values: Array
    wrong: Sequence[Wrong] = ()
    #: Values that are right and worth a look.
    odd: Sequence[Wrong] = field(default=())


#: Trimmed texts in, typed values out; the same text always gives the same value.
Parser = Callable[[Array], Parsed]


def numbers_of(array: Array, missing: int = 0) -> NDArray[Any]:
    """An Arrow array of numbers, dates or times as numpy: the counts it stores, ``missing`` for null."""
    dtype = np.dtype(_DTYPES.get(str(array.type)) or f"i{array.type.bit_width // 8}")
    if not len(array):
        return np.zeros(0, dtype=dtype)
    _, data = array.buffers()
    values = np.frombuffer(data, dtype=dtype)[array.offset : array.offset + len(array)]
    return np.where(valid_of(array), values, dtype.type(missing)) if array.null_count else values


def mask_of(array: Array) -> Mask:
    """A boolean Arrow array as numpy; null is false."""
    valid, data = array.buffers()
    mask = _bits(data, array)
    return mask if valid is None else mask & _bits(valid, array)


def valid_of(array: Array) -> Mask:
    """Which values are not null."""
    valid = array.buffers()[0]
    return np.ones(len(array), dtype=bool) if valid is None else _bits(valid, array)


def beside(count: int, at: Positions) -> Positions:
    """All positions below ``count`` but some."""
    rest = np.ones(count, dtype=bool)
    rest[at] = False
    return positions(rest)


def _bits(data: Any, array: Array) -> Mask:
    if not len(array):
        return np.zeros(0, dtype=bool)
    stop = array.offset + len(array)
    return np.unpackbits(np.frombuffer(data, dtype=np.uint8), bitorder="little")[array.offset : stop].astype(
        bool
    )


def of_mask(mask: Mask) -> Array:
    return pa.Array.from_buffers(pa.bool_(), len(mask), [None, _packed(mask)])


def of_numbers(values: NDArray[Any], valid: Mask | None = None, arrow_type: Any = None) -> Array:
    """Numbers as an Arrow array of a type that stores such (an integer, a date, a time), null where not valid."""
    holes = None if valid is None or valid.all() else _packed(valid)
    stored = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(
        arrow_type or pa.from_numpy_dtype(values.dtype), len(values), [holes, stored]
    )


def of_decimals(values: Sequence[Decimal], arrow_type: Any) -> Array:
    """Decimals that the type is known to hold exactly."""
    units = [int(value.scaleb(arrow_type.scale, _EXACT)) for value in values]
    data = b"".join(unit.to_bytes(16, "little", signed=True) for unit in units)
    return pa.Array.from_buffers(arrow_type, len(units), [None, pa.py_buffer(data)])


def of_texts(texts: Sequence[str | None]) -> Array:
    return of_bytes([None if text is None else text.encode() for text in texts], pa.string())


def of_bytes(values: Sequence[bytes | None], arrow_type: Any = None) -> Array:
    """Byte strings, or what is stored as such; at most 2 GiB together."""
    held = np.array([value is not None for value in values], dtype=bool)
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum([len(value or b"") for value in values], out=offsets[1:])
    data = pa.py_buffer(b"".join(value for value in values if value))
    holes = None if held.all() else _packed(held)
    return pa.Array.from_buffers(arrow_type or pa.binary(), len(values), [holes, pa.py_buffer(offsets), data])


def _packed(mask: Mask) -> Any:
    return pa.py_buffer(np.packbits(mask, bitorder="little"))


def null(arrow_type: Any) -> Any:
    """The scalar."""
    return pa.nulls(1, arrow_type)[0]


def matches(texts: Array, pattern: str) -> Mask:
    """Which texts match the whole of an RE2 pattern; null does not."""
    return mask_of(pc.match_substring_regex(texts, rf"\A(?:{pattern})\z"))


def positions(mask: Mask) -> Positions:
    return np.flatnonzero(mask).astype(np.int64, copy=False)


def only(array: Array, mask: Mask) -> Array:
    """The array with null outside the mask."""
    return array if mask.all() else pc.if_else(of_mask(mask), array, null(array.type))


def patched(values: Array, at: Sequence[int], replacements: Array) -> Array:
    """``values`` with ``replacements`` at the ascending positions ``at``."""
    if not at:
        return values
    mask = np.zeros(len(values), dtype=bool)
    mask[list(at)] = True
    return pc.replace_with_mask(values, of_mask(mask), replacements)


def quoted(value: object) -> str:
    """A value as a message may show it: short, printable, one line."""
    text = value if isinstance(value, str) else str(value)
    if len(text) > SHOWN_CHARACTERS:
        text = text[: SHOWN_CHARACTERS - 1] + "…"
    return repr(text)
