"""A sheet's rows are read as Excel shows them; what Excel would not have written is a reject or an error."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reading import kept, read, unfinished
from support.workbooks import inline, row, shown, value, workbook

from haulier.definitions.formats import Excel, Packed
from haulier.errors import DataError
from haulier.originals import VerbatimRows
from haulier.xlsx.cells import number_text, style_of
from haulier.xlsx.sheet import CELL_CHARACTERS

EXCEL = Excel()
HEAD = row(1, inline("a", "b"))


def cells(*values: str, **options: Any) -> list[str | None]:
    """What becomes of one row's cells."""
    head = inline(*(f"c{at}" for at in range(len(values))))
    told = read(workbook(row(1, head) + row(2, *values), **options), EXCEL)
    assert not told.rejects
    return list(told.rows[0][1:]) if told.rows else []


class TestNumbers:
    @pytest.mark.parametrize(
        ("stored", "text"),
        [
            ("4.0999999999999996", "4.1"),  # what Excel stores when 4.1 is typed
            ("0.30000000000000004", "0.3"),
            ("4.9999999999999996E-2", "0.05"),
            ("1", "1"),
            ("00123", "00123"),
            ("1E+3", "1000"),
            ("1.5E300", "1.5e+300"),
            ("1E-10", "1e-10"),
            ("123456789012345678", "123456789012345678"),
            ("1.2345678901234568E+17", "123456789012346000"),
            ("-0", "0"),
            ("000", "000"),
            ("-0.0", "0"),
            ("twelve", "twelve"),
        ],
    )
    def test_a_number_is_what_excel_shows_in_its_edit_line(self, stored: str, text: str) -> None:
        assert cells(value(stored)) == [text]

    @settings(deadline=None)
    @given(st.decimals(min_value=-(10**9), max_value=10**9, places=6))
    def test_a_decimal_that_was_typed_comes_back(self, typed: Any) -> None:
        stored = f"{float(typed):.17G}"

        assert number_text(stored, "number", from_1904=False) in (
            f"{typed.normalize():f}",
            f"{typed.normalize():f}".removeprefix("-") if not typed else "",
        )


class TestDates:
    @pytest.mark.parametrize(
        ("serial", "code", "text"),
        [
            ("46027", 14, "2026-01-05"),
            ("46027", "dd/mm/yyyy", "2026-01-05"),
            ("46027", "mmm", "2026-01-05"),
            ("46027.5", "dd/mm/yyyy", "2026-01-05 12:00:00"),
            ("46027", 22, "2026-01-05 00:00:00"),
            ("46027.521006944444", "yyyy\\-mm\\-dd hh:mm:ss", "2026-01-05 12:30:15"),
            ("46027.521006946", "yyyy-mm-dd hh:mm:ss.000", "2026-01-05 12:30:15"),
            ("0.52083333333333337", "h:mm AM/PM", "12:30:00"),
            ("1.25", "[h]:mm", "30:00:00"),
            ("46027", "&quot;day &quot;0", "46027"),
            ("46027", "[Red]0.00", "46027"),
            ("46027", "General", "46027"),
            ("1", 14, "1900-01-01"),
            ("59", 14, "1900-02-28"),
            ("60", 14, "1900-02-29"),
            ("61", 14, "1900-03-01"),
            ("2958465", 14, "9999-12-31"),
            ("2958466", 14, "2958466"),
            ("-1", 14, "-1"),
        ],
    )
    def test_a_number_with_a_dates_format_is_the_date_it_shows(
        self, serial: str, code: str | int, text: str
    ) -> None:
        assert cells(value(serial, 1), formats=[code]) == [text]

    def test_a_workbook_may_count_from_1904(self) -> None:
        assert cells(value("0", 1), value("44565", 1), formats=[14], from_1904=True) == [
            "1904-01-01",
            "2026-01-05",
        ]

    def test_a_style_is_a_cells_own_not_its_template(self) -> None:
        assert cells(value("46027", 0), value("46027", 7)) == ["46027", "46027"]

    @settings(deadline=None)
    @given(st.datetimes(min_value=datetime(1900, 3, 1), max_value=datetime(9999, 12, 31)))
    def test_a_moment_is_read_to_the_millisecond(self, moment: datetime) -> None:
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        serial = (moment - datetime(1899, 12, 30)) / timedelta(days=1)

        assert datetime.fromisoformat(number_text(repr(serial), "datetime", from_1904=False)) == moment

    @pytest.mark.parametrize(
        ("code", "style"),
        [
            ("yyyy-mm-dd;@", "date"),
            ('0.0 "days"', "number"),
            ("[$-409]d mmm yy", "date"),
            ("mm:ss", "time"),
            ("[mm]:ss", "elapsed"),
            ("#,##0.00_);[Red]\\(#,##0.00\\)", "number"),
            ("_d0", "number"),
        ],
    )
    def test_a_format_is_told_by_what_it_shows(self, code: str, style: str) -> None:
        assert style_of(164, code) == style


