"""The rows of one sheet, in order, each cell as its text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from haulier.definitions.formats import Excel
from haulier.errors import DataError
from haulier.exchange import Exchange
from haulier.manifest import Delivery
from haulier.pieces import Pieces
from haulier.xlsx.cells import number_text, unescaped
from haulier.xlsx.workbook import Workbook, new_parser

#: What a workbook of the old kind begins with.
_OLD = b"\xd0\xcf\x11\xe0"
MOST_ROWS, MOST_COLUMNS = 1_048_576, 16_384
#: Excel itself keeps 32,767 characters of a cell.
CELL_CHARACTERS = 1024 * 1024


@dataclass(kw_only=True)
class SheetRow:
    """A row that the sheet has: its number, and the cells that have a value."""

    number: int
    #: Column, counted from 0 -> text.
    cells: dict[int, str] = field(default_factory=dict)
    #: (rule, column, what is wrong) of a cell that cannot be read.
    problem: tuple[str, int, str] | None = None

    def verbatim(self) -> bytes:
        """The row as a JSON list of its cells' texts."""
        width = max(self.cells, default=-1) + 1
        return json.dumps([self.cells.get(at) for at in range(width)], ensure_ascii=False).encode(
            "utf-8", "backslashreplace"
        )

    # As `haulier.originals.Verbatim`.
    @property
    def first(self) -> int:
        return self.number

    def __len__(self) -> int:
        return 1

    def record(self, index: int) -> bytes:
        return self.verbatim()

    def whole(self, index: int) -> None:
        """A row has no bytes of its own in the file."""


def sheet_rows(exchange: Exchange, delivery: Delivery, form: Excel) -> Iterator[SheetRow]:
    """Every row of the sheet that the definition names. Raises `DataError` for what is no workbook."""
    if exchange.piece(delivery.original, 0, min(4, delivery.bytes)) == _OLD:
        from haulier.xlsx.biff import check_size, old_rows

        check_size(delivery.bytes, form, delivery.uri)
        yield from old_rows(exchange.get(delivery.original), form, delivery.uri)
        return
    workbook = Workbook(Pieces(exchange, delivery.original, delivery.bytes), form, delivery.uri)
    reading = _Reading(workbook, delivery.uri)
    parser = new_parser(reading.start, reading.end, reading.text)
    for _ in workbook.parsing(workbook.sheet(), parser):
        rows, reading.rows = reading.rows, []
        yield from rows


def sheets_of(exchange: Exchange, delivery: Delivery, form: Excel) -> tuple[list[str], Iterator[str]]:
    """The names of all sheets, and the texts that none of them has in a cell (.xlsx only). Raises as `sheet_rows`."""
    if exchange.piece(delivery.original, 0, min(4, delivery.bytes)) == _OLD:
        from haulier.xlsx.biff import check_size, old_sheets

        check_size(delivery.bytes, form, delivery.uri)
        return old_sheets(exchange.get(delivery.original), delivery.uri), iter(())
    workbook = Workbook(Pieces(exchange, delivery.original, delivery.bytes), form, delivery.uri)
    return workbook.sheets, workbook.beside()


def column_name(column: int) -> str:
    """As Excel shows it: A, B, … Z, AA."""
    name = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        name = chr(65 + letter) + name
    return name


class _Reading:
    """Makes rows of a sheet's tags."""

    def __init__(self, workbook: Workbook, name: str) -> None:
        self._texts, self._styles = workbook.texts, workbook.styles
        self._from_1904, self._name = workbook.from_1904, name
        self.rows: list[SheetRow] = []
        self._row: SheetRow | None = None
        self._last = 0
        self._column = -1
        self._type, self._style = "n", 0
        self._held: list[str] = []
        self._length = 0
        self._wanted = self._has_value = self._has_formula = self._phonetic = False

    def start(self, tag: str, given: dict[str, str]) -> None:
        if tag == "c" and self._row is not None:
            self._column = self._place(given.get("r"))
            self._type, self._style = given.get("t", "n"), int(given.get("s", "0"))
            self._held, self._length = [], 0
            self._has_value = self._has_formula = False
        elif tag in ("v", "t"):
            self._wanted = self._row is not None and not self._phonetic
            self._has_value = True
        elif tag == "f":
            self._has_formula = True
        elif tag == "rPh":
            self._phonetic = True
        elif tag == "row":
            number = int(given.get("r", self._last + 1))
            if not self._last < number <= MOST_ROWS:
                raise DataError(f"{self._name} has row {number} after row {self._last}; it is damaged")
            self._row, self._last, self._column = SheetRow(number=number), number, -1

    def text(self, data: str) -> None:
        if self._wanted:
            self._length += len(data)
            if self._length <= CELL_CHARACTERS:
                self._held.append(data)

    def end(self, tag: str) -> None:
        if tag in ("v", "t"):
            self._wanted = False
        elif tag == "rPh":
            self._phonetic = False
        elif tag == "c" and self._row is not None:
            self._cell(self._row)
        elif tag == "row" and self._row is not None:
            self.rows.append(self._row)
            self._row = None

    def _cell(self, row: SheetRow) -> None:
        text = "".join(self._held)
        if self._length > CELL_CHARACTERS:
            row.problem = (
                "cell-too-long",
                self._column,
                f"has {self._length} characters, more than {CELL_CHARACTERS}",
            )
        if self._has_formula and not self._has_value:
            row.problem = (
                "formula-without-value",
                self._column,
                "has a formula whose value was never computed; open the workbook in Excel and save it",
            )
        if self._type == "s":
            text = self._shared(text)
        elif self._type in ("inlineStr", "str"):
            text = unescaped(text)
        elif self._type == "b":
            text = {"1": "TRUE", "0": "FALSE"}.get(text, text)
        elif self._type == "n" and text:
            style = self._styles[self._style] if self._style < len(self._styles) else "number"
            text = number_text(text.strip(), style, from_1904=self._from_1904)
        if text:
            row.cells[self._column] = text

    def _shared(self, text: str) -> str:
        at = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        if not 0 <= at < len(self._texts):
            raise DataError(f"{self._name} refers to a text that it does not have; it is damaged")
        return self._texts[at]

    def _place(self, reference: str | None) -> int:
        """The column of ``B7``; of a cell that does not say, the next one."""
        if reference is None:
            column = self._column + 1
        else:
            column = 0
            letters = reference.rstrip("0123456789")[:4]
            for letter in letters:
                column = column * 26 + ord(letter) - 64
            column = column - 1 if letters.isascii() and letters.isupper() else -1
        if not self._column < column < MOST_COLUMNS:
            raise DataError(f"{self._name} has a cell out of order in row {self._last}; it is damaged")
        return column
