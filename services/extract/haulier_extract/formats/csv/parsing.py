"""Blocks of records to columns of text, and the records that cannot become rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv as arrow_csv

from haulier.definitions.formats import Csv
from haulier.encodings import cell_encoding, is_carried_over
from haulier.records import Block, BoolArray, IntArray
from haulier_extract import arrays
from haulier_extract.formats.csv.fields import Fields

#: Bytes from here on are not ASCII.
_HIGH = 128
_RAGGED = "ragged"
_NOWHERE: IntArray = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A record that cannot become a row: its place in the block, and why."""

    index: int
    rule: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What became of a block: each of its records is a row, bad, or blank."""

    columns: pa.Table
    #: Which record each row was.
    places: IntArray
    bad: tuple[Bad, ...]
    blank: int


class Parser:
    """Reads records of known columns: a cell without text is null, a quoted one is the empty text.

    pyarrow reads them, by the same rules as `haulier.records` cuts them. Should it ever count
    otherwise, a block is read record by record.
    """

    def __init__(self, names: Sequence[str], csv: Csv) -> None:
        self.schema = pa.schema([pa.field(name, pa.string()) for name in names])
        self._csv = csv
        self._encoding = cell_encoding(csv.encoding)
        self._fields = Fields(csv)
        self._white = bytes(set(b" \t") - {ord(csv.delimiter)})
        # Decoded here, where the byte that is wrong can be named; pyarrow's own test would name the column.
        self._convert = arrow_csv.ConvertOptions(
            check_utf8=False,
            column_types=self.schema,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )

    def parse(self, block: Block, wanted: BoolArray | None = None) -> Parsed:
        """All records of a block, or only the ``wanted`` ones."""
        left = np.ones(len(block), dtype=np.bool_) if wanted is None else wanted
        if block.rule:
            bad = [Bad(index=0, rule=block.rule, message=self._too_long(block))] if left.all() else []
            return Parsed(columns=self.schema.empty_table(), places=_NOWHERE, bad=tuple(bad), blank=0)
        blank = left & (block.ends == block.starts)
        left = left & ~blank
        bad = [
            Bad(index=at, rule="nul-byte", message="the row holds a NUL byte; send it without")
            for at in _with_nul(block, left)
        ]
        left = _without(left, bad)
        text = self._text(block, left)
        if text is None:
            undecodable = self._undecodable(block, left)
            bad += undecodable
            left = _without(left, undecodable)
            text = self._text(block, left) or b""
        table, places, ragged = self._by_arrow(text, np.flatnonzero(left))
        if table.num_rows != len(places):
            table, places, ragged = self._one_by_one(block, np.flatnonzero(left))
        white = {one.index for one in ragged if not block.record(one.index).strip(self._white)}
        bad += [one for one in ragged if one.index not in white]
        return Parsed(
            columns=table,
            places=places,
            bad=tuple(sorted(bad, key=lambda one: one.index)),
            blank=int(np.count_nonzero(blank)) + len(white),
        )

    def _text(self, block: Block, chosen: BoolArray) -> bytes | None:
        """The chosen records with their line ends, as UTF-8; ``None`` when not all can be decoded."""
        text = _joined(block, chosen)
        if text.isascii():
            return text
        try:
            cells = text.decode(self._encoding)
        except UnicodeDecodeError:
            return None
        return text if self._encoding == "utf-8" else cells.encode()

    def _undecodable(self, block: Block, chosen: BoolArray) -> list[Bad]:
        bad = []
        for index in np.flatnonzero(_holding(block, _bytes(block) >= _HIGH) & chosen).tolist():
            record = block.record(index)
            try:
                record.decode(self._encoding)
            except UnicodeDecodeError as exc:
                where = f"byte {exc.start + 1} of the row (0x{record[exc.start]:02x})"
                # Of text that was carried over into UTF-8 the place says nothing to its sender.
                where = "a byte of the row" if is_carried_over(self._csv.encoding) else where
                problem = f"{where} is not {self._csv.encoding}; send it in that encoding"
                bad.append(Bad(index=index, rule="encoding", message=problem))
        return bad

    def _by_arrow(self, text: bytes, places: IntArray) -> tuple[pa.Table, IntArray, list[Bad]]:
        """What pyarrow makes of whole records, the places of its rows, and the records of another width."""
        if not text:
            return self.schema.empty_table(), _NOWHERE, []
        ragged: dict[int, int] = {}

        def note(row: arrow_csv.InvalidRow) -> str:
            ragged[row.number - 1] = row.actual_columns
            return "skip"

        table = arrow_csv.read_csv(
            pa.BufferReader(text),
            # One block, so that rows are counted from its beginning.
            read_options=arrow_csv.ReadOptions(
                use_threads=False, block_size=len(text) + 1, column_names=self.schema.names
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._csv.delimiter,
                quote_char=self._csv.quote or False,
                newlines_in_values=True,
                invalid_row_handler=note,
            ),
            convert_options=self._convert,
        )
        bad = [self._ragged(int(places[number]), width) for number, width in ragged.items()]
        return table, np.delete(places, list(ragged)) if ragged else places, bad

    def _one_by_one(self, block: Block, places: IntArray) -> tuple[pa.Table, IntArray, list[Bad]]:
        """The same, without pyarrow."""
        rows: list[list[str | None]] = []
        good: list[int] = []
        bad: list[Bad] = []
        for index in places.tolist():
            cells = self._fields.split(block.record(index).decode(self._encoding))
            if len(cells) == len(self.schema):
                rows.append(cells)
                good.append(index)
            else:
                bad.append(self._ragged(index, len(cells)))
        columns = zip(*rows, strict=True) if rows else ([] for _ in self.schema)
        table = pa.Table.from_arrays([arrays.texts(column) for column in columns], schema=self.schema)
        return table, np.array(good, dtype=np.int64), bad

    def _ragged(self, index: int, width: int) -> Bad:
        expected = len(self.schema)
        if width > expected:
            problem = f"more than the {expected} of the header; quote cells that hold the delimiter"
        else:
            problem = (
                f"fewer than the {expected} of the header; was a line end sent inside a cell, without quotes?"
            )
        return Bad(
            index=index, rule=_RAGGED, message=f"the row has {width} field{'s' * (width > 1)}, {problem}"
        )

    def _too_long(self, block: Block) -> str:
        most = self._csv.record_bytes
        if block.rule == "quote-not-closed":
            return (
                f"a quote is opened and not closed within {most} bytes; close it, or double it inside a cell"
            )
        return f"the row has {block.length} bytes, csv.record_bytes allows {most}; is a line end missing?"


def _bytes(block: Block) -> npt.NDArray[np.uint8]:
    return np.frombuffer(block.data, dtype=np.uint8)


def _holding(block: Block, hits: BoolArray) -> BoolArray:
    """Which records hold one of these bytes."""
    at = np.flatnonzero(hits)
    record = np.searchsorted(block.starts, at, side="right") - 1
    inside = (record >= 0) & (at < block.stop)
    holding = np.zeros(len(block), dtype=np.bool_)
    holding[record[inside]] = True
    return holding


def _with_nul(block: Block, left: BoolArray) -> list[int]:
    if b"\0" not in block.data:
        return []
    found: list[int] = np.flatnonzero(_holding(block, _bytes(block) == 0) & left).tolist()
    return found


def _without(left: BoolArray, bad: Sequence[Bad]) -> BoolArray:
    left = left.copy()
    left[[one.index for one in bad]] = False
    return left


def _joined(block: Block, chosen: BoolArray) -> bytes:
    """The chosen records with their line ends."""
    if chosen.all():
        return block.data[block.starts[0] : block.stop]
    places = np.flatnonzero(chosen)
    if not len(places):
        return b""
    nexts = np.append(block.starts[1:], block.stop)
    gaps = np.flatnonzero(np.diff(places) != 1)
    first = places[np.concatenate(([0], gaps + 1))]
    last = places[np.append(gaps, len(places) - 1)]
    return b"".join(block.data[low:high] for low, high in zip(block.starts[first], nexts[last], strict=True))
