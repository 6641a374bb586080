"""Rows of a database as Parquet, in row groups of bounded size; equal rows make equal bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

# As in haulier.parts: a tenth of what pyarrow.parquet takes to import.
from pyarrow._parquet import ParquetWriter

from haulier_extract.sources.sql.asking import Asked
from haulier_extract.sources.sql.dialects import Column
from haulier_extract.sources.sql.values import Unfit, array_of
from haulier_extract.sources.written import Written

#: Of a row group; no setting, because bytes must not depend on the machine.
GROUP_ROWS, GROUP_BYTES = 50_000, 16 * 1024 * 1024
#: Rows fetched first, and at most; in between as many as make a piece of this size.
_FIRST_ROWS, _MOST_ROWS, _PIECE_BYTES = 10, 10_000, 2 * 1024 * 1024


class _Wider(Exception):
    """A column turned out to hold what its type cannot."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


def written(asked: Asked, most: int | None = None) -> tuple[Written, int]:
    """The increment and how many rows it has; of a sample at most ``most``.

    A type is the column's for the whole file or not at all: where a value does not fit (NaN among decimals,
    infinity among dates), the file is begun again, in the same snapshot, with that column as text.
    """
    columns = list(asked.columns)
    while True:
        try:
            return _written(asked, columns, most)
        except _Wider as exc:
            columns[exc.at] = columns[exc.at].as_text()


def _written(asked: Asked, columns: Sequence[Column], most: int | None) -> tuple[Written, int]:
    file = Written("the database answers")
    schema = pa.schema([pa.field(column.name, column.kind) for column in columns])
    writer = ParquetWriter(
        pa.PythonFile(_Sink(file), mode="w"),
        schema,
        version="2.6",
        data_page_version="1.0",
        writer_engine_version="V2",
        compression="zstd",
        compression_level=1,
        write_statistics=False,
        store_schema=True,
    )
    group: list[pa.RecordBatch] = []
    size, total, fetch = 0, 0, _FIRST_ROWS
    for result in asked.rows(columns, most):
        with result:
            while rows := result.fetchmany(fetch):
                batch = _batch(rows, columns, schema)
                group.append(batch)
                size += batch.nbytes
                total += len(rows)
                fetch = max(1, min(_MOST_ROWS, len(rows) * _PIECE_BYTES // max(1, batch.nbytes), fetch * 4))
                if size >= GROUP_BYTES or sum(one.num_rows for one in group) >= GROUP_ROWS:
                    _write(writer, group)
                    group, size = [], 0
    _write(writer, group)
    writer.close()
    return file, total


def _batch(rows: Sequence[Any], columns: Sequence[Column], schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for at, values in enumerate(zip(*rows, strict=True)):
        try:
            arrays.append(array_of(values, columns[at].kind))
        except Unfit:
            raise _Wider(at) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _write(writer: ParquetWriter, group: Sequence[pa.RecordBatch]) -> None:
    if group:
        table = pa.Table.from_batches(group)
        writer.write_table(table, row_group_size=table.num_rows)


class _Sink(io.RawIOBase):
    """What pyarrow writes to."""

    def __init__(self, file: Written) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = memoryview(data)
        self._file.add(piece)
        return piece.nbytes
