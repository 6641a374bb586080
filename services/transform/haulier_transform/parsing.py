"""Text to typed values, by contract column: what each type accepts, and what it says of the rest."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from haulier import rows
from haulier.contracts import Column
from haulier.definitions import Transform
from haulier_transform import kernels as pc
from haulier_transform.arrays import (
    Array,
    Parsed,
    Parser,
    Wrong,
    mask_of,
    matches,
    of_mask,
    of_numbers,
    of_texts,
    only,
    positions,
    valid_of,
)
from haulier_transform.numerics import WHOLE_RANGES, double, number, whole

#: Types whose text is the value: surrounding white space and the empty text are part of it.
TEXTUAL = re.compile(r"text|varchar\(\d+\)")
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
#: PostgreSQL's parser recurses; this is far below where its stack ends and beyond any honest document.
JSON_DEPTH = 500
#: PostgreSQL keeps JSON numbers as numeric: so many digits before the decimal mark, so many after.
_JSON_DIGITS, _JSON_DECIMALS = 131_072, 16_383
_JSON_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_JSON_BRACKET = re.compile(r"[\[\]{}]")
_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}"


def is_textual(pg_type: str) -> bool:
    return bool(TEXTUAL.fullmatch(pg_type))


def parser_of(column: Column, transform: Transform) -> Parser:
    """The parser of a column's texts. Raises `DefinitionError` for a format or zone that means nothing."""
    pg_type = column.pg_type
    if is_textual(pg_type):
        return text
    if pg_type in WHOLE_RANGES:
        return whole(pg_type, rows.arrow_type(pg_type))
    if pg_type.startswith("numeric"):
        arrow_type = rows.arrow_type(pg_type)
        declared = pg_type != "numeric"
        return number(arrow_type.precision, arrow_type.scale, transform.decimal_mark, declared=declared)
    if pg_type in ("date", "time", "timestamp", "timestamptz"):
        from haulier_transform.times import moments
        from haulier_transform.zones import open_zone

        forms = transform.date_formats.get(column.name, column.formats)
        return moments(pg_type, forms, open_zone(transform.time_zone), f"{column.name}: date format")
    if pg_type == "double precision":
        return double(transform.decimal_mark)
    return {"boolean": boolean, "uuid": uuid, "jsonb": jsonb}[pg_type]


def text(texts: Array) -> Parsed:
    """Every text as it is, but for the one character PostgreSQL cannot keep."""
    if not _holds_nul(texts):
        return Parsed(values=texts)
    nul = mask_of(pc.match_substring(texts, "\0"))
    wrong = Wrong(rule="nul-byte", at=positions(nul), says="holds a NUL byte, which PostgreSQL cannot keep")
    return Parsed(values=only(texts, ~nul), wrong=[wrong])


def boolean(texts: Array) -> Parsed:
    lowered = pc.utf8_lower(texts)
    yes = mask_of(pc.is_in(lowered, of_texts(_TRUE)))
    known = yes | mask_of(pc.is_in(lowered, of_texts(_FALSE)))
    missed = valid_of(texts) & ~known
    says = "is neither true (t, yes, y, 1) nor false (f, no, n, 0)"
    return Parsed(
        values=only(of_mask(yes), known), wrong=[Wrong(rule="type", at=positions(missed), says=says)]
    )


def uuid(texts: Array) -> Parsed:
    """Five groups of hexadecimal digits, or the 32 digits alone."""
    shape = matches(texts, _UUID)
    digits = pc.replace_substring(pc.filter_(texts, of_mask(shape)), "-", "").to_pylist()
    data = pa.py_buffer(bytes.fromhex("".join(digits)))
    found = pa.Array.from_buffers(pa.binary(16), len(digits), [None, data])
    storage = pc.take(found, of_numbers(np.cumsum(shape) - 1, shape))
    missed = valid_of(texts) & ~shape
    says = "is not a UUID such as 123e4567-e89b-12d3-a456-426614174000"
    return Parsed(
        values=pa.ExtensionArray.from_storage(pa.uuid(), storage),
        wrong=[Wrong(rule="type", at=positions(missed), says=says)],
    )


def jsonb(texts: Array) -> Parsed:
    """JSON that PostgreSQL takes as jsonb: no NaN, no NUL, no half of a surrogate pair, not too deep."""
    good = np.array([value is None or _is_json(value) for value in texts.to_pylist()], dtype=bool)
    wrong = Wrong(rule="type", at=positions(~good), says="is not JSON that PostgreSQL keeps as jsonb")
    return Parsed(values=only(texts, good), wrong=[wrong])


def _holds_nul(texts: Array) -> bool:
    _, offsets, data = texts.buffers()
    if data is None:
        return False
    bounds = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return not np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]].all()


def _is_json(value: str) -> bool:
    if value.count("[") + value.count("{") > JSON_DEPTH and _depth(value) > JSON_DEPTH:
        return False
    try:
        document = json.loads(
            value, parse_int=_json_number, parse_float=_json_number, parse_constant=_no_constant
        )
        if "\\u" in value:
            if _JSON_NUL.search(value):
                return False
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, ArithmeticError):  # UnicodeEncodeError, a half of a surrogate pair, is a ValueError
        return False
    return True


def _depth(value: str) -> int:
    deepest = depth = 0
    for mark in _JSON_BRACKET.findall(_JSON_STRING.sub("", value)):
        depth += 1 if mark in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _json_number(digits: str) -> int:
    number = Decimal(digits)
    if number.adjusted() >= _JSON_DIGITS or int(number.as_tuple().exponent) < -_JSON_DECIMALS:
        raise ValueError("more digits than numeric keeps")
    return 0


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
