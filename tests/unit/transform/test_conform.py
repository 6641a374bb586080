"""What functions return, made the contract's types without a bit lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support.transforming import column
from support.transforming import outcome as outcome_of

from haulier import rows
from haulier.errors import DefinitionError
from haulier_transform.conform import conformed


def outcome(series: pd.Series, pg_type: str) -> list[Any]:
    """Per value: itself, or the rule it broke."""
    parsed = conformed(pa.array(series, from_pandas=True), column("x", pg_type))
    assert parsed.values.type == rows.arrow_type(pg_type)
    return outcome_of(parsed)


def arrow(values: list[Any], arrow_type: pa.DataType) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, arrow_type)))


@pytest.mark.parametrize(
    ("series", "pg_type", "expected"),
    [
        (pd.Series(["a", None]), "text", ["a", None]),
        (pd.Series(["a", "b", "a"], dtype="category"), "text", ["a", "b", "a"]),
        (pd.Series(["a\0"]), "text", ["nul-byte"]),
        (pd.Series(["[1]", "["]), "jsonb", ["[1]", "type"]),
        (pd.Series([1, 2]), "smallint", [1, 2]),
        (pd.Series([40000, -40000, 5]), "smallint", ["range", "range", 5]),
        (pd.Series([1, None], dtype="Int64"), "integer", [1, None]),
        (pd.Series([2**63, 1], dtype="uint64"), "bigint", ["range", 1]),
        (pd.Series([300], dtype="uint16"), "smallint", [300]),
        (pd.Series([-1, 1], dtype="int8"), "bigint", [-1, 1]),
        (pd.Series([3, 10**9]), "numeric(6,2)", [Decimal(3), "range"]),
        (pd.Series([Decimal("1.50"), None]), "numeric(6,1)", [Decimal("1.5"), None]),
        (pd.Series([Decimal("1.55"), Decimal("123456"), Decimal(7)]), "numeric(6,1)", ["scale", "range", Decimal(7)]),
        (arrow([Decimal("1.25")], pa.decimal128(30, 12)), "numeric", [Decimal("1.25")]),
        (pd.Series([1.5, np.nan]), "double precision", [1.5, None]),
        (arrow([1.5, float("nan"), float("inf"), None], pa.float64()), "double precision", [1.5, "type", "type", None]),
        (pd.Series([2**53, 2**53 + 2]), "double precision", [2.0**53, "scale"]),
        (pd.Series([np.float32(0.5)]), "double precision", [0.5]),
        (pd.Series([True, None], dtype="boolean"), "boolean", [True, None]),
        (pd.Series([date(2026, 1, 5), None]), "date", [date(2026, 1, 5), None]),
        (pd.Series([time(8, 50), None]), "time", [time(8, 50), None]),
        (pd.Series([pd.Timestamp("2026-01-05 08:50")]), "timestamp", [datetime(2026, 1, 5, 8, 50)]),
        (
            pd.Series([pd.Timestamp("2026-01-05 08:50", tz="Europe/Berlin")]),
            "timestamptz",
            [datetime(2026, 1, 5, 7, 50, tzinfo=UTC)],
        ),
        (
            pd.Series([datetime(2026, 1, 5, tzinfo=timezone(timedelta(hours=1)))], dtype=object),
            "timestamptz",
            [datetime(2026, 1, 4, 23, tzinfo=UTC)],
        ),
        (pd.Series([1, 1000], dtype="datetime64[ns]"), "timestamp", ["scale", datetime(1970, 1, 1, 0, 0, 0, 1)]),
        (arrow([10**11, 5], pa.timestamp("s")), "timestamp", [datetime(5138, 11, 16, 9, 46, 40), datetime(1970, 1, 1, 0, 0, 5)]),
        (arrow([10**12, None], pa.timestamp("s")), "timestamp", ["range", None]),
        (arrow([3_000_000, 0], pa.date32()), "date", ["range", date(1970, 1, 1)]),
        (pd.Series(["123e4567-e89b-12d3-a456-426614174000", "?"]), "uuid", None),
        (pd.Series([None, None]), "timestamptz", [None, None]),
        (pd.Series([np.nan, np.nan]), "numeric(6,2)", [None, None]),
    ],
)  # fmt: skip
def test_values_are_exact_or_refused(series: pd.Series, pg_type: str, expected: list[Any] | None) -> None:
    found = outcome(series, pg_type)

    if expected is None:
        assert (str(found[0]), found[1]) == (series[0], "type")
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("series", "pg_type", "says"),
    [
        (pd.Series([1.0]), "integer", "x is double, and the contract says integer"),
        (pd.Series([1.0]), "numeric(6,2)", "use Decimal"),
        (pd.Series(["1"]), "numeric(6,2)", "x is string"),
        (pd.Series([1]), "text", "x is int64"),
        (pd.Series([1]), "boolean", "x is int64"),
        (pd.Series([pd.Timestamp("2026-01-05")]), "timestamptz", "tz_localize"),
        (pd.Series([pd.Timestamp("2026-01-05", tz="UTC")]), "timestamp", "tz_localize"),
        (pd.Series([pd.Timestamp("2026-01-05")]), "date", "dt.date"),
        (pd.Series([Decimal(1)]), "double precision", "x is decimal128"),
    ],
)
def test_another_type_is_an_error_that_says_what_to_do(series: pd.Series, pg_type: str, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        outcome(series, pg_type)
