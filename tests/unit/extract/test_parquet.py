"""Parquet's columns keep their types; what has none between the steps becomes text in which nothing is lost."""

from __future__ import annotations

import io
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reading import kept, read, unfinished

from haulier.definitions.formats import Parquet
from haulier.errors import DataError
from haulier.originals import VerbatimRows
from haulier.texts import json_texts, texts_of

PARQUET = Parquet()


def file_of(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def test_types_that_the_contract_can_judge_are_handed_on_as_they_are() -> None:
    table = pa.table(
        {
            "n": pa.array([1, None], pa.int32()),
            "d": pa.array([Decimal("1.10"), None], pa.decimal128(38, 2)),
            "f": pa.array([0.1, math.nan], pa.float64()),
            "t": pa.array(["NA", ""], pa.string()),
            "b": pa.array([True, None]),
            "day": pa.array([date(9999, 12, 31), date(1, 1, 1)]),
            "at": pa.array([datetime(2026, 1, 5, 12, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
            "of": pa.array([time(12, 30), None], pa.time64("us")),
            "u": pa.array([UUID(int=1).bytes, None], pa.uuid()),
        }
    )

    told = read(file_of(table), PARQUET)

    assert told.types == tuple(table.schema.types)
    assert told.rows[0] == (1, *(column[0].as_py() for column in table.columns))
    assert told.account == (2, 2, 0, 0)


def test_other_types_become_text() -> None:
    table = pa.table(
        {
            "dict": pa.array(["x", "y"]).dictionary_encode(),
            "large": pa.array(["é", None], pa.large_string()),
            "bytes": pa.array([b"\x00\xff", None]),
            "list": pa.array([[1, None], None], pa.list_(pa.int64())),
            "map": pa.array([[("k", Decimal("1.10"))], []], pa.map_(pa.string(), pa.decimal128(9, 2))),
            "struct": pa.array(
                [{"a": 0.1, "b": {"c": [b"x", None]}}, {"a": math.inf, "b": None}],
                pa.struct([("a", pa.float64()), ("b", pa.struct([("c", pa.list_(pa.binary()))]))]),
            ),
            "wide": pa.array([Decimal("1e70"), None], pa.decimal256(76, 0)),
            "nothing": pa.nulls(2),
        }
    )

    told = read(file_of(table), PARQUET)

    assert set(told.types) == {pa.string()}
    assert told.rows == [
        (
            1,
            "x",
            "é",
            "\\x00ff",
            "[1,null]",
            '{"k":1.10}',
            '{"a":0.1,"b":{"c":["\\\\x78",null]}}',
            "1" + "0" * 70,
            None,
        ),
        (2, "y", None, None, None, "{}", '{"a":"Infinity","b":null}', None, None),
    ]


def test_int96_keeps_years_that_nanoseconds_cannot_hold() -> None:
    moments = [datetime(1, 1, 1), datetime(2026, 1, 5, 12), datetime(9999, 12, 31)]
    data = file_of(
        pa.table({"at": pa.array(moments, pa.timestamp("us"))}), use_deprecated_int96_timestamps=True
    )

    assert [row[1] for row in read(data, PARQUET).rows] == moments


def test_int96_with_digits_below_the_microsecond_is_a_reject_and_not_cut() -> None:
    noon = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp()) * 10**9
    before = int(datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC).timestamp()) * 10**9
    at = pa.array([noon, noon + 1, None, noon + 123_456_000, before + 999, before + 1000], pa.timestamp("ns"))
    table = pa.table({"when": at, "n": range(6), "at": at.take(pa.array([0, 0, 0, 1, 0, 0]))})
    data = file_of(table, use_deprecated_int96_timestamps=True)

    for rows in (1, 2, 1000):
        told = read(data, PARQUET, rows=rows)

        assert [row[0] for row in told.rows] == [1, 3, 6]
        assert [row[1] for row in told.rows][2] == datetime(1969, 7, 20, 20, 17, 40, 1)
        assert told.rejects == [(2, "precision"), (4, "precision"), (5, "precision")]
        assert "INT96" in told.messages[0]
    assert read(data, PARQUET, wanted=[3, 5]).rejects == [(5, "precision")]


@pytest.mark.parametrize("beyond", [0, 1])
def test_nested_int96_is_read_or_refused_by_its_column_never_cut(beyond: int) -> None:
    noon = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp()) * 10**9
    times = pa.array([noon, noon + beyond, noon], pa.timestamp("ns"))
    lists = pa.ListArray.from_arrays([0, 2, 3], times)
    structs = pa.StructArray.from_arrays([pa.array([1, 2]), lists], ["n", "when"])
    data = file_of(pa.table({"a": [1, 2], "in": structs}), use_deprecated_int96_timestamps=True)

    if beyond:
        with pytest.raises(DataError, match="in has nested times with digits below the microsecond"):
            read(data, PARQUET)
    else:
        assert len(read(data, PARQUET).rows) == 2


def test_text_that_is_no_utf8_is_a_reject_with_its_row() -> None:
    broken = pa.array([b"good", b"\xff", b"good"]).view(pa.string())
    nested = pa.ListArray.from_arrays([0, 1, 1, 2], pa.array([b"x", b"\xfe"]).view(pa.string()))

    told = read(file_of(pa.table({"n": [1, 2, 3], "a": broken, "b": nested})), PARQUET)

    assert told.rows == [(1, 1, "good", '["x"]')]
    assert told.rejects == [(2, "encoding"), (3, "encoding")]
    assert told.verbatim[0] == b'{"n":2,"a":"\\\\xff","b":[]}'


def test_rows_are_numbered_across_row_groups_however_they_are_batched() -> None:
    data = file_of(pa.table({"n": list(range(1000))}), row_group_size=130)

    small, large = read(data, PARQUET, rows=7), read(data, PARQUET, rows=5000)

    assert small.rows == large.rows == [(n + 1, n) for n in range(1000)]
    assert max(small.groups) <= 7
    assert read(data, PARQUET, wanted=[1, 500, 1000]).rows == [(1, 0), (500, 499), (1000, 999)]
    with pytest.raises(DataError, match="has no row 1001"):
        read(data, PARQUET, wanted=[1001])


def test_a_row_is_shown_as_one_object() -> None:
    data = file_of(pa.table({"a": [1, 2], "b": [[1.5], None], 'c"': ["x\n", "y"]}))

    assert VerbatimRows(*kept(data), PARQUET).take([2]) == [b'{"a":2,"b":null,"c\\"":"y"}']


def test_a_row_group_that_would_not_fit_the_memory_is_refused_by_name() -> None:
    data = file_of(pa.table({"n": list(range(10_000))}), row_group_size=5000)

    with pytest.raises(
        DataError, match=r"row group 1 of file://labs has \d+ bytes, parquet.row_group_bytes allows 2000"
    ):
        read(data, Parquet(row_group_bytes=2000))


def test_columns_of_one_name_are_told_apart() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "a", ""])

    assert read(file_of(table), PARQUET).columns == ("a", "a#2", "column_3")


