"""Parquet: columns in their own types, a batch at a time; nested ones become JSON, bytes hexadecimal text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from haulier.definitions.formats import Parquet
from haulier.definitions.sources import Ready
from haulier.errors import DataError
from haulier.exchange import Exchange
from haulier.manifest import Delivery, SourceAccount
from haulier.originals import open_original
from haulier.parquet import ParquetFile, RenderedRows, is_whole
from haulier.rows import SYSTEM_FIELDS, VERBATIM_BYTES
from haulier.texts import texts_of
from haulier_extract.columns import column_names
from haulier_extract.gathering import Batch, Reject, Rejects, Rows, account, with_place


def read(
    exchange: Exchange, delivery: Delivery, form: Parquet, *, position: int, wanted: Sequence[int] | None
) -> Reader:
    for _ in open_original(exchange, delivery):
        pass  # to its end, where its digest is judged
    file = ParquetFile(exchange, delivery, form)
    finer = ParquetFile(exchange, delivery, form, int96="ns") if file.int96 else None
    return Reader(file, finer, delivery.uri, position, wanted)


def unfinished(chunks: Iterator[bytes], form: Parquet, ready: Ready, name: str) -> str | None:
    head, tail, size = b"", b"", 0
    for chunk in chunks:
        head = head or chunk[:4]
        tail = (tail + chunk[-8:])[-8:]
        size += len(chunk)
    return None if is_whole(head, tail, size) else "it does not begin and end as Parquet does"


class Reader:
    """Reads one delivery. Rows are numbered from 1, as a file without a header has them."""

    def __init__(
        self,
        file: ParquetFile,
        finer: ParquetFile | None,
        name: str,
        position: int,
        wanted: Sequence[int] | None,
    ) -> None:
        """``finer``: the same file with INT96 as nanoseconds, where it has some."""
        self._file, self._finer, self._name, self._position = file, finer, name, position
        self._wanted = None if wanted is None else np.unique(np.array(wanted, dtype=np.int64))
        names, self.notes = column_names(file.schema.names, name)
        kinds = [_kept(field.type) for field in file.schema]
        self._columns = pa.schema([pa.field(*field) for field in zip(names, kinds, strict=True)])
        self.schema = pa.schema([*SYSTEM_FIELDS, *self._columns])
        self.rules: Counter[str] = Counter()
        self._accepted = 0

    def batches(self, most_rows: int, most_bytes: int) -> Iterator[Batch]:
        rows, rejects = Rows(most_rows, most_bytes), Rejects(self._position)
        last = 0
        wanted = None if self._wanted is None else self._wanted.tolist()
        batches = self._file.batches(most_rows, most_bytes, wanted)
        finer: Iterator[Any] = repeat((0, None))
        if self._finer:
            finer = self._finer.batches(most_rows, most_bytes, wanted, self._finer.int96)
        for (first, batch), (_, fine) in zip(batches, finer, strict=False):
            last = first + batch.num_rows - 1
            numbers = np.arange(first, last + 1, dtype=np.int64)
            chosen = np.ones(len(numbers), dtype=bool) if wanted is None else np.isin(numbers, wanted)
            columns, broken = self._converted(batch)
            cut = self._cut(batch, fine)
            wrong = broken.any(axis=0) | cut.any(axis=0)
            for at in np.flatnonzero(chosen & wrong).tolist():
                rejects.add(self._reject(RenderedRows(first, batch), at, broken[:, at], cut[:, at]))
            keep = chosen & ~wrong
            table = pa.Table.from_arrays(columns, schema=self._columns)
            if not keep.all():
                table = table.filter(pa.array(keep))
            self._accepted += table.num_rows
            placed = with_place(table, self._position, numbers[keep], self.schema)
            yield from (Batch(rows=group) for group in rows.add(placed, table.nbytes))
            if rejects.full:
                yield Batch(rejects=rejects.table())
        if wanted and wanted[-1] > last:
            raise DataError(f"{self._name} has no row {wanted[-1]}; extract it whole, with --reprocess")
        yield Batch(rows=rows.rest(), rejects=rejects.table())

    def account(self, delivery_id: int) -> SourceAccount:
        return account(delivery_id, self._accepted, self.rules.total(), 0)

    def _converted(self, batch: pa.RecordBatch) -> tuple[list[Any], np.ndarray]:
        """The columns as they are handed on; and which values are text that is none, by column and row."""
        columns = []
        broken = np.zeros((max(1, batch.num_columns), batch.num_rows), dtype=bool)
        for at, (array, field) in enumerate(zip(batch.columns, self._columns, strict=True)):
            plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
            if _is_text(plain.type) or pa.types.is_nested(plain.type):
                broken[at] = _not_utf8(plain)
                if broken[at].any():
                    plain = pc.if_else(pa.array(~broken[at]), plain, pa.scalar(None, plain.type))
            columns.append(plain if plain.type == field.type else _as(plain, field.type))
        return columns, broken

    def _cut(self, batch: pa.RecordBatch, finer: pa.RecordBatch | None) -> np.ndarray:
        """Which values have digits below the microsecond, by column and row. Raises `DataError` for nested ones."""
        cut = np.zeros((max(1, batch.num_columns), batch.num_rows), dtype=bool)
        if self._finer is None or finer is None:
            return cut
        for at, fine in zip(_holding(batch.schema, self._finer.int96), finer.columns, strict=True):
            if pa.types.is_timestamp(fine.type):
                cut[at] = _beyond(batch[at], fine)
            elif any(_beyond(*leaf).any() for leaf in _leaves(batch[at], fine)):
                raise DataError(
                    f"{self._name}: {self._columns.names[at]} has nested times with digits below the microsecond "
                    "(INT96); write them as TIMESTAMP(MICROS)"
                )
        return cut

    def _reject(self, rows: RenderedRows, at: int, broken: np.ndarray, cut: np.ndarray) -> Reject:
        rule, column, message = (
            (
                "encoding",
                int(broken.argmax()),
                "the text is not UTF-8, as Parquet promises; write it as text, or as binary",
            )
            if broken.any()
            else (
                "precision",
                int(cut.argmax()),
                "the time has digits below the microsecond (INT96); write it as TIMESTAMP(MICROS)",
            )
        )
        self.rules[rule] += 1
        verbatim = rows.record(at)
        return Reject(
            row=rows.first + at,
            rule=rule,
            column=self._columns.names[column],
            message=message,
            verbatim=verbatim[:VERBATIM_BYTES],
            verbatim_bytes=len(verbatim),
        )


def _holding(schema: pa.Schema, leaves: Sequence[int]) -> list[int]:
    """The columns that some of Parquet's own columns, counted by leaves, belong to."""
    found, first = [], 0
    for at, field in enumerate(schema):
        last = first + _width(field.type)
        if any(first <= leaf < last for leaf in leaves):
            found.append(at)
        first = last
    return found


