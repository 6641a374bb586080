"""Which types hold all that another holds: only those may take its place in a live table."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.odcs.widths import is_wider

TYPES = [
    "smallint", "integer", "bigint", "numeric", "numeric(5,0)", "numeric(12,2)", "numeric(14,4)", "numeric(19,0)",
    "varchar(5)", "varchar(10)", "text", "date", "timestamp", "timestamptz", "double precision", "boolean", "jsonb", "uuid",
]  # fmt: skip
KINDS = st.sampled_from(TYPES)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("text", "varchar(5)"),
        ("varchar(10)", "varchar(5)"),
        ("bigint", "integer"),
        ("integer", "smallint"),
        ("numeric", "bigint"),
        ("numeric(19,0)", "bigint"),
        ("numeric(12,2)", "integer"),
        ("numeric", "numeric(12,2)"),
        ("numeric(14,4)", "numeric(12,2)"),
    ],
)
def test_a_type_that_holds_more_is_wider_and_not_the_other_way_round(one, other):
    assert is_wider(one, other)
    assert not is_wider(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("numeric(12,4)", "numeric(12,2)"),
        ("numeric(5,0)", "integer"),
        ("numeric(12,2)", "bigint"),
        ("double precision", "bigint"),
        ("double precision", "numeric"),
        ("timestamptz", "timestamp"),
        ("timestamp", "date"),
        ("text", "uuid"),
        ("text", "integer"),
        ("varchar(10)", "text"),
    ],
)
def test_a_type_that_would_lose_or_reread_a_value_is_not_wider(one, other):
    assert not is_wider(one, other)


@given(KINDS, KINDS, KINDS)
def test_wider_orders_types(one, two, three):
    assert not is_wider(one, one)
    assert not (is_wider(one, two) and is_wider(two, one))
    if is_wider(one, two) and is_wider(two, three):
        assert is_wider(one, three)


@given(st.tuples(*[st.integers(0, 12)] * 4))
def test_a_wider_numeric_holds_the_greatest_and_the_finest_value(digits):
    whole, fraction, new_whole, new_fraction = digits
    other, one = (f"numeric({w + f},{f})" for w, f in ((whole, fraction), (new_whole, new_fraction)))
    greatest = Decimal(10) ** whole - Decimal(1).scaleb(-fraction)
    holds = abs(greatest) < Decimal(10) ** new_whole and greatest == greatest.quantize(
        Decimal(1).scaleb(-new_fraction)
    )

    assert is_wider(one, other) == (
        holds and one != other and new_fraction >= fraction and new_whole >= whole
    )
