"""The narrowest type that holds every value of a column, and no narrower one than is certain.

What could be a code stays text: leading zeros, a sign without need, words among numbers, exponents. Every
guess is one that transform reads; `tests/integration/test_discover.py` holds the two together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from haulier.texts import texts_of
from haulier_extract.discovery.guess import Guess, all_match
from haulier_extract.discovery.moments import is_day, moment

#: Words that people write where there is no value; some of them are codes elsewhere (NA is sodium).
NULL_WORDS = frozenset(
    {
        "na",
        "n/a",
        "n.a.",
        "null",
        "none",
        "nil",
        "nan",
        "#n/a",
        "-",
        "--",
        ".",
        "?",
        "unk",
        "unknown",
        "missing",
    }
)
#: Digits that a guessed numeric has before its mark beyond those that were seen.
HEADROOM = 2
_MOST_DIGITS, _BIGINT_DIGITS = 38, 18
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_POINT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_COMMA = re.compile(r"-?(?:0|[1-9][0-9]*)(?:,[0-9]+)?")
_THOUSANDS = re.compile(r"-?[1-9][0-9]{0,2}(?:,[0-9]{3})+")
_ZEROS = re.compile(r"[+-]?0[0-9]+(?:[.,][0-9]+)?")
_NUMERIC = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)*(?:[eE][+-]?[0-9]+)?")
_COMPACT = re.compile(r"(?:19|20)[0-9]{6}")
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def of_typed(array: Any) -> Guess:
    """Of a column that has a type of its own, which is not text."""
    kind = array.type
    if pa.types.is_boolean(kind):
        return Guess(logical="boolean")
    if pa.types.is_uint64(kind):
        return Guess(logical="integer", physical="numeric(20,0)")
    if pa.types.is_integer(kind):
        return Guess(
            logical="integer", physical="bigint" if kind.bit_width > 32 or kind == pa.uint32() else "integer"
        )
    if pa.types.is_decimal(kind):
        return Guess(logical="number", physical=f"numeric({kind.precision},{kind.scale})")
    if pa.types.is_date(kind):
        return Guess(logical="date")
    if pa.types.is_timestamp(kind):
        return Guess(logical="timestamp", physical="timestamptz" if kind.tz else "timestamp")
    if pa.types.is_time(kind):
        return Guess(logical="time")
    if kind == pa.uuid():
        return Guess(logical="string", physical="uuid")
    if pa.types.is_floating(kind):
        return _of_floats(texts_of(array).drop_null().unique().to_pylist())
    return Guess(logical="string")


def _of_floats(texts: Sequence[str]) -> Guess:
    if {"NaN", "Infinity", "-Infinity"} & set(texts):
        remark = "binary floats with NaN or infinity, which no exact number holds: a type that fits keeps them as text"
        return Guess(logical="string", remarks=(remark,))
    digits = [_digits(f"{Decimal(text):f}") for text in texts]
    whole, scale = max((one[0] for one in digits), default=1), max((one[1] for one in digits), default=0)
    remark = "binary floats in the source; kept as exact decimals, so name the digits that they should have"
    if whole <= 28 and scale <= 10:
        return Guess(logical="number", physical="numeric", remarks=(remark,))
    if whole + scale <= _MOST_DIGITS:
        return Guess(logical="number", physical=_numeric(whole, scale), remarks=(remark,))
    return Guess(logical="string", remarks=("binary floats of more digits than a numeric holds",))


def of_texts(given: Iterable[str], *, comma: bool, json_values: bool = False) -> Guess:
    """Of the distinct texts of a column. ``comma``: fractions in this source stand behind a comma."""
    texts = [text for text in {one.strip(" \t") for one in given} if text]
    if not texts:
        return Guess(logical="string", remarks=("no value in the sample: look at its type",))
    if json_values and (logical := nested(texts)):
        return Guess(logical=logical)
    if all(text.lower() in ("true", "false") for text in texts):
        return Guess(logical="boolean")
    if all_match(texts, _INTEGER):
        return _integer(texts)
    if all_match(texts, _COMMA if comma else _POINT):
        digits = [_digits(text.replace(",", ".")) for text in texts]
        whole, scale = max(one[0] for one in digits), max(one[1] for one in digits)
        if scale and whole + scale <= _MOST_DIGITS:
            return Guess(logical="number", physical=_numeric(whole, scale))
    if all_match(texts, _UUID):
        return Guess(logical="string", physical="uuid")
    return moment(texts) or Guess(logical="string", remarks=tuple(_doubts(texts, comma=comma)))


def writes_comma(given: Iterable[str]) -> bool | None:
    """Whether a column's fractions stand behind a comma; ``None``: it has none, or may have thousands."""
    texts = [text for text in (one.strip(" \t") for one in given) if text]
    if not texts:
        return None
    if all_match(texts, _COMMA) and any("," in text and not _THOUSANDS.fullmatch(text) for text in texts):
        return True
    return False if all_match(texts, _POINT) and any("." in text for text in texts) else None


