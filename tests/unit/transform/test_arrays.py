"""Arrow to numpy and back through the buffers: what pyarrow itself would say, without pandas."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulier_transform import kernels
from haulier_transform.arrays import (
    beside,
    mask_of,
    numbers_of,
    of_bytes,
    of_decimals,
    of_mask,
    of_numbers,
    of_texts,
    only,
    patched,
    quoted,
    valid_of,
)

SLICES = st.tuples(st.integers(0, 20), st.integers(0, 20))
NUMBERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64(), pa.float32(), pa.float64()]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 100)), max_size=40), st.sampled_from(NUMBERS), SLICES)
def test_numbers(values: list[int | None], arrow_type: pa.DataType, cut: tuple[int, int]) -> None:
    array = pa.array(values, arrow_type).slice(*cut)

    assert numbers_of(array, missing=7).tolist() == [7 if one is None else one for one in array.to_pylist()]
    assert valid_of(array).tolist() == [one is not None for one in array.to_pylist()]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.booleans()), max_size=40), SLICES)
def test_masks(values: list[bool | None], cut: tuple[int, int]) -> None:
    array = pa.array(values, pa.bool_()).slice(*cut)

    assert mask_of(array).tolist() == [bool(one) for one in array.to_pylist()]
    assert of_mask(mask_of(array)).to_pylist() == [bool(one) for one in array.to_pylist()]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text()), max_size=40))
def test_texts_and_bytes(texts: list[str | None]) -> None:
    made = of_texts(texts)

    made.validate(full=True)
    assert made.equals(pa.array(texts, pa.string()))
    data = [None if text is None else text.encode() for text in texts]
    assert of_bytes(data).equals(pa.array(data, pa.binary()))


@settings(deadline=None)
@given(st.lists(st.decimals(-(10**20), 10**20, places=4), max_size=20))
def test_decimals(values: list[Decimal]) -> None:
    assert of_decimals(values, pa.decimal128(38, 4)).equals(pa.array(values, pa.decimal128(38, 4)))


@pytest.mark.parametrize("arrow_type", [pa.int64(), pa.timestamp("us", "UTC"), pa.time64("us")])
def test_counts_become_the_type_that_stores_them(arrow_type: pa.DataType) -> None:
    made = of_numbers(np.array([1, 2, 3]), np.array([True, False, True]), arrow_type)

    made.validate(full=True)
    assert made.equals(pa.array([1, None, 3]).view(arrow_type))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.booleans()), max_size=20))
def test_only_and_beside(pairs: list[tuple[str | None, bool]]) -> None:
    mask = np.array([kept for _, kept in pairs], dtype=bool)

    found = only(pa.array([text for text, _ in pairs], pa.string()), mask)

    assert found.to_pylist() == [text if kept else None for text, kept in pairs]
    assert beside(len(pairs), np.flatnonzero(mask)).tolist() == np.flatnonzero(~mask).tolist()


def test_patched_values_are_in_their_places() -> None:
    values = pa.array([None, 2, None, None])

    assert patched(values, [0, 3], pa.array([1, 4])).to_pylist() == [1, 2, None, 4]
    assert patched(values, [], pa.array([], pa.int64())) is values


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a", "'a'"), (Decimal("1.50"), "'1.50'"), ("a\0\n", r"'a\x00\n'"), ("x" * 61, f"'{'x' * 59}…'"), ("x" * 60, f"'{'x' * 60}'")],
)  # fmt: skip
def test_a_value_is_shown_short_and_on_one_line(value: object, shown: str) -> None:
    assert quoted(value) == shown


TEXTS = pa.array(["12:30", None, " ab ", "", "x.y"])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (kernels.cast(pa.array(["1", None]), pa.int8()), pc.cast(pa.array(["1", None]), pa.int8())),
        (kernels.extract_regex(TEXTS, "(?P<h>[0-9]+):"), pc.extract_regex(TEXTS, "(?P<h>[0-9]+):")),
        (kernels.is_in(TEXTS, pa.array([""])), pc.is_in(TEXTS, value_set=pa.array([""]))),
        (kernels.index_in(TEXTS, pa.array(["x.y"])), pc.index_in(TEXTS, value_set=pa.array(["x.y"]))),
        (kernels.match_substring(TEXTS, "."), pc.match_substring(TEXTS, ".")),
        (kernels.match_substring_regex(TEXTS, "^.$|[0-9]"), pc.match_substring_regex(TEXTS, "^.$|[0-9]")),
        (kernels.replace_substring(TEXTS, ".", ","), pc.replace_substring(TEXTS, ".", ",")),
        (kernels.replace_substring_regex(TEXTS, "[a-z]", ""), pc.replace_substring_regex(TEXTS, "[a-z]", "")),
        (kernels.utf8_rpad(TEXTS, 6, "0"), pc.utf8_rpad(TEXTS, 6, "0")),
        (kernels.utf8_slice(TEXTS, 1), pc.utf8_slice_codeunits(TEXTS, 1)),
        (kernels.starts_with(TEXTS, "x"), pc.starts_with(TEXTS, "x")),
        (kernels.dictionary_encode(TEXTS), pc.dictionary_encode(TEXTS, null_encoding="encode")),
        (kernels.take(TEXTS, pa.array([4, 0])), TEXTS.take(pa.array([4, 0]))),
        (kernels.utf8_trim_whitespace(TEXTS), pc.utf8_trim_whitespace(TEXTS)),
    ],
)
def test_kernels_are_those_of_pyarrow_compute(ours: Any, theirs: Any) -> None:
    assert ours.equals(theirs)


def test_a_cast_that_would_lose_something_fails() -> None:
    with pytest.raises(pa.ArrowInvalid):
        kernels.cast(pa.array([300]), pa.int8())
    assert kernels.count_distinct(TEXTS) == 4
