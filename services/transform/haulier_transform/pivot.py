"""Item exports: rows of one item each become one row per group, on text, a whole batch at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from haulier.definitions import Pivot
from haulier.errors import DefinitionError
from haulier_transform import kernels as pc
from haulier_transform.arrays import (
    Array,
    Positions,
    mask_of,
    numbers_of,
    of_numbers,
    of_texts,
    only,
    positions,
    quoted,
    valid_of,
)
from haulier_transform.header import folded
from haulier_transform.judging import Finding
from haulier_transform.reshape import texts_of_column

#: What a distinct name is, where it is not the place of an item in `pivot.items`.
_IGNORED, _UNKNOWN, _UNLIKE = -1, -2, -3
#: Rows that a message names.
_SHOWN_ROWS = 5


@dataclass(frozen=True, kw_only=True)
class Pivoted:
    """The groups of a batch, in the order of the rows that stand for them."""

    #: A row per group: its `by` columns, the pattern's named groups, a column per item.
    text: pa.Table
    #: Position of the source row that stands for each group.
    stands: Positions
    #: Source row -> its group; -1: none.
    group: Positions
    #: What is wrong with source rows that are in no group.
    findings: Sequence[Finding] = ()
    #: Reason -> source rows dropped on purpose.
    filtered: Counter[str] = field(default_factory=Counter)


class Pivoting:
    """One definition's `transform.pivot`. Raises `DefinitionError` for a pattern that RE2 does not read."""

    def __init__(self, pivot: Pivot) -> None:
        self._pivot = pivot
        self._pattern = rf"\A(?:{pivot.pattern})\z"
        try:
            self._named = [one.name for one in pc.extract_regex(of_texts([""]), self._pattern).type]
        except pa.ArrowInvalid as exc:
            raise DefinitionError(
                f"transform.pivot.pattern: {pivot.pattern!r} is not one RE2 reads: it has no look-around and no "
                "back-references, so that no cell can make it slow"
            ) from exc
        self._groups = [name for name in self._named if name != "item"]
        self._ordinals = {item: at for at, item in enumerate(pivot.items)}

    def places(self, names: Sequence[str]) -> tuple[dict[str, int], list[str]]:
        """Column of the definition -> its position in this header; and those that it does not have.

        Raises `DefinitionError` when two columns of the header go by the name of one.
        """
        found: dict[str, int] = {}
        missing = []
        for name in self._pivot.reads:
            at = [place for place, one in enumerate(names) if folded(one) == folded(name)]
            if len(at) > 1:
                both = " and ".join(quoted(names[place]) for place in at[:2])
                raise DefinitionError(f"{both} in the header both mean {name}, which transform.pivot reads")
            if at:
                found[name] = at[0]
            else:
                missing.append(name)
        return found, missing

    def keys(self, text: pa.Table) -> list[Array]:
        """The text of the columns that name a group. ``text`` has them all."""
        found, _ = self.places(text.column_names)
        return [texts_of_column(text.column(found[name])) for name in self._pivot.by]

    def notes(self, names: Sequence[str], delivery: str) -> Iterator[str]:
        """What a person should know about this delivery's header."""
        found, missing = self.places(names)
        for name in missing:
            yield f"column {name} is missing from the header of {delivery}"
        # Without one of them it may be no header at all, whose names are the first row's values.
        for place, name in enumerate(names) if not missing else ():
            if place not in found.values():
                yield f"column {quoted(name)[1:-1]} in {delivery}: transform.pivot does not read it, not loaded"

    def pivoted(self, text: pa.Table, delivery: NDArray[np.int32], row: NDArray[np.int64]) -> Pivoted:
        """The groups of a batch that holds all rows of each."""
        found, missing = self.places(text.column_names)
        count = text.num_rows
        if missing:
            return Pivoted(
                text=self._table({}, {}, None, np.zeros((0, len(self._ordinals)), dtype=np.int64)),
                stands=np.zeros(0, dtype=np.int64),
                group=np.full(count, -1, dtype=np.int64),
                findings=[_lacking(name, count) for name in missing],
            )
        names, name_of = _encoded(text.column(found[self._pivot.names_from]))
        parts = pc.extract_regex(names, self._pattern)
        kinds, said = self._kinds(names, parts)
        kind = kinds[name_of]
        findings = [self._unknown(names.to_pylist(), said, kinds, name_of)]
        ignored = Counter(
            f"item {said[code]} is ignored (transform.pivot.ignore)"
            for code in name_of[kind == _IGNORED].tolist()
        )
        listed = positions(kind >= 0)
        others = {name: pc.struct_field(parts, name) for name in self._groups}
        keys = [
            delivery.astype(np.int64),
            *(_encoded(text.column(found[name]))[1] for name in self._pivot.by),
        ]
        keys += [_codes(other)[1][name_of] for other in others.values()]
        groups = _numbered([key[listed] for key in keys])
        order = np.lexsort((row[listed], kind[listed], groups))
        at, group, item = listed[order], groups[order], kind[listed][order]
        _, cell = _encoded(text.column(found[self._pivot.values_from]))
        broken = self._twice(at, group, item, cell[at], row, findings)
        kept = ~np.isin(group, broken)
        at, group, item = at[kept], group[kept], item[kept]
        # By item, then row: the first of each group stands for it, the first of each item says it.
        _, begins = np.unique(group, return_index=True)
        rank = np.argsort(at[begins])
        stands = at[begins][rank]
        place = np.empty(len(stands), dtype=np.int64)
        place[rank] = np.arange(len(stands))
        of_row = np.full(count, -1, dtype=np.int64)
        of_row[at] = place[np.searchsorted(group[begins], group)]
        cells = np.full((len(stands), len(self._ordinals)), -1, dtype=np.int64)
        cells[of_row[at][::-1], item[::-1]] = at[::-1]
        named = {name: pc.take(other, of_numbers(name_of[stands])) for name, other in others.items()}
        by = {
            text.column_names[found[name]]: pc.take(
                text.column(found[name]).combine_chunks(), of_numbers(stands)
            )
            for name in self._pivot.by
        }
        values = text.column(found[self._pivot.values_from]).combine_chunks()
        return Pivoted(
            text=self._table(by, named, values, cells),
            stands=stands,
            group=of_row,
            findings=[one for one in findings if len(one.at)],
            filtered=ignored,
        )

    def _kinds(self, names: Array, parts: Array) -> tuple[NDArray[np.int64], list[str | None]]:
        """Of each distinct name: its item's place in `pivot.items`, or what it is instead; and the item it names."""
        said = pc.struct_field(parts, "item").to_pylist()
        kinds = [
            _UNLIKE
            if not matches
            else self._ordinals.get(item, _IGNORED if item in self._pivot.ignore else _UNKNOWN)
            for matches, item in zip(valid_of(parts).tolist(), said, strict=True)
        ]
        return np.array(kinds, dtype=np.int64), said

    def _unknown(
        self, names: list[str | None], said: list[str | None], kinds: NDArray[np.int64], name_of: Positions
    ) -> Finding:
        """The rows that are neither of an item nor ignored."""
        codes = positions(kinds < _IGNORED)
        messages = [_why(names[code], said[code], kinds[code] == _UNLIKE) for code in codes.tolist()]
        at = positions(kinds[name_of] < _IGNORED)
        which = np.searchsorted(codes, name_of[at])
        return Finding(
            rule="unknown-item", column=self._pivot.names_from, at=at, which=which, messages=messages
        )

    def _twice(
        self,
        at: Positions,
        group: Positions,
        item: Positions,
        cell: Positions,
        row: NDArray[np.int64],
        findings: list[Finding],
    ) -> Positions:
        """The groups in which an item has two cells; all their rows are findings. By group, then item, then row."""
        if not len(at):
            return group
        begins = np.flatnonzero(np.diff(group, prepend=-1) | np.diff(item, prepend=-1))
        length = np.diff(begins, append=len(at))
        others = np.add.reduceat((cell != np.repeat(cell[begins], length)).astype(np.int64), begins)
        twice = np.flatnonzero(others)
        broken, first = np.unique(group[begins[twice]], return_index=True)
        items, columns = list(self._pivot.items), list(self._pivot.items.values())
        for one, place in zip(broken.tolist(), twice[first].tolist(), strict=True):
            start, ordinal = int(begins[place]), int(item[begins[place]])
            numbers = [str(number) for number in row[at[start : start + int(length[place])]].tolist()]
            more = ", …" if len(numbers) > _SHOWN_ROWS else ""
            message = (
                f"item {items[ordinal]} has different cells in one group (rows {', '.join(numbers[:_SHOWN_ROWS])}{more}), so "
                "none of the group's rows is taken. Send the item once."
            )
            members = np.sort(at[np.searchsorted(group, one) : np.searchsorted(group, one, side="right")])
            which = np.zeros(len(members), dtype=np.int64)
            findings.append(
                Finding(
                    rule="item-twice", column=columns[ordinal], at=members, which=which, messages=[message]
                )
            )
        return broken

    def _table(
        self, by: dict[str, Array], named: dict[str, Array], values: Any, cells: Positions
    ) -> pa.Table:
        """The groups' text. Without a group: all columns, empty."""
        nothing = of_texts([])
        columns = dict(by) or dict.fromkeys(self._pivot.by, nothing)
        for name in self._groups:
            # A group of the pattern that took no part in the match says nothing.
            texts = named.get(name, nothing)
            columns[name] = only(texts, ~mask_of(pc.is_in(texts, of_texts([""]))))
        for name, at in zip(self._pivot.items.values(), cells.T, strict=True):
            columns[name] = (
                nothing if values is None else pc.take(values, of_numbers(np.maximum(at, 0), at >= 0))
            )
        return pa.table(list(columns.values()), names=list(columns))


