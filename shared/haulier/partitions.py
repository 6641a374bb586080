"""Partitions as the catalogue has them, and what a row's values say of the one it belongs to.

Bounds are compared as PostgreSQL writes them under `transaction`'s session rules (UTC, ISO), in which an
earlier time is a lesser text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import msgspec
from psycopg2 import sql

from haulier.contracts import Contract, Partitioning
from haulier.ledger.connection import Connection, Cursor
from haulier.ledger.queries import queries

_SQL = queries("haulier", "partitions.sql")

_RANGE = re.compile(r"FOR VALUES FROM \((.*)\) TO \((.*)\)", re.DOTALL)
_LIST = re.compile(r"FOR VALUES IN \((.*)\)", re.DOTALL)
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([^,\s]+)")
_UNBOUND = ("MINVALUE", "MAXVALUE")


class _Value(sql.Composable):
    """A literal whose percent signs are not taken for places of parameters."""

    def __init__(self, value: object) -> None:
        super().__init__(value)
        self._literal = sql.Literal(value)

    def as_string(self, context: Connection | Cursor) -> str:
        return self._literal.as_string(context).replace("%", "%%")


class Bound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one level of partitioning says of its rows: a range from ``start`` to before ``end``, or some values."""

    column: str
    #: None, with no values: without a beginning.
    start: str | None = None
    #: None, with no values: without an end.
    end: str | None = None
    values: tuple[str, ...] | None = None

    def covers(self, other: Bound) -> bool:
        """Whether every row of the other is one of these."""
        if self.values is not None or other.values is not None:
            return set(other.values or ()) <= set(self.values or ())
        begins = self.start is None or (other.start is not None and self.start <= other.start)
        return begins and (self.end is None or (other.end is not None and other.end <= self.end))

    def meets(self, other: Bound) -> bool:
        """Whether a row may be one of both."""
        if self.values is not None or other.values is not None:
            return bool(set(other.values or ()) & set(self.values or ()))
        return (self.end is None or other.start is None or other.start < self.end) and (
            other.end is None or self.start is None or self.start < other.end
        )

    def of(self, alias: str, pg_type: str) -> sql.Composable:
        """What is true of these rows, in a statement that takes parameters as well."""
        column, typed = sql.Identifier(alias, self.column), sql.SQL(pg_type)
        if self.values is not None:
            return sql.SQL("{} = ANY({}::{}[])").format(column, _Value(list(self.values)), typed)
        parts = [
            sql.SQL("{} {} {}::{}").format(column, sql.SQL(sign), _Value(limit), typed)
            for sign, limit in ((">=", self.start), ("<", self.end))
            if limit is not None
        ]
        return sql.SQL("({})").format(sql.SQL(" AND ").join(parts) if parts else sql.SQL("true"))


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A table that is, or was, a part of another."""

    oid: int
    schema: str
    name: str
    #: What it is a part of, as (schema, name).
    parent: tuple[str, str]
    #: What its rows have in common, by level from the outermost down; None: it cannot be said in these words.
    bounds: tuple[Bound, ...] | None
    #: As PostgreSQL writes it: ``FOR VALUES …``.
    expression: str
    #: Whether it is partitioned itself.
    divided: bool

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A live table with all its partitions, parents before children."""

    #: How the table itself is divided: (`r`ange, `l`ist or `h`ash, its columns); None: it is not.
    divided: tuple[str, tuple[str, ...]] | None
    partitions: tuple[Partition, ...]