@pytest.mark.parametrize("at", range(0, 400, 37))
def test_a_damaged_file_is_an_error_with_a_name(at: int) -> None:
    data = bytearray(file_of(pa.table({"n": list(range(100)), "t": ["x"] * 100}), compression="none"))
    data[-at - 9] ^= 0xFF

    said = ""
    try:
        assert read(bytes(data), PARQUET).account[0] == 100
    except DataError as exc:
        said = str(exc)

    assert said == "" or said.startswith("file://labs is not Parquet, or damaged")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"id\n1\n", b"PAR1" + b"\xff\xff\xff\x7fPAR1"])
def test_what_does_not_begin_and_end_as_parquet_waits(data: bytes) -> None:
    whole = file_of(pa.table({"n": [1]}))

    assert unfinished(data, PARQUET) == "it does not begin and end as Parquet does"
    assert unfinished(whole[:-5], PARQUET) is not None
    assert unfinished(whole, PARQUET) is None


def test_packed_parquet_is_refused() -> None:
    with pytest.raises(DataError, match="is packed, and Parquet is already"):
        read(file_of(pa.table({"n": [1]})), PARQUET, uri="file://labs.parquet.gz")


class TestTexts:
    @settings(deadline=None)
    @given(
        st.decimals(allow_nan=False, allow_infinity=False, places=25, min_value=-(10**12), max_value=10**12)
    )
    def test_a_decimal_is_the_same_again_and_has_no_exponent(self, value: Decimal) -> None:
        (text,) = texts_of(pa.array([value], pa.decimal128(38, 25))).to_pylist()

        assert Decimal(text) == value
        assert "E" not in text

    @settings(deadline=None)
    @given(st.floats(allow_nan=False))
    def test_a_float_is_the_same_again(self, value: float) -> None:
        (text,) = texts_of(pa.array([value])).to_pylist()

        assert float(text) == value

    @settings(deadline=None)
    @given(st.datetimes())
    def test_a_moment_is_the_same_again(self, value: datetime) -> None:
        naive, zoned = (
            pa.array([value], pa.timestamp("us")),
            pa.array([value], pa.timestamp("us", "Europe/Berlin")),
        )

        assert datetime.fromisoformat(texts_of(naive)[0].as_py()) == value
        assert datetime.fromisoformat(texts_of(zoned)[0].as_py().replace("Z", "+00:00")) == value.replace(
            tzinfo=UTC
        )

    def test_fractions_end_with_no_zero_and_nothing_finer_is_lost(self) -> None:
        moments = pa.array([0, 1_500_000_000, 1], pa.timestamp("ns"))

        assert texts_of(moments).to_pylist() == [
            "1970-01-01 00:00:00",
            "1970-01-01 00:00:01.5",
            "1970-01-01 00:00:00.000000001",
        ]
        assert texts_of(pa.array([timedelta(milliseconds=1500)], pa.duration("ms"))).to_pylist() == ["PT1.5S"]

    @settings(deadline=None)
    @given(
        st.lists(st.none() | st.lists(st.none() | st.integers(-9, 9), max_size=3), max_size=5),
        st.integers(0, 3),
    )
    def test_a_slice_of_lists_is_read_from_its_place(self, lists: list[Any], start: int) -> None:
        array = pa.array(lists, pa.list_(pa.int64()))[start:]

        assert [text.replace("null", "None") for text in json_texts(array)] == [
            "None" if one is None else str(one).replace(" ", "") for one in lists[start:]
        ]