def _integer(texts: Sequence[str]) -> Guess:
    days = all_match(texts, _COMPACT) and all(is_day(text, "%Y%m%d") for text in texts)
    remarks = (
        ('every value is a day, too: write logicalType date and the format "%Y%m%d" if they are',)
        if days
        else ()
    )
    return Guess(logical="integer", remarks=remarks)


def _digits(text: str) -> tuple[int, int]:
    """Before and behind the point."""
    whole, _, fraction = text.lstrip("-").partition(".")
    return len(whole), len(fraction)


def _numeric(whole: int, scale: int) -> str:
    return f"numeric({min(_MOST_DIGITS, whole + HEADROOM + scale)},{scale})"


def nested(texts: Collection[str]) -> str | None:
    """`object` or `array` where every text is one in JSON."""
    if not texts:
        return None
    for opening, logical, kind in (("{", "object", dict), ("[", "array", list)):
        if all(text.startswith(opening) for text in texts):
            return logical if all(_is_json(text, kind) for text in texts) else None
    return None


def _is_json(text: str, kind: type) -> bool:
    """JSON without what PostgreSQL might refuse: escapes, numbers of many digits, depth."""
    if (
        "\\u" in text
        or len(text) > 100_000
        or text.count("[") + text.count("{") > 400
        or re.search(r"[eE]|[0-9]{100}", _bare(text))
    ):
        return False
    try:
        return isinstance(json.loads(text, parse_constant=_refuse), kind)
    except (ValueError, RecursionError):
        return False


def _bare(text: str) -> str:
    """Without its strings, and the words that hold an e."""
    return re.sub(r'"(?:[^"\\]|\\.)*"|true|false', "", text)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _doubts(texts: Sequence[str], *, comma: bool) -> Iterable[str]:
    """Why a column that looks like more is text."""
    words = sorted(text for text in texts if text.lower() in NULL_WORDS)
    rest = [text for text in texts if text.lower() not in NULL_WORDS]
    if words:
        shown = ", ".join(f'"{word}"' for word in words)
        without = of_texts(rest, comma=comma) if rest else None
        if without and without.logical != "string":
            kind = without.physical or without.logical
            yield f"{shown} among values that are {kind}: list it under nullValues if it means no value, and write that type"
            return
        else:
            yield f"{shown} may mean no value: list it under nullValues then"
    if any(_ZEROS.fullmatch(text) for text in rest):
        yield "leading zeros, which a number would lose"
    elif rest and all_match(rest, _THOUSANDS):
        yield "a comma before three digits: thousands, or a fraction"
    elif rest and all_match(rest, _NUMERIC):
        yield "numbers, but not all written in one way that keeps every digit"
    elif 0 < (odd := sum(not _NUMERIC.fullmatch(text) for text in rest)) * 10 <= len(rest):
        yield f"all but {odd} of its {len(rest)} different values are numbers"
