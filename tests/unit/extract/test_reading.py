"""Every record of a delivery becomes a row of text, a reject or a stripped line, however it is batched."""

from __future__ import annotations

import re

import pyarrow.csv
import pytest
from support.csv_reading import read

from haulier.definitions.formats import Csv, Footer
from haulier.errors import DataError
from haulier.records import frame
from haulier.rows import ROW, VERBATIM_BYTES
from haulier_extract import gathering
from haulier_extract.formats.csv.reading import Reader


def test_an_empty_cell_is_null_and_a_quoted_one_is_text_whichever_way_it_is_read() -> None:
    regular = read(b'a,b,c\n,"",x\n')
    irregular = read(b'a,b,c\n,"",x"y\n')

    assert regular.rows == [(2, None, "", "x")]
    assert irregular.rows == [(2, None, "", 'x"y')]


@pytest.mark.parametrize(
    "cell", ["NA", "NULL", "null", "nan", "N/A", "#N/A", "None", "-", " ", "TRUE", "007", "1e5"]
)
def test_text_stays_what_it_is(cell: str) -> None:
    assert read(f"test,value\n{cell},{cell}\n".encode()).rows == [(2, cell, cell)]


def test_row_numbers_are_a_spreadsheets() -> None:
    data = b'Export of 5 Jan\n\nid,note\nunit,text\n1,"two\nlines"\n\n2,x\n'

    told = read(data, preamble_rows=1, header_rows=2)

    assert told.columns == ("id", "note")
    assert told.rows == [(5, "1", "two\nlines"), (7, "2", "x")]
    assert told.account == (3, 2, 0, 1)


def test_rows_of_another_width_are_rejected_with_their_bytes() -> None:
    told = read(b'a,b,c\n1,2\n"x,y"\r\n1,2,3,4\n\t \n,,\n')

    assert told.rejects == [(2, "ragged", b"1,2"), (3, "ragged", b'"x,y"'), (4, "ragged", b"1,2,3,4")]
    assert [message.partition(";")[0] for message in told.messages] == [
        "the row has 2 fields, fewer than the 3 of the header",
        "the row has 1 field, fewer than the 3 of the header",
        "the row has 4 fields, more than the 3 of the header",
    ]
    assert told.rows == [(6, None, None, None)]
    assert told.account == (5, 1, 3, 1)


def test_a_row_of_tabs_is_a_row_where_tabs_separate() -> None:
    assert read(b"a\tb\n\t\n\t\t\n", delimiter="\t").account == (2, 1, 1, 0)


@pytest.mark.parametrize(
    ("encoding", "row", "message"),
    [
        ("utf-8", b"2,5 \xb5g", r"byte 5 of the row \(0xb5\) is not utf-8"),
        ("utf-8", b'2,5" \xb5g', r"byte 6 of the row \(0xb5\) is not utf-8"),
        ("cp1252", b"2,\x81", r"byte 3 of the row \(0x81\) is not cp1252"),
        ("ascii", b"2,\xe4", r"byte 3 of the row \(0xe4\) is not ascii"),
        ("shift_jis", b"2,\xff", "a byte of the row is not shift_jis"),
    ],
)
@pytest.mark.requirement("R-32")
def test_what_cannot_be_decoded_is_rejected_and_never_replaced(
    encoding: str, row: bytes, message: str
) -> None:
    told = read(b"id,note\n1,x\n" + row + b"\n3,y\n", encoding=encoding)

    assert told.rows == [(2, "1", "x"), (4, "3", "y")]
    assert [(number, rule) for number, rule, _ in told.rejects] == [(3, "encoding")]
    assert re.match(message, told.messages[0])


@pytest.mark.requirement("R-32")
def test_other_encodings_arrive_as_the_same_text() -> None:
    text = "id,note\n1,5 µg – „süß“\n"
    for encoding in ("utf-8", "utf-16", "utf-16-be", "cp1252"):
        assert read(text.encode(encoding), encoding=encoding).rows == [(2, "1", "5 µg – „süß“")]


def test_nul_bytes_are_rejected() -> None:
    assert read(b"a,b\n1,\0\n2,x\n").rejects == [(2, "nul-byte", b"1,\0")]
    assert read(b"\0 Report\na,b\n1,2\n", preamble_rows=1).rejects == []


