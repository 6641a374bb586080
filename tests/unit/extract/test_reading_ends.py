"""The first and last lines of a CSV file: what a header must be, and what a footer claims."""

from __future__ import annotations

import pytest
from support.csv_reading import read

from haulier.definitions.formats import Csv, Footer
from haulier.errors import DataError
from haulier.records import frame
from haulier_extract.formats.csv import footer


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
