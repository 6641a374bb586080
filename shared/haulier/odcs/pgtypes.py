"""PostgreSQL's types as contracts may write them, and the one spelling Haulier keeps."""

from __future__ import annotations

import re

from haulier.problems import quoted, suggestion

#: As a contract may write it -> as Haulier keeps it.
ALIASES: dict[str, str] = {
    "text": "text",
    "varchar": "text",
    "character varying": "text",
    "smallint": "smallint",
    "int2": "smallint",
    "integer": "integer",
    "int": "integer",
    "int4": "integer",
    "bigint": "bigint",
    "int8": "bigint",
    "numeric": "numeric",
    "decimal": "numeric",
    "double precision": "double precision",
    "float8": "double precision",
    "boolean": "boolean",
    "bool": "boolean",
    "date": "date",
    "timestamptz": "timestamptz",
    "timestamp with time zone": "timestamptz",
    "timestamp": "timestamp",
    "timestamp without time zone": "timestamp",
    "time": "time",
    "time without time zone": "time",
    "uuid": "uuid",
    "jsonb": "jsonb",
}
#: Refused, and what to write instead.
REFUSED: dict[str, str] = {
    "money": "numeric(19,4): money has no currency and depends on the server's locale",
    "char": "text, or varchar(n): char pads with blanks",
    "character": "text, or varchar(n): character pads with blanks",
    "bpchar": "text, or varchar(n): bpchar ignores trailing blanks",
    "name": "text",
    "citext": "text, and a collation in the database",
    "string": "text (string is a logicalType)",
    "real": "numeric where digits matter, else double precision: real keeps six digits",
    "float4": "numeric where digits matter, else double precision: float4 keeps six digits",
    "float": "numeric where digits matter, else double precision",
    "double": "double precision",
    "number": "numeric (number is a logicalType)",
    "serial": "integer: the source gives the value, no sequence does",
    "bigserial": "bigint: the source gives the value, no sequence does",
    "smallserial": "smallint: the source gives the value, no sequence does",
    "datetime": "timestamptz, or timestamp for local wall time",
    "time with time zone": "timestamptz, or time: an offset without a day means nothing",
    "timetz": "timestamptz, or time: an offset without a day means nothing",
    "interval": "text, or a number with its unit in the column's name",
    "json": "jsonb",
    "xml": "text",
    "bytea": "text, in base64 or hexadecimal",
    "bit": "text, or boolean",
    "array": "jsonb",
    "inet": "text",
    "cidr": "text",
    "macaddr": "text",
    "oid": "bigint",
}
#: logicalType -> the type of a column that names none.
USUAL: dict[str, str] = {
    "string": "text",
    "integer": "bigint",
    "number": "numeric",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamptz",
    "time": "time",
    "object": "jsonb",
    "array": "jsonb",
}
#: logicalType -> the types its values fit into, without their arguments.
FITTING: dict[str, tuple[str, ...]] = {
    "string": ("text", "varchar", "uuid"),
    "integer": ("bigint", "integer", "smallint", "numeric"),
    "number": ("numeric", "double precision"),
    "boolean": ("boolean",),
    "date": ("date",),
    "timestamp": ("timestamptz", "timestamp"),
    "time": ("time",),
    "object": ("jsonb",),
    "array": ("jsonb",),
}

#: numeric travels as a 128-bit decimal.
_MOST_DIGITS = 38
_MOST_CHARACTERS = 10_485_760
_TYPE = re.compile(
    r"([a-z][a-z0-9 ]*?) ?(?:\( ?(\d+) ?(?:, ?(\d+) ?)?\))?((?: with| without) time zone)?(\[\d*\])*"
)


class NotAType(ValueError):
    """What was written is no type Haulier loads; the message goes on from the field's path."""


def normalised(written: str) -> str:
    """The kept spelling: ``numeric(10,2)`` for ``decimal(10, 2)``. Raises `NotAType`."""
    found = _TYPE.fullmatch(" ".join(written.lower().split()))
    if found is None:
        raise NotAType(f"{quoted(written)} is not a type of PostgreSQL{suggestion(written, ALIASES)}")
    base = found[1] + (found[4] or "")
    if found[5]:
        raise NotAType(f"{quoted(written)} is not loaded; write jsonb, with logicalType: array")
    if base in REFUSED:
        raise NotAType(f"{quoted(written)} is not loaded; write {REFUSED[base]}")
    if base not in ALIASES:
        raise NotAType(f"{quoted(written)} is not a type Haulier loads{suggestion(base, ALIASES)}")
    arguments = [int(text) for text in found.group(2, 3) if text]
    return _with_arguments(ALIASES[base], base, arguments, written) if arguments else ALIASES[base]


def _with_arguments(kept: str, base: str, arguments: list[int], written: str) -> str:
    first, second = arguments[0], arguments[1] if len(arguments) > 1 else None
    if kept == "numeric":
        scale = second or 0
        if not 1 <= first <= _MOST_DIGITS or scale > first:
            raise NotAType(
                f"{quoted(written)} cannot be; numeric has 1 to {_MOST_DIGITS} digits, the scale among them"
            )
        return f"numeric({first},{scale})"
    if base in ("varchar", "character varying") and second is None:
        if not 1 <= first <= _MOST_CHARACTERS:
            raise NotAType(f"{quoted(written)} cannot be; varchar has 1 to {_MOST_CHARACTERS} characters")
        return f"varchar({first})"
    if kept in ("timestamptz", "timestamp", "time") and second is None:
        if first == 6:
            return kept
        raise NotAType(f"{quoted(written)} would round; Haulier keeps microseconds, write {kept}")
    raise NotAType(f"{quoted(written)} takes no arguments; write {kept}")


def base_of(pg_type: str) -> str:
    """The type without its arguments."""
    return pg_type.partition("(")[0]


def logical_type_of(pg_type: str) -> str:
    """What kind of value the type is usually for."""
    base = base_of(pg_type)
    return next(
        logical
        for logical, fitting in FITTING.items()
        if base in fitting and not (base == "numeric" and logical == "integer")
    )
