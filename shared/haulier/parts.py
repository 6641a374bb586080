"""Parquet between the steps: written in parts, read back verified."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import pyarrow as pa

# pyarrow.parquet brings pyarrow.fs along and takes 28 ms to import after pyarrow's own 50 (no numpy);
# the two classes below are what it wraps, and take 1. test_parts.py reads and writes across the two.
from pyarrow._parquet import ParquetReader, ParquetWriter

from haulier.errors import DataError
from haulier.exchange import Exchange, ObjectMissing
from haulier.manifest import Part
from haulier.rows import ROW

#: Of compressed Parquet; its growing buffer takes up to three times that.
PART_BYTES = 32 * 1024 * 1024

#: Level 3 took 1.06 to 1.26 of level 1's time on lab rows, for 0.97 to 1.05 of its size.
ZSTD_LEVEL = 1


class PartKeys(Protocol):
    """Names parts: `haulier.keys.RunKeys`, for one."""

    def part(self, step: str, attempt: str, number: int, sha256: str, kind: str = "part") -> str: ...


class PartWriter:
    """Writes the rows of one step's attempt as immutable objects, each put whole under its digest.

    Equal input makes equal bytes, with one version of pyarrow. At most one part is in memory.
    """

    def __init__(
        self,
        exchange: Exchange,
        keys: PartKeys,
        step: str,
        attempt: str,
        schema: pa.Schema,
        *,
        kind: str = "part",
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._exchange = exchange
        self._keys = keys
        self._step = step
        self._attempt = attempt
        self._schema = schema
        self._kind = kind
        self._part_bytes = part_bytes
        self._parts: list[Part] = []
        self._open: _OpenPart | None = None

    def write(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Add one row group; none for no rows. Raises `ValueError` when the schema is not the writer's."""
        if not rows.schema.equals(self._schema):
            raise ValueError(f"rows of another schema:\n{rows.schema}\nwhere this part has:\n{self._schema}")
        if not rows.num_rows:
            return
        if self._open is None:
            self._open = _OpenPart(self._schema)
        if self._open.write(rows) >= self._part_bytes:
            self._finish(self._open)

    def close(self) -> tuple[Part, ...]:
        """Put the last part; all of them, in order. None when no row was written."""
        if self._open is not None:
            self._finish(self._open)
        return tuple(self._parts)

    def _finish(self, part: _OpenPart) -> None:
        data = part.close()
        sha256 = hashlib.sha256(data).hexdigest()
        key = self._keys.part(self._step, self._attempt, len(self._parts), sha256, self._kind)
        self._exchange.put(key, memoryview(data))
        self._parts.append(Part(key=key, sha256=sha256, bytes=data.size, rows=part.rows))
        self._open = None


class _OpenPart:
    """A Parquet file that grows in memory."""

    def __init__(self, schema: pa.Schema) -> None:
        # On 500,000 lab rows 0.69 of the time and 0.85 to 0.88 of the bytes of pyarrow's defaults: nobody
        # looks for rows by a column's minimum, and row numbers that count up need a few bits each.
        counted = [ROW] if ROW in schema.names and pa.types.is_integer(schema.field(ROW).type) else []
        self._sink = pa.BufferOutputStream()
        self._writer = ParquetWriter(
            self._sink,
            schema,
            version="2.6",
            data_page_version="1.0",
            writer_engine_version="V2",
            compression="zstd",
            compression_level=ZSTD_LEVEL,
            use_dictionary=[name for name in schema.names if name not in counted],
            column_encoding=dict.fromkeys(counted, "DELTA_BINARY_PACKED"),
            write_statistics=False,
            store_schema=True,
        )
        self.rows = 0

    def write(self, rows: pa.Table | pa.RecordBatch) -> int:
        """Add a row group; the bytes so far."""
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        self._writer.write_table(table, row_group_size=table.num_rows)
        self.rows += table.num_rows
        return int(self._sink.tell())

    def close(self) -> pa.Buffer:
        self._writer.close()
        return self._sink.getvalue()


class PartFile:
    """One verified part, in memory."""

    def __init__(self, data: bytes) -> None:
        """Raises `pyarrow.ArrowInvalid` when this is not Parquet."""
        self._reader = ParquetReader()
        self._reader.open(pa.BufferReader(data))

    @property
    def rows(self) -> int:
        return int(self._reader.metadata.num_rows)

    @property
    def schema(self) -> pa.Schema:
        return self._reader.schema_arrow

    def row_groups(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Each row group with these columns, in this order. Raises `KeyError` for one that is not there."""
        schema = self.schema
        if columns is None:
            wanted = None
        else:
            if unknown := set(columns) - set(schema.names):
                raise KeyError(f"no column {', '.join(sorted(unknown))} in this part")
            leaves = self._reader.metadata.schema
            tops = (leaves.column(number).path.partition(".")[0] for number in range(len(leaves)))
            wanted = [number for number, name in enumerate(tops) if name in columns]
        for number in range(self._reader.num_row_groups):
            table = self._reader.read_row_group(number, column_indices=wanted)
            yield table if columns is None else table.select(columns)


def read_part(exchange: Exchange, part: Part) -> PartFile:
    """The part, if it is what was sealed, to the bit. Raises `DataError` when it is not."""
    data = _read(exchange, part)
    if not _matches(data, part):
        # What broke on the way here is whole the second time; what is broken in the store is not.
        data = _read(exchange, part)
    if not _matches(data, part):
        found = hashlib.sha256(data).hexdigest()
        raise DataError(
            f"{exchange.url}/{part.key} is not what was sealed: SHA-256 {part.sha256} and {part.bytes} bytes "
            f"expected, {found} and {len(data)} found; {_WHAT_NOW}",
            key=part.key,
            expected=part.sha256,
            found=found,
        )
    try:
        file = PartFile(data)
    except pa.ArrowInvalid as exc:
        raise DataError(f"{exchange.url}/{part.key} is not Parquet; {_WHAT_NOW}", key=part.key) from exc
    if file.rows != part.rows:
        raise DataError(
            f"{exchange.url}/{part.key} has {file.rows} rows, its manifest says {part.rows}; {_WHAT_NOW}",
            key=part.key,
        )
    return file


def row_groups(
    exchange: Exchange, parts: Iterable[Part], columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """The rows of all parts, one row group at a time. Raises `DataError` as `read_part` does."""
    for part in parts:
        yield from read_part(exchange, part).row_groups(columns)


_WHAT_NOW = "restore the object, or open a new generation: extract with --reprocess"


def _read(exchange: Exchange, part: Part) -> bytes:
    try:
        return exchange.get(part.key)
    except ObjectMissing as exc:
        raise DataError(
            f"{exchange.url}/{part.key} was sealed but is gone; {_WHAT_NOW}", key=part.key
        ) from exc


def _matches(data: bytes, part: Part) -> bool:
    return len(data) == part.bytes and hashlib.sha256(data).hexdigest() == part.sha256
