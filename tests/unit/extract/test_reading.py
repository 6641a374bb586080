"""Every record of a delivery becomes a row of text, a reject or a stripped line, however it is batched."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from haulier.definitions.formats import Csv, Footer
from haulier.errors import DataError
from haulier.records import frame
from haulier.rows import DELIVERY, REJECT_SCHEMA, ROW, VERBATIM_BYTES
from haulier_extract import gathering
from haulier_extract.formats.csv import footer
from haulier_extract.formats.csv.fields import Fields
from haulier_extract.formats.csv.reading import Reader

TEXT = st.text(alphabet='ab ,,,;""""\n\n\n\rµ\0', max_size=150)


@dataclass
class Told:
    """What a reader made of a delivery."""

    columns: tuple[str, ...]
    #: (row number, *cells)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    #: (row number, rule, verbatim)
    rejects: list[tuple[int, str, bytes]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    groups: list[pa.Table] = field(default_factory=list)
    account: tuple[int, int, int, int] = (0, 0, 0, 0)
    notes: list[str] = field(default_factory=list)


def read(
    data: bytes | list[bytes],
    *,
    rows: int = 1000,
    size: int = 1 << 20,
    block_bytes: int = 1 << 20,
    wanted: list[int] | None = None,
    **options: Any,
) -> Told:
    dialect = Csv(**options)
    chunks = [data] if isinstance(data, bytes) else data
    reader = Reader(
        frame(chunks, dialect, "labs.csv", block_bytes=block_bytes),
        dialect,
        name="labs.csv",
        position=3,
        wanted=wanted,
    )
    told = Told(reader.columns)
    for batch in reader.batches(rows, size):
        if batch.rows is not None:
            assert batch.rows.schema == reader.schema
            assert set(batch.rows[DELIVERY].to_pylist()) == {3}
            told.groups.append(batch.rows)
            told.rows += zip(*(batch.rows[n].to_pylist() for n in (ROW, *reader.columns)), strict=True)
        if batch.rejects is not None:
            assert batch.rejects.schema == REJECT_SCHEMA
            for line in batch.rejects.to_pylist():
                assert line[DELIVERY] == 3
                assert json.loads(line["problems"]) == [
                    {"rule": line["rule"], "column": None, "message": line["message"]}
                ]
                told.rejects.append((line[ROW], line["rule"], line["verbatim"]))
                told.messages.append(line["message"])
    account = reader.account(7)
    told.account = (account.read, account.accepted, account.rejected, account.stripped)
    told.notes = reader.notes
    return told


def told_slowly(data: bytes, **options: Any) -> Told:
    """The same, one record at a time and with Python's csv module."""
    dialect = Csv(**options)
    told = Told(())
    stripped = 0
    for block in frame([data], dialect):
        for index in range(len(block)):
            number, record = block.first + index, block.record(index)
            if not told.columns:
                if record.strip():
                    told.columns = ("a", "b")[: len(next(csv.reader([record.decode()])))]
                continue
            try:
                text = record.decode()
            except UnicodeDecodeError:
                text = ""
            cells = next(csv.reader([text], quotechar=dialect.quote or None), []) if text else []
            if block.rule or b"\0" in record:
                told.rejects.append((number, block.rule or "nul-byte", record))
            elif not record.strip() and (len(cells) != len(told.columns) or not record):
                stripped += 1
            elif len(cells) != len(told.columns):
                told.rejects.append((number, "ragged", record))
            else:
                told.rows.append((number, *cells))
    told.account = (
        len(told.rows) + len(told.rejects) + stripped,
        len(told.rows),
        len(told.rejects),
        stripped,
    )
    return told


@given(
    header=st.sampled_from(["a,b\n", "a\n", "\n \na,b\r\n"]),
    text=TEXT,
    limit=st.integers(min_value=12, max_value=60),
)
@settings(max_examples=500, deadline=None)
def test_any_text_becomes_the_rows_and_rejects_that_the_csv_module_finds(
    header: str, text: str, limit: int
) -> None:
    data = (header + text).encode()
    found, expected = read(data, record_bytes=limit), told_slowly(data, record_bytes=limit)

    assert found.columns == expected.columns
    assert [(number, *(cell or "" for cell in cells)) for number, *cells in found.rows] == expected.rows
    assert found.rejects == expected.rejects
    assert found.account == expected.account


@given(
    text=TEXT,
    sizes=st.lists(st.integers(min_value=0, max_value=9), max_size=20),
    block_bytes=st.integers(min_value=1, max_value=40),
    rows=st.integers(min_value=1, max_value=4),
    size=st.integers(min_value=1, max_value=60),
    lines=st.integers(min_value=0, max_value=2),
    pattern=st.sampled_from([None, "b+", r"a;(\d)"]),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16"]),
    preamble=st.integers(min_value=0, max_value=3),
    headers=st.integers(min_value=1, max_value=3),
)
@example(  # a white line behind a lone CR is a block of its own, and no line for the footer
    text=";;\r ",
    sizes=[8],
    block_bytes=1,
    rows=1,
    size=1,
    lines=1,
    pattern=None,
    encoding="utf-8",
    preamble=0,
    headers=1,
)
@settings(max_examples=500, deadline=None)
def test_batches_blocks_and_chunks_make_no_difference(
    text: str,
    sizes: list[int],
    block_bytes: int,
    rows: int,
    size: int,
    lines: int,
    pattern: str | None,
    encoding: str,
    preamble: int,
    headers: int,
) -> None:
    data = ("one,two,three\n" * preamble + f"a,b\n{text}\n").encode(encoding)
    options: dict[str, Any] = {
        "record_bytes": 30,
        "preamble_rows": preamble,
        "header_rows": headers,
        "encoding": encoding,
        "footer": Footer(rows=lines, pattern=pattern),
    }
    pieces = [data[sum(sizes[:i]) : sum(sizes[: i + 1])] for i in range(len(sizes))] + [data[sum(sizes) :]]

    def outcome(data: bytes | list[bytes], **batching: Any) -> Told | str:
        try:
            return read(data, **options, **batching)
        except DataError as exc:
            return str(exc)

    whole = outcome(data)
    batched = outcome(pieces, rows=rows, size=size, block_bytes=block_bytes)

    if isinstance(whole, str) or isinstance(batched, str):
        assert whole == batched
        return
    assert (batched.rows, batched.rejects, batched.messages) == (whole.rows, whole.rejects, whole.messages)
    assert (batched.account, batched.notes) == (whole.account, whole.notes)
    assert batched.columns == whole.columns
    assert all(1 <= group.num_rows <= rows for group in batched.groups)


@given(text=st.text(alphabet='ab,""""\n', max_size=40))
@settings(max_examples=500, deadline=None)
def test_fields_are_those_of_the_csv_module(text: str) -> None:
    for block in frame([text.encode()], Csv()):
        for index in range(len(block)):
            record = block.record(index).decode()
            if record and not block.rule:
                cells = Fields(Csv()).split(record)
                assert [cell or "" for cell in cells] == next(csv.reader([record]))


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


class TestHeader:
    def test_names_are_stripped_and_made_unique(self) -> None:
        told = read("\ufeff id , name,,name,_haulier_row,name#2,name\n".encode())

        assert told.columns == ("id", "name", "column_3", "name#2", "_haulier_row#2", "name#2#2", "name#3")
        assert [note.split(" of labs.csv ")[0] for note in told.notes] == [
            f"column {number}" for number in (3, 4, 5, 6, 7)
        ]

    def test_an_empty_file_has_no_rows_and_says_so(self) -> None:
        for data in (b"", b"\n\n", b"\xef\xbb\xbf"):
            told = read(data)
            assert (told.columns, told.rows, told.account) == ((), [], (0, 0, 0, 0))
            assert told.notes == ["labs.csv is empty: it has no header"]

    def test_a_header_alone_is_a_file_without_rows(self) -> None:
        told = read(b"a,b\n")
        assert (told.columns, told.account, told.notes) == (("a", "b"), (0, 0, 0, 0), [])

    def test_another_delimiter_is_suspected_and_not_assumed(self) -> None:
        told = read(b"a;b\n1;2\n")
        assert told.rows == [(2, "1;2")]
        assert told.notes == [
            "the header of labs.csv is one column with a semicolon in it; is csv.delimiter ',' right?"
        ]

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            (b'"a,b\n', "cannot be read: quote-not-closed"),
            (b"a,\xb5\n", "row 1.* is not utf-8 at byte 3"),
            (b"a\0\n", "holds NUL bytes; is csv.encoding 'utf-8' right"),
        ],
    )
    def test_one_that_cannot_be_read_stops_the_file(self, header: bytes, message: str) -> None:
        with pytest.raises(DataError, match=f"the header of labs.csv .*{message}"):
            read(header + b"1,2\n")


