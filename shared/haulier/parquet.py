"""Parquet that others wrote: kept originals read a piece at a time, wherever the exchange is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
from pyarrow._parquet import ParquetReader

from haulier.compression import compression
from haulier.definitions.formats import Parquet
from haulier.errors import DataError
from haulier.exchange import Exchange
from haulier.manifest import Delivery
from haulier.pieces import Pieces
from haulier.texts import json_rows

#: Read at once; a page of a column chunk has 1 MiB as most writers write it.
PIECE_BYTES = 1024 * 1024
_MAGIC, _FOOTER_BYTES = b"PAR1", 8


class ParquetFile:
    """A delivery's columns, in their own types. Nothing checks the digest: whoever reads all of it does."""

    def __init__(
        self, exchange: Exchange, delivery: Delivery, form: Parquet, *, int96: Literal["us", "ns"] = "us"
    ) -> None:
        """Raises `DataError` for what is no Parquet, and for a row group too large to be read.

        INT96 holds nanoseconds of any year and Arrow's 64 bits do not: ``us`` loses digits below the microsecond,
        ``ns`` the years before 1678 and after 2261, whose values come as others.
        """
        self._name = delivery.uri
        if compression(self._name):
            raise DataError(f"{self._name} is packed, and Parquet is already; send it as it was written")
        self._reader = ParquetReader()
        self._do(
            self._reader.open,
            Pieces(exchange, delivery.original, delivery.bytes),
            # Pages as they are needed, instead of whole column chunks.
            buffer_size=PIECE_BYTES,
            pre_buffer=False,
            coerce_int96_timestamp_unit=int96,
            arrow_extensions_enabled=True,
        )
        self._metadata = self._reader.metadata
        for number in range(self.groups):
            size = self._metadata.row_group(number).total_byte_size
            if size > form.row_group_bytes:
                raise DataError(
                    f"row group {number + 1} of {self._name} has {size} bytes, parquet.row_group_bytes allows "
                    f"{form.row_group_bytes}; write smaller row groups, or allow more and give extract the memory"
                )

    @property
    def schema(self) -> pa.Schema:
        schema: pa.Schema = self._do(lambda: self._reader.schema_arrow)
        return schema

    @property
    def int96(self) -> list[int]:
        """The columns, counted as Parquet does (each leaf of a nested one is one), that hold INT96."""
        schema = self._metadata.schema
        return [at for at in range(len(schema)) if schema.column(at).physical_type == "INT96"]

    @property
    def groups(self) -> int:
        return int(self._metadata.num_row_groups)

    def batches(
        self,
        most_rows: int,
        most_bytes: int,
        wanted: Sequence[int] | None = None,
        columns: Sequence[int] | None = None,
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows in order, each batch with the number of its first; only row groups with ``wanted`` rows.

        How they are batched depends on the file and the limits, never on ``columns``, numbered as in `int96`.
        """
        first = 1
        for number in range(self.groups):
            group = self._metadata.row_group(number)
            rows = int(group.num_rows)
            if wanted is None or any(first <= row < first + rows for row in wanted):
                size = max(1, min(most_rows, rows * most_bytes // max(1, int(group.total_byte_size))))
                yield from self._group(number, first, size, columns)
            first += rows

    def _group(
        self, number: int, first: int, size: int, columns: Sequence[int] | None
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        batches = self._do(
            lambda: self._reader.iter_batches(size, [number], column_indices=columns, use_threads=False)
        )
        while (batch := self._do(lambda: next(batches, None))) is not None:
            yield first, batch
            first += batch.num_rows

    def _do(self, call: Any, *values: Any, **options: Any) -> Any:
        """What pyarrow says of bytes that are no Parquet leaves as one of ours, without the values it quotes."""
        try:
            return call(*values, **options)
        except (pa.ArrowException, OSError, ValueError) as exc:
            raise DataError(
                f"{self._name} is not Parquet, or damaged ({type(exc).__name__}); ask for it again"
            ) from exc


def is_whole(head: bytes, tail: bytes, size: int) -> bool:
    """Whether a file begins and ends as Parquet does, its footer inside it."""
    footer = int.from_bytes(tail[-_FOOTER_BYTES:-4], "little") + _FOOTER_BYTES + len(_MAGIC)
    return head.startswith(_MAGIC) and tail.endswith(_MAGIC) and footer <= size


@dataclass(frozen=True)
class RenderedRows:
    """Rows of a batch, each as one JSON object, made when it is asked for."""

    first: int
    batch: pa.RecordBatch

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def record(self, index: int) -> bytes:
        row = self.batch.slice(index, 1)
        return next(json_rows(self._names, row.columns)).encode()

    def whole(self, index: int) -> None:
        """A row has no bytes of its own in the file."""

    @cached_property
    def _names(self) -> list[str]:
        return list(self.batch.schema.names)


def rendered(exchange: Exchange, delivery: Delivery, form: Parquet) -> Iterator[RenderedRows]:
    """Every row as the bytes that stand for it."""
    for first, batch in ParquetFile(exchange, delivery, form).batches(10_000, 8 * PIECE_BYTES):
        yield RenderedRows(first, batch)