def live_tree(cursor: Cursor, schema: str, table: str) -> Tree:
    """The partitions a live table has now; none when it is not there or not partitioned."""
    cursor.execute(_SQL["tree"], {"schema": schema, "table": table})
    divided: tuple[str, tuple[str, ...]] | None = None
    nodes: dict[int, tuple[tuple[str, str], tuple[Bound, ...] | None, tuple[str, ...]]] = {}
    found = []
    for oid, parent, in_schema, name, expression, strategy, names in cursor.fetchall():
        if parent is None:
            divided = (strategy, tuple(names)) if strategy else None
            nodes[oid] = ((in_schema, name), (), tuple(names or ()))
            continue
        above, outer, by = nodes[parent]
        bound = _bound(expression, by)
        bounds = None if outer is None or bound is None else (*outer, bound)
        nodes[oid] = ((in_schema, name), bounds, tuple(names or ()))
        found.append(
            Partition(
                oid=oid,
                schema=in_schema,
                name=name,
                parent=above,
                bounds=bounds,
                expression=expression,
                divided=strategy is not None,
            )
        )
    return Tree(divided=divided, partitions=tuple(found))


def _bound(expression: str, columns: Sequence[str]) -> Bound | None:
    if len(columns) != 1:
        return None
    if found := _RANGE.fullmatch(expression):
        start, end = (_tokens(text)[0] for text in found.groups())
        return Bound(column=columns[0], start=start, end=end)
    if found := _LIST.fullmatch(expression):
        values = _tokens(found[1])
        if None not in values:
            return Bound(column=columns[0], values=tuple(value for value in values if value is not None))
    return None


def _tokens(text: str) -> list[str | None]:
    """Literals as PostgreSQL writes them in bounds; None: there is no limit, or no value."""
    return [
        None if bare in (*_UNBOUND, "NULL") else bare or quoted.replace("''", "'")
        for quoted, bare in _TOKEN.findall(text)
    ]


def period(level: Partitioning, pg_type: str, day: date) -> Bound:
    """The day, month or year around a day, as a bound of the column's type."""
    start = first_day(level, day)
    end = next_period(level, start)
    return Bound(column=level.column, start=_text(start, pg_type), end=_text(end, pg_type) if end else None)


def first_day(level: Partitioning, day: date) -> date:
    return {"day": day, "month": day.replace(day=1), "year": day.replace(month=1, day=1)}[level.by]


def next_period(level: Partitioning, start: date) -> date | None:
    """The first day of the next; None: there is no later date."""
    try:
        if level.by == "day":
            return start + timedelta(days=1)
        months = start.year * 12 + start.month - 1 + (1 if level.by == "month" else 12)
        return date(months // 12, months % 12 + 1, 1)
    except (OverflowError, ValueError):
        return None


def _text(day: date, pg_type: str) -> str:
    return (
        f"{day.isoformat()}{ {'date': '', 'timestamp': ' 00:00:00', 'timestamptz': ' 00:00:00+00'}[pg_type] }"
    )


def within(contract: Contract, pieces: Iterable[Sequence[Bound]], alias: str) -> sql.Composable:
    """What is true of every row of these pieces, so that PostgreSQL opens no other partition.

    Neighbours are joined into one range; by level, so of two levels it may name a few pieces more.
    """
    levels: dict[str, set[Bound]] = {}
    for piece in pieces:
        for bound in piece:
            levels.setdefault(bound.column, set()).add(bound)
    if not levels:
        return sql.SQL("false")
    conditions = []
    for column, bounds in levels.items():
        pg_type = contract.column(column).pg_type
        joined = [bound.of(alias, pg_type) for bound in _joined(column, bounds)]
        conditions.append(sql.SQL("({})").format(sql.SQL(" OR ").join(joined)))
    return sql.SQL(" AND ").join(conditions)


def _joined(column: str, bounds: set[Bound]) -> list[Bound]:
    if any(bound.values is not None for bound in bounds):
        values = sorted({value for bound in bounds for value in bound.values or ()})
        return [Bound(column=column, values=tuple(values))]
    ranges: list[Bound] = []
    for bound in sorted(bounds, key=lambda one: one.start or ""):
        if ranges and ranges[-1].end == bound.start and bound.start is not None:
            ranges[-1] = Bound(column=column, start=ranges[-1].start, end=bound.end)
        else:
            ranges.append(bound)
    return ranges
