"""A live table brought to its contract: columns are added and types widened.

Nothing is dropped, narrowed or renamed, whatever a definition says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg2.errors
from psycopg2 import sql

from haulier.contracts import Contract
from haulier.definitions.drift import Drift
from haulier.errors import DefinitionError, TransientError
from haulier.landing.catalogue import live_columns
from haulier.landing.drift import differences
from haulier.landing.names import ABSENT, own_columns, target_columns, target_name
from haulier.ledger.connection import Connection, Cursor, transaction
from haulier.ledger.queries import queries
from haulier.logs import log
from haulier.settings import Settings

_SQL = queries("haulier.landing", "load.sql")

#: Whoever comes to the table while a change waits for its readers waits behind it: so a change waits this long, lets
#: everybody through and comes again. A little more than PostgreSQL's `deadlock_timeout`, after which an autovacuum that
#: stands in the way is ended.
LOCK_SECONDS = 1.2
TRIES = 5
PAUSE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Change:
    """One column that is added or widened."""

    column: str
    #: Its type so far; None: it is new.
    before: str | None
    after: str
    statement: sql.Composable


def changes(contract: Contract, live: Mapping[str, str], drift: Drift) -> list[Change]:
    """What brings a live table to its contract, as far as the definition lets it evolve."""
    found = []
    table, own = target_name(contract), own_columns(contract)
    promised = {c.name: c for c in contract.stored}
    for one in differences(contract, live, drift):
        if one.policy != "evolve" or one.promised is None or one.kind == "narrowed":
            continue
        name, column, typed = one.column, sql.Identifier(one.column), sql.SQL(one.promised)
        if one.live is None:
            also: sql.Composable = sql.SQL(
                " UNIQUE DEFERRABLE" if name in promised and promised[name].unique else ""
            )
            if name == contract.is_current and contract.valid_to:
                # As in a table that is made anew: nothing else ever fills it.
                valid_to = sql.Identifier(contract.valid_to)
                also = sql.SQL(" GENERATED ALWAYS AS ({} IS NULL) STORED").format(valid_to)
            statement: sql.Composable = sql.SQL("ALTER TABLE {} ADD COLUMN {} {}{}").format(
                table, column, typed, also
            )
            comment = promised[name].description if name in promised else own[name][1]
            if comment:
                statement += sql.SQL("; COMMENT ON COLUMN {}.{} IS {}").format(
                    table, column, sql.Literal(comment)
                )
        else:
            statement = sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {}").format(table, column, typed)
        found.append(Change(column=name, before=one.live, after=one.promised, statement=statement))
    return found


def evolve(
    connection: Connection, settings: Settings, contract: Contract, policy: Drift, run_id: int
) -> None:
    """Make the changes and record them, in one transaction, while no load merges into the table.

    Raises `DefinitionError` when a view or a rule stands on a column that would be widened, `TransientError` when the
    table is in use at every try.
    """
    for left in reversed(range(TRIES)):
        try:
            _evolve(connection, settings, contract, policy, run_id)
        except _InUse:
            if not left:
                raise TransientError(_who_uses(connection, settings, contract)) from None
            time.sleep(PAUSE_SECONDS)
        else:
            return


class _InUse(Exception):
    """A reader or a writer had the table for as long as a change may wait."""


def _evolve(
    connection: Connection, settings: Settings, contract: Contract, policy: Drift, run_id: int
) -> None:
    with transaction(connection, settings) as cursor:
        cursor.execute(_SQL["lock_target"], {"target": contract.target})
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{int(LOCK_SECONDS * 1000)}ms"])
        made = changes(contract, live_columns(cursor, contract), policy)
        for change in made:
            try:
                cursor.execute(change.statement)
            except psycopg2.errors.LockNotAvailable:
                raise _InUse from None
            except psycopg2.errors.InvalidTableDefinition as exc:
                raise DefinitionError(
                    f"column {change.column} of {contract.target} is {change.before}, the contract says {change.after}, and "
                    f"the table is partitioned by it; write {change.before} there, or load a table of another name anew"
                ) from exc
            except psycopg2.errors.FeatureNotSupported as exc:
                raise DefinitionError(
                    f"column {change.column} of {contract.target} is {change.before}, the contract says {change.after}, and "
                    "a view or a rule stands on it, which is not dropped for that; change it by hand"
                ) from exc
            kind = "add column" if change.before is None else "widen column"
            cursor.execute(
                _SQL["insert_schema_change"],
                {
                    "target": contract.target,
                    "kind": kind,
                    "ddl": shown(cursor, change),
                    "run_id": run_id,
                    "actor": settings.actor,
                    "before": json.dumps({change.column: change.before}),
                    "after": json.dumps({change.column: change.after}),
                },
            )
    for change in made:
        log.info("table changed", extra={"facts": {"target": contract.target, "column": change.column}})


def _who_uses(connection: Connection, settings: Settings, contract: Contract) -> str:
    with transaction(connection, settings) as cursor:
        cursor.execute(_SQL["users_of_table"], {"schema": contract.schema, "table": contract.table})
        users = [f"backend {pid} ({name})" if name else f"backend {pid}" for pid, name in cursor.fetchall()]
    by = f" by {', '.join(users)}" if users else ""
    return (
        f"{contract.target} needs a change and was in use{by} at each of {TRIES} tries; nobody was to wait behind this for "
        f"more than {LOCK_SECONDS:g} s, so try again once it is free"
    )


def shown(cursor: Cursor, change: Change) -> str:
    """The statement as a person would write it."""
    return f"{change.statement.as_string(cursor)};"


def stand_in(
    cursor: Cursor, contract: Contract, live: dict[str, str], pending: Sequence[Change]
) -> sql.Composable | None:
    """What a plan judges against while the table is not there (an empty one) or lacks columns (a view that has them)."""
    added = {change.column: change.after for change in pending if change.before is None}
    name = sql.Identifier(ABSENT.strings[-1])
    if not live:
        spec = (
            sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(pg_type))
            for column, pg_type in target_columns(contract).items()
        )
        cursor.execute(
            sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(name, sql.SQL(", ").join(spec))
        )
    elif added:
        nothing = (
            sql.SQL("NULL::{} AS {}").format(sql.SQL(pg_type), sql.Identifier(column))
            for column, pg_type in added.items()
        )
        cursor.execute(
            sql.SQL("CREATE TEMP VIEW {} AS SELECT t.tableoid, t.ctid, t.*, {} FROM {} t").format(
                name, sql.SQL(", ").join(nothing), target_name(contract)
            )
        )
    else:
        return None
    return ABSENT
