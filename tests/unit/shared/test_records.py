"""Records are cut as Python's csv module cuts them, however the text is chunked."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from haulier import framing
from haulier.definitions.formats import Csv
from haulier.errors import DataError
from haulier.records import Block, frame
from haulier.rows import VERBATIM_BYTES

# Every character that means something, some that do not, and one of two bytes.
TEXT = st.text(alphabet='ab ,;""""\n\n\rµ', max_size=120)
WELL_FORMED = st.lists(
    st.lists(st.text(alphabet='ab,"\n\rµ', max_size=5), min_size=1, max_size=4), max_size=8
)


def cut(data: bytes | list[bytes], block_bytes: int = 1 << 20, **options: Any) -> list[Block]:
    chunks = [data] if isinstance(data, bytes) else data
    found = list(frame(chunks, Csv(**options), block_bytes=block_bytes))
    by_line = framing.frame(chunks, Csv(**options), block_bytes=block_bytes)
    lines = list(by_line)
    assert told(lines) == told(found), "with and without NumPy"
    assert whole(lines) == whole(found)
    return found


def whole(blocks: Sequence[framing.Block[Any]]) -> dict[int, framing.Whole]:
    """Where the records are of which only the beginning is kept."""
    found = {block.first + i: block.whole(i) for block in blocks for i in range(len(block))}
    return {number: one for number, one in found.items() if one is not None}


def told(blocks: Sequence[framing.Block[Any]]) -> list[tuple[int, bytes, int, str | None]]:
    """Number, kept bytes, whole length and rule of every record."""
    return [(b.first + i, *b.verbatim(i), b.rule) for b in blocks for i in range(len(b))]


def records(data: bytes | list[bytes], **options: Any) -> list[bytes]:
    return [record for _, record, _, _ in told(cut(data, **options))]


def rules(data: bytes, **options: Any) -> list[tuple[bytes, str | None]]:
    return [(record, rule) for _, record, _, rule in told(cut(data, **options))]


def row(record: bytes) -> list[str]:
    """What Python's csv module makes of one record by itself."""
    found = list(csv.reader([record.decode()]))
    return found[0] if found else []


def letter_by_letter(text: bytes, limit: int) -> list[tuple[bytes, str | None]]:
    """The same cutting without any cleverness."""
    found: list[tuple[bytes, str | None]] = []
    start = 0
    while start < len(text):
        state, opened, end, rule = "field start", -1, -1, None
        for at in range(start, min(len(text), start + limit + 1)):
            letter = text[at : at + 1]
            if state != "quoted" and letter in b"\r\n":
                end = at
                break
            if state == "quoted":
                state = "after quote" if letter == b'"' else "quoted"
            elif letter == b'"' and state != "field":
                opened = at if state == "field start" else opened
                state = "quoted"
            else:
                state = "field start" if letter == b"," else "field"
        else:
            end = len(text)
            if state == "quoted" or end - start > limit:
                rule = "quote-not-closed" if state == "quoted" else "record-too-long"
                look = opened if state == "quoted" else start + limit
                end = next((at for at in range(look, len(text)) if text[at] in b"\r\n"), len(text))
        found.append((text[start:end], rule))
        start = end + (2 if text[end : end + 2] == b"\r\n" else 1)
    return found


@given(cells=WELL_FORMED, style=st.sampled_from([("\n", 1), ("\r\n", 1), ("\r", 1), ("\r\n", 0)]))
@settings(deadline=None)
def test_what_the_csv_module_writes_is_cut_into_its_rows(
    cells: list[list[str]], style: tuple[str, Any]
) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=style[0], quoting=style[1]).writerows(cells)

    found = cut(stream.getvalue().encode())

    assert [row(block.record(i)) for block in found for i in range(len(block))] == cells


@given(text=TEXT)
@settings(max_examples=500, deadline=None)
def test_any_text_is_cut_where_the_csv_module_cuts_it(text: str) -> None:
    found = rules(text.encode())
    assume(not any(rule for _, rule in found))  # a quote that nothing closes: there we differ on purpose

    assert [row(record) for record, _ in found] == list(csv.reader(io.StringIO(text, newline="")))


@given(text=TEXT, limit=st.integers(min_value=2, max_value=15))
@settings(max_examples=500, deadline=None)
def test_any_text_is_cut_as_letter_by_letter(text: str, limit: int) -> None:
    assert rules(text.encode(), record_bytes=limit) == letter_by_letter(text.encode(), limit)


@given(
    text=TEXT,
    sizes=st.lists(st.integers(min_value=0, max_value=7), max_size=20),
    block_bytes=st.integers(min_value=1, max_value=9),
    preamble=st.integers(min_value=0, max_value=2),
    quote=st.sampled_from(['"', ""]),
    limit=st.integers(min_value=2, max_value=15),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-be", "cp1252", "shift_jis"]),
)
@settings(max_examples=500, deadline=None)
def test_chunks_and_blocks_make_no_difference(
    text: str, sizes: list[int], block_bytes: int, preamble: int, quote: str, limit: int, encoding: str
) -> None:
    data = text.encode(encoding, "replace")
    options: dict[str, Any] = {
        "record_bytes": limit,
        "preamble_rows": preamble,
        "quote": quote,
        "encoding": encoding,
    }
    pieces = [data[sum(sizes[:i]) : sum(sizes[: i + 1])] for i in range(len(sizes))] + [data[sum(sizes) :]]

    whole = told(cut(data, **options))

    assert told(cut(pieces, block_bytes, **options)) == whole
    assert [number for number, *_ in whole] == list(range(1, len(whole) + 1))