def test_an_open_quote_costs_its_line_only() -> None:
    told = read(b'a,b\n1,"x\n2,y\n3,z\n')

    assert told.rejects == [(2, "quote-not-closed", b'1,"x')]
    assert [number for number, *_ in told.rows] == [3, 4]


def test_of_a_row_too_long_the_beginning_is_kept_and_its_length() -> None:
    dialect = Csv()
    chunk = b"x" * 1_000_000
    chunks = (b"a,b\n" if i == 0 else chunk if i < 100 else b"\n1,2\n" for i in range(101))
    reader = Reader(frame(chunks, dialect), dialect, name="labs.csv", position=0)

    (batch,) = reader.batches(10, 1000)

    assert batch.rejects is not None
    (line,) = batch.rejects.to_pylist()
    assert (line["rule"], line["verbatim_bytes"], len(line["verbatim"])) == (
        "record-too-long",
        99_000_000,
        VERBATIM_BYTES,
    )
    assert batch.rows is not None
    assert batch.rows[ROW].to_pylist() == [3]


@pytest.mark.parametrize("data", [b"a,b\n1,2\n,3\n4\n\xff,5\n", b'a,b\n1,2\n,"3"\n4\n\xff,5"\n'])
def test_a_block_that_pyarrow_counts_otherwise_is_read_record_by_record(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = read(data)
    read_csv = pyarrow.csv.read_csv
    monkeypatch.setattr("pyarrow.csv.read_csv", lambda *args, **options: read_csv(*args, **options)[1:])

    found = read(data)

    assert (found.rows, found.rejects, found.account) == (expected.rows, expected.rejects, expected.account)
    assert len(found.rows) == 2


def test_row_groups_are_bounded_by_the_bytes_they_were_made_of() -> None:
    lines = [f"{number:04},{number:04}\n".encode() for number in range(100)]

    told = read([b"a,b\n", *lines], size=100, block_bytes=20)

    assert sum(group.num_rows for group in told.groups) == 100
    assert len(told.groups) > 9
    assert {group.num_rows for group in told.groups[:-1]} <= {8, 9, 10}


@pytest.mark.parametrize("limits", [{"REJECTS": 10}, {"REJECTED_BYTES": 10}])
def test_rejects_are_handed_on_before_they_fill_the_memory(
    limits: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit in limits.items():
        monkeypatch.setattr(gathering, name, limit)
    dialect = Csv()
    reader = Reader(
        frame([b"a,b\n", *[b"1\n"] * 100], dialect, block_bytes=20), dialect, name="labs.csv", position=0
    )

    counts = [batch.rejects.num_rows for batch in reader.batches(1000, 1000) if batch.rejects is not None]

    assert sum(counts) == 100
    assert max(counts) <= 20


class TestReplay:
    DATA = b'a,b\n1,2\n3\n\n5,"6"x\n7,8\n9,10\nTotal: 6\n'

    def test_only_wanted_rows_are_read(self) -> None:
        told = read(self.DATA, wanted=[6, 3, 5, 3], footer=Footer(pattern=r"Total: (\d+)"))

        assert [number for number, *_ in told.rows] == [5, 6]
        assert told.rejects == [(3, "ragged", b"3")]
        assert told.account == (3, 2, 1, 0)

    def test_a_row_that_is_no_data_any_more_is_stripped(self) -> None:
        told = read(self.DATA, wanted=[2, 4, 5, 8], header_rows=2, footer=Footer(rows=1))

        assert told.account == (4, 1, 0, 3)

    def test_a_row_that_is_not_there_any_more_is_an_error(self) -> None:
        with pytest.raises(DataError, match=r"labs.csv has no row 9 any more"):
            read(self.DATA, wanted=[2, 9], quote="")

    def test_a_long_record_is_read_only_when_it_is_wanted(self) -> None:
        data = b'a,b\n1,"x\n2,y\n'
        assert read(data, wanted=[3]).account == (1, 1, 0, 0)
        assert read(data, wanted=[2]).account == (1, 0, 1, 0)
