"""One delivery's text to row groups of text columns, every record of it accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from haulier.definitions import Csv
from haulier.errors import DataError
from haulier.manifest import SourceAccount
from haulier.records import Block, BoolArray, IntArray
from haulier.rows import DELIVERY, OUTPUT, REJECT_SCHEMA, ROW, SYSTEM_FIELDS
from haulier_extract import arrays
from haulier_extract.footer import Footer
from haulier_extract.header import read_header
from haulier_extract.parsing import Bad, Parser

#: Rejects are handed on when there are so many, or so many bytes of them.
REJECTS, REJECTED_BYTES = 10_000, 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A row group of rows, one of rejects, or both."""

    rows: pa.Table | None = None
    rejects: pa.Table | None = None


class Reader:
    """Reads one delivery.

    ``columns``, ``schema`` and the header's notes are there at once, the rest when ``batches`` has
    ended. What is read does not depend on how it is batched. With ``wanted`` only the records with
    these row numbers are read.
    """

    def __init__(
        self,
        blocks: Iterator[Block],
        csv: Csv,
        *,
        name: str,
        position: int,
        wanted: Sequence[int] | None = None,
    ) -> None:
        """Raises `DataError` when there is no reading the header."""
        self._csv, self._name, self._position = csv, name, position
        self._wanted: IntArray | None = (
            None if wanted is None else np.unique(np.array(wanted, dtype=np.int64))
        )
        self.columns, self._blocks, self.notes = read_header(blocks, csv, name)
        self._parser = Parser(self.columns, csv)
        self.schema = pa.schema([*SYSTEM_FIELDS, *self._parser.schema])
        self.rules: Counter[str] = Counter()
        self._accepted = self._blank = self._outside = 0

    def batches(self, most_rows: int, most_bytes: int) -> Iterator[Batch]:
        """Row groups of at most so many rows and about so many bytes of source text.

        Raises `DataError` when the footer contradicts what was read, and for a wanted row that is not there.
        """
        rows, rejects = _Rows(most_rows, most_bytes), _Rejects(self._position)
        footer = Footer(self._csv)
        first = last = 0
        for block in footer.before(self._blocks):
            first, last = first or block.first, block.first + len(block) - 1
            wanted = self._chosen(block)
            parsed = self._parser.parse(block, wanted)
            self._check(block, wanted, len(parsed.places) + len(parsed.bad) + parsed.blank)
            self._accepted += len(parsed.places)
            self._blank += parsed.blank
            self.rules.update(bad.rule for bad in parsed.bad)
            rejects.add(block, parsed.bad)
            table = self._with_place(parsed.columns, block.first + parsed.places)
            yield from (Batch(rows=group) for group in rows.add(table, block.stop - int(block.starts[0])))
            if rejects.full:
                yield Batch(rejects=rejects.table())
        if self._wanted is None:
            self._outside = footer.lines
            footer.check(self._accepted + self.rules.total(), self._name)
        else:
            self._outside = self._wanted_outside(first, last, footer.lines)
        yield Batch(rows=rows.rest(), rejects=rejects.table())

    def account(self, delivery_id: int) -> SourceAccount:
        """What became of every record after the header: blank and footer lines are ``stripped``."""
        rejected, stripped = self.rules.total(), self._blank + self._outside
        return SourceAccount(
            delivery_id=delivery_id,
            read=self._accepted + rejected + stripped,
            accepted=self._accepted,
            filtered=0,
            rejected=rejected,
            stripped=stripped,
        )

    def _chosen(self, block: Block) -> BoolArray | None:
        if self._wanted is None:
            return None
        return np.isin(np.arange(block.first, block.first + len(block)), self._wanted)

    def _check(self, block: Block, wanted: BoolArray | None, judged: int) -> None:
        records = len(block) if wanted is None else int(np.count_nonzero(wanted))
        if judged != records:
            raise AssertionError(
                f"{self._name}: of {records} records from {block.first} on, {judged} were judged"
            )

    def _wanted_outside(self, first: int, last: int, footer: int) -> int:
        """How many wanted rows are no data any more: the definition now says header or footer."""
        assert self._wanted is not None
        if len(self._wanted) and self._wanted[-1] > last + footer:
            raise DataError(
                f"{self._name} has no row {self._wanted[-1]} any more: the csv section of its definition now cuts the "
                "file into other rows; extract it whole, with --reprocess"
            )
        return int(np.count_nonzero((self._wanted < first) | (self._wanted > last)))

    def _with_place(self, columns: pa.Table, numbers: IntArray) -> pa.Table:
        position = np.full(len(numbers), self._position, dtype=np.int32)
        place = [arrays.numbers(position, pa.int32()), arrays.numbers(numbers, pa.int64())]
        return pa.Table.from_arrays([*place, *columns.columns], schema=self.schema)


class _Rows:
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


class _Rejects:
    """Gathers rejected records, each with its bytes."""

    def __init__(self, position: int) -> None:
        self._position = position
        self._rejects: list[tuple[int, Bad, bytes, int]] = []
        self._bytes = 0

    @property
    def full(self) -> bool:
        return len(self._rejects) >= REJECTS or self._bytes >= REJECTED_BYTES

    def add(self, block: Block, bad: Sequence[Bad]) -> None:
        for one in bad:
            verbatim, length = block.verbatim(one.index)
            self._rejects.append((block.first + one.index, one, verbatim, length))
            self._bytes += len(verbatim)

    def table(self) -> pa.Table | None:
        """What was gathered since the last time, if anything."""
        if not self._rejects:
            return None
        rows, bad, verbatim, lengths = zip(*self._rejects, strict=True)
        count = len(rows)
        columns = {
            DELIVERY: arrays.numbers(np.full(count, self._position, dtype=np.int32), pa.int32()),
            ROW: arrays.numbers(np.array(rows, dtype=np.int64), pa.int64()),
            OUTPUT: pa.nulls(count, pa.int32()),
            "step": arrays.texts(["extract"] * count),
            "rule": arrays.texts([one.rule for one in bad]),
            "column": pa.nulls(count, pa.string()),
            "message": arrays.texts([one.message for one in bad]),
            "problems": arrays.texts([one.problems for one in bad]),
            "verbatim": arrays.of_bytes(verbatim, pa.binary()),
            "verbatim_bytes": arrays.numbers(np.array(lengths, dtype=np.int64), pa.int64()),
        }
        self._rejects, self._bytes = [], 0
        return pa.Table.from_arrays([columns[name] for name in REJECT_SCHEMA.names], schema=REJECT_SCHEMA)
