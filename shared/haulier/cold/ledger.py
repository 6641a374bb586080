"""What the ledger holds of archived partitions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from psycopg2 import sql

from haulier.errors import TransientError
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier.partitions import Bound, Partition

_SQL = queries("haulier.cold", "ledger.sql")


@dataclass(frozen=True, kw_only=True)
class Away:
    """A partition that is no part of its table now."""

    archive_id: int
    target: str
    schema: str
    name: str
    parent: tuple[str, str]
    bounds: tuple[Bound, ...]
    expression: str
    #: It is a table of its own still, with all its rows.
    detached: bool
    store: str | None = None
    manifest: str | None = None
    manifest_sha256: str | None = None
    rows: int | None = None

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    @property
    def shown(self) -> str:
        return f"{self.schema}.{self.name}"

    def meets(self, piece: Iterable[Bound]) -> bool:
        """Whether a row of these bounds may be one of its rows."""
        by_column = {bound.column: bound for bound in piece}
        return all(bound.meets(by_column[bound.column]) for bound in self.bounds if bound.column in by_column)


def away(cursor: Cursor, target: str) -> list[Away]:
    """Every partition of a target that was detached or archived and not restored."""
    cursor.execute(_SQL["archived"], {"target": target})
    return [
        Away(
            archive_id=archive_id,
            target=target,
            schema=schema,
            name=name,
            parent=(parent_schema, parent_name),
            bounds=msgspec.convert(bounds, tuple[Bound, ...]),
            expression=expression,
            detached=detached,
            store=store,
            manifest=manifest,
            manifest_sha256=sha256,
            rows=rows,
        )
        for archive_id, schema, name, parent_schema, parent_name, bounds, expression, detached, store, manifest, sha256, rows in (
            cursor.fetchall()
        )
    ]


def targets(cursor: Cursor, target: str | None) -> list[str]:
    """The tables, or the one, of which a partition is away."""
    cursor.execute(_SQL["targets"], {"target": target})
    return [name for (name,) in cursor.fetchall()]


def take_turn(cursor: Cursor, target: str) -> None:
    """Raises `TransientError` while another archive or restore of the target is at work."""
    cursor.execute(_SQL["lock_archive"], {"target": target})
    if not (cursor.fetchone() or (False,))[0]:
        raise TransientError(f"another archive or restore of {target} is at work; try again")


def lock_target(cursor: Cursor, target: str) -> None:
    """No load merges into the target until the transaction ends."""
    cursor.execute(_SQL["lock_target"], {"target": target})


def record_detached(cursor: Cursor, target: str, one: Partition, actor: str, ddl: str) -> int:
    """The partition is on its way from here on; the number of its archive."""
    cursor.execute(
        _SQL["insert_archive"],
        {
            "target": target,
            "schema": one.schema,
            "name": one.name,
            "parent_schema": one.parent[0],
            "parent_name": one.parent[1],
            "bounds": msgspec.json.encode(one.bounds).decode(),
            "expression": one.expression,
            "actor": actor,
        },
    )
    (archive_id,) = cursor.fetchone() or (0,)
    _record_change(cursor, target, "detach partition", ddl, actor, before=f"{one.schema}.{one.name}")
    return int(archive_id)


def record_archived(
    cursor: Cursor, one: Away, store: str, key: str, sha256: str, rows: int, actor: str
) -> None:
    """Its copy is whole, and whose rows it holds is known; the table itself may go."""
    values = {"archive_id": one.archive_id, "event": "archived", "store": store, "manifest": key}
    cursor.execute(_SQL["insert_event"], {**values, "manifest_sha256": sha256, "rows": rows, "actor": actor})
    cursor.execute(
        sql.SQL(_SQL["insert_stamps"]).format(table=one.identifier), {"archive_id": one.archive_id}
    )


def record_restored(cursor: Cursor, one: Away, ddl: str, actor: str) -> None:
    """It is a partition again."""
    nothing = dict.fromkeys(("store", "manifest", "manifest_sha256", "rows"))
    cursor.execute(
        _SQL["insert_event"], {"archive_id": one.archive_id, "event": "restored", **nothing, "actor": actor}
    )
    _record_change(cursor, one.target, "attach partition", ddl, actor, after=one.shown)


def oid_of(cursor: Cursor, schema: str, name: str) -> int | None:
    cursor.execute(_SQL["oid"], {"schema": schema, "name": name})
    found: int | None = (cursor.fetchone() or (None,))[0]
    return found


def columns_of(cursor: Cursor, schema: str, name: str) -> dict[str, tuple[str, str]]:
    """name -> type, and its DEFAULT or GENERATED as CREATE TABLE has it."""
    cursor.execute(_SQL["columns"], {"schema": schema, "name": name})
    return {column: (pg_type, filled) for column, pg_type, filled in cursor.fetchall()}


def _record_change(
    cursor: Cursor,
    target: str,
    kind: str,
    ddl: str,
    actor: str,
    *,
    before: str | None = None,
    after: str | None = None,
) -> None:
    sides = {
        side: None if name is None else json.dumps({"partition": name})
        for side, name in (("before", before), ("after", after))
    }
    cursor.execute(
        _SQL["insert_schema_change"], {"target": target, "kind": kind, "ddl": ddl, "actor": actor, **sides}
    )