def test_every_kind_of_cell_has_its_text() -> None:
    found = cells(
        value("0", kind="s"),
        value("1", kind="s"),
        inline("00123"),
        value("1", kind="b"),
        value("#DIV/0!", kind="e"),
        '<c t="str"><f>A1&amp;"x"</f><v>x_x000D_y</v></c>',
        "<c><f>1+1</f><v>2</v></c>",
        '<c s="1"/>',
        value("2026-01-05T00:00:00", kind="d"),
        texts=["<t>é &lt;b&gt;</t>", "<r><t>ri</t></r><r><t>ch</t></r><rPh><t>no</t></rPh>"],
    )

    assert found == ["é <b>", "rich", "00123", "TRUE", "#DIV/0!", "x\ry", "2", None, "2026-01-05T00:00:00"]


def test_rows_have_the_numbers_that_excel_shows() -> None:
    sheet = (
        row(1, inline("a report"))
        + row(3, inline("thing", "", "price"))
        + row(4, inline("text", "text", "EUR"))
        + '<row r="6" hidden="1"><c r="A6"><v>1</v></c><c r="C6"><v>2</v></c></row>'
        + row(7)
        + row(1_048_576, '<c r="C1048576"><v>3</v></c>')
    )

    told = read(workbook(sheet), Excel(preamble_rows=2, header_rows=2))

    assert told.columns == ("thing", "column_2", "price")
    assert told.rows == [(6, "1", None, "2"), (1_048_576, None, None, "3")]
    assert told.account == (3, 2, 0, 1)


def test_a_column_may_have_a_cell_in_a_further_header_row_alone() -> None:
    sheet = (
        row(1, inline("thing", "price"))
        + row(2, inline("", "value", "unit"))
        + row(3, inline("a", "1", "EUR"))
        + row(4, inline("b", "2", "EUR", "beyond"))
    )

    told = read(workbook(sheet), Excel(header_rows=2))

    assert told.columns == ("thing", "price", "column_3")
    assert told.rows == [(3, "a", "1", "EUR")]
    assert told.rejects == [(4, "ragged")]


def test_a_sheet_goes_by_its_name_or_number() -> None:
    data = workbook(row(1, inline("x")), row(1, inline("y")), names=("One", "2"))

    assert read(data, EXCEL).columns == ("x",)
    assert read(data, Excel(sheet=2)).columns == read(data, Excel(sheet="2")).columns == ("y",)
    with pytest.raises(
        DataError, match=r'has no sheet "Two" \(source.excel.sheet\); its sheets are "One" and "2"'
    ):
        read(data, Excel(sheet="Two"))


def test_rows_that_cannot_be_read_are_rejects_and_the_rest_is_read() -> None:
    sheet = (
        HEAD
        + row(2, value("1"), "<c><f>A1+1</f></c>")
        + row(3, inline("x", "y", "beyond"))
        + row(4, inline("x" * (CELL_CHARACTERS + 1)))
        + row(5, inline("_xD800_"))
        + row(6, inline("good"))
    )

    told = read(workbook(sheet), EXCEL)

    assert told.rejects == [
        (2, "formula-without-value"),
        (3, "ragged"),
        (4, "cell-too-long"),
        (5, "encoding"),
    ]
    assert told.messages[0].startswith("cell B2 has a formula whose value was never computed")
    assert told.messages[1].startswith("cell C3 lies right of the header")
    assert told.verbatim[1] == b'["x","y","beyond"]'.replace(b",", b", ")
    assert told.rows == [(6, "good", None)]


