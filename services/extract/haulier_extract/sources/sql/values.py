"""A column's values as one Arrow type, exactly, or not at all."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


class Unfit(Exception):
    """A value that the column's type cannot hold as it is: the column is text then."""


class Raw(bytes):
    """Text as a database stores it, which need not be what its encoding allows."""


def array_of(values: Sequence[Any], kind: pa.DataType) -> Any:
    """The values as they are. Raises `Unfit`; never for text."""
    try:
        if pa.types.is_string(kind):
            return _texts(values)
        if pa.types.is_binary(kind):
            return pa.array([None if value is None else bytes(value) for value in values], kind)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
            return pa.array(values, kind)
        if kind == pa.uuid():
            plain = [None if value is None else uuid.UUID(value).bytes for value in values]
            return pa.ExtensionArray.from_storage(kind, pa.array(plain, pa.binary(16)))
        texts = pa.array(values, pa.string())
        if pa.types.is_time(kind):
            # Arrow reads times of day only behind a day.
            moments = pc.binary_join_element_wise("1970-01-01", texts, " ").cast(pa.timestamp("us"))
            return moments.cast(kind)
        return texts.cast(kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as exc:
        raise Unfit from exc


def _texts(values: Sequence[Any]) -> Any:
    if all(value is None or isinstance(value, str) for value in values):
        return pa.array(values, pa.string())
    # Unjudged: the reader rejects the rows whose text is none, with their bytes.
    plain = [None if value is None else _text(value) for value in values]
    return pa.array(plain, pa.binary()).view(pa.string())


def _text(value: Any) -> bytes:
    """One text for one value, whatever type a driver gives it."""
    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b"\\x" + bytes(value).hex().encode()
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, datetime):
        return value.isoformat(" ").encode()
    if isinstance(value, (date, time)):
        return value.isoformat().encode()
    if isinstance(value, timedelta):
        return f"PT{Decimal(value // timedelta(microseconds=1)).scaleb(-6).normalize():f}S".encode()
    if isinstance(value, Decimal):
        return f"{value:f}".encode()
    if isinstance(value, float):
        return _FLOATS.get(repr(value), repr(value)).encode()
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str).encode()
    return str(value).encode("utf-8", "surrogatepass")


_FLOATS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
