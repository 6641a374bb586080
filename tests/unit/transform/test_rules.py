"""Limits, lists, patterns and lengths of a contract, on typed values."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.transforming import column

from haulier import rows
from haulier.contracts import Column
from haulier.errors import DefinitionError
from haulier_transform.rules import Rules

LIMITS = ("minimum", "exclusive_minimum", "maximum", "exclusive_maximum")


def broken(column: Column, values: list[Any]) -> list[list[str]]:
    """Per value: the rules it breaks."""
    array = pa.array(values, rows.arrow_type(column.pg_type))
    found: list[list[str]] = [[] for _ in values]
    for wrong in Rules(column).broken(array):
        for at in wrong.at:
            found[at].append(wrong.rule)
    return found


@settings(deadline=None)
@given(
    st.lists(st.decimals(-200, 200, places=1)),
    st.sampled_from(LIMITS),
    st.decimals(-200, 200, allow_nan=False, places=3)
    | st.sampled_from([Decimal(10) ** 9, Decimal(-10) ** 9]),
    st.sampled_from(["numeric(5,1)", "smallint"]),
)
def test_a_limit_compares_as_exact_numbers_do(
    values: list[Decimal], name: str, limit: Decimal, pg_type: str
) -> None:
    values = [value.to_integral_value() for value in values] if pg_type == "smallint" else values
    breaks = {
        "minimum": lambda value: value < limit,
        "exclusive_minimum": lambda value: value <= limit,
        "maximum": lambda value: value > limit,
        "exclusive_maximum": lambda value: value >= limit,
    }[name]
    limited = column("x", pg_type, **{name: format(limit, "f")})
    typed = [int(value) for value in values] if pg_type == "smallint" else values

    assert broken(limited, typed) == [[name] if breaks(value) else [] for value in values]


@pytest.mark.parametrize("limit", ["1.25", "-1.25", "1.2"])
@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_finer_than_the_column_parts_the_values_around_it(name: str, limit: str) -> None:
    around = [Decimal(n) / 10 for n in (-14, -13, -12, -11, 11, 12, 13, 14)]
    bound = Decimal(limit)
    breaks = {
        "minimum": lambda value: value < bound,
        "exclusive_minimum": lambda value: value <= bound,
        "maximum": lambda value: value > bound,
        "exclusive_maximum": lambda value: value >= bound,
    }[name]

    found = broken(column("x", "numeric(5,1)", **{name: limit}), around)

    assert found == [[name] if breaks(value) else [] for value in around]


@pytest.mark.parametrize(
    ("pg_type", "limit", "below", "above"),
    [
        ("date", "2020-01-01", date(2019, 12, 31), date(2020, 1, 1)),
        (
            "timestamp",
            "2020-01-01T00:00:00",
            datetime(2019, 12, 31, 23, 59, 59, 999_999),
            datetime(2020, 1, 1),
        ),
        (
            "timestamptz",
            "2020-01-01T00:00:00+01:00",
            datetime(2019, 12, 31, 22, 59, tzinfo=UTC),
            datetime(2019, 12, 31, 23, tzinfo=UTC),
        ),
        ("time", "08:50:00", time(8, 49, 59), time(8, 50)),
        ("double precision", "0.1", 0.09, 0.1),
        ("bigint", "9007199254740993", 9007199254740992, 9007199254740993),
    ],
)
def test_limits_of_every_type(pg_type: str, limit: str, below: object, above: object) -> None:
    assert broken(column("x", pg_type, minimum=limit), [below, above, None]) == [["minimum"], [], []]
    assert broken(column("x", pg_type, exclusive_maximum=limit), [below, above, None]) == [
        [],
        ["exclusive_maximum"],
        [],
    ]


def test_limits_are_iso_whatever_format_the_sites_use() -> None:
    dated = column("x", "date", minimum="2020-01-01", formats=("%d.%m.%Y",))

    assert broken(dated, [date(2019, 1, 1), date(2021, 1, 1)]) == [["minimum"], []]


@pytest.mark.parametrize(
    ("pg_type", "enum", "inside", "outside"),
    [
        ("text", ("NA", "K"), "NA", "na"),
        ("integer", ("1", "2"), 1, 3),
        ("numeric(4,1)", ("0.5", "10"), Decimal("10.0"), Decimal("0.6")),
        ("boolean", ("true",), True, False),
        ("date", ("2020-01-01",), date(2020, 1, 1), date(2020, 1, 2)),
        (
            "uuid",
            ("123e4567-e89b-12d3-a456-426614174000",),
            bytes.fromhex("123e4567e89b12d3a456426614174000"),
            b"0" * 16,
        ),
    ],
)
def test_an_enum_compares_values_not_texts(
    pg_type: str, enum: tuple[str, ...], inside: object, outside: object
) -> None:
    assert broken(column("x", pg_type, enum=enum), [inside, outside, None]) == [[], ["enum"], []]


def test_a_long_enum_is_not_repeated_whole() -> None:
    wrong = next(Rules(column("x", enum=tuple(f"V{n}" for n in range(30)))).broken(pa.array(["?"])))

    assert "'V9' and 20 more" in wrong.says
    assert "V10" not in wrong.says


def test_a_pattern_must_match_the_whole_value() -> None:
    coded = column("x", pattern="[0-9]{3}|ab")

    assert broken(coded, ["123", "ab", "1234", "123\n", "xab", "١٢٣", None]) == [
        [],
        [],
        *[["pattern"]] * 4,
        [],
    ]


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "["])
def test_a_pattern_that_could_be_slow_is_refused(pattern: str) -> None:
    with pytest.raises(DefinitionError, match="RE2"):
        Rules(column("x", pattern=pattern))


def test_lengths_count_characters() -> None:
    short = column("x", "varchar(3)", min_length=2)

    assert broken(short, ["µ€😀", "µ€😀x", "a", "", None]) == [
        [],
        ["max_length"],
        ["min_length"],
        ["min_length"],
        [],
    ]
    assert broken(column("x", "varchar(9)", max_length=1), ["ab"]) == [["max_length"]]


def test_a_value_breaks_its_rules_in_their_order() -> None:
    strict = column("x", enum=("ok",), pattern="[a-z]+", min_length=5, max_length=9)

    assert broken(strict, ["123", "ok"]) == [["enum", "pattern", "min_length"], ["min_length"]]


@pytest.mark.parametrize("rule", [{"pattern": "a"}, {"min_length": 1}, {"max_length": 1}])
def test_rules_for_text_are_refused_elsewhere(rule: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=r"x: .* for text; the column is integer"):
        Rules(column("x", "integer", **rule))


def test_soft_limits_are_no_hard_ones() -> None:
    soft = Rules(column("x", "integer", soft_minimum="2", soft_maximum="5"))
    values = pa.array([1, 2, 5, 6, None], pa.int32())

    assert list(soft.broken(values)) == []
    assert [(wrong.rule, wrong.at.tolist()) for wrong in soft.implausible(values)] == [
        ("implausible", [0]),
        ("implausible", [3]),
    ]
