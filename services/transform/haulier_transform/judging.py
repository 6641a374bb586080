"""One column's cells judged against the contract: typed values, and which rows broke which rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from haulier import rows
from haulier.contracts import Column
from haulier.definitions import Transform
from haulier_transform import kernels as pc
from haulier_transform.arrays import (
    Array,
    Mask,
    Parsed,
    Parser,
    Positions,
    Wrong,
    mask_of,
    null,
    numbers_of,
    of_numbers,
    of_texts,
    only,
    positions,
    quoted,
    valid_of,
)
from haulier_transform.parsing import is_textual, parser_of
from haulier_transform.rules import REQUIRED, Rules

#: A column whose first cells repeat is read once per distinct text: hashing costs 0.6 µs a cell and
#: reading 0.1 to 0.7, so it pays only for the ones that do.
_SAMPLE, _DISTINCT = 4096, 0.5
#: Rule of a value that an event does not carry, where nothing says to keep the row's.
UNCHANGED = "unchanged"
_ABSENT = (
    "is not the value: the update did not change it, and the source's log has only what did; say unchangedValues: [{value}] of "
    "{column} in the contract, or have the table's owner say REPLICA IDENTITY FULL"
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One rule that some rows of a batch broke, in one column: ``messages[which[i]]`` is row ``at[i]``'s."""

    rule: str
    column: str | None
    at: Positions
    which: NDArray[np.int64]
    messages: Sequence[str]

    def beside(self, mask: Mask) -> Finding:
        """The same about the rows outside the mask only."""
        kept = ~mask[self.at]
        return replace(self, at=self.at[kept], which=self.which[kept])


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A column's typed values. Rows with a problem have a value or null: they go nowhere."""

    values: Array
    #: Row -> index into ``values``; ``None``: values are by row.
    codes: NDArray[np.int64] | None
    #: Which values are not there because they did not change; ``None``: not one.
    unchanged: Mask | None = None
    problems: Sequence[Finding] = ()
    flags: Sequence[Finding] = ()

    def kept(self, count: int) -> Mask:
        """Which of so many rows keep what the table has."""
        if self.unchanged is None:
            return np.zeros(count, dtype=bool)
        return self.unchanged if self.codes is None else self.unchanged[self.codes]

    def take(self, at: Positions) -> Array:
        """The values of some rows."""
        if self.codes is None and np.array_equal(at, np.arange(len(self.values))):
            return self.values
        return pc.take(self.values, of_numbers(at if self.codes is None else self.codes[at]))


