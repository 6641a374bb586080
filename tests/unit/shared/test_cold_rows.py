"""Archived rows: what PostgreSQL writes becomes Arrow and the same bytes again, whatever is in a cell."""

import hashlib

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from haulier.cold.rows import Content, content_of, parsed, rendered, schema_of

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
CELL = (
    st.none()
    | TEXT
    | st.sampled_from(["", '"', '""', ",", "\n", "\r\n", "\\.", "NULL", "NaN", "\ufeff", " "])
)
SCHEMA = schema_of([("a", "text"), ("b", "numeric"), ("c", "jsonb")])


def written(rows):
    """The lines of COPY … (FORMAT csv, FORCE_QUOTE *)."""
    return [
        (
            ",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in row) + "\n"
        ).encode()
        for row in rows
    ]


@settings(deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=8))
def test_every_text_and_no_value_comes_back_to_the_byte(rows):
    lines = written(rows)
    table = parsed(lines, SCHEMA)

    assert [tuple(row.values()) for row in table.to_pylist()] == rows
    assert b"".join(rendered(table)) == b"".join(lines)


@settings(deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=8), st.integers(1, 4))
def test_the_digest_is_that_of_the_stream_however_rows_are_cut(rows, cut):
    lines = written(rows)
    tables = [parsed(lines[at : at + cut], SCHEMA) for at in range(0, len(lines), cut)]

    assert content_of(tables) == Content(rows=len(rows), sha256=hashlib.sha256(b"".join(lines)).hexdigest())


def test_a_field_says_which_type_it_is_the_text_of():
    assert SCHEMA.field("b").metadata == {b"postgresql_type": b"numeric"}
    assert SCHEMA.field("b").type == pa.string()
