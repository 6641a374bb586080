"""What PostgreSQL's own output plugin sends, version 1 of its protocol, taken apart.

Each transaction comes whole, after its commit, in the order of commits. Source: PostgreSQL's documentation,
"Logical Replication Message Formats".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: The value was stored apart from its row and did not change, so the log does not have it.
UNCHANGED = object()
#: A cell as the server writes it, none, or `UNCHANGED`.
Cell = bytes | None | object


@dataclass(frozen=True)
class Begin:
    commit_lsn: int
    #: Microseconds since 2000-01-01, UTC.
    committed_at: int
    xid: int


@dataclass(frozen=True)
class Commit:
    #: Behind the transaction: whoever has read so far has read it.
    end_lsn: int


@dataclass(frozen=True)
class Relation:
    """A table as it was when the changes behind this message were made."""

    oid: int
    schema: str
    name: str
    columns: tuple[str, ...]
    #: Numbers in pg_type.
    types: tuple[int, ...]
    #: Which columns the log has of rows that are gone.
    identity: tuple[bool, ...]


@dataclass(frozen=True)
class Change:
    """A row is new, another, or gone."""

    what: Literal["insert", "update", "delete"]
    oid: int
    #: As it was; of an update only where the log has it.
    old: tuple[Cell, ...] | None = None
    #: Whether all columns of the old row were logged, and not only those that identify it.
    is_whole: bool = False
    new: tuple[Cell, ...] | None = None


@dataclass(frozen=True)
class Truncate:
    oids: tuple[int, ...]


Message = Begin | Commit | Relation | Change | Truncate


def message_of(data: bytes) -> Message | None:
    """One message; ``None`` for one that is about no row. Raises `ValueError` for what is not of the protocol."""
    try:
        return _Reading(data).message()
    except (struct.error, IndexError) as exc:
        raise ValueError(f"a message of {len(data)} bytes ends too early") from exc


class _Reading:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def message(self) -> Message | None:
        kind = self._letter()
        if kind in _CHANGES:
            return self._change(kind)
        if kind == "B":
            return Begin(*self._numbers("!QqI"))
        if kind == "C":
            _, _, end, _ = self._numbers("!BQQq")
            return Commit(end)
        if kind == "R":
            return self._relation()
        if kind == "T":
            count, _ = self._numbers("!IB")
            return Truncate(self._numbers(f"!{count}I"))
        if kind in _NOT_OF_ROWS:
            return None
        raise ValueError(f"a message of an unknown kind {kind!r}")

    def _relation(self) -> Relation:
        (oid,) = self._numbers("!I")
        schema, name = self._text() or "pg_catalog", self._text()
        _, count = self._numbers("!BH")
        columns = []
        for _ in range(count):
            (flags,) = self._numbers("!B")
            columns.append((self._text(), self._numbers("!Ii")[0], bool(flags & 1)))
        names, types, identity = zip(*columns, strict=True) if columns else ((), (), ())
        return Relation(oid, schema, name, names, types, identity)

    def _change(self, kind: str) -> Change:
        (oid,) = self._numbers("!I")
        old, is_whole, new = None, False, None
        which = self._letter()
        if which in "KO":
            old, is_whole = self._row(), which == "O"
            which = self._letter() if kind == "U" else ""
        if which == "N":
            new = self._row()
        return Change(_CHANGES[kind], oid, old, is_whole, new)

    def _row(self) -> tuple[Cell, ...]:
        (count,) = self._numbers("!H")
        return tuple(self._cell() for _ in range(count))

    def _cell(self) -> Cell:
        kind = self._letter()
        if kind == "n":
            return None
        if kind == "u":
            return UNCHANGED
        if kind != "t":
            raise ValueError(f"a value in an unknown form {kind!r}")
        (size,) = self._numbers("!I")
        self._at += size
        if self._at > len(self._data):
            raise IndexError
        return self._data[self._at - size : self._at]

    def _letter(self) -> str:
        self._at += 1
        return chr(self._data[self._at - 1])

    def _numbers(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return found

    def _text(self) -> str:
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise IndexError
        text = self._data[self._at : end].decode()
        self._at = end + 1
        return text


_CHANGES: Mapping[str, Literal["insert", "update", "delete"]] = {"I": "insert", "U": "update", "D": "delete"}
#: Origins, types, and messages that a program wrote into the log.
_NOT_OF_ROWS = frozenset("OYM")
