"""Numbers are read exactly or refused: Python's own `int`, `Decimal` and `float` are the reference."""

from __future__ import annotations

import math
import re
from decimal import Context, Decimal, InvalidOperation

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.transforming import outcome

from haulier_transform.numerics import WHOLE_RANGES, double, number, whole

DIGITS = st.text("0123456789", max_size=24)
WRITTEN = st.one_of(
    st.builds(
        lambda sign, whole, mark, fraction, exponent: f"{sign}{whole}{mark}{fraction}{exponent}",
        st.sampled_from(["", "+", "-"]),
        DIGITS,
        st.sampled_from(["", ".", ","]),
        DIGITS,
        st.one_of(
            st.just(""),
            st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), DIGITS),
        ),
    ),
    st.sampled_from(
        ["", "nan", "NaN", "inf", "-Infinity", "1_000", "1,234.5", "٣", "½", "0x10", "1 2", "--1", "1e"]
    ),
    st.text(max_size=6),
)
SHAPE = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def decimal_reference(text: str, precision: int, scale: int) -> Decimal | str:
    if not SHAPE.fullmatch(text):
        return "type"
    mantissa, _, exponent = text.lower().partition("e")
    if not mantissa.strip("+-0."):
        return Decimal(0)
    # Beyond any type: what the number is in full would not fit in memory.
    if abs(int(exponent or 0)) > 1000:
        return "scale" if exponent.startswith("-") else "range"
    value = Decimal(text)
    # Not abs(), which rounds to the 28 digits of the usual context.
    size = value.copy_abs()
    units = int(size.scaleb(scale, Context(prec=2000)))
    if size >= Decimal(10) ** (precision - scale):
        return "range"
    exact = Decimal(units).scaleb(-scale, Context(prec=2000))
    return value if exact == size else "scale"


@settings(deadline=None)
@given(st.lists(WRITTEN, max_size=20), st.integers(1, 38), st.data())
@pytest.mark.requirement("R-30")
def test_a_decimal_is_exact_or_refused_with_its_rule(
    texts: list[str], precision: int, data: st.DataObject
) -> None:
    scale = data.draw(st.integers(0, precision))

    parsed = number(precision, scale, ".")(pa.array(texts, pa.string()))

    expected = [decimal_reference(text, precision, scale) for text in texts]
    assert outcome(parsed, texts) == expected
    assert parsed.values.type == pa.decimal128(precision, scale)


@settings(deadline=None)
@given(st.lists(WRITTEN, max_size=20))
def test_a_decimal_comma_reads_what_a_point_reads(texts: list[str]) -> None:
    swapped = [text.translate(str.maketrans(".,", ",.")) for text in texts]

    assert outcome(number(12, 3, ",")(pa.array(swapped, pa.string())), swapped) == outcome(
        number(12, 3, ".")(pa.array(texts, pa.string())), texts
    )


@settings(deadline=None)
@given(st.lists(WRITTEN, max_size=20), st.sampled_from(sorted(WHOLE_RANGES)))
def test_a_whole_number_is_what_int_reads_within_its_range(texts: list[str], pg_type: str) -> None:
    arrow_type = {"smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64()}[pg_type]
    low, high = WHOLE_RANGES[pg_type]

    def reference(text: str) -> int | str:
        if not re.fullmatch("[+-]?[0-9]+", text):
            return "type"
        return int(text) if low <= int(text) <= high else "range"

    parsed = whole(pg_type, arrow_type)(pa.array(texts, pa.string()))

    assert outcome(parsed, texts) == [reference(text) for text in texts]
    assert parsed.values.type == arrow_type


@pytest.mark.parametrize("pg_type", WHOLE_RANGES)
def test_the_ends_of_a_range_are_inside_and_the_next_are_not(pg_type: str) -> None:
    low, high = WHOLE_RANGES[pg_type]
    arrow_type = {"smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64()}[pg_type]
    texts = [str(value) for value in (low, high, low - 1, high + 1)]

    assert outcome(whole(pg_type, arrow_type)(pa.array(texts)), texts) == [low, high, "range", "range"]


@settings(deadline=None)
@given(st.lists(WRITTEN, max_size=20))
def test_a_double_is_the_nearest_finite_one(texts: list[str]) -> None:
    def reference(text: str) -> float | str:
        if not SHAPE.fullmatch(text):
            return "type"
        value = float(text)
        vanished = value == 0 and text.lower().partition("e")[0].strip("+-0.")
        return "range" if math.isinf(value) or vanished else value

    parsed = double(".")(pa.array(texts, pa.string()))

    assert outcome(parsed, texts) == [reference(text) for text in texts]


@pytest.mark.requirement("R-30")
def test_nothing_is_rounded() -> None:
    texts = ["0.049999999999999996", "1.005", "1.50", "068.5"]

    assert outcome(number(8, 2, ".")(pa.array(texts)), texts) == [
        "scale",
        "scale",
        Decimal("1.50"),
        Decimal("68.50"),
    ]


def test_a_cell_of_a_million_digits_is_refused_and_not_computed() -> None:
    texts = ["9" * 1_000_000, "1e999999999", "1e-999999999999999999999", "0e999999999999999999999"]

    assert outcome(number(38, 10, ".")(pa.array(texts)), texts) == ["range", "range", "scale", Decimal(0)]
    assert outcome(whole("bigint", pa.int64())(pa.array(texts[:1])), texts) == ["range"]


def test_thousands_separators_are_refused_with_either_mark() -> None:
    assert outcome(number(12, 2, ".")(pa.array(["1,234"])), ["1,234"]) == ["type"]
    assert outcome(number(12, 2, ",")(pa.array(["1.234"])), ["1.234"]) == ["type"]


def test_null_stays_null_and_breaks_nothing() -> None:
    for parser in (number(8, 2, "."), whole("integer", pa.int32()), double(".")):
        parsed = parser(pa.array([None, None], pa.string()))

        assert parsed.values.null_count == 2
        assert not any(len(wrong.at) for wrong in parsed.wrong)


def test_the_reference_itself_knows_a_decimal() -> None:
    with pytest.raises(InvalidOperation):
        Decimal("1,5")
    assert decimal_reference("1.5", 3, 1) == Decimal("1.5")
