"""The partitions of a target: which of them a load's rows belong to, and making those that are not there yet.

A partition is made in the transaction of the load whose rows need it, under the target's lock: two loads that
need the same one take turns, and one that dies takes its partitions with it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import psycopg2.errors
from psycopg2 import sql

from haulier.contracts import Contract, Partitioning
from haulier.errors import DataError, DefinitionError
from haulier.landing.fragments import deletes
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier.partitions import Bound, Tree, first_day, next_period, period

_SQL = queries("haulier.landing", "load.sql")

#: What one load may make. More is a column full of wrong dates rather than a need, and a lock for each.
MOST_NEW = 1000
_NAME_BYTES = 63
_STRATEGIES = {"r": "range", "l": "list", "h": "hash"}

#: The partition of a row, level by level: a day, month or year by its first day, a value as its text.
Place = tuple[date | str, ...]
Piece = tuple[Bound, ...]


@dataclass(frozen=True, kw_only=True)
class New:
    """A partition to be made."""

    schema: str
    name: str
    statement: sql.Composable


def check_partitioned(tree: Tree, contract: Contract) -> None:
    """Raises `DefinitionError` when a live table is not partitioned as its contract says."""
    if not contract.partitions:
        return
    outer = contract.partitions[0]
    wanted = ("l" if outer.by == "list" else "r", (outer.column,))
    found = tree.divided
    if found != wanted:
        is_now = f"by {_STRATEGIES[found[0]]} of {', '.join(found[1])}" if found else "not partitioned"
        raise DefinitionError(
            f"table {contract.target} is {is_now}, contract {contract.id} says by {_STRATEGIES[wanted[0]]} of "
            f"{outer.column}; PostgreSQL cannot change that in place: rename the table and load it anew"
        )


def places(cursor: Cursor, contract: Contract, stage: sql.Composable, *, new: bool = False) -> set[Place]:
    """Where the staged rows belong; with ``new`` without those that only say what is gone."""
    values = sql.SQL(", ").join(_place(contract, level) for level in contract.partitions)
    stays = sql.SQL("NOT {}").format(deletes(contract, "s")) if new else sql.SQL("true")
    marker = contract.marker
    cursor.execute(
        sql.SQL(_SQL["places"]).format(values=values, stage=stage, stays=stays),
        {"deletes": list(marker.deletes or ()) if marker else []},
    )
    return set(cursor.fetchall())


def _place(contract: Contract, level: Partitioning) -> sql.Composable:
    column = sql.Identifier("s", level.column)
    # The session is in UTC, where a time's day, month and year are those of its partition.
    return sql.SQL("{}::text" if level.by == "list" else "date_trunc({unit}, {})::date").format(
        column, unit=sql.Literal(level.by)
    )


def pieces(contract: Contract, found: Iterable[Place]) -> list[Piece]:
    """The bounds of these places."""
    return [
        tuple(
            period(level, contract.column(level.column).pg_type, value)
            if isinstance(value, date)
            else Bound(column=level.column, values=(value,))
            for level, value in zip(contract.partitions, place, strict=True)
        )
        for place in sorted(found, key=str)
    ]


def ahead(contract: Contract, found: set[Place], until: datetime) -> set[Place]:
    """Places that the next runs will need: the period in which a run ends and those after it, beside what is there."""
    levels = contract.partitions
    dated = next((number for number, level in enumerate(levels) if level.by != "list"), None)
    if dated is None or not found:
        return set()
    starts: list[date] = [first_day(levels[dated], until.date())]
    for _ in range(contract.partitions_ahead):
        if (later := next_period(levels[dated], starts[-1])) is not None:
            starts.append(later)
    return {(*place[:dated], start, *place[dated + 1 :]) for place in found for start in starts}


def missing(contract: Contract, tree: Tree, wanted: Iterable[Piece]) -> list[New]:
    """What has to be made before these pieces have a partition each, outer ones first."""
    known = {(one.parent, one.bounds): (one.schema, one.name) for one in tree.partitions}
    made: list[New] = []
    for piece in wanted:
        parent = (contract.schema, contract.table)
        for depth in range(1, len(piece) + 1):
            bounds = piece[:depth]
            child = next(
                (
                    name
                    for (above, have), name in known.items()
                    if above == parent and have and have[-1].covers(bounds[-1])
                ),
                None,
            )
            if child is None:
                new = _new(contract, parent, bounds)
                made.append(new)
                child = (new.schema, new.name)
                known[parent, bounds] = child
            parent = child
    if len(made) > MOST_NEW:
        raise DataError(
            f"these rows need {len(made)} new partitions of {contract.target}, more than the {MOST_NEW} of one load; "
            f"give {contract.partitions[0].column} a minimum and a maximum in the contract, or load in several runs"
        )
    return made


def make(cursor: Cursor, contract: Contract, new: Sequence[New], run_id: int, actor: str) -> None:
    """Make and record them. The caller holds the target's lock.

    Raises `DefinitionError` where something else stands in the way.
    """
    for one in new:
        try:
            cursor.execute(one.statement)
        except (psycopg2.errors.DuplicateTable, psycopg2.errors.InvalidObjectDefinition) as exc:
            raise DefinitionError(
                f"partition {one.name} of {contract.target} cannot be made: {exc.diag.message_primary}; make it by hand, "
                "or put away what stands in its place"
            ) from exc
        cursor.execute(
            _SQL["insert_schema_change"],
            {
                "target": contract.target,
                "kind": "add partition",
                "ddl": one.statement.as_string(cursor),
                "run_id": run_id,
                "actor": actor,
                "before": None,
                "after": json.dumps({"partition": f"{one.schema}.{one.name}"}),
            },
        )


def _new(contract: Contract, parent: tuple[str, str], bounds: Piece) -> New:
    depth = len(bounds)
    name = _name(contract, bounds)
    inner = contract.partitions[depth] if depth < len(contract.partitions) else None
    # Attached and not made in place (PARTITION OF): that would lock the table against its readers.
    statement = sql.SQL(
        "CREATE TABLE {new} (LIKE {parent} INCLUDING ALL EXCLUDING IDENTITY){divided};\n"
        "ALTER TABLE {parent} ATTACH PARTITION {new} {bound};"
    ).format(
        new=sql.Identifier(contract.schema, name),
        parent=sql.Identifier(*parent),
        divided=divided(inner) if inner else sql.SQL(""),
        bound=_for_values(bounds[-1]),
    )
    return New(schema=contract.schema, name=name, statement=statement)


def divided(level: Partitioning) -> sql.Composable:
    """What makes a table one of partitions."""
    way = sql.SQL("LIST" if level.by == "list" else "RANGE")
    return sql.SQL(" PARTITION BY {} ({})").format(way, sql.Identifier(level.column))


def _for_values(bound: Bound) -> sql.Composable:
    if bound.values is not None:
        listed = sql.SQL(", ").join(sql.Literal(value) for value in bound.values)
        return sql.SQL("FOR VALUES IN ({})").format(listed)
    start, end = (
        sql.Literal(limit) if limit is not None else sql.SQL(otherwise)
        for limit, otherwise in ((bound.start, "MINVALUE"), (bound.end, "MAXVALUE"))
    )
    return sql.SQL("FOR VALUES FROM ({}) TO ({})").format(start, end)


def _name(contract: Contract, bounds: Piece) -> str:
    """``labs_2026_01_701``: what the rows have in common, and a digest where that is not the whole of it."""
    by: Mapping[str, str] = {level.column: level.by for level in contract.partitions}
    words = [word for bound in bounds for word in _words(bound, by[bound.column])]
    whole = "_".join([contract.table, *words])
    if all(_plain(bound) for bound in bounds) and len(whole.encode()) <= _NAME_BYTES:
        return whole
    meant = json.dumps([contract.table, *([bound.start, bound.values] for bound in bounds)])
    end = "_" + hashlib.sha256(meant.encode()).hexdigest()[:8]
    return whole.encode()[: _NAME_BYTES - len(end)].decode(errors="ignore") + end


def _words(bound: Bound, by: str) -> Iterator[str]:
    if bound.start is not None:
        yield from bound.start[:10].split("-")[: {"year": 1, "month": 2, "day": 3}[by]]
    for value in bound.values or ():
        yield re.sub(r"[^a-z0-9_]+", "_", value.lower())


def _plain(bound: Bound) -> bool:
    return all(re.fullmatch(r"[a-z0-9_]+", value) for value in bound.values or ())
