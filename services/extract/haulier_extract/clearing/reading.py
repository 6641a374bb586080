"""Everything that a delivery says, whatever its format, handed to a search: rows, and all that its reader passes over."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import msgspec
import numpy as np
import pyarrow as pa

from haulier.definitions.formats import Csv, Excel, FixedWidth, Footer, Format, JsonLines
from haulier.encodings import cell_encoding
from haulier.exchange import Exchange
from haulier.manifest import Delivery
from haulier.originals import records_of
from haulier.rows import ROW, SYSTEM_FIELDS
from haulier.settings import Settings
from haulier.xlsx.sheet import SheetRow, sheet_rows, sheets_of
from haulier_extract import arrays
from haulier_extract.clearing.searching import Search
from haulier_extract.formats import module_of
from haulier_extract.formats.csv.fields import Fields

#: Rows of a sheet that are searched together.
_AT_ONCE = 1000


def search_all(
    search: Search, exchange: Exchange, delivery: Delivery, form: Format, settings: Settings
) -> None:
    """Raises `DataError` for a file that cannot be read: what cannot be read cannot be cleared."""
    if isinstance(form, Excel):
        _workbook(search, exchange, delivery, form)
        return
    if isinstance(form, Csv):
        _before_rows(search, exchange, delivery, form)
    # What is no row for the reader (a footer, an event's old half) is one for the search.
    if isinstance(form, Csv):
        form = msgspec.structs.replace(form, footer=Footer())
    elif isinstance(form, FixedWidth):
        form = msgspec.structs.replace(form, header_rows=0)
    elif isinstance(form, JsonLines):
        form = msgspec.structs.replace(form, debezium=None)
    reader = module_of(form).read(exchange, delivery, form, position=0, wanted=None)
    names = reader.schema.names[len(SYSTEM_FIELDS) :]
    if not isinstance(form, Csv):
        for at, name in enumerate(names, start=1):
            search.name(name, f"column {at}")
    for batch in reader.batches(settings.batch_rows, settings.batch_bytes):
        if batch.rows is not None:
            numbers = batch.rows[ROW].to_numpy()
            for at, name in enumerate(names, start=1):
                if not search.is_exempt(name):
                    search.texts(batch.rows[at - 1 + len(SYSTEM_FIELDS)], numbers, f"column {at}")
        if batch.rejects is not None:
            _rejects(search, batch.rejects, form)


def _before_rows(search: Search, exchange: Exchange, delivery: Delivery, form: Csv) -> None:
    """The lines up to the first row, as `haulier_extract.formats.csv.header` counts them."""
    preamble, header = form.preamble_rows, form.header_rows
    encoding = cell_encoding(form.encoding)
    fields = Fields(form)
    for block in records_of(exchange, delivery, form):
        for index in range(len(block)):
            record, number = block.record(index), block.first + index
            line = record.decode(encoding, "replace")
            if preamble:
                preamble -= 1
                _line(search, [line, *filter(None, fields.split(line))], number, "a line before the header")
                continue
            if header == form.header_rows and not record.strip():
                continue
            if not header:
                return
            header -= 1
            for at, cell in enumerate(fields.split(line), start=1):
                if cell:
                    search.name(cell, f"column {at}", number)
                    search.text(cell, f"the header of column {at}", number)


def _rejects(search: Search, rejects: pa.Table, form: Format) -> None:
    """Lines that do not become rows: whole, and cut as well as they can be."""
    encoding = "utf-8" if not isinstance(form, (Csv, FixedWidth)) else cell_encoding(form.encoding)
    fields = Fields(form) if isinstance(form, Csv) else None
    columns = ("verbatim", "verbatim_bytes", ROW)
    for verbatim, length, row in zip(*(rejects[name].to_pylist() for name in columns), strict=True):
        line = verbatim.decode(encoding, "replace")
        cells: list[str] = []
        if fields is not None:
            cells = [cell for cell in fields.split(line) if cell]
        elif isinstance(form, FixedWidth):
            cells = [line[start:stop].strip(" ") for start, stop in form.places]
        _line(search, [line, *cells], row, "a line that is no row")
        if len(verbatim) < length:
            search.unread(row, "a line that is no row")


def _line(search: Search, texts: list[str], row: int, place: str) -> None:
    search.texts(texts, np.full(len(texts), row), place)


def _workbook(search: Search, exchange: Exchange, delivery: Delivery, form: Excel) -> None:
    """Every sheet: the whole workbook is kept, not the one sheet that is read."""
    names, beside = sheets_of(exchange, delivery, form)
    for text in chain(names, beside):
        search.text(text, "a text beside the cells")
    for number, name in enumerate(names, start=1):
        rows = sheet_rows(exchange, delivery, msgspec.structs.replace(form, sheet=number))
        _sheet(search, rows, form, f"sheet {number}", form.sheet in (number, name))


def _sheet(search: Search, rows: Iterator[SheetRow], form: Excel, place: str, is_read: bool) -> None:
    preamble, header = (form.preamble_rows, form.header_rows) if is_read else (0, 1)
    exempt: set[int] = set()
    held: list[SheetRow] = []
    last = 0
    for row in rows:
        if row.problem is not None and row.problem[0] == "cell-too-long":
            search.unread(row.number, place)
        if row.cells and row.number > preamble and not last:
            last = row.number + header - 1
            _cells(search, held, place, exempt)
            held = []
        if preamble < row.number <= last:
            for at, text in row.cells.items():
                search.name(text, f"column {at + 1} of {place}", row.number)
                if search.is_exempt(text):
                    exempt.add(at)
        held.append(row)
        if len(held) == _AT_ONCE:
            _cells(search, held, place, exempt)
            held = []
    _cells(search, held, place, exempt)


def _cells(search: Search, rows: list[SheetRow], place: str, exempt: set[int]) -> None:
    for at in sorted({at for row in rows for at in row.cells} - exempt):
        having = [row for row in rows if at in row.cells]
        texts = [row.cells[at].encode("utf-8", "replace").decode() for row in having]
        numbers = np.array([row.number for row in having])
        search.texts(arrays.texts(texts), numbers, f"column {at + 1} of {place}")
