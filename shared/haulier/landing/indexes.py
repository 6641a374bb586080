"""Indexes that a contract asks for, made by the first load once its rows are there; and the planner's statistics."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

from haulier.contracts import Contract, Index
from haulier.errors import HaulierError
from haulier.landing.merge import Account
from haulier.landing.names import columns, target_name
from haulier.ledger.connection import Connection, Cursor, driver_errors, transaction
from haulier.ledger.queries import queries
from haulier.logs import log
from haulier.settings import Settings

_SQL = queries("haulier.landing", "load.sql")

#: A merge that wrote this share of its table, and this many rows, is followed by ANALYZE.
ANALYZE_SHARE, ANALYZE_ROWS = 0.1, 1000
_NAME_BYTES = 63


@dataclass(frozen=True, kw_only=True)
class NewIndex:
    """An index to be made."""

    columns: tuple[str, ...]
    statement: sql.Composable


def missing_indexes(cursor: Cursor, contract: Contract) -> list[NewIndex]:
    """What the contract asks for and the table does not have under whatever name. A column that the table does not have
    yet is none of the contract's here: see `Merge.judge`."""
    if not contract.indexes:
        return []
    cursor.execute(_SQL["live_indexes"], {"schema": contract.schema, "table": contract.table})
    stored = {column.name for column in contract.stored}
    have = {(method, tuple(names)) for method, names in cursor.fetchall()}
    return [
        NewIndex(
            columns=one.columns,
            statement=sql.SQL("CREATE INDEX {} ON {} USING {} ({})").format(
                sql.Identifier(_name(contract, one)),
                target_name(contract),
                sql.SQL(one.using),
                columns(one.columns),
            ),
        )
        for one in contract.indexes
        if (one.using, one.columns) not in have and stored.issuperset(one.columns)
    ]


def make_indexes(
    cursor: Cursor, contract: Contract, new: Sequence[NewIndex], run_id: int, actor: str
) -> None:
    """Make and record them; readers go on meanwhile. The caller holds the target's lock."""
    for one in new:
        cursor.execute(one.statement)
        cursor.execute(
            _SQL["insert_schema_change"],
            {
                "target": contract.target,
                "kind": "add index",
                "ddl": f"{one.statement.as_string(cursor)};",
                "run_id": run_id,
                "actor": actor,
                "before": None,
                "after": json.dumps({"index": list(one.columns)}),
            },
        )


def analyze_if_large(
    connection: Connection, settings: Settings, contract: Contract, account: Account
) -> None:
    """Tell the planner what a large merge changed: autovacuum would come later, and never to a partitioned table itself.

    Housekeeping, after the commit: what goes wrong here is logged and left to autovacuum.
    """
    written = account.inserted + account.updated + account.deleted + account.removed
    if written < ANALYZE_ROWS:
        return
    try:
        with driver_errors(), transaction(connection, settings) as cursor:
            cursor.execute(_SQL["estimated_rows"], {"schema": contract.schema, "table": contract.table})
            (rows,) = cursor.fetchone() or (0,)
            if written >= ANALYZE_SHARE * rows:
                cursor.execute(sql.SQL("ANALYZE {}").format(target_name(contract)))
    except HaulierError as exc:
        log.warning("the table was not analyzed", extra={"facts": {"reason": str(exc)}})


def _name(contract: Contract, one: Index) -> str:
    whole = "_".join([contract.table, *one.columns, one.using])
    if len(whole.encode()) <= _NAME_BYTES:
        return whole
    end = "_" + hashlib.sha256(whole.encode()).hexdigest()[:8]
    return whole.encode()[: _NAME_BYTES - len(end)].decode(errors="ignore") + end
