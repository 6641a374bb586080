"""Workbooks of Excel 97 to 2003 (.xls): the same rows of the same texts, by way of xlrd.

Such a file is read as a whole, which `source.excel.xls_bytes` bounds: docs/adr/0013.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from haulier.definitions.formats import Excel
from haulier.errors import DataError, HaulierError
from haulier.problems import listed, quoted
from haulier.xlsx.cells import Style, number_text, style_of
from haulier.xlsx.sheet import SheetRow

_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_STREAMS = ("Workbook", "Book")
_FILEPASS = 0x2F
#: Among so many first records of a workbook stands the one that says it is encrypted.
_FIRST_RECORDS = 8
#: Formats below this number are Excel's own.
_OWN_FORMATS = 164
#: Whole numbers up to here are exact in a float.
_EXACT = 2**53


def check_size(size: int, form: Excel, name: str) -> None:
    """Raises `DataError` for a workbook that is too large to be held."""
    if size > form.xls_bytes:
        raise DataError(
            f"{name} has {size} bytes and more; an old workbook (.xls) is read as a whole, and source.excel.xls_bytes "
            f"allows {form.xls_bytes}: have it saved as .xlsx, or allow more and give extract the memory"
        )


def unfinished(data: bytes, name: str) -> str | None:
    """Why these bytes may be half a workbook. Raises `DataError` for one that is encrypted, or none at all."""
    if _ENCRYPTED in data:
        raise _locked(name)
    from xlrd import compdoc

    try:
        with Path(os.devnull).open("w") as nowhere:
            archive = compdoc.CompDoc(data, logfile=nowhere)
            streams = [archive.locate_named_stream(stream) for stream in _STREAMS]
    except Exception:  # noqa: BLE001 - of half a file it raises whatever it meets
        return "it ends before its own directory says, or is damaged"
    stream, start, length = next((found for found in streams if found[0] is not None), (None, 0, 0))
    if stream is None:
        raise DataError(f"{name} is an old file of Office, and no workbook (.xls)")
    if _is_locked(bytes(stream[start : start + length])):
        raise _locked(name)
    return None


def old_rows(data: bytes, form: Excel, name: str) -> Iterator[SheetRow]:
    """As `haulier.xlsx.sheet.sheet_rows`."""
    import xlrd

    with Path(os.devnull).open("w") as nowhere, _door(name):
        book = xlrd.open_workbook(
            file_contents=data, logfile=nowhere, formatting_info=True, on_demand=True, ragged_rows=True
        )
        sheet = book.sheet_by_index(_chosen(book.sheet_names(), form, name))
        styles = [_style(book.format_map.get(xf.format_key), xf.format_key) for xf in book.xf_list]
        for at in range(sheet.nrows):
            row = SheetRow(number=at + 1)
            for column in range(sheet.row_len(at)):
                kind, value = sheet.cell_type(at, column), sheet.cell_value(at, column)
                if kind == xlrd.XL_CELL_TEXT:
                    text = value
                elif kind in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
                    style = styles[sheet.cell_xf_index(at, column)]
                    text = number_text(_stored(value), style, from_1904=book.datemode == 1)
                elif kind == xlrd.XL_CELL_BOOLEAN:
                    text = "TRUE" if value else "FALSE"
                elif kind == xlrd.XL_CELL_ERROR:
                    text = xlrd.error_text_from_code.get(value, f"#{value}")
                else:
                    continue
                if text:
                    row.cells[column] = text
            if sheet.row_len(at):
                yield row


def old_sheets(data: bytes, name: str) -> list[str]:
    """The names of its sheets."""
    import xlrd

    with Path(os.devnull).open("w") as nowhere, _door(name):
        book = xlrd.open_workbook(file_contents=data, logfile=nowhere, on_demand=True)
        return list(book.sheet_names())


def _chosen(names: list[str], form: Excel, name: str) -> int:
    chosen = form.sheet
    at = names.index(chosen) if chosen in names else chosen - 1 if isinstance(chosen, int) else -1
    if not 0 <= at < len(names):
        raise DataError(
            f"{name} has no sheet {quoted(chosen)} (source.excel.sheet); its sheets are "
            f"{listed(names, 'and') if names else 'none'}"
        )
    return at


def _style(form: Any, number: int) -> Style:
    return style_of(number, None if number < _OWN_FORMATS or form is None else form.format_str)


def _stored(value: float) -> str:
    """As .xlsx would have it: a whole number by its digits."""
    return str(int(value)) if abs(value) <= _EXACT and value.is_integer() else repr(value)


def _is_locked(stream: bytes) -> bool:
    at = 0
    for _ in range(_FIRST_RECORDS):
        if at + 4 > len(stream):
            break
        kind, length = struct.unpack_from("<HH", stream, at)
        if kind == _FILEPASS:
            return True
        at += 4 + length
    return False


def _locked(name: str) -> DataError:
    return DataError(f"{name} is a workbook with a password; save it without one")


@contextmanager
def _door(name: str) -> Iterator[None]:
    try:
        yield
    except HaulierError:
        raise
    except Exception as exc:  # of bytes that are no workbook the library raises whatever it meets
        raise DataError(
            f"{name} is no workbook (.xls), or damaged ({type(exc).__name__}); ask for it again"
        ) from exc
