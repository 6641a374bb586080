"""A table's rows as PostgreSQL itself writes them: a CSV stream, its digest, and the same in Arrow.

Every cell is its type's own text under `transaction`'s session rules (UTC, ISO 8601, shortest exact floats), every
value in quotes and no value nothing: whatever the type is, PostgreSQL reads back what it wrote, and anyone with
psql and sha256sum can compute the digest. No numeric loses a digit, no infinity or NaN its meaning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import psycopg2.errors
import pyarrow as pa
import pyarrow.compute as pc
from psycopg2 import sql

from haulier.ledger.connection import Cursor

_RENDERED_ROWS = 16_384
_COPY_READ_BYTES = 1024 * 1024
_TYPE = b"postgresql_type"


class _File(Protocol):
    """What the driver's stubs ask of a file; it only ever reads or writes."""

    def read(self, size: int = -1, /) -> bytes: ...

    def readline(self, size: int = -1, /) -> bytes: ...

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, kw_only=True)
class Content:
    """How many rows, and the SHA-256 of their stream."""

    rows: int
    sha256: str


def schema_of(columns: Sequence[tuple[str, str]]) -> pa.Schema:
    """Text for every (name, PostgreSQL type); each field says which type that is the text of."""
    return pa.schema([pa.field(name, pa.string(), metadata={_TYPE: kind.encode()}) for name, kind in columns])


def copy_out(
    cursor: Cursor,
    table: sql.Composable,
    names: Sequence[str],
    batch_bytes: int,
    take: Callable[[list[bytes]], object] = lambda _: None,
) -> Content:
    """The content of one table, in the order of its pages; ``take`` is given its lines, a batch at a time."""
    # A scan would else start where another one is, and the order would be a matter of luck.
    cursor.execute("SET LOCAL synchronize_seqscans = off; SET LOCAL client_encoding = 'UTF8'")
    sink = _Sink(batch_bytes, take)
    listed = sql.SQL(", ").join(map(sql.Identifier, names))
    cursor.copy_expert(
        sql.SQL("COPY {} ({}) TO STDOUT (FORMAT csv, FORCE_QUOTE *)").format(table, listed),
        cast("_File", sink),
    )
    sink.flush()
    return Content(rows=sink.rows, sha256=sink.digest.hexdigest())


def copy_in(cursor: Cursor, table: sql.Composable, names: Sequence[str], tables: Iterable[pa.Table]) -> None:
    """The rows of Arrow tables into an empty table; what reading them raises is raised."""
    cursor.execute("SET LOCAL client_encoding = 'UTF8'")
    listed = sql.SQL(", ").join(map(sql.Identifier, names))
    source = _Source(chunk for one in tables for chunk in rendered(one))
    try:
        cursor.copy_expert(
            sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(table, listed),
            cast("_File", source),
            size=_COPY_READ_BYTES,
        )
    except psycopg2.errors.QueryCanceled:
        # The driver cancels the COPY and keeps only the text of why.
        if source.failed is not None:
            raise source.failed from None
        raise


def parsed(lines: list[bytes], schema: pa.Schema) -> pa.Table:
    """Lines of the stream in Arrow."""
    from pyarrow import csv

    data = b"".join(lines)
    return csv.read_csv(
        pa.BufferReader(data),
        # One block: a value with a line break in it may lie anywhere.
        read_options=csv.ReadOptions(column_names=schema.names, block_size=len(data) + 1, use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(schema.names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    ).cast(schema)


def rendered(table: pa.Table) -> Iterator[bytes]:
    """Arrow as the stream PostgreSQL wrote, to the byte."""
    for batch in table.to_batches(max_chunksize=_RENDERED_ROWS):
        cells = [
            pc.coalesce(
                pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', ""),
                pa.scalar(""),
            )
            for column in batch.columns
        ]
        lines = pc.binary_join_element_wise(*cells, ",").to_pylist()
        if lines:
            yield ("\n".join(lines) + "\n").encode()


def content_of(tables: Iterable[pa.Table]) -> Content:
    """What `copy_out` says of the same rows."""
    digest, rows = hashlib.sha256(), 0
    for table in tables:
        rows += table.num_rows
        for chunk in rendered(table):
            digest.update(chunk)
    return Content(rows=rows, sha256=digest.hexdigest())


class _Sink:
    """Takes one line after the other, as the driver gives them."""

    def __init__(self, batch_bytes: int, take: Callable[[list[bytes]], object]) -> None:
        self._batch_bytes, self._take = batch_bytes, take
        self._lines: list[bytes] = []
        self._bytes = 0
        self.rows = 0
        self.digest = hashlib.sha256()

    def write(self, line: bytes, /) -> int:
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= self._batch_bytes:
            self.flush()
        return len(line)

    def flush(self) -> None:
        if not self._lines:
            return
        self.rows += len(self._lines)
        for line in self._lines:
            self.digest.update(line)
        self._take(self._lines)
        self._lines, self._bytes = [], 0


class _Source:
    """A file-like object over chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self.failed: Exception | None = None

    def read(self, size: int = -1, /) -> bytes:
        while not self._rest:
            try:
                chunk = next(self._chunks, None)
            except Exception as exc:
                self.failed = exc
                raise
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)