def _why(name: str | None, item: str | None, is_unlike: bool) -> str:
    if name is None:
        return "the row names no item. Send it with one."
    if is_unlike:
        return f"{quoted(name)} does not match transform.pivot.pattern. Mend the name, or the pattern."
    return (
        f"{quoted(name)} is of item {quoted(item)}, which transform.pivot neither has in items nor ignores. Name it there, or "
        "send the group without."
    )


def _lacking(name: str, count: int) -> Finding:
    which = np.zeros(count, dtype=np.int64)
    message = (
        f"the file has no column {name}, without which transform.pivot knows no groups. Send it with that."
    )
    return Finding(rule="missing-column", column=name, at=np.arange(count), which=which, messages=[message])


def _encoded(column: Any) -> tuple[Array, Positions]:
    """The distinct texts of a column, null among them, and which of them each row has."""
    return _codes(texts_of_column(column))


def _codes(texts: Array) -> tuple[Array, Positions]:
    encoded = pc.dictionary_encode(texts)
    return encoded.dictionary, numbers_of(encoded.indices).astype(np.int64)


def _numbered(keys: Sequence[Positions]) -> Positions:
    """The same number for rows that are the same in all keys; none is negative."""
    groups = np.zeros(len(keys[0]), dtype=np.int64)
    for key in keys:
        # Both are below the number of rows, so that the product is none too large.
        groups = np.unique(groups * (int(key.max(initial=0)) + 1) + key, return_inverse=True)[1].reshape(-1)
    return groups
