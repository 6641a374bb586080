"""Rows of one delivery: its first ones, and a reservoir over the rest."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from haulier.compression import compression, decompressed
from haulier.definitions.formats import Csv, FixedWidth, Format, JsonLines
from haulier.errors import TransientError
from haulier.exchange import Exchange
from haulier.manifest import Delivery
from haulier.rows import SYSTEM_FIELDS
from haulier_extract.formats import module_of
from haulier_extract.sources import Newest, Vanished

#: How much of a text file is looked at; a workbook or a Parquet file can only be read whole.
MOST_BYTES = 64 * 1024 * 1024
#: How many rows are passed by, and how much the drawn ones may weigh.
MOST_ROWS, MOST_DRAWN_BYTES = 1_000_000, 64 * 1024 * 1024
#: Rows drawn from the rest for each of the first ones.
DRAWN = 10
_BATCH_ROWS, _BATCH_BYTES = 50_000, 8 * 1024 * 1024
_KEY = "sample"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A copy of a delivery, text unpacked and perhaps not all of it."""

    exchange: Exchange
    delivery: Delivery
    whole: bool

    def chunks(self) -> Iterator[bytes]:
        return self.exchange.stream(self.delivery.original, 1024 * 1024)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The rows a proposal rests on."""

    table: pa.Table
    #: The section of a definition that reads it.
    section: str
    #: How many rows were passed by; ``whole``: there are no others.
    seen: int
    whole: bool
    #: What the reader rejects, by rule, and what it says.
    rules: Counter[str]
    notes: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self.table.column_names]


def keep(exchange: Exchange, found: Newest, form: Format, most: int = MOST_BYTES) -> Kept:
    """A copy that readers can read. Raises what the source raises, and `TransientError` when there is no room."""
    name, chunks = found.uri, found.open()
    cut = _Cut(most)
    if isinstance(form, (Csv, JsonLines, FixedWidth)):
        if packed := compression(name):
            chunks, name = decompressed(chunks, name, form), name[: -len(packed) - 1]
        chunks = cut.to_size(chunks)
    digest = hashlib.sha256()

    def digested() -> Iterator[bytes]:
        for chunk in chunks:
            digest.update(chunk)
            yield chunk

    try:
        size = exchange.upload(_KEY, digested())
    except Vanished as exc:
        raise TransientError(f"{found.uri} vanished while it was read; try again") from exc
    delivery = Delivery(
        delivery_id=1,
        logical_name=found.name,
        sequence=1,
        sha256=digest.hexdigest(),
        bytes=size,
        uri=name,
        modified_at=found.modified_at,
        original=_KEY,
    )
    return Kept(exchange=exchange, delivery=delivery, whole=not cut.done)


class _Cut:
    def __init__(self, most: int) -> None:
        self._most, self.done = most, False

    def to_size(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """So many bytes, to the end of a line."""
        size = 0
        for chunk in chunks:
            if size + len(chunk) > self._most:
                self.done = True
                part = chunk[: self._most - size]
                yield part[: part.rfind(b"\n") + 1] or part
                return
            size += len(chunk)
            yield chunk


def sample(kept: Kept, form: Format, first: int) -> Sample:
    """Raises `DataError` for a file that cannot be read."""
    reader = module_of(form).read(kept.exchange, kept.delivery, form, position=0, wanted=None)
    head: list[pa.Table] = []
    drawn = _Reservoir(first * DRAWN)
    seen, whole = 0, True
    for batch in reader.batches(_BATCH_ROWS, _BATCH_BYTES):
        if batch.rows is None:
            continue
        room = max(0, first - seen)
        head.append(batch.rows.slice(0, room))
        drawn.add(batch.rows.slice(room))
        seen += batch.rows.num_rows
        if seen >= MOST_ROWS:
            whole = False
            break
    tables = [*head, *drawn.tables()]
    table = pa.concat_tables(tables) if tables else reader.schema.empty_table()
    columns = table.drop_columns([field.name for field in SYSTEM_FIELDS])
    return Sample(
        table=columns,
        section=form.section,
        seen=seen,
        whole=whole,
        rules=reader.rules,
        notes=tuple(reader.notes),
    )


class _Reservoir:
    """As many rows as there is room for, each of those offered with the same chance.

    Every row draws a number, and the smallest numbers stay. The same file gives the same rows.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._random = np.random.default_rng(0)
        self._table: pa.Table | None = None
        self._drawn = np.zeros(0)

    def add(self, rows: pa.Table) -> None:
        if not rows.num_rows:
            return
        table = rows if self._table is None else pa.concat_tables([self._table, rows])
        drawn = np.concatenate((self._drawn, self._random.random(rows.num_rows)))
        stay = np.sort(np.argsort(drawn, kind="stable")[: self._most])
        if table.nbytes > MOST_DRAWN_BYTES:
            self._most = max(1, min(self._most, len(stay)) // 2)
            stay = np.sort(np.argsort(drawn, kind="stable")[: self._most])
        self._table, self._drawn = table.take(pa.array(stay)), drawn[stay]

    def tables(self) -> list[pa.Table]:
        return [] if self._table is None else [self._table]
