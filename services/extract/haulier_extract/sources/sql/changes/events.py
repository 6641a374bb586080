"""Changes as lines of JSON: a row and what happened to it, named as Debezium flattens them.

Every value is the text that PostgreSQL writes, in a spelling that does not depend on the server's settings; arrays
are JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from haulier.errors import DataError
from haulier.rows import UNAVAILABLE
from haulier_extract.sources.sql.changes.arrays import elements_of
from haulier_extract.sources.sql.changes.pgoutput import UNCHANGED, Cell, Change

#: What a session is told, so that a value has one spelling.
SPELLING = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    # Rows that a policy hides are in the log all the same: without them in a snapshot, an error.
    "row_security": "off",
}
_BOOLEAN = 16
_JSON = frozenset({114, 3802})
_NUMBERS = frozenset({20, 21, 23, 26, 700, 701, 1700})
_NO_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})
_MOMENTS = frozenset({1114, 1184})
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
#: A value as PostgreSQL writes it -> as its column has it.
Spelled = Callable[[str], Any]


@dataclass(frozen=True)
class Type:
    """What is behind a number of pg_type: its domain's own type, and what an array is made of."""

    base: int
    element: int | None = None


@dataclass(frozen=True)
class Shape:
    """Columns of a table, and how the values of each are spelled."""

    names: tuple[str, ...]
    spelled: tuple[Spelled, ...]
    #: Which columns the log has of rows that are gone.
    identity: tuple[bool, ...]
    #: Which columns say that a row is another.
    key: tuple[bool, ...]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        types: Sequence[Type],
        identity: Sequence[bool],
        key: Sequence[str],
    ) -> Shape:
        return cls(
            tuple(names),
            tuple(spelling_of(one) for one in types),
            tuple(identity),
            tuple(name in key for name in names),
        )


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What an event says of itself."""

    lsn: int
    #: Microseconds since 2000-01-01, UTC.
    committed_at: int | None = None
    xid: int | None = None


class Events:
    """Makes lines of the columns and fields that are wanted."""

    def __init__(self, fields: Sequence[str], columns: Sequence[str]) -> None:
        """``columns``: all, where none is named."""
        self._fields, self._columns = tuple(fields), frozenset(columns)

    def row(
        self, op: str, stamp: Stamp, shape: Shape, cells: Sequence[Cell], only: Sequence[bool] | None = None
    ) -> bytes:
        """A line; ``only``: which columns are known at all."""
        line = self._stamped(op, stamp)
        for at, name in enumerate(shape.names):
            if (only is not None and not only[at]) or (self._columns and name not in self._columns):
                continue
            cell = cells[at]
            if isinstance(cell, bytes):
                try:
                    line[name] = shape.spelled[at](cell.decode())
                except UnicodeDecodeError:
                    # A database without an encoding: the reader rejects the line, with its bytes.
                    line[name] = cell.decode(errors="surrogateescape")
            else:
                line[name] = UNAVAILABLE if cell is UNCHANGED else None
        return _encoded(line)

    def change(self, change: Change, stamp: Stamp, shape: Shape) -> Iterator[bytes]:
        """Its lines: a row whose key is another is gone under the old one, and there under the new one.

        Raises `DataError` where the log does not say the key of a row as it was.
        """
        known = None if change.is_whole else shape.identity
        if known is not None and change.what != "insert":
            for name, counts, told in zip(shape.names, shape.key, known, strict=True):
                if counts and not told:
                    raise DataError(
                        f"a row was changed while the log did not say {name} of rows that are gone (REPLICA IDENTITY was another "
                        "then), and nothing says which row it was; haulier state reset --reason WHY has the next run take all "
                        "rows anew"
                    )
        if change.what == "delete":
            assert change.old is not None
            yield self.row("d", stamp, shape, change.old, known)
            return
        assert change.new is not None
        new = change.new
        if change.old is not None:
            old = change.old
            if change.is_whole:
                new = tuple(was if cell is UNCHANGED else cell for was, cell in zip(old, new, strict=True))
            # What else identifies a row may change as any value does.
            if any(old[at] != new[at] for at, counts in enumerate(shape.key) if counts):
                yield self.row("d", stamp, shape, old, known)
        yield self.row("c" if change.what == "insert" else "u", stamp, shape, new)

    def truncation(self, stamp: Stamp) -> bytes:
        return _encoded(self._stamped("t", stamp))

    def _stamped(self, op: str, stamp: Stamp) -> dict[str, Any]:
        at = None if stamp.committed_at is None else _EPOCH + timedelta(microseconds=stamp.committed_at)
        values: Mapping[str, Any] = {
            "op": op,
            "lsn": stamp.lsn,
            "source.ts_ms": None if at is None else int(at.timestamp() * 1000),
            "source.txId": stamp.xid,
        }
        return {f"__{field.replace('.', '_')}": values[field] for field in self._fields}


def spelling_of(kind: Type) -> Spelled:
    if kind.element is not None:
        return partial(_array, kind.element)
    if kind.base == _BOOLEAN:
        return _boolean
    return _moment if kind.base in _MOMENTS else str


def _boolean(text: str) -> bool:
    return text == "t"


def _moment(text: str) -> str:
    """ISO 8601; years before Christ and infinities stay as they are, for the contract to judge."""
    day, space, time = text.partition(" ")
    if not space or " " in time:
        return text
    return f"{day}T{time}:00" if time[-3] in "+-" else f"{day}T{time}"


def _array(element: int, text: str) -> str:
    return msgspec.json.encode(_elements(elements_of(text, element), element)).decode()


def _elements(given: Any, kind: int) -> Any:
    """As `to_json` has them."""
    if isinstance(given, list):
        return [_elements(one, kind) for one in given]
    if given is None:
        return None
    if kind == _BOOLEAN:
        return _boolean(given)
    if kind in _JSON or (kind in _NUMBERS and given not in _NO_NUMBERS):
        return msgspec.Raw(given.encode())
    return _moment(given) if kind in _MOMENTS else given


def _encoded(line: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(line) + b"\n"
    except UnicodeEncodeError:
        return json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"
