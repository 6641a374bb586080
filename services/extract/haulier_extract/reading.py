"""One delivery's records as Arrow text, and what cannot be read as rejects."""

from __future__ import annotations

import csv as pycsv
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv
from haulier.definitions import Csv
from haulier.encodings import cell_encoding
from haulier.errors import DataError
from haulier.exchange import Exchange
from haulier.keys import RunKeys
from haulier.manifest import Delivery, Part, SourceAccount
from haulier.originals import records_of
from haulier.parts import PartWriter
from haulier.records import Block
from haulier.rows import REJECT_SCHEMA, SYSTEM_FIELDS

#: Trailing records held back while it is unknown whether they are footer: a pattern may match this many.
_FOOTER_LINES = 16

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How to read: the dialect, and how much to hold at a time."""

    csv: Csv
    batch_rows: int
    batch_bytes: int


@dataclass(kw_only=True)
class Read:
    """What one delivery gave."""

    parts: tuple[Part, ...]
    account: SourceAccount
    notes: list[str]
    rules: Counter[str]


def read(
    exchange: Exchange,
    keys: RunKeys,
    attempt: str,
    reading: Reading,
    delivery: Delivery,
    position: int,
    rejects: PartWriter,
) -> Read:
    """Write a delivery's rows, every cell text, and its rejects; return the parts and the account.

    Raises `DataError` when the file's footer claims another number of rows, or the kept original is
    not what was reserved.
    """
    return _DeliveryReader(exchange, keys, attempt, reading, delivery, position, rejects).read()


@dataclass
class _DeliveryReader:
    exchange: Exchange
    keys: RunKeys
    attempt: str
    reading: Reading
    delivery: Delivery
    position: int
    rejects: PartWriter
    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)
    read_rows: int = 0
    accepted: int = 0
    rejected: int = 0
    stripped: int = 0
    _writer: PartWriter | None = None
    _held: list[pa.Table] = field(default_factory=list)
    _held_bytes: int = 0
    _rejects_held: list[dict[str, Any]] = field(default_factory=list)

    def read(self) -> Read:
        csv = self.reading.csv
        self._encoding = cell_encoding(csv.encoding)
        self._replayed = (
            None
            if self.delivery.replayed is None
            else np.array(sorted({row for row, _ in self.delivery.replayed}), dtype=np.int64)
        )
        records = records_of(self.exchange, self.delivery, csv)
        for block in self._without_footer(self._without_header(records)):
            self._take(block)
        self._flush()
        self._flush_rejects()
        account = SourceAccount(
            delivery_id=self.delivery.delivery_id,
            read=self.read_rows,
            accepted=self.accepted,
            filtered=0,
            rejected=self.rejected,
            stripped=self.stripped,
        )
        parts = self._writer.close() if self._writer else ()
        return Read(parts=parts, account=account, notes=self.notes, rules=self.rules)

    def _without_header(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """The data records; the header has named the columns by then."""
        csv = self.reading.csv
        header, data = csv.preamble_rows + 1, csv.preamble_rows + csv.header_rows + 1
        for block in blocks:
            if block.first <= header < block.first + len(block):
                index = header - block.first
                if block.rule:
                    raise DataError(f"{self.delivery.uri}: its header cannot be read ({block.rule})")
                self._name_columns(block.record(index))
            if block.first + len(block) > data:
                yield block.slice(data - block.first, len(block)) if block.first < data else block
        if not self.names:
            self.notes.append(f"{self.delivery.uri} has no header: an empty file")

    def _name_columns(self, record: bytes) -> None:
        try:
            text = record.decode(self._encoding)
        except UnicodeDecodeError as exc:
            raise DataError(
                f"{self.delivery.uri}: its header is not {self.reading.csv.encoding} (byte {exc.start}); "
                "correct source.csv.encoding"
            ) from None
        seen: Counter[str] = Counter()
        for number, cell in enumerate(self._cells(text), start=1):
            name = cell.strip().lstrip("\ufeff").strip()
            if not name:
                name = f"column_{number}"
                self.notes.append(f"{self.delivery.uri}: column {number} has no name; called {name}")
            seen[name] += 1
            if seen[name] > 1:
                self.notes.append(f"{self.delivery.uri}: column {name!r} stands {seen[name]} times in the header")
                name = f"{name}#{seen[name]}"
            self.names.append(name)

    def _without_footer(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """The records that are rows; footer lines at the end are stripped, and a count they claim is checked."""
        footer = self.reading.csv.footer
        hold = footer.rows + (_FOOTER_LINES if footer.pattern else 0)
        if not hold:
            yield from blocks
            return
        tail: list[Block] = []
        for block in blocks:
            tail += [block.slice(0, len(block) - hold), block.slice(max(len(block) - hold, 0), len(block))]
            tail = [piece for piece in tail if len(piece)]
            while len(tail) > 1 and sum(map(len, tail[1:])) >= hold:
                yield tail.pop(0)
        yield from self._strip_footer(tail)

    def _strip_footer(self, tail: list[Block]) -> Iterator[Block]:
        footer = self.reading.csv.footer
        pattern = re.compile(footer.pattern) if footer.pattern else None
        lines = [(block, index) for block in tail for index in range(len(block))]
        stripped, claimed, taken = 0, None, 0
        while lines:
            block, index = lines[-1]
            record = block.record(index)
            match = pattern.fullmatch(record.decode(self._encoding, "replace").strip()) if pattern else None
            if match is None and record and taken >= footer.rows:
                break
            if match and match.groups() and match[1] is not None:
                claimed = match[1]
            taken += bool(record)
            stripped += 1
            lines.pop()
        self.read_rows += stripped
        self.stripped += stripped
        kept = len(lines)
        for block in tail:
            if kept > 0:
                yield block.slice(0, kept)
            kept -= len(block)
        if claimed is not None:
            found = self.read_rows - self.stripped
            if not claimed.strip().isdigit() or int(claimed) != found:
                raise DataError(
                    f"{self.delivery.uri}: its footer claims {claimed} rows and it has {found}; ask the sender for the whole file"
                )

    def _take(self, block: Block) -> None:
        numbers = np.arange(block.first, block.first + len(block))
        wanted = np.ones(len(block), dtype=np.bool_)
        if self._replayed is not None:
            wanted = np.isin(numbers, self._replayed)
        blank = block.ends == block.starts
        self.read_rows += int(wanted.sum())
        self.stripped += int((wanted & blank).sum())
        wanted &= ~blank
        if block.rule:
            for index in np.flatnonzero(wanted).tolist():
                self._reject(block, index, block.rule, _LONG[block.rule])
            return
        plain = self._plain(block, wanted)
        slow = np.zeros(len(block), dtype=np.bool_) if block.odd is None else wanted & block.odd
        self._parse(block, wanted & plain & ~slow)
        self._parse_slowly(block, np.flatnonzero(wanted & plain & slow).tolist())

    def _plain(self, block: Block, wanted: Bools) -> Bools:
        """Which records can be decoded and hold no NUL; the others are rejected."""
        plain = np.ones(len(block), dtype=np.bool_)
        span = block.data[int(block.starts[0]) : int(block.ends[-1])]
        if b"\0" not in span and self._decodes(span):
            return plain
        for index in np.flatnonzero(wanted).tolist():
            record = block.record(index)
            try:
                record.decode(self._encoding)
            except UnicodeDecodeError as exc:
                plain[index] = False
                byte = record[exc.start]
                self._reject(
                    block,
                    index,
                    "encoding",
                    f"byte 0x{byte:02x} at offset {exc.start} of the row is not {self.reading.csv.encoding}; send the row again "
                    "in the agreed encoding",
                )
                continue
            if b"\0" in record:
                plain[index] = False
                self._reject(
                    block, index, "nul-byte", f"a NUL byte at offset {record.index(0)} of the row; send the row again without it"
                )
        return plain

    def _decodes(self, span: bytes) -> bool:
        try:
            span.decode(self._encoding)
        except UnicodeDecodeError:
            return False
        return True

    def _parse(self, block: Block, chosen: Bools) -> None:
        indices = np.flatnonzero(chosen)
        if not len(indices):
            return
        text = self._text(block, indices)
        ragged: list[tuple[int, int]] = []

        def skip(row: pacsv.InvalidRow) -> str:
            ragged.append((row.number - 1, row.actual_columns))
            return "skip"

        try:
            table = pacsv.read_csv(
                pa.BufferReader(text),
                read_options=pacsv.ReadOptions(
                    column_names=self.names, use_threads=False, block_size=max(len(text) + 1, 64)
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=self.reading.csv.delimiter,
                    quote_char=self.reading.csv.quote or False,
                    double_quote=True,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=skip,
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types={name: pa.string() for name in self.names},
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid:
            self._parse_slowly(block, indices.tolist())
            return
        if table.num_rows + len(ragged) != len(indices):
            # Framing and parser disagree about the quotes: one record at a time, as the csv module reads it.
            self._parse_slowly(block, indices.tolist())
            return
        for place, actual in ragged:
            self._reject_ragged(block, int(indices[place]), actual)
        good = np.delete(indices, [place for place, _ in ragged]) if ragged else indices
        self._hold(table, block.first + good, len(text))

    def _text(self, block: Block, indices: npt.NDArray[np.intp]) -> bytes:
        """The chosen records as UTF-8, a line feed after each."""
        first, last = int(indices[0]), int(indices[-1])
        span = block.data[int(block.starts[first]) : int(block.ends[last])]
        whole = last - first + 1 == len(indices)
        if not whole or span.count(b"\r") != span.count(b"\r\n"):
            span = b"\n".join(map(block.record, indices.tolist()))
        return (span if self._encoding == "utf-8" else span.decode(self._encoding).encode()) + b"\n"

    def _parse_slowly(self, block: Block, indices: list[int]) -> None:
        rows: list[list[str | None]] = []
        numbers: list[int] = []
        for index in indices:
            cells = self._cells(block.record(index).decode(self._encoding))
            if len(cells) != len(self.names):
                self._reject_ragged(block, index, len(cells))
                continue
            rows.append([cell or None for cell in cells])
            numbers.append(block.first + index)
        if rows:
            columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
            table = pa.Table.from_arrays(columns, names=self.names)
            self._hold(table, np.array(numbers), table.nbytes)

    def _cells(self, text: str) -> list[str]:
        csv = self.reading.csv
        dialect: dict[str, Any] = {"delimiter": csv.delimiter}
        dialect |= {"quotechar": csv.quote} if csv.quote else {"quoting": pycsv.QUOTE_NONE}
        return next(pycsv.reader([text], **dialect), [])

    def _hold(self, table: pa.Table, numbers: npt.NDArray[Any], size: int) -> None:
        count = table.num_rows
        self.accepted += count
        delivery = pa.array(np.full(count, self.position, dtype=np.int32))
        columns = [delivery, pa.array(numbers.astype(np.int64)), *table.columns]
        schema = pa.schema([*SYSTEM_FIELDS, *(pa.field(name, pa.string()) for name in self.names)])
        self._held.append(pa.Table.from_arrays(columns, schema=schema))
        self._held_bytes += size
        if self._held_bytes >= self.reading.batch_bytes or sum(t.num_rows for t in self._held) >= self.reading.batch_rows:
            self._flush(partly=self._held_bytes < self.reading.batch_bytes)

    def _flush(self, *, partly: bool = False) -> None:
        if not self._held:
            return
        table = pa.concat_tables(self._held)
        if self._writer is None:
            self._writer = PartWriter(self.exchange, self.keys, "extract", self.attempt, table.schema)
        while table.num_rows >= self.reading.batch_rows or (table.num_rows and not partly):
            self._writer.write(table.slice(0, self.reading.batch_rows))
            table = table.slice(self.reading.batch_rows)
        self._held = [table] if table.num_rows else []
        self._held_bytes = table.nbytes if table.num_rows else 0

    def _reject_ragged(self, block: Block, index: int, actual: int) -> None:
        expected = len(self.names)
        more = "more" if actual > expected else "fewer"
        self._reject(
            block,
            index,
            "ragged",
            f"the row has {actual} fields, {more} than the {expected} of the header; quote fields that hold the delimiter",
        )

    def _reject(self, block: Block, index: int, rule: str, message: str) -> None:
        verbatim, size = block.verbatim(index)
        self.rejected += 1
        self.rules[rule] += 1
        line = dict.fromkeys(REJECT_SCHEMA.names)
        line |= {
            SYSTEM_FIELDS[0].name: self.position,
            SYSTEM_FIELDS[1].name: block.first + index,
            "step": "extract",
            "rule": rule,
            "message": message,
            "problems": json.dumps([{"rule": rule, "column": None, "message": message}]),
            "verbatim": verbatim,
            "verbatim_bytes": size,
        }
        self._rejects_held.append(line)
        if len(self._rejects_held) >= 10_000:
            self._flush_rejects()

    def _flush_rejects(self) -> None:
        if self._rejects_held:
            self.rejects.write(pa.Table.from_pylist(self._rejects_held, schema=REJECT_SCHEMA))
            self._rejects_held = []


_LONG = {
    "quote-not-closed": "a quote is opened and not closed; close it or double it, and send the row again",
    "record-too-long": "the row is longer than source.csv.record_bytes allows",
}
