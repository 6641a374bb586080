"""One sheet of an Excel workbook: its header, and every row below it as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import pyarrow as pa

from haulier.compression import compression
from haulier.definitions.formats import Excel
from haulier.definitions.sources import Ready
from haulier.errors import DataError
from haulier.exchange import Exchange
from haulier.manifest import Delivery, SourceAccount
from haulier.originals import open_original
from haulier.rows import SYSTEM_FIELDS, VERBATIM_BYTES
from haulier.xlsx import biff
from haulier.xlsx.sheet import SheetRow, column_name, sheet_rows
from haulier_extract import arrays
from haulier_extract.columns import column_names
from haulier_extract.gathering import Batch, Reject, Rejects, Rows, account, with_place

#: Rows that become a table together.
_AT_ONCE = 1000
_CELL_BYTES = 4
_OLD, _ZIP, _END = b"\xd0\xcf\x11\xe0", b"PK", b"PK\5\6"
#: The record that ends a zip archive has 22 bytes and a comment.
_END_BYTES = 22 + 0xFFFF


def read(
    exchange: Exchange, delivery: Delivery, form: Excel, *, position: int, wanted: Sequence[int] | None
) -> Reader:
    for _ in open_original(exchange, delivery):
        pass  # to its end, where its digest is judged
    return Reader(sheet_rows(exchange, delivery, form), form, delivery.uri, position, wanted)


def unfinished(chunks: Iterator[bytes], form: Excel, ready: Ready, name: str) -> str | None:
    if compression(name):
        raise DataError(f"{name} is packed, and a workbook is already; send it as it was saved")
    head = tail = b""
    old: list[bytes] = []
    size = 0
    for chunk in chunks:
        head, size = head or chunk[:4], size + len(chunk)
        if head == _OLD:
            biff.check_size(size, form, name)
            old.append(chunk)
        tail = (tail + chunk)[-_END_BYTES:]
    if old:
        return biff.unfinished(b"".join(old), name)
    if not head.startswith(_ZIP) or _END not in tail:
        return "it does not begin and end as a workbook (.xlsx) does"
    return None


class Reader:
    """Reads one delivery."""

    def __init__(
        self, rows: Iterator[SheetRow], form: Excel, name: str, position: int, wanted: Sequence[int] | None
    ) -> None:
        """Raises `DataError` for what is no workbook, or has no such sheet."""
        self._rows, self._form, self._name, self._position = rows, form, name, position
        self._wanted = None if wanted is None else set(wanted)
        header, width, self._first = self._header()
        names, self.notes = column_names([header.get(at) for at in range(width)], name)
        if not header:
            self.notes.append(f"{name} is empty: its sheet has no header")
        self._columns = pa.schema([pa.field(one, pa.string()) for one in names])
        self.schema = pa.schema([*SYSTEM_FIELDS, *self._columns])
        self.rules: Counter[str] = Counter()
        self._accepted = self._blank = 0

    def batches(self, most_rows: int, most_bytes: int) -> Iterator[Batch]:
        rows, rejects = Rows(most_rows, most_bytes), Rejects(self._position)
        at_once = max(1, min(_AT_ONCE, most_rows, most_bytes // (_CELL_BYTES * max(1, len(self._columns)))))
        held: list[SheetRow] = []
        last = 0
        for row in self._rows:
            last = row.number
            if row.number < self._first or (self._wanted is not None and row.number not in self._wanted):
                continue
            if (reject := self._reject(row)) is not None:
                rejects.add(reject)
            elif not row.cells:
                self._blank += 1
            else:
                held.append(row)
            if len(held) == at_once:
                yield from self._grouped(held, rows)
                held = []
            if rejects.full:
                yield Batch(rejects=rejects.table())
        yield from self._grouped(held, rows)
        if self._wanted and max(self._wanted) > last:
            raise DataError(
                f"{self._name} has no row {max(self._wanted)} any more: the excel section of its definition now names "
                "other rows; extract it whole, with --reprocess"
            )
        yield Batch(rows=rows.rest(), rejects=rejects.table())

    def account(self, delivery_id: int) -> SourceAccount:
        return account(delivery_id, self._accepted, self.rules.total(), self._blank)

    def _header(self) -> tuple[dict[int, str], int, int]:
        """The cells of the header, how many columns it has, and the first row that is data. A column may have a cell in
        a further header row alone: below a name that is merged over several."""
        for row in self._rows:
            if row.number <= self._form.preamble_rows or not row.cells:
                continue
            width, first = max(row.cells) + 1, row.number + self._form.header_rows
            for further in self._rows:
                if further.number >= first:
                    self._rows = chain([further], self._rows)
                    break
                width = max(width, max(further.cells, default=-1) + 1)
            return row.cells, width, first
        return {}, 0, 1

    def _reject(self, row: SheetRow) -> Reject | None:
        rule, column, problem = "", 0, ""
        if row.problem is not None:
            rule, column, problem = row.problem
        elif row.cells and (beyond := max(row.cells)) >= len(self._columns):
            rule, column, problem = "ragged", beyond, "lies right of the header; name its column, or clear it"
        else:
            for at, text in row.cells.items():
                if not text.isascii() and _has_surrogate(text):
                    rule, column, problem = "encoding", at, "holds half of a character"
        if not rule:
            return None
        self.rules[rule] += 1
        verbatim = row.verbatim()
        return Reject(
            row=row.number,
            rule=rule,
            column=self._columns.names[column] if column < len(self._columns) else None,
            message=f"cell {column_name(column)}{row.number} {problem}",
            verbatim=verbatim[:VERBATIM_BYTES],
            verbatim_bytes=len(verbatim),
        )

    def _grouped(self, held: list[SheetRow], rows: Rows) -> Iterator[Batch]:
        if not held:
            return
        self._accepted += len(held)
        size = sum(len(text) for row in held for text in row.cells.values())
        columns = [arrays.texts([row.cells.get(at) for row in held]) for at in range(len(self._columns))]
        table = pa.Table.from_arrays(columns, schema=self._columns)
        numbers = np.array([row.number for row in held], dtype=np.int64)
        placed = with_place(table, self._position, numbers, self.schema)
        size = max(size, _CELL_BYTES * len(columns) * len(held))
        yield from (Batch(rows=group) for group in rows.add(placed, size))


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
