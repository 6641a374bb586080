"""Rows brought together so that no group is divided between two batches, however many rows a run has."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from haulier import rows
from haulier.errors import TransientError
from haulier_transform import kernels as pc
from haulier_transform.arrays import Array, numbers_of, of_numbers
from haulier_transform.pivot import Pivoting

#: Files that rows are divided into at the most; of a run that would need more, each batch is larger.
MOST_BUCKETS = 256
#: FNV's prime for 64 bits.
_PRIME = np.uint64(0x100000001B3)


def whole_groups(
    tables: Iterable[pa.Table], total: int, most_rows: int, pivoting: Pivoting
) -> Iterator[pa.Table]:
    """All rows, ``total`` of them, in batches of about ``most_rows`` at the most, each with every row of its groups.

    What is more than one batch goes through files in the temporary folder: a row's file follows from its delivery and
    the columns that name its group, so that it is the same whatever came before. Rows keep their order inside a
    batch. Raises `TransientError` when there is no room.
    """
    if total <= most_rows:
        yield from _by_schema(tables)
        return
    # Twice as many as would hold them all, since some get more than others.
    count = min(MOST_BUCKETS, 2 * -(-total // most_rows))
    with tempfile.TemporaryDirectory(prefix="haulier-pivot-") as folder:
        files = [Path(folder) / f"{number}.arrows" for number in range(count)]
        for table in tables:
            _, missing = pivoting.places(table.column_names)
            if missing:
                # Nobody knows its groups: its rows are rejected, wherever they are.
                yield table
            else:
                _divide(table, _buckets(table, count, pivoting), files)
        for file in files:
            if file.exists():
                yield from _by_schema(_read(file))
                file.unlink()


def _by_schema(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The rows of each header as one table."""
    found: dict[str, list[pa.Table]] = {}
    for table in tables:
        found.setdefault(
            table.schema.to_string(show_schema_metadata=False, truncate_metadata=False), []
        ).append(table)
    for alike in found.values():
        yield pa.concat_tables(alike)


def _buckets(table: pa.Table, count: int, pivoting: Pivoting) -> NDArray[np.int64]:
    """Which file each row belongs to: the same in every process, unlike Python's own hash."""
    hashed = numbers_of(table.column(rows.DELIVERY).combine_chunks()).astype(np.uint64)
    for texts in pivoting.keys(table):
        hashed = hashed * _PRIME + _hashed(texts)
    return ((hashed ^ (hashed >> np.uint64(32))) % np.uint64(count)).astype(np.int64)


def _hashed(texts: Array) -> NDArray[np.uint64]:
    encoded = pc.dictionary_encode(texts)
    distinct = [
        0 if text is None else zlib.crc32(text.encode()) + 1 for text in encoded.dictionary.to_pylist()
    ]
    hashed: NDArray[np.uint64] = np.array(distinct, dtype=np.uint64)[numbers_of(encoded.indices)]
    return hashed


def _divide(table: pa.Table, bucket: NDArray[np.int64], files: list[Path]) -> None:
    order = np.argsort(bucket, kind="stable")
    ordered = pc.take(table, of_numbers(order))
    held = np.bincount(bucket, minlength=len(files))
    starts = np.cumsum(held) - held
    for number in np.flatnonzero(held).tolist():
        try:
            # Opened for each piece: as many files as buckets, open at once, are more than some systems allow.
            with files[number].open("ab") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(ordered.slice(int(starts[number]), int(held[number])))
        except OSError as exc:
            raise TransientError(
                f"{tempfile.gettempdir()} cannot hold the rows that transform.pivot brings together ({exc.strerror}); give "
                "TMPDIR more room, or transform more rows at once (HAULIER_BATCH_ROWS)"
            ) from exc


def _read(file: Path) -> Iterator[pa.Table]:
    """The pieces of a bucket, in the order they were written."""
    with pa.OSFile(str(file)) as source:
        size = source.size()
        while source.tell() < size:
            with pa.ipc.open_stream(source) as reader:
                yield reader.read_all()
