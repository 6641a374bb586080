"""The few Arrow and numpy moves that parsing and judging share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: An Arrow array; pyarrow carries no types.
Array = Any
Mask = NDArray[np.bool_]
Positions = NDArray[np.int64]

SHOWN_CHARACTERS = 60


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


def mask_of(array: Array) -> Mask:
    """A boolean Arrow array as numpy; null is false."""
    if array.null_count:
        array = pc.fill_null(array, False)
    mask: Mask = array.to_numpy(zero_copy_only=False)
    return mask


def matches(texts: Array, pattern: str) -> Mask:
    """Which texts match the whole of an RE2 pattern; null does not."""
    return mask_of(pc.match_substring_regex(texts, rf"\A(?:{pattern})\z"))


def only(array: Array, mask: Mask) -> Array:
    """The array with null outside the mask."""
    return array if mask.all() else pc.if_else(pa.array(mask), array, pa.scalar(None, array.type))


def positions(mask: Mask) -> Positions:
    return np.flatnonzero(mask).astype(np.int64, copy=False)


def patched(values: Array, at: Sequence[int], replacements: Sequence[object]) -> Array:
    """``values`` with ``replacements`` at the ascending positions ``at``."""
    if not at:
        return values
    mask = np.zeros(len(values), dtype=bool)
    mask[list(at)] = True
    return pc.replace_with_mask(values, pa.array(mask), pa.array(replacements, values.type))


def of_numpy(values: NDArray[Any], valid: Mask, arrow_type: Any) -> Array:
    """Whole numbers as an Arrow array of a type of the same width (a date, a time), null where not valid."""
    return pa.array(values, mask=None if valid.all() else ~valid).view(arrow_type)


def quoted(value: object) -> str:
    """A value as a message may show it: short, printable, one line."""
    text = value if isinstance(value, str) else str(value)
    if len(text) > SHOWN_CHARACTERS:
        text = text[: SHOWN_CHARACTERS - 1] + "…"
    return repr(text)
