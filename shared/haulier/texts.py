"""Typed Arrow values as text, nothing lost: what a contract's types are read from where the source's differ.

Numbers are plain decimals, floats the shortest text that is the same float again; dates and times are
ISO 8601 with a space, instants in UTC with ``Z``; bytes are hexadecimal behind ``\\x``, as PostgreSQL shows
them. Lists, structs and maps are JSON, in which numbers stay numbers and what JSON has no word for (bytes,
times, NaN) is a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

#: An Arrow array; pyarrow carries no types.
Array = Any

_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def is_nested(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind))


def texts_of(array: Array) -> Array:
    """One text per value, null where there is none. Raises `pyarrow.ArrowException` for a type without text."""
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_nested(kind):
        return pa.array(
            [text if valid else None for text, valid in zip(json_texts(array), _valid(array), strict=True)],
            pa.string(),
        )
    if pa.types.is_dictionary(kind):
        return texts_of(array.dictionary_decode())
    if isinstance(array, pa.ExtensionArray):
        if kind == pa.uuid():
            return pa.array(
                [None if value is None else str(value) for value in array.to_pylist()], pa.string()
            )
        return texts_of(array.storage)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return array.cast(pa.string())
    if pa.types.is_decimal(kind):
        return _plain_decimals(array.cast(pa.string()))
    if pa.types.is_floating(kind):
        texts = array.cast(pa.string())
        for text, shown in _NOT_FINITE.items():
            texts = pc.if_else(pc.fill_null(pc.equal(texts, text), False), shown, texts)
        return texts
    if pa.types.is_timestamp(kind):
        return _trimmed((array.cast(pa.timestamp(kind.unit, "UTC")) if kind.tz else array).cast(pa.string()))
    if pa.types.is_time(kind):
        return _trimmed(array.cast(pa.string()))
    if pa.types.is_duration(kind):
        return _durations(array)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.array(
            [None if value is None else "\\x" + value.hex() for value in array.to_pylist()], pa.string()
        )
    return array.cast(pa.string())


def json_texts(array: Array) -> list[str]:
    """Each value as JSON; ``null`` where there is none."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return json_texts(array.dictionary_decode())
    if pa.types.is_struct(kind):
        names = [json.dumps(kind.field(at).name, ensure_ascii=False) for at in range(kind.num_fields)]
        columns = [json_texts(array.field(at)) for at in range(kind.num_fields)]
        found = [
            "{" + ",".join(f"{name}:{value}" for name, value in zip(names, values, strict=True)) + "}"
            for values in (zip(*columns, strict=True) if columns else [()] * len(array))
        ]
    elif pa.types.is_map(kind):
        keys, items = texts_of(array.keys).to_pylist(), json_texts(array.items)
        pairs = [
            f"{json.dumps(key, ensure_ascii=False)}:{item}" for key, item in zip(keys, items, strict=True)
        ]
        found = ["{" + ",".join(pairs[start:stop]) + "}" for start, stop in _bounds(array)]
    elif pa.types.is_nested(kind):
        values = json_texts(array.values)
        found = ["[" + ",".join(values[start:stop]) + "]" for start, stop in _bounds(array)]
    else:
        found = _json_leaves(array)
    return [value if valid else "null" for value, valid in zip(found, _valid(array), strict=True)]


def json_rows(names: Sequence[str], columns: Sequence[Array]) -> Iterator[str]:
    """Each row as one JSON object."""
    heads = [json.dumps(name, ensure_ascii=False) for name in names]
    for values in zip(*(json_texts(column) for column in columns), strict=True):
        yield "{" + ",".join(f"{head}:{value}" for head, value in zip(heads, values, strict=True)) + "}"


def _json_leaves(array: Array) -> list[str]:
    kind = array.type
    texts = ["" if text is None else text for text in _decoded(texts_of(array))]
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind):
        return texts
    if pa.types.is_floating(kind):
        strange = set(_NOT_FINITE.values())
        return [f'"{text}"' if text in strange else text for text in texts]
    return [json.dumps(text, ensure_ascii=False) for text in texts]


def _decoded(texts: Array) -> list[str | None]:
    """The texts; of what is no UTF-8, which a file may hold, its bytes are shown."""
    try:
        found: list[str | None] = texts.to_pylist()
    except UnicodeDecodeError:
        values = texts.cast(pa.binary()).to_pylist()
        found = [None if value is None else value.decode("utf-8", "backslashreplace") for value in values]
    return found


def _bounds(array: Array) -> Iterator[tuple[int, int]]:
    """Where the values of each list begin and end."""
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        return ((at * size, (at + 1) * size) for at in range(array.offset, array.offset + len(array)))
    if pa.types.is_list_view(array.type) or pa.types.is_large_list_view(array.type):
        starts, sizes = array.offsets.to_pylist(), array.sizes.to_pylist()
        return ((start, start + size) for start, size in zip(starts, sizes, strict=True))
    offsets = array.offsets.to_pylist()
    return pairwise(offsets)


def _valid(array: Array) -> list[bool]:
    valid: list[bool] = array.is_valid().to_pylist()
    return valid


def _plain_decimals(texts: Array) -> Array:
    """Without an exponent."""
    exponents = pc.fill_null(pc.match_substring(texts, "E"), False)
    if not pc.any(exponents).as_py():
        return texts
    return pa.array(
        [f"{Decimal(text):f}" if text is not None and "E" in text else text for text in texts.to_pylist()],
        pa.string(),
    )


def _trimmed(texts: Array) -> Array:
    """Without the zeros that a fraction of a second ends with."""
    texts = pc.replace_substring_regex(texts, r"\.0+(Z?)$", r"\1")
    return pc.replace_substring_regex(texts, r"(\.[0-9]*[1-9])0+(Z?)$", r"\1\2")


def _durations(array: Array) -> Array:
    """As ISO 8601 writes seconds: ``PT1.5S``."""
    per_second = Decimal(_PER_SECOND[array.type.unit])
    counts = array.cast(pa.int64()).to_pylist()
    return pa.array(
        [None if count is None else f"PT{(count / per_second).normalize():f}S" for count in counts],
        pa.string(),
    )
