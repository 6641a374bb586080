"""What is said of partitions without a database: periods, and which rows two bounds have in common."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.contracts import Partitioning
from haulier.partitions import Bound, first_day, period

DAYS = st.dates()
WAYS = st.sampled_from(["day", "month", "year"])
TYPES = st.sampled_from(["date", "timestamp", "timestamptz"])
TEXTS = st.none() | st.dates().map(str)


def holds(bound, day):
    return (bound.start is None or bound.start <= day) and (bound.end is None or day < bound.end)


@given(DAYS, WAYS, TYPES)
def test_a_period_holds_its_day_and_neither_the_day_before_nor_the_one_after(day, by, pg_type):
    level = Partitioning(column="seen", by=by)
    bound = period(level, pg_type, first_day(level, day))
    midnight = {"date": "", "timestamp": " 00:00:00", "timestamptz": " 00:00:00+00"}[pg_type]

    assert holds(bound, f"{day}{midnight}")
    assert (
        bound.end is None
        or period(level, pg_type, first_day(level, date.fromisoformat(bound.end[:10]))).start == bound.end
    )


def test_the_last_period_there_is_has_no_end():
    assert period(Partitioning(column="seen", by="month"), "date", date(9999, 12, 1)).end is None


@given(TEXTS, TEXTS, TEXTS, TEXTS, DAYS.map(str))
def test_what_a_bound_covers_it_meets_and_every_row_of_it_is_its_own(a, b, c, d, day):
    one, other = Bound(column="c", start=a, end=b), Bound(column="c", start=c, end=d)
    if holds(one, day) and holds(other, day):
        assert one.meets(other)
        assert other.meets(one)
    if one.covers(other) and holds(other, day):
        assert holds(one, day)


@pytest.mark.parametrize(("one", "other", "covers", "meets"), [
    ("ab", "a", True, True), ("a", "ab", False, True), ("a", "b", False, False), ("a", "a", True, True),
])  # fmt: skip
def test_lists_are_sets(one, other, covers, meets):
    first, second = (Bound(column="c", values=tuple(text)) for text in (one, other))

    assert (first.covers(second), first.meets(second)) == (covers, meets)