class TestFooter:
    def test_last_lines_are_stripped_and_counted_as_read(self) -> None:
        told = read(b"a,b\n1,2\n\nTotal,1\nend\n\n", footer=Footer(rows=2))

        assert told.rows == [(2, "1", "2")]
        assert told.account == (5, 1, 0, 4)

    @pytest.mark.requirement("R-32")
    def test_a_pattern_finds_the_footer_wherever_it_ends(self) -> None:
        told = read(
            b"a,b\n1,2\nTotal,\n3,4\nTotal rows: 3\n-- end --\n",
            footer=Footer(pattern=r"Total.*: (\d+)|-- .*"),
        )

        assert [number for number, *_ in told.rows] == [2, 3, 4]
        assert told.account == (5, 3, 0, 2)

    def test_a_pattern_must_match_the_whole_line(self) -> None:
        assert read(b"a,b\nTotal,2\n", footer=Footer(pattern="Total")).rows == [(2, "Total", "2")]

    @pytest.mark.parametrize("claim", ["3", "3,000", "none"])
    def test_a_count_that_is_wrong_stops_the_file(self, claim: str) -> None:
        claimed = {"3": "3", "3,000": "3000", "none": "no number of"}[claim]
        with pytest.raises(DataError, match=rf"labs.csv claims {claimed} rows, 2 were found") as raised:
            read(f"a,b\n1,2\nragged\n\nTotal: {claim}\n".encode(), footer=Footer(pattern="Total: (.*)"))
        assert raised.value.exit_code == 65

    def test_a_count_counts_every_row_but_blank_ones(self) -> None:
        told = read(b"a,b\n1,2\nragged\n \n\nTotal: 2\n", footer=Footer(pattern=r"Total: (\d+)"))
        assert told.account == (5, 1, 1, 3)

    def test_a_count_that_should_be_there_and_is_not_stops_the_file(self) -> None:
        with pytest.raises(DataError, match=r"labs.csv has no footer .* so its 1 rows may not be all"):
            read(b"a,b\n1,2\n", footer=Footer(pattern=r"Total: (\d+)"))

    def test_footers_may_be_anything_else_but_rows(self) -> None:
        for line in (b'"Total', b"Total \xff", b"Total \0", b"Total" + b"!" * 100):
            told = read(b"a,b\n1,2\n" + line + b"\n", footer=Footer(rows=1), record_bytes=64)
            assert told.account == (2, 1, 0, 1)

    def test_only_so_many_lines_are_held_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(footer, "MOST_LINES", 3)
        dialect = Csv(footer=Footer(pattern="end"))
        blocks = frame([b"end\n"] * 10, dialect, block_bytes=4)

        assert sum(len(block) for block in footer.Footer(dialect).before(blocks)) == 7


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