def _width(kind: pa.DataType) -> int:
    if isinstance(kind, pa.BaseExtensionType):
        return _width(kind.storage_type)
    if not pa.types.is_nested(kind):
        return 1
    return sum(_width(kind.field(at).type) for at in range(kind.num_fields))


def _beyond(coarse: Any, fine: Any) -> np.ndarray:
    """Where nanoseconds say more than microseconds. Both count modulo 2**64, so that no year is wrong here."""
    counted = pc.multiply(coarse.cast(pa.int64()), 1000)
    differs = pc.fill_null(pc.not_equal(fine.cast(pa.int64()), counted), False)
    found: np.ndarray = differs.to_numpy(zero_copy_only=False)
    return found


def _leaves(coarse: Any, fine: Any) -> Iterator[tuple[Any, Any]]:
    """The times inside nested values, as they are in both."""
    if pa.types.is_timestamp(coarse.type):
        yield coarse, fine
    elif pa.types.is_map(coarse.type):
        yield from _leaves(coarse.keys, fine.keys)
        yield from _leaves(coarse.items, fine.items)
    elif pa.types.is_struct(coarse.type):
        for at in range(fine.type.num_fields):
            name = fine.type.field(at).name
            yield from _leaves(coarse.field(name), fine.field(name))
    elif pa.types.is_nested(coarse.type):
        yield from _leaves(coarse.flatten(), fine.flatten())


def _kept(kind: pa.DataType) -> pa.DataType:
    """The type that a column is handed on in: its own, or text where a part's reader would not judge it."""
    if pa.types.is_dictionary(kind):
        return _kept(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType) and kind != pa.uuid():
        return _kept(kind.storage_type)
    own = (
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal128(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_date32(kind)
        or pa.types.is_time(kind)
        or kind == pa.uuid()
    )
    return kind if own else pa.string()


def _as(array: Any, kind: pa.DataType) -> Any:
    if isinstance(array, pa.ExtensionArray):
        return _as(array.storage, kind)
    return array if array.type == kind else texts_of(array)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _not_utf8(array: Any) -> np.ndarray:
    """Which texts are not UTF-8: Parquet's readers, pyarrow among them, do not look."""
    broken = np.zeros(len(array), dtype=bool)
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        for at, value in enumerate(array):
            try:
                value.as_py()
            except UnicodeDecodeError:
                broken[at] = True
    return broken
