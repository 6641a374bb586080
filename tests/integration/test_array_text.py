"""What PostgreSQL writes of arrays is taken apart into what was put in."""

from __future__ import annotations

from contextlib import closing

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haulier_extract.sources.sql.changes.arrays import elements_of

_TEXT = st.none() | st.text(alphabet='ab "\\{},;\n\tNULLnullé', max_size=8)


@given(
    flat=st.lists(_TEXT, max_size=6),
    square=st.integers(min_value=1, max_value=3).flatmap(
        lambda width: st.lists(st.lists(_TEXT, min_size=width, max_size=width), min_size=1, max_size=3)
    ),
    first=st.integers(min_value=-2, max_value=2),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_array_of_text_is_read_as_it_was_written(database, flat, square, first):
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT %s::text[]::text, %s::text[]::text", [flat, square])
        one, two = cursor.fetchone()
        moved = None
        if flat:
            cursor.execute("SELECT (array_fill(NULL::text, ARRAY[%s], ARRAY[%s]))::text", [len(flat), first])
            (moved,) = cursor.fetchone()

    assert elements_of(one, 25) == flat
    assert elements_of(two, 25) == square
    assert moved is None or elements_of(moved, 25) == [None] * len(flat)
