"""Cells of fixed width are cut by characters; a line that does not fit its columns is a reject."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reading import read, unfinished

from haulier.definitions.formats import FixedColumn, FixedWidth
from haulier.errors import DataError

COLUMNS = (
    FixedColumn(name="id", width=3),
    FixedColumn(name="name", width=5),
    FixedColumn(name="x", start=10, width=2),
)
FORM = FixedWidth(columns=COLUMNS)


def test_cells_are_cut_at_their_places_and_padding_is_no_part_of_them() -> None:
    told = read(
        "HEADER\n  1Ünal  ab\n\n 2 a b  - c\n           \n".encode(),
        FixedWidth(columns=COLUMNS, header_rows=1),
    )

    assert told.columns == ("id", "name", "x")
    assert told.rows == [(2, "1", "Ünal", "ab"), (4, "2", "a b", "c")]
    assert told.account == (4, 2, 0, 2)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (b"  1abc", "short-line"),
        (b"  1abcde ab!", "long-line"),
        (b"  1ab\0de ab", "nul-byte"),
        (b"  1ab\xffde ab", "encoding"),
        (b"x" * (1 << 20) + b"y", "record-too-long"),
    ],
    ids=lambda value: str(value)[:16],
)
def test_a_line_that_does_not_fit_is_a_reject_and_the_rest_is_read(line: bytes, rule: str) -> None:
    told = read(b"  1abcde ab\n" + line + b"\r\n  2abcde ab   \n", FORM)

    assert told.rows == [(1, "1", "abcde", "ab"), (3, "2", "abcde", "ab")]
    assert told.rejects == [(2, rule)]
    assert told.verbatim == [line[: 64 * 1024]]


def test_short_lines_may_be_padded() -> None:
    assert read(b"  1\n", FixedWidth(columns=COLUMNS, short_lines="pad")).rows == [(1, "1", None, None)]


def test_characters_count_and_bytes_do_not() -> None:
    line = "ééé😀😀😀😀😀 üü\n"
    assert read(line.encode("utf-16"), FixedWidth(columns=COLUMNS, encoding="utf-16")).rows == [
        (1, "ééé", "😀😀😀😀😀", "üü")
    ]


def test_only_wanted_rows_are_read_and_one_that_became_a_header_is_stripped() -> None:
    data = b"  1abcde ab\n  2abcde ab\n  3abcde ab\n"

    assert read(data, FORM, wanted=[2]).rows == [(2, "2", "abcde", "ab")]
    assert read(data, FixedWidth(columns=COLUMNS, header_rows=1), wanted=[1, 3]).account == (2, 1, 0, 1)
    with pytest.raises(DataError, match="has no row 4 any more: the fixed section"):
        read(data, FORM, wanted=[4])


def test_a_file_whose_last_line_has_no_end_waits() -> None:
    assert "its last line has no end" in (unfinished(b"  1abc", FORM) or "")


@settings(deadline=None)
@given(
    st.lists(st.tuples(*(st.text(alphabet="ab µ", max_size=width) for width in (3, 5, 2))), max_size=9),
    st.integers(1, 3),
)
def test_what_was_padded_comes_back(rows: list[tuple[str, ...]], at_once: int) -> None:
    lines = [f"{a:<3}{b:>5} {c:<2}\n" for a, b, c in rows]

    told = read("".join(lines).encode(), FORM, rows=at_once)

    kept = [tuple(cell.strip(" ") or None for cell in row) for row in rows if "".join(row).strip(" ")]
    assert [row[1:] for row in told.rows] == kept
    assert told.account[0] == len(rows)
