"""Workbooks of the old kind, as a real writer saves them, are read by the rules of docs/adr/0008."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, time
from typing import Any

import pytest
import xlwt
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reading import kept, read, unfinished
from support.workbooks import shown
from xlwt.CompoundDoc import XlsDoc

from haulier.definitions.formats import Excel
from haulier.errors import DataError
from haulier.originals import VerbatimRows

EXCEL = Excel()


def saved(
    *rows: list[Any], formats: dict[int, str] | None = None, also: Callable[[Any], None] = lambda _: None
) -> bytes:
    """A workbook of these rows; ``formats`` says how a column's numbers are shown."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("Data")
    styles = {column: xlwt.easyxf(num_format_str=code) for column, code in (formats or {}).items()}
    for number, cells in enumerate(rows):
        for column, value in enumerate(cells):
            if value is not None:
                sheet.write(number, column, value, styles.get(column, xlwt.Style.default_style))
    also(book)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def cell(value: Any, code: str = "General", **more: Any) -> str | None:
    told = read(saved(["a", "b"], [value, "x"], formats={0: code}, **more), EXCEL)
    found: str | None = told.rows[0][1]
    return found


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (4.1, "General", "4.1"),
        (0.1 + 0.2, "General", "0.3"),
        (0.1 + 0.2, "0.00", "0.3"),
        (1, "General", "1"),
        (9007199254740991, "General", "9007199254740991"),
        (1e20, "General", "100000000000000000000"),
        (1.5e300, "General", "1.5e+300"),
        ("00123", "General", "00123"),
        ("4.10", "General", "4.10"),
        (True, "General", "TRUE"),
        (None, "General", None),
        ("", "General", None),
        (46027, "General", "46027"),
        (date(2026, 1, 5), "DD/MM/YYYY", "2026-01-05"),
        (46027, "M/D/YY", "2026-01-05"),
        (datetime(2026, 1, 5, 12, 30, 15), "YYYY-MM-DD hh:mm:ss", "2026-01-05 12:30:15"),
        (datetime(2026, 1, 5, 12), "DD/MM/YYYY", "2026-01-05 12:00:00"),
        (time(12, 30), "h:mm", "12:30:00"),
        (1.25, "[h]:mm", "30:00:00"),
        (59, "DD/MM/YYYY", "1900-02-28"),
        (60, "DD/MM/YYYY", "1900-02-29"),
        (61, "DD/MM/YYYY", "1900-03-01"),
        (46027, '"day "0', "46027"),
        ("Ünal 😀", "General", "Ünal 😀"),
    ],
)
def test_the_text_of_a_cell_is_what_excel_shows_of_its_value(value: Any, code: str, text: str | None) -> None:
    assert cell(value, code) == text


def test_days_are_counted_from_where_the_workbook_says() -> None:
    def from_1904(book: Any) -> None:
        book.dates_1904 = True

    assert cell(0, "YYYY-MM-DD", also=from_1904) == "1904-01-01"
    assert cell(date(2026, 1, 5), "YYYY-MM-DD", also=from_1904) in ("2026-01-05", "2030-01-06")
    assert cell(44565, "YYYY-MM-DD", also=from_1904) == "2026-01-05"


def test_an_error_is_as_it_is_shown() -> None:
    def with_error(book: Any) -> None:
        book.get_sheet(0).row(1).set_cell_error(0, "#DIV/0!")

    assert cell(None, also=with_error) == "#DIV/0!"


def test_rows_keep_their_numbers_and_a_row_can_be_shown_again() -> None:
    data = saved(["x"], [], ["a", "b"], [], ["1", 2], ["1", 2, 3], [None, None])

    told = read(data, Excel(preamble_rows=1))

    assert told.columns == ("a", "b")
    assert told.rows == [(5, "1", "2")]
    assert told.rejects == [(6, "ragged")]
    assert told.verbatim == [b'["1", "2", "3"]']
    assert VerbatimRows(*kept(data), EXCEL).take([3, 5]) == [b'["a", "b"]', b'["1", "2"]']


def test_a_sheet_is_chosen_by_name_or_number() -> None:
    def second(book: Any) -> None:
        book.add_sheet("Second").write(0, 0, "z")

    data = saved(["a"], also=second)

    assert read(data, Excel(sheet="Second")).columns == ("z",)
    assert read(data, Excel(sheet=2)).columns == ("z",)
    with pytest.raises(
        DataError, match=r'has no sheet "Third" \(source.excel.sheet\); its sheets are "Data" and "Second"'
    ):
        read(data, Excel(sheet="Third"))


def test_one_with_a_password_is_refused_by_name() -> None:
    bof = b"\x09\x08\x10\x00\x00\x06\x05\x00" + bytes(12)
    locked, modern = io.BytesIO(), io.BytesIO()
    XlsDoc().save(locked, bof + b"\x2f\x00\x36\x00" + bytes(54) + b"\x0a\x00\x00\x00" + bytes(5000))
    XlsDoc().save(modern, "EncryptedPackage".encode("utf-16-le") + bytes(5000))

    for data in (locked.getvalue(), modern.getvalue()):
        with pytest.raises(DataError, match="is a workbook with a password; save it without one"):
            unfinished(data, EXCEL)


def test_half_a_workbook_waits_and_one_that_is_too_large_is_refused() -> None:
    data = saved(["a", "b"], *([f"text {n}", n] for n in range(2000)))

    assert unfinished(data, EXCEL) is None
    for size in (600, len(data) // 2, len(data) - 512):
        assert unfinished(data[:size], EXCEL) == "it ends before its own directory says, or is damaged", size
    with pytest.raises(DataError, match=r"source.excel.xls_bytes allows 2000"):
        unfinished(data, Excel(xls_bytes=2000))
    with pytest.raises(DataError, match=r"source.excel.xls_bytes allows 2000"):
        read(data, Excel(xls_bytes=2000))


cells = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(alphabet='abé😀 <&"\n', min_size=1, max_size=6)
    | st.floats(-1e9, 1e9).map(lambda number: float(f"{number:.12g}"))
)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(cells, min_size=3, max_size=3), max_size=5), st.integers(1, 4))
def test_what_was_written_is_what_is_read(rows: list[list[Any]], at_once: int) -> None:
    told = read(saved(["a", "b", "c"], *rows), EXCEL, rows=at_once)

    assert [line[1:] for line in told.rows] == shown(rows)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8))
def test_bytes_that_were_changed_are_an_error_of_the_data_or_other_cells(at: int, change: bytes) -> None:
    data = saved(["a", "b"], ["text", 1.5], [date(2026, 1, 5), True])
    at %= len(data)
    spoilt = data[:at] + change + data[at + len(change) :]

    with suppress(DataError):  # anything else is a bug
        read(spoilt, EXCEL)