class Judge:
    """Judges one contract column. Raises `DefinitionError` for a rule or format that means nothing."""

    def __init__(self, column: Column, transform: Transform, *, of_events: bool = False) -> None:
        self.column = column
        self.rules = Rules(column)
        self.is_required = column.required or column.key_position is not None
        self._parse = parser_of(column, transform)
        self._transform = transform
        self._textual = is_textual(column.pg_type)
        markers = {*column.null_values, *transform.null_values} | (set() if self._textual else {""})
        self._markers = of_texts(sorted(markers))
        self._or_empty = of_texts(sorted(markers | {""}))
        self._unchanged = of_texts(column.unchanged_values) if column.unchanged_values else None
        # No value that anybody wrote: without a word of it in the contract it would be loaded as one.
        self._absent = of_texts([rows.UNAVAILABLE]) if of_events and self._unchanged is None else None

    def cells(self, cells: Array) -> Judged:
        """Source cells, one per row: texts, or values of the source's own type."""
        array = _combined(cells)
        if not pa.types.is_string(array.type):
            return self._typed_cells(array)
        texts, codes = _distinct(array, by_row=self._textual and self.rules.is_empty)
        return self._texts(texts, codes, self._parse)

    def _typed_cells(self, array: Array) -> Judged:
        """A type that is the contract's is taken as it is, any other through its text."""
        from haulier_transform import typed

        # A mark for no value may be a number: then its text is what must be looked at.
        marked = len(self._markers) > (not self._textual)
        if not marked and (parsed := typed.taken(array, self.column)) is not None:
            return self._judged(parsed, array, None, array)
        texts, codes = _distinct(typed.texts_for(array, self.column.pg_type), by_row=False)
        return self._texts(texts, codes, typed.parser_of(self.column, self._transform))

    def _texts(self, texts: Array, codes: NDArray[np.int64] | None, parse: Parser) -> Judged:
        shown = texts
        if not self._textual:
            texts = pc.utf8_trim_whitespace(texts)
        if len(self._markers):
            texts = pc.if_else(pc.is_in(texts, self._markers), null(pa.string()), texts)
        unchanged = None
        if self._unchanged is not None:
            unchanged = mask_of(pc.is_in(texts, self._unchanged))
            texts = only(texts, ~unchanged)
        parsed = parse(texts)
        if self._absent is None:
            return self._judged(parsed, texts, codes, shown, unchanged)
        absent = positions(mask_of(pc.is_in(texts, self._absent)))
        wrong = Wrong(
            rule=UNCHANGED, at=absent, says=_ABSENT.format(column=self.column.name, value=rows.UNAVAILABLE)
        )
        return self._judged(replace(parsed, wrong=[wrong, *parsed.wrong]), texts, codes, shown, unchanged)

    def _judged(
        self,
        parsed: Parsed,
        given: Array,
        codes: NDArray[np.int64] | None,
        shown: Array,
        unchanged: Mask | None = None,
    ) -> Judged:
        nothing = ~valid_of(given) if unchanged is None else ~valid_of(given) & ~unchanged
        empty = Wrong(rule=REQUIRED, at=positions(nothing), says=f"is no value; {self._wanted}")
        wrong = [*([empty] if self.is_required else []), *parsed.wrong, *self.rules.broken(parsed.values)]
        wrong, odd = ([one for one in found if len(one.at)] for found in (wrong, parsed.odd))
        if not pa.types.is_string(shown.type) and (wrong or odd):
            from haulier.texts import texts_of

            shown = texts_of(shown)
        return Judged(
            values=parsed.values,
            codes=codes,
            unchanged=unchanged,
            problems=[self._finding(one, codes, shown, self.column.how_to_fix) for one in wrong],
            flags=[self._finding(one, codes, shown, "") for one in odd],
        )

    def holds(self, cells: Array) -> Mask:
        """Which source texts are a value to unpivot, not an empty cell or a mark for none."""
        texts = cells if self._textual else pc.utf8_trim_whitespace(cells)
        return valid_of(texts) & ~mask_of(pc.is_in(texts, self._or_empty))

    def missing(self, count: int) -> Judged:
        """A column that the header does not have."""
        problems = []
        if self.is_required and count:
            message = _message(
                f"the column is missing from the header; {self._wanted}", self.column.how_to_fix
            )
            which = np.zeros(count, dtype=np.int64)
            at = np.arange(count, dtype=np.int64)
            name = self.column.name
            problems = [Finding(rule=REQUIRED, column=name, at=at, which=which, messages=[message])]
        return Judged(values=self.nothing(count), codes=None, problems=problems)

    def nothing(self, count: int) -> Array:
        return pa.nulls(count, rows.arrow_type(self.column.pg_type))

    def typed(self, values: Array) -> list[Finding]:
        """What typed values, one per row, break."""
        wrong = list(self.rules.broken(values))
        if self.is_required and values.null_count:
            empty = positions(~valid_of(values))
            wrong.insert(0, Wrong(rule=REQUIRED, at=empty, says=f"is no value; {self._wanted}"))
        return self.findings(wrong, values)

    def implausible(self, values: Array) -> list[Finding]:
        """Which typed values, one per row, are outside the soft limits."""
        return [self._finding(one, None, values, "") for one in self.rules.implausible(values)]

    def findings(self, wrong: Sequence[Wrong], values: Array) -> list[Finding]:
        """What is wrong with some of the ``values``, one per row."""
        return [self._finding(one, None, values, self.column.how_to_fix) for one in wrong if len(one.at)]

    @property
    def _wanted(self) -> str:
        return f"{self.column.name} is required"

    def _finding(
        self, wrong: Wrong, codes: NDArray[np.int64] | None, shown: Array, how_to_fix: str
    ) -> Finding:
        messages = [
            _message(f"{'an empty cell' if value is None else quoted(value)} {wrong.says}", how_to_fix)
            for value in pc.take(shown, of_numbers(wrong.at)).to_pylist()
        ]
        if codes is None:
            at, which = wrong.at, np.arange(len(wrong.at), dtype=np.int64)
        else:
            place = np.full(len(shown), -1, dtype=np.int64)
            place[wrong.at] = np.arange(len(wrong.at))
            at = positions(place[codes] >= 0)
            which = place[codes[at]]
        return Finding(rule=wrong.rule, column=self.column.name, at=at, which=which, messages=messages)


def _message(what: str, how_to_fix: str) -> str:
    return f"{what}. {how_to_fix}" if how_to_fix else what


def _combined(cells: Any) -> Array:
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    return pc.cast(cells, pa.string()) if pa.types.is_dictionary(cells.type) else cells


def _distinct(cells: Array, *, by_row: bool) -> tuple[Array, NDArray[np.int64] | None]:
    """The texts to read and, if they are fewer than the rows, which of them each row has."""
    head = cells.slice(0, _SAMPLE)
    if by_row or (len(cells) > _SAMPLE and pc.count_distinct(head) > _DISTINCT * len(head)):
        return cells, None
    encoded = pc.dictionary_encode(cells)
    return encoded.dictionary, numbers_of(encoded.indices).astype(np.int64)
