"""What readers hand on: row groups of bounded size, and rejects with their bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from haulier.framing import Whole
from haulier.manifest import SourceAccount
from haulier.rows import DELIVERY, OUTPUT, REJECT_SCHEMA, ROW
from haulier_extract import arrays

#: Rejects are handed on when there are so many, or so many bytes of them.
REJECTS, REJECTED_BYTES = 10_000, 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A row group of rows, one of rejects, or both."""

    rows: pa.Table | None = None
    rejects: pa.Table | None = None


class Rows:
    """Gathers tables to row groups."""

    def __init__(self, most_rows: int, most_bytes: int) -> None:
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self._tables: list[pa.Table] = []
        self._rows = self._bytes = 0

    def add(self, table: pa.Table, size: int) -> Iterator[pa.Table]:
        """Take a table made of ``size`` bytes; give the row groups that are full."""
        if self._rows and self._bytes + size > self._most_bytes:
            yield self._group()
        while self._rows + table.num_rows > self._most_rows:
            room = self._most_rows - self._rows
            self._take(table[:room], 0)
            table = table[room:]
            yield self._group()
        self._take(table, size)

    def rest(self) -> pa.Table | None:
        return self._group() if self._rows else None

    def _take(self, table: pa.Table, size: int) -> None:
        self._tables.append(table)
        self._rows += table.num_rows
        self._bytes += size

    def _group(self) -> pa.Table:
        group = pa.concat_tables(self._tables)
        self._tables, self._rows, self._bytes = [], 0, 0
        return group


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A row that cannot go on: its number, why, its first bytes and how many it has."""

    row: int
    rule: str
    message: str
    column: str | None = None
    verbatim: bytes
    verbatim_bytes: int
    #: Of a row of text whose beginning is all that is kept.
    whole: Whole | None = None


class Rejects:
    """Gathers rejected rows."""

    def __init__(self, position: int) -> None:
        self._position = position
        self._rejects: list[Reject] = []
        self._bytes = 0

    @property
    def full(self) -> bool:
        return len(self._rejects) >= REJECTS or self._bytes >= REJECTED_BYTES

    def add(self, reject: Reject) -> None:
        self._rejects.append(reject)
        self._bytes += len(reject.verbatim)

    def table(self) -> pa.Table | None:
        """What was gathered since the last time, if anything."""
        if not self._rejects:
            return None
        rejects, count = self._rejects, len(self._rejects)
        lengths = np.array([one.verbatim_bytes for one in rejects], dtype=np.int64)
        columns = {
            DELIVERY: arrays.numbers(np.full(count, self._position, dtype=np.int32), pa.int32()),
            ROW: arrays.numbers(np.array([one.row for one in rejects], dtype=np.int64), pa.int64()),
            OUTPUT: pa.nulls(count, pa.int32()),
            "step": arrays.texts(["extract"] * count),
            "rule": arrays.texts([one.rule for one in rejects]),
            "column": arrays.texts([one.column for one in rejects]),
            "message": arrays.texts([one.message for one in rejects]),
            "problems": arrays.texts(
                [_problems(one.rule, one.column, one.message, one.whole) for one in rejects]
            ),
            "verbatim": arrays.of_bytes([one.verbatim for one in rejects], pa.binary()),
            "verbatim_bytes": arrays.numbers(lengths, pa.int64()),
        }
        self._rejects, self._bytes = [], 0
        return pa.Table.from_arrays([columns[name] for name in REJECT_SCHEMA.names], schema=REJECT_SCHEMA)


def account(delivery_id: int, accepted: int, rejected: int, stripped: int) -> SourceAccount:
    """What became of every row that was read."""
    return SourceAccount(
        delivery_id=delivery_id,
        read=accepted + rejected + stripped,
        accepted=accepted,
        filtered=0,
        rejected=rejected,
        stripped=stripped,
    )


def with_place(columns: pa.Table, position: int, numbers: np.ndarray, schema: pa.Schema) -> pa.Table:
    """The columns behind the system's: which delivery, and which row of it."""
    places = np.full(len(numbers), position, dtype=np.int32)
    system = [arrays.numbers(places, pa.int32()), arrays.numbers(numbers, pa.int64())]
    return pa.Table.from_arrays([*system, *columns.columns], schema=schema)


@lru_cache(maxsize=1000)
def _problems(rule: str, column: str | None, message: str, whole: Whole | None) -> str:
    problems = json.dumps([{"rule": rule, "column": column, "message": message}])
    return whole.beside(problems) if whole else problems