def test_a_quote_that_is_never_closed_costs_one_record_and_not_the_rest_of_the_file() -> None:
    data = b'id,note\n1,"fine\ntwo lines"\n2,"stray\n3,x\n4,y\n'

    assert rules(data) == [
        (b"id,note", None),
        (b'1,"fine\ntwo lines"', None),
        (b'2,"stray', "quote-not-closed"),
        (b"3,x", None),
        (b"4,y", None),
    ]


def test_a_quote_closed_too_far_away_counts_as_never_closed() -> None:
    line = b"3," + b"x" * 60 + b"\n"
    data = b'1,a\n2,"stray\n' + line * 3 + b'4,"\n5,b\n'

    assert [rule for _, rule in rules(data, record_bytes=128)] == [
        None,
        "quote-not-closed",
        None,
        None,
        None,
        "quote-not-closed",
        None,
    ]


def test_the_cut_comes_after_the_open_quote_not_after_the_first_line() -> None:
    assert rules(b'"a\nb","open\nc,d\n') == [(b'"a\nb","open', "quote-not-closed"), (b"c,d", None)]


def test_a_record_may_be_exactly_as_long_as_allowed() -> None:
    longest = b"x" * 64
    assert rules(longest + b"\n" + longest + b"y\r\nz", record_bytes=64) == [
        (longest, None),
        (longest + b"y", "record-too-long"),
        (b"z", None),
    ]


def test_of_an_endless_line_only_the_beginning_is_kept_and_its_length() -> None:
    chunk = b"x" * 1_000_000
    blocks = list(frame((chunk if i < 300 else b"y\r\nnext\n" for i in range(301)), Csv()))

    endless, after = told(blocks)

    assert len(blocks[0].data) == VERBATIM_BYTES
    assert endless == (1, b"x" * VERBATIM_BYTES, 300_000_001, "record-too-long")
    assert after[:3] == (2, b"next", 4)


def test_an_endless_quote_is_cut_at_its_first_line_end() -> None:
    chunks = [b'1,"a\n', *[b"2,b\n" * 1000] * 1000]

    found = told(cut(chunks, record_bytes=1024))

    assert found[0][1:4] == (b'1,"a', 4, "quote-not-closed")
    assert len(found) == 1_000_001
    assert {rest[1:4] for rest in found[1:]} == {(b"2,b", 3, None)}


def test_preamble_lines_may_hold_stray_quotes() -> None:
    assert records(b'"Site 7\n"\na,b\n"1\n2",3\n', preamble_rows=2) == [b'"Site 7', b'"', b"a,b", b'"1\n2",3']


def test_without_a_quote_character_quotes_mean_nothing() -> None:
    assert records(b'1,"a\n2,b"\n', quote="") == [b'1,"a', b'2,b"']


def test_a_slice_of_a_block_knows_where_it_stops() -> None:
    (block,) = cut(b"a\r\nb\r\nc\r\n")

    middle = block.slice(1, 2)

    assert (middle.record(0), middle.first, block.data[middle.starts[0] : middle.stop]) == (b"b", 2, b"b\r\n")


@pytest.mark.parametrize(
    ("written", "declared"),
    [
        ("utf-8", "utf-8"),
        ("utf-8", "utf-8-sig"),
        ("utf-16-le", "utf-16"),
        ("utf-16-be", "utf-16"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32-le", "utf-32"),
    ],
)
def test_a_byte_order_mark_is_no_part_of_the_first_cell(written: str, declared: str) -> None:
    data = "\ufeffid,µ\n1,2\n".encode(written)

    assert records([data[:1], data[1:]], encoding=declared) == ["id,µ".encode(), b"1,2"]


@pytest.mark.parametrize(
    ("data", "encoding", "family"),
    [
        ("\ufeffid\n".encode(), "cp1252", "utf-8"),
        ("\ufeffid\n".encode("utf-16-le"), "utf-8", "utf-16"),
        ("\ufeffid\n".encode(), "utf-16", "utf-8"),
    ],
)
def test_the_byte_order_mark_of_another_encoding_stops_the_file(
    data: bytes, encoding: str, family: str
) -> None:
    with pytest.raises(DataError, match=f"labs.csv begins with the byte order mark of {family}.*{encoding}"):
        list(frame([data], Csv(encoding=encoding), "labs.csv"))


def test_what_cannot_be_decoded_spoils_its_own_record_only() -> None:
    data = "1,ä\n2,".encode("utf-16-le") + b"\x00\xd8" + "\n3,ö\n".encode("utf-16-le")

    first, second, third = records(data, encoding="utf-16-le")

    assert (first.decode(), third.decode()) == ("1,ä", "3,ö")
    with pytest.raises(UnicodeDecodeError):
        second.decode()


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("quote", [b"", b'"'])
@given(
    sizes=st.lists(
        st.sampled_from([0, 3, VERBATIM_BYTES, VERBATIM_BYTES + 1, 300_000]), min_size=1, max_size=6
    ),
    end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    chunk=st.sampled_from([1000, 65_537, 1 << 20]),
)
@settings(deadline=None, max_examples=25)
def test_a_record_that_is_cut_is_found_by_its_digest_and_place(
    mark: bytes, quote: bytes, sizes: list[int], end: bytes, chunk: int
) -> None:
    """Also one longer than may be read, and one whose quote is never closed."""
    rows = [(quote if size > 100_000 else b"") + b"x" * size for size in sizes]
    text = mark + end.join(rows)
    chunks = [text[at : at + chunk] for at in range(0, len(text), chunk)]

    found = whole(cut(chunks, block_bytes=100_000, record_bytes=200_000))

    assert list(found) == [number for number, row in enumerate(rows, 1) if len(row) > VERBATIM_BYTES]
    for number, one in found.items():
        assert text[one.start : one.stop] == rows[number - 1]
        assert one.sha256 == hashlib.sha256(rows[number - 1]).hexdigest()
