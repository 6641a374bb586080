"""What a contract says of a column's values beside their type: limits, lists, patterns, lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from haulier import rows
from haulier.contracts import Column
from haulier.definitions import Transform
from haulier.errors import DefinitionError
from haulier.formats import ISO
from haulier_transform import kernels as pc
from haulier_transform.arrays import (
    Array,
    Mask,
    Wrong,
    mask_of,
    matches,
    numbers_of,
    of_decimals,
    of_numbers,
    of_texts,
    positions,
    quoted,
    valid_of,
)
from haulier_transform.parsing import is_textual, parser_of

#: What an unfilled required value is rejected with.
REQUIRED = "required"
#: The rule of flags for values that entered outside their soft limits.
IMPLAUSIBLE = "implausible"
_SHOWN_VALUES = 10
#: Enough digits that no limit is rounded before it is compared.
_EXACT = Context(prec=200)

#: Field of the contract -> (what breaks it, in words, how it is rounded to the column's own steps).
_LIMITS: dict[str, tuple[str, str, str]] = {
    "minimum": ("less", "is less than", ROUND_CEILING),
    "exclusive_minimum": ("less_equal", "is not more than", ROUND_FLOOR),
    "maximum": ("greater", "is more than", ROUND_FLOOR),
    "exclusive_maximum": ("greater_equal", "is not less than", ROUND_CEILING),
}


@dataclass(frozen=True, kw_only=True)
class _Rule:
    name: str
    says: str
    #: Typed values -> which of them break it; null breaks none.
    breaks: Callable[[Array], Mask]


class Rules:
    """The rules of one column. Raises `DefinitionError` for a rule that cannot be applied to its type."""

    def __init__(self, column: Column) -> None:
        self._hard = tuple(_hard(column))
        self._soft = tuple(_soft(column))

    @property
    def is_empty(self) -> bool:
        return not self._hard

    def broken(self, values: Array) -> Iterator[Wrong]:
        """Which values break which rule, in the order of the rules; null breaks none."""
        return _applied(self._hard, values)

    def implausible(self, values: Array) -> Iterator[Wrong]:
        """Which values are outside the soft limits."""
        return _applied(self._soft, values)


def one_of(column: Column, listed: Iterable[str]) -> Callable[[Array], Mask]:
    """Typed values -> which of them are in a list as a contract writes it; null is not."""
    allowed = _typed(column, list(listed), "listed value")
    return lambda values: valid_of(values) & _is_in(values, allowed)


def _applied(some: tuple[_Rule, ...], values: Array) -> Iterator[Wrong]:
    for rule in some:
        mask = rule.breaks(values)
        if mask.any():
            yield Wrong(rule=rule.name, at=positions(mask), says=rule.says)


def _hard(column: Column) -> Iterator[_Rule]:
    if column.enum is not None:
        allowed = _typed(column, list(column.enum), "enum")
        shown = ", ".join(quoted(value) for value in column.enum[:_SHOWN_VALUES])
        more = f" and {len(column.enum) - _SHOWN_VALUES} more" if len(column.enum) > _SHOWN_VALUES else ""
        yield _Rule(
            name="enum",
            says=f"is not one of {shown}{more}",
            breaks=lambda values: valid_of(values) & ~_is_in(values, allowed),
        )
    for name, (breaks, words, rounding) in _LIMITS.items():
        text = getattr(column, name)
        if text is not None:
            yield _limit(column, name, text, breaks, words, rounding)
    if column.pattern is not None:
        yield _pattern(column, column.pattern)
    if column.min_length is not None:
        least = column.min_length
        says = f"has fewer than {least} characters"
        yield _length(column, "min_length", says, lambda length: length < least)
    longest = [length for length in (column.max_length, _varchar(column.pg_type)) if length is not None]
    if longest:
        most = min(longest)
        says = f"has more than {most} characters"
        yield _length(column, "max_length", says, lambda length: length > most)


def _soft(column: Column) -> Iterator[_Rule]:
    for name in ("minimum", "maximum"):
        text = getattr(column, f"soft_{name}")
        if text is not None:
            breaks, words, rounding = _LIMITS[name]
            yield _limit(column, IMPLAUSIBLE, text, breaks, f"is implausible: it {words}", rounding)


def _limit(column: Column, name: str, text: str, breaks: str, words: str, rounding: str) -> _Rule:
    bound = _bound(column, text, rounding)
    says = f"{words} {text}"
    if isinstance(bound, bool):
        above = bound
        always = above if breaks.startswith("less") else not above
        return _Rule(name=name, says=says, breaks=lambda values: valid_of(values) & always)
    return _Rule(name=name, says=says, breaks=lambda values: mask_of(pc.compared(breaks, values, bound)))


def _bound(column: Column, text: str, rounding: str) -> Any:
    """A limit as a scalar of the column's type; ``True``: above all its values, ``False``: below them.

    A limit with more decimals than the column keeps is moved to the next value the column can
    hold on the side that changes no judgement.
    """
    arrow_type = rows.arrow_type(column.pg_type)
    if pa.types.is_decimal(arrow_type) or pa.types.is_integer(arrow_type):
        scale = arrow_type.scale if pa.types.is_decimal(arrow_type) else 0
        exact = Decimal(text).quantize(Decimal(1).scaleb(-scale), rounding=rounding, context=_EXACT)
        digits = arrow_type.precision if pa.types.is_decimal(arrow_type) else 38
        if exact.adjusted() >= digits - scale:
            return exact > 0
        return of_decimals([exact], pa.decimal128(digits, scale))[0]
    if pa.types.is_floating(arrow_type):
        return of_numbers(np.array([float(text)]))[0]
    return _typed(column, [text], "limit")[0]


def _typed(column: Column, texts: list[str], what: str) -> Array:
    """Values as a contract writes them. Raises `DefinitionError` for one the column cannot hold."""
    import msgspec

    plain = msgspec.structs.replace(column, formats=(ISO,))
    parsed = parser_of(plain, Transform(time_zone=str(UTC)))(of_texts(texts))
    for wrong in parsed.wrong:
        if len(wrong.at):
            raise DefinitionError(f"{column.name}: {what} {quoted(texts[wrong.at[0]])} {wrong.says}")
    return parsed.values


def _pattern(column: Column, pattern: str) -> _Rule:
    _require_text(column, "pattern")
    try:
        matches(of_texts([""]), pattern)
    except pa.ArrowInvalid as exc:
        raise DefinitionError(
            f"{column.name}: pattern {pattern!r} is not one RE2 reads: it has no look-around and no "
            "back-references, so that no cell can make it slow"
        ) from exc
    return _Rule(
        name="pattern",
        says=f"does not match the pattern {pattern}",
        breaks=lambda values: valid_of(values) & ~matches(values, pattern),
    )


def _length(column: Column, name: str, says: str, breaks: Callable[[NDArray[Any]], Mask]) -> _Rule:
    _require_text(column, name)
    return _Rule(
        name=name,
        says=says,
        breaks=lambda values: valid_of(values) & breaks(numbers_of(pc.utf8_length(values))),
    )


def _is_in(values: Array, allowed: Array) -> Mask:
    if isinstance(values, pa.ExtensionArray):  # uuid
        values, allowed = values.storage, allowed.storage
    return mask_of(pc.is_in(values, allowed))


def _require_text(column: Column, what: str) -> None:
    if not is_textual(column.pg_type):
        raise DefinitionError(f"{column.name}: {what} is for text; the column is {column.pg_type}")


def _varchar(pg_type: str) -> int | None:
    return int(pg_type[8:-1]) if pg_type.startswith("varchar(") else None