def test_wanted_rows_are_read_alone_and_every_row_can_be_shown() -> None:
    data = workbook(HEAD + row(2, value("1")) + row(5, value("2"), inline("x")))

    assert read(data, EXCEL, wanted=[5]).rows == [(5, "2", "x")]
    assert VerbatimRows(*kept(data), EXCEL).take([2, 5]) == [b'["1"]', b'["2", "x"]']
    with pytest.raises(DataError, match="has nothing in row 3"):
        VerbatimRows(*kept(data), EXCEL).take([2, 3])
    with pytest.raises(DataError, match="has no row 6 any more"):
        read(data, EXCEL, wanted=[6])


def test_an_empty_sheet_has_no_rows() -> None:
    told = read(workbook(""), EXCEL)

    assert (told.columns, told.rows, told.account) == ((), [], (0, 0, 0, 0))
    assert told.notes == ["file://labs is empty: its sheet has no header"]


LAUGHS = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><worksheet><sheetData/></worksheet>'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"id\n1\n", "is no workbook"),
        (workbook(HEAD)[:-30], "is no workbook"),
        (workbook(HEAD, sheet1="<worksheet><sheetData>"), "is no workbook"),
        (workbook(HEAD, sheet1=LAUGHS), "declares a document type"),
        (workbook(HEAD, workbook="<workbook/>"), "has no sheet 1"),
        (workbook(HEAD + row(2, value("7", kind="s"))), "refers to a text that it does not have"),
        (workbook(HEAD + row(3) + row(2)), "has row 2 after row 3"),
        (workbook(row(2_000_000)), "has row 2000000 after row 0"),
        (workbook(row(1, '<c r="B1"/>', '<c r="A1"/>')), "has a cell out of order in row 1"),
        (workbook(row(1, '<c r="XFE1"/>')), "has a cell out of order in row 1"),
        (workbook(row(1, '<c r="a1"/>')), "has a cell out of order in row 1"),
        (workbook(f'<row r="1"><c r="A1" x="{"y" * 9_000_000}"/></row>'), "has a tag of more than"),
        (workbook(HEAD, texts=["<t>" + "x" * 200_000 + "</t>"]), "take more than 100000 bytes"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_is_no_honest_workbook_is_an_error_with_a_name(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(data, Excel(shared_bytes=100_000))


def test_what_is_half_there_waits() -> None:
    data = workbook(HEAD)

    assert unfinished(data, EXCEL) is None
    assert unfinished(data[:-30], EXCEL) == "it does not begin and end as a workbook (.xlsx) does"


def test_more_files_than_the_definition_allows_are_refused_by_its_setting() -> None:
    with pytest.raises(DataError, match=r"than source.excel.packed.entries \(3\) allows"):
        read(workbook(HEAD), Excel(packed=Packed(entries=3)))
    with pytest.raises(DataError, match=r"than source.excel.packed.bytes \(100\) allows"):
        read(workbook(HEAD), Excel(packed=Packed(bytes=100)))


cell = (
    st.none()
    | st.booleans()
    | st.integers(-(10**14), 10**14)
    | st.text(alphabet='abé😀 <&"\n_x0041_', min_size=1, max_size=6)
    | st.floats(-1e9, 1e9).map(lambda number: float(f"{number:.12g}"))
)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(cell, min_size=3, max_size=3), max_size=5), st.integers(1, 4))
def test_what_another_library_wrote_is_what_is_read(rows: list[list[Any]], at_once: int) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["a", "b", "c"])
    for line in rows:
        sheet.append(line)
    for line in sheet.iter_rows():
        for one in line:
            if isinstance(one.value, str):
                one.data_type = "s"
    sink = io.BytesIO()
    book.save(sink)

    told = read(sink.getvalue(), EXCEL, rows=at_once)

    assert [line[1:] for line in told.rows] == shown(rows)
