"""Texts searched for what `source.identifiers` says may not be there; what is kept of a hit is where it is, never what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from haulier.definitions.sources import Identifiers
from haulier.identifiers import forbidden_name, is_exempt
from haulier.texts import texts_of
from haulier_extract import arrays

#: Rows that are named of each finding; the others are counted.
SHOWN_ROWS = 5
#: A text of JSON, and whether it is a key; or any other value.
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|[^\s,:{}\[\]"]+', re.DOTALL)
_NESTED = r"^\s*[\[{]"
#: (pattern, whether it is of a key inside JSON) -> the positions of the texts that have it.
_Hits = dict[tuple[str, bool], np.ndarray]


@dataclass(kw_only=True)
class Finding:
    """What was found at one place."""

    #: Name of the pattern; of a name that may not be there, the entry of ``columns``.
    pattern: str
    #: ``column 4``, ``the header``, …: nothing of the file's own words.
    place: str
    count: int = 0
    #: The first rows; none: the place has no rows.
    rows: list[int] = field(default_factory=list)

    def add(self, rows: list[int]) -> None:
        self.count += len(rows)
        self.rows += rows[: SHOWN_ROWS - len(self.rows)]

    def words(self) -> str:
        if not self.rows:
            return f"{self.pattern} in {self.place}"
        shown = ", ".join(map(str, self.rows))
        more = f" and {self.count - len(self.rows)} more" if self.count > len(self.rows) else ""
        return f"{self.pattern} in {self.place}, row{'s' * (self.count > 1)} {shown}{more}"


class Search:
    """One delivery's texts, as its reader hands them on."""

    def __init__(self, identifiers: Identifiers) -> None:
        self._identifiers = identifiers
        # One look for everything: nearly every cell has none of it.
        self._any = "|".join(f"(?:{pattern})" for pattern in (*identifiers.patterns.values(), _NESTED))
        self._allowed: set[str] = set()
        self._found: dict[tuple[str, str], Finding] = {}

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(self._found.values())

    def is_exempt(self, name: str) -> bool:
        return is_exempt(self._identifiers, name)

    def name(self, name: str, place: str, row: int | None = None) -> None:
        """What a column is called."""
        if (forbidden := self._forbidden(name)) is not None:
            self._add(_like(forbidden), place, [] if row is None else [row])

    def text(self, text: str, place: str, row: int | None = None) -> None:
        """One text; of no row, when it has none."""
        self.texts([text], None if row is None else np.array([row]), place)

    def texts(self, values: Any, rows: np.ndarray | None, place: str) -> None:
        """Values of any of Arrow's types, or a list of texts, with the row of each."""
        column = arrays.texts(values) if isinstance(values, list) else values
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        column = texts_of(column)
        if not _true(pc.match_substring_regex(column, self._any)).any():
            return
        hits = self._hits(column)
        nested = np.flatnonzero(_true(pc.match_substring_regex(column, _NESTED)))
        if len(nested):
            for name, more in self._nested(column.take(arrays.numbers(nested, pa.int64())), nested).items():
                hits[name] = np.union1d(hits[name], more) if name in hits else more
        for (pattern, inside), found in hits.items():
            at = f"a key inside {place}" if inside else place
            self._add(pattern, at, [] if rows is None else np.unique(rows[found]).tolist())

    def unread(self, row: int, place: str) -> None:
        """A row that cannot be seen as a whole: it may hold anything."""
        self._add("what cannot be searched", place, [row])

    def _hits(self, column: Any) -> _Hits:
        looks = (
            (name, np.flatnonzero(_true(pc.match_substring_regex(column, pattern))))
            for name, pattern in self._identifiers.patterns.items()
        )
        return {(name, False): found for name, found in looks if len(found)}

    def _nested(self, column: Any, numbers: np.ndarray) -> _Hits:
        """The same in the texts and numbers inside JSON, and the keys there that are like a name that may not be."""
        values: list[str] = []
        of: list[int] = []
        keys: dict[tuple[str, bool], list[int]] = {}
        for number, text in zip(numbers.tolist(), column.to_pylist(), strict=True):
            for token, is_key in _tokens(text):
                values.append(token)
                of.append(number)
                if is_key and (forbidden := self._forbidden(token)) is not None:
                    keys.setdefault((_like(forbidden), True), []).append(number)
        cells = {
            name: np.unique(np.array(of)[found]) for name, found in self._hits(arrays.texts(values)).items()
        }
        return {**cells, **{name: np.unique(found) for name, found in keys.items()}}

    def _forbidden(self, name: str) -> str | None:
        if name in self._allowed:
            return None
        forbidden = forbidden_name(self._identifiers, name)
        if forbidden is None:
            self._allowed.add(name)
        return forbidden

    def _add(self, pattern: str, place: str, rows: list[int]) -> None:
        self._found.setdefault((pattern, place), Finding(pattern=pattern, place=place)).add(rows)


def _like(forbidden: str) -> str:
    return f'a name like "{forbidden}"'


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """The texts and numbers of what is, or looks like, JSON; and which are keys."""
    for found in _TOKEN.finditer(text):
        token = found[0] if found[1] is None else found[1]
        if "\\" in token and found[1] is not None:
            with suppress(ValueError):  # no JSON after all: as it is written
                token = json.loads(f'"{token}"')
        yield token.encode("utf-8", "replace").decode(), found[2] is not None


def _true(mask: Any) -> np.ndarray:
    result: np.ndarray = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return result
