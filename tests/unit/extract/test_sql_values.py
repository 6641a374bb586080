"""A database's values as one Arrow type: exactly, or not at all, and then as text."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulier.texts import texts_of
from haulier_extract.sources.sql.values import Raw, Unfit, array_of

UTC = datetime.UTC
NOT_TIMED = settings(deadline=None)
MOMENTS = st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31))


@NOT_TIMED
@given(st.lists(st.none() | st.decimals(-(10**20), 10**20, allow_nan=False, places=3)))
def test_decimals_keep_every_digit_or_are_refused(values):
    texts = [None if value is None else f"{value:f}" for value in values]
    try:
        array = array_of(texts, pa.decimal128(12, 2))
    except Unfit:
        assert any(v is not None and (v != round(v, 2) or abs(v) >= 10**10) for v in values)
    else:
        assert array.to_pylist() == values


@NOT_TIMED
@given(st.lists(st.none() | MOMENTS))
def test_moments_are_themselves(values):
    texts = [None if value is None else value.isoformat(" ") for value in values]
    zoned = [None if text is None else f"{text}+00" for text in texts]

    assert array_of(texts, pa.timestamp("us")).to_pylist() == values
    array = array_of(zoned, pa.timestamp("us", "UTC"))
    assert array.to_pylist() == [None if value is None else value.replace(tzinfo=UTC) for value in values]


@NOT_TIMED
@given(st.lists(st.none() | st.times()))
def test_times_of_day_are_themselves(values):
    texts = [None if value is None else value.isoformat() for value in values]

    assert array_of(texts, pa.time64("us")).to_pylist() == values


@NOT_TIMED
@given(st.lists(st.none() | st.uuids()))
def test_uuids_are_themselves(values):
    array = array_of([None if value is None else str(value) for value in values], pa.uuid())

    assert array.to_pylist() == values


@NOT_TIMED
@given(st.lists(st.none() | st.text() | st.integers() | st.floats(allow_nan=False) | st.binary()))
def test_anything_may_be_text_and_numbers_come_back(values):
    array = array_of(
        [Raw(v.encode("utf-8", "surrogatepass")) if isinstance(v, str) else v for v in values], pa.string()
    )
    found = array.cast(pa.binary()).to_pylist()

    assert [one is None for one in found] == [value is None for value in values]
    for value, text in zip(values, found, strict=True):
        if isinstance(value, str):
            assert text == value.encode("utf-8", "surrogatepass")
        elif isinstance(value, bytes):
            assert text == b"\\x" + value.hex().encode()
        elif isinstance(value, float):
            assert float(text.decode().replace("Infinity", "inf")) == value
        elif isinstance(value, int):
            assert int(text) == value


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("NaN", pa.decimal128(5, 2)),
        ("infinity", pa.date32()),
        ("0000-00-00", pa.date32()),
        ("29999-01-01 00:00:00", pa.timestamp("us")),
        ("0044-03-15 00:00:00 BC", pa.timestamp("us")),
        ("24:00:00", pa.time64("us")),
        ("-838:59:59", pa.time64("us")),
        (2**63, pa.int64()),
        ("x", pa.uuid()),
    ],
)
def test_what_a_type_cannot_hold_is_refused_for_the_whole_column(value, kind):
    with pytest.raises(Unfit):
        array_of([None, value], kind)
    assert texts_of(array_of([None, value], pa.string())).to_pylist() == [None, str(value)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (Decimal("1E+3"), "1000"),
        (float("nan"), "NaN"),
        (datetime.datetime(2026, 1, 5, 10, tzinfo=UTC), "2026-01-05 10:00:00+00:00"),
        (datetime.timedelta(days=1, microseconds=500_000), "PT86400.5S"),
        ({"a": [1]}, '{"a": [1]}'),
    ],
)
def test_what_other_drivers_give_becomes_text_that_a_contract_reads(value, text):
    assert array_of([value], pa.string()).to_pylist() == [text]
