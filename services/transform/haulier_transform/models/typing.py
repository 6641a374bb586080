"""How a model's values become the contract's: as they are, or read as text and refused one by one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from psycopg2 import sql

from haulier.contracts import Column
from haulier.definitions.models import Model
from haulier.errors import DefinitionError
from haulier.landing.catalogue import normal

_TEXT = re.compile(r"text|varchar(\(\d+\))?")
_NUMBER = re.compile(r"smallint|integer|bigint|numeric(\(\d+,\d+\))?")
_DECIMAL = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$"
#: Type -> how its text looks, and what it is called. PostgreSQL alone would also read `today` as a date and
#: `0x1F` as a number.
_SHAPES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("smallint", "integer", "bigint"), (r"^[+-]?[0-9]+$", "a whole number such as 42")),
    "numeric": (_DECIMAL, "a number such as 4.20"),
    "double precision": (r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$", "a number such as 4.2e3"),
    "boolean": (r"^([tT]rue|[fF]alse|TRUE|FALSE)$", "true or false"),
    "date": (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "a day of the calendar such as 2026-01-05"),
    "timestamp": (
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?$",
        "a date and time such as 2026-01-05T08:50",
    ),
    "timestamptz": (
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$",
        "a date and time with its offset such as 2026-01-05T08:50Z",
    ),
    "time": (r"^[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?$", "a time such as 08:50"),
    "uuid": (r"^[0-9a-fA-F-]{32,36}$", "a UUID"),
    "jsonb": (r".", "JSON"),
}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How one column's values are read."""

    column: Column
    #: What is true of a value ``s`` that can be read; none: all can.
    readable: sql.Composable | None
    #: What a value that cannot be read is not.
    wanted: str
    #: The value in the contract's type.
    value: sql.Composable


def reading(column: Column, given: str, model: Model) -> Reading:
    """Raises `DefinitionError` for a type that is not read as the contract's."""
    cell = sql.Identifier("s", column.name)
    have, want = normal(given), column.pg_type
    head = want.partition("(")[0]
    is_number = bool(_NUMBER.fullmatch(have))
    if head in ("text", "varchar"):
        if not _TEXT.fullmatch(have):
            raise _other(column, given, model)
        if head == "text":
            return Reading(column=column, readable=None, wanted="", value=cell)
        # A cast would cut silently what is too long.
        most = want[8:-1]
        fits = sql.SQL("char_length({}) <= {}").format(cell, sql.Literal(int(most)))
        value = sql.SQL("{}::{}").format(cell, sql.SQL(want))
        return Reading(
            column=column, readable=fits, wanted=f"a text of at most {most} characters", value=value
        )
    if have == want and not (head == "numeric" or head == "double precision"):
        return Reading(column=column, readable=None, wanted="", value=cell)
    if not (_TEXT.fullmatch(have) or (is_number and _NUMBER.fullmatch(want)) or have == want):
        raise _other(column, given, model)
    shape, wanted = _SHAPES[head]
    text = sql.SQL("{}::text").format(cell)
    valid = sql.SQL("pg_input_is_valid({}, {})").format(text, sql.Literal(want))
    if "(" in want:
        # A cast would round silently what has more decimals.
        scale = int(want[:-1].partition(",")[2])
        valid = sql.SQL("({} AND scale(trim_scale({}::numeric)) <= {})").format(
            valid, text, sql.Literal(scale)
        )
        wanted += f" with at most {scale} decimals"
    return Reading(
        column=column,
        readable=sql.SQL("CASE WHEN {} ~ {} THEN {} ELSE false END").format(text, sql.Literal(shape), valid),
        wanted=wanted,
        value=sql.SQL("{}::{}").format(text, sql.SQL(want)),
    )


def _other(column: Column, given: str, model: Model) -> DefinitionError:
    return DefinitionError(
        f"models/{model.name}.sql: {column.name} is {given}, the contract says {column.pg_type}; give that type, or text"
    )
