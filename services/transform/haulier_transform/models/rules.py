"""What a contract says of a column's values beside their type, as conditions of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg2 import sql

from haulier.contracts import Column, Contract
from haulier.problems import quoted

_SHOWN_VALUES = 10
_LIMITS = {
    "minimum": ("<", "is less than"),
    "exclusive_minimum": ("<=", "is not more than"),
    "maximum": (">", "is more than"),
    "exclusive_maximum": (">=", "is not less than"),
}


def broken(contract: Contract) -> Iterator[tuple[Column, str, str, sql.Composable]]:
    """(column, rule, what is wrong, what is true of a staged row ``s`` that breaks it), in the contract's order."""
    for column in contract.columns:
        cell = sql.Identifier("s", column.name)
        if column.required or column.key_position or column.name == contract.ordering:
            yield column, "required", "has no value", sql.SQL("{} IS NULL").format(cell)
        yield from _of_values(column, cell)


def implausible(contract: Contract) -> Iterator[tuple[Column, str, sql.Composable]]:
    """(column, what is odd, what is true of a staged row ``s`` outside its soft limits): it enters and is flagged."""
    for column in contract.columns:
        for limit in ("minimum", "maximum"):
            text = getattr(column, f"soft_{limit}")
            if text is not None:
                operator, words = _LIMITS[limit]
                yield column, f"is implausible: it {words} {text}", _beyond(column, operator, text)


def _beyond(column: Column, operator: str, text: str) -> sql.Composable:
    # A limit may have more decimals than the column keeps.
    bound = sql.SQL("numeric" if column.pg_type.startswith("numeric") else column.pg_type)
    return sql.SQL("{} {} {}::{}").format(
        sql.Identifier("s", column.name), sql.SQL(operator), sql.Literal(text), bound
    )


def _of_values(column: Column, cell: sql.Composable) -> Iterator[tuple[Column, str, str, sql.Composable]]:
    typed = sql.SQL(column.pg_type)
    if column.enum is not None:
        shown = ", ".join(quoted(value) for value in column.enum[:_SHOWN_VALUES])
        more = f" and {len(column.enum) - _SHOWN_VALUES} more" if len(column.enum) > _SHOWN_VALUES else ""
        listed = sql.SQL("{}::text[]::{}[]").format(sql.Literal(list(column.enum)), typed)
        yield column, "enum", f"is not one of {shown}{more}", sql.SQL("{} <> ALL({})").format(cell, listed)
    for rule, (operator, words) in _LIMITS.items():
        text = getattr(column, rule)
        if text is not None:
            yield column, rule, f"{words} {text}", _beyond(column, operator, text)
    if column.pattern is not None:
        whole = sql.Literal(f"^(?:{column.pattern})$")
        says = f"does not match the pattern {column.pattern}"
        yield column, "pattern", says, sql.SQL("{} !~ {}").format(cell, whole)
    for rule, length, operator, words in (
        ("min_length", column.min_length, "<", "fewer"),
        ("max_length", column.max_length, ">", "more"),
    ):
        if length is not None:
            breaks = sql.SQL("char_length({}) {} {}").format(cell, sql.SQL(operator), sql.Literal(length))
            yield column, rule, f"has {words} than {length} characters", breaks
