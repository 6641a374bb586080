"""A cell with a type of its own is taken as the contract's type, or through its text, and never rounded."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest

from haulier.contracts import Column
from haulier.definitions import Transform
from haulier_transform.judging import Judge


def judged(
    pg_type: str, array: Any, transform: Transform | None = None, **options: Any
) -> tuple[list[Any], list[str]]:
    """(values, rules broken) by row."""
    column = Column(name="c", logical_type="string", pg_type=pg_type, **options)
    found = Judge(column, transform or Transform()).cells(pa.chunked_array([array]))
    values = found.take(np.arange(len(array), dtype=np.int64))
    broken = [""] * len(array)
    for problem in found.problems:
        for at in problem.at.tolist():
            broken[at] = broken[at] or problem.rule
    return [None if rule else value for value, rule in zip(values.to_pylist(), broken, strict=True)], broken


NAIVE = datetime(2026, 1, 5, 12)


@pytest.mark.parametrize(
    ("pg_type", "given", "values", "rules"),
    [
        ("bigint", pa.array([1, None], pa.int64()), [1, None], ["", ""]),
        ("bigint", pa.array([2**64 - 1, 1], pa.uint64()), [None, 1], ["range", ""]),
        ("bigint", pa.array([1.0, 1.5]), [1, None], ["", "type"]),
        ("smallint", pa.array([32767, 32768], pa.int32()), [32767, None], ["", "range"]),
        (
            "numeric(4,2)",
            pa.array([0.1, 0.1 + 0.2, math.nan]),
            [Decimal("0.10"), None, None],
            ["", "scale", "type"],
        ),
        ("numeric(4,2)", pa.array([0.1], pa.float32()), [Decimal("0.10")], [""]),
        ("numeric(4,2)", pa.array([7, 700]), [Decimal(7), None], ["", "range"]),
        (
            "numeric(4,2)",
            pa.array([Decimal("1.100"), Decimal("1.101")], pa.decimal128(9, 3)),
            [Decimal("1.10"), None],
            ["", "scale"],
        ),
        ("double precision", pa.array([0.1, math.inf, math.nan]), [0.1, None, None], ["", "type", "type"]),
        ("double precision", pa.array([0.1], pa.float32()), [0.1], [""]),
        ("boolean", pa.array([True, None]), [True, None], ["", ""]),
        ("boolean", pa.array([1, 2]), [True, None], ["", "type"]),
        ("text", pa.array([1, None]), ["1", None], ["", ""]),
        ("text", pa.array([0.1 + 0.2]), ["0.30000000000000004"], [""]),
        ("date", pa.array([date(2026, 1, 5), None]), [date(2026, 1, 5), None], ["", ""]),
        ("date", pa.array([datetime(2026, 1, 5), NAIVE]), [date(2026, 1, 5), None], ["", "type"]),
        ("date", pa.array([0], pa.timestamp("us", "UTC")), [None], ["type"]),
        ("date", pa.array([10**7], pa.date32()), [None], ["range"]),
        ("timestamptz", pa.array([NAIVE]), [NAIVE.replace(tzinfo=UTC)], [""]),
        (
            "timestamptz",
            pa.array([0], pa.timestamp("ns", "Europe/Berlin")),
            [datetime(1970, 1, 1, tzinfo=UTC)],
            [""],
        ),
        ("timestamptz", pa.array([1], pa.timestamp("ns", "UTC")), [None], ["type"]),
        ("timestamptz", pa.array([10**18], pa.timestamp("us", "UTC")), [None], ["range"]),
        ("timestamp", pa.array([0], pa.timestamp("us", "UTC")), [None], ["type"]),
        ("time", pa.array([-1, 90_000_000_000], pa.time64("us")), [None, None], ["type", "type"]),
        ("uuid", pa.array([UUID(int=1).bytes], pa.uuid()), [UUID(int=1)], [""]),
    ],
    ids=str,
)
def test_a_typed_cell(pg_type: str, given: Any, values: list[Any], rules: list[str]) -> None:
    assert judged(pg_type, given) == (values, rules)


def test_required_is_about_typed_cells_too() -> None:
    assert judged("bigint", pa.array([1, None]), required=True)[1] == ["", "required"]


def test_a_mark_for_no_value_is_one_in_typed_cells() -> None:
    assert judged("bigint", pa.array([1, -99]), null_values=("-99",)) == ([1, None], ["", ""])


def test_formats_are_about_text_and_the_zone_about_every_time_without_one() -> None:
    berlin = Transform(time_zone="Europe/Berlin", date_formats={"c": ("%d.%m.%Y %H:%M",)})

    assert judged("timestamptz", pa.array([NAIVE]), berlin) == ([datetime(2026, 1, 5, 11, tzinfo=UTC)], [""])


def test_limits_hold_for_typed_cells() -> None:
    assert judged("bigint", pa.array([1, 5]), maximum="3")[1] == ["", "maximum"]
