"""Any text becomes the rows and rejects that Python's csv module finds, however it is cut."""

from __future__ import annotations

import csv
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.csv_reading import Told, read

from haulier.definitions.formats import Csv, Footer
from haulier.errors import DataError
from haulier.records import frame
from haulier_extract.formats.csv.fields import Fields

TEXT = st.text(alphabet='ab ,,,;""""\n\n\n\rµ\0', max_size=150)


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
