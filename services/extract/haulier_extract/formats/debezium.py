"""Change events as Debezium writes them: the row as it is afterwards, or was before a deletion.

The columns are those that Debezium's own ExtractNewRecordState makes, so that a contract fits events and
rows that were flattened before they were written alike.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from functools import lru_cache, partial
from typing import Any

import msgspec

#: What an event says happened -> which of its rows counts; None: it has none.
_ROWS = {"c": "after", "r": "after", "u": "after", "d": "before", "t": None}
#: A line that carries the schema it was written under.
_WITH_SCHEMA = frozenset({"schema", "payload"})
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL = b"null"
#: More digits than any value has: nothing is rounded.
_EXACT = Context(prec=10_000)

Row = dict[str, msgspec.Raw]
#: A value as JSON has it -> the text that stands for it.
Converter = Callable[[Any], str]


class NotAnEvent(Exception):
    """Why a line is no row of a change feed."""


def row_of(line: Row, fields: Sequence[str]) -> Row | str:
    """The row of an event, with the event's own ``fields``; or the reason why it is no data.

    Raises `NotAnEvent`.
    """
    schema = None
    if line.keys() == _WITH_SCHEMA:
        schema, payload = bytes(line["schema"]), bytes(line["payload"])
        if payload == _NULL:
            return TOMBSTONE
        line = _object(payload, "payload")
    op = _text(line.get("op"))
    if op is None:
        raise NotAnEvent(
            "the line has no op, so it is no change event; rows that were flattened before are read without "
            "source.jsonl.debezium"
        )
    if op == "m":
        return MESSAGE
    if op not in _ROWS:
        raise NotAnEvent(f"the line's op is none of {', '.join(_ROWS)} and m")
    which = _ROWS[op]
    row: Row = {}
    if which is not None:
        given = line.get(which)
        if given is None or bytes(given) == _NULL:
            why = "; the table needs a key or a REPLICA IDENTITY" if op == "d" else ""
            raise NotAnEvent(f"the event ({op}) does not say which row: {which} is missing{why}")
        row = _object(bytes(given), which)
        if schema is not None:
            row = _converted(row, _converters(schema, which))
    source = (
        _object(bytes(line["source"]), "source")
        if "source" in line and bytes(line["source"]) != _NULL
        else {}
    )
    for field in fields:
        value = _field(line, source, field)
        if value is not None:
            row[f"__{field.replace('.', '_')}"] = value
    return row


#: Reasons why a line is no data.
TOMBSTONE = "a tombstone (a null after a deletion, for the log's own compaction)"
MESSAGE = "a message (op m), which is about no row"


def _field(line: Row, source: Row, field: str) -> msgspec.Raw | None:
    """As `add.fields` has it: `source.ts_ms`, or a name that is looked for in the event and then in its source."""
    struct, dot, name = field.partition(".")
    if dot:
        return source.get(name) if struct == "source" else None
    return line[field] if field in line else source.get(field)


def _object(raw: bytes, what: str) -> Row:
    try:
        return _OBJECT.decode(raw)
    except msgspec.ValidationError as exc:
        raise NotAnEvent(f"the event's {what} is no object of columns and values") from exc


def _text(raw: msgspec.Raw | None) -> str | None:
    value = None if raw is None else msgspec.json.decode(raw)
    return value if isinstance(value, str) else None


def _converted(row: Row, converters: Mapping[str, Converter]) -> Row:
    for name in converters.keys() & row.keys():
        if bytes(row[name]) != _NULL:
            try:
                text = converters[name](json.loads(bytes(row[name])))
            except (TypeError, ValueError, ArithmeticError, KeyError, binascii.Error):
                continue  # not what its schema says: the contract judges what is there
            row[name] = msgspec.Raw(json.dumps(text).encode())
    return row


@lru_cache(maxsize=64)
def _converters(schema: bytes, which: str) -> dict[str, Converter]:
    """Column -> how its value becomes text, for the types whose JSON does not say what it means."""
    try:
        fields = json.loads(schema)["fields"]
        columns = next(field["fields"] for field in fields if field["field"] == which)
        named = [(column["field"], column.get("name"), column.get("parameters") or {}) for column in columns]
    except (KeyError, TypeError, StopIteration, ValueError) as exc:
        raise NotAnEvent(f"the line's schema does not describe {which}") from exc
    found: dict[str, Converter] = {}
    for column, name, parameters in named:
        if name == "org.apache.kafka.connect.data.Decimal":
            found[column] = partial(_decimal, int(parameters.get("scale", 0)))
        elif name in _CONVERTERS:
            found[column] = _CONVERTERS[name]
    return found


def _decimal(scale: int, value: str) -> str:
    digits = int.from_bytes(base64.b64decode(value, validate=True), "big", signed=True)
    return format(Decimal(digits).scaleb(-scale, context=_EXACT), "f")


def _variable_scale(value: Mapping[str, Any]) -> str:
    return _decimal(value["scale"], value["value"])


def _day(days: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()


def _moment(per_second: int, value: int) -> str:
    """A date and time without a zone, as the table has it; what is finer than a microsecond the contract judges."""
    seconds, rest = divmod(value, per_second)
    at = datetime(1970, 1, 1) + timedelta(seconds=seconds)  # noqa: DTZ001 - of no zone, as the table has it
    return at.isoformat() + _fraction(rest, per_second)


def _time(per_second: int, value: int) -> str:
    seconds, rest = divmod(value, per_second)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}" + _fraction(rest, per_second)


def _fraction(rest: int, per_second: int) -> str:
    return f".{rest:0{len(str(per_second)) - 1}d}" if rest else ""


_CONVERTERS: dict[str, Converter] = {
    "io.debezium.data.VariableScaleDecimal": _variable_scale,
    "io.debezium.time.Date": _day,
    "io.debezium.time.Timestamp": partial(_moment, 1_000),
    "io.debezium.time.MicroTimestamp": partial(_moment, 1_000_000),
    "io.debezium.time.NanoTimestamp": partial(_moment, 1_000_000_000),
    "io.debezium.time.Time": partial(_time, 1_000),
    "io.debezium.time.MicroTime": partial(_time, 1_000_000),
    "io.debezium.time.NanoTime": partial(_time, 1_000_000_000),
    "org.apache.kafka.connect.data.Date": _day,
    "org.apache.kafka.connect.data.Time": partial(_time, 1_000),
    "org.apache.kafka.connect.data.Timestamp": partial(_moment, 1_000),
}
