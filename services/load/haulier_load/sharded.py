"""A run in shards: each is copied by a task of its own into one UNLOGGED table, which the closing load merges.

The table is a short cut and never believed: what is not there whole (a shard left out, a server that
crashed and emptied it) the closing load copies itself.
"""

from __future__ import annotations

import contextlib

import psycopg2.errors
from psycopg2 import sql

from haulier.errors import DataError, FencedError, HaulierError, TransientError
from haulier.exchange import Exchange
from haulier.ledger.connection import Connection, Cursor, driver_errors, limit_idle, transaction
from haulier.ledger.queries import queries
from haulier.logs import log
from haulier.manifest import Manifest
from haulier.parts import row_groups
from haulier.task import Outcome, Task
from haulier_load.staging import SHARD, copy_rows, create_shared_stage

_SQL = queries("haulier_load", "sharded.sql")
_SCHEMA = "haulier_stage"


def stage_shard(connection: Connection, task: Task, exchange: Exchange, manifest: Manifest) -> Outcome:
    """Copy one shard beside the others of its run, once.

    No attempt waits for another: each copies rows that nobody sees, and the first to record its shard
    keeps them. Raises `FencedError` when the run has moved on to a newer generation.
    """
    with driver_errors():
        rows = None
        if _prepared(connection, task, manifest):
            try:
                rows = _copied(connection, task, exchange, manifest)
            except psycopg2.errors.UndefinedTable as exc:
                # An attempt that slept until its run was loaded finds the stage gone.
                if _prepared(connection, task, manifest):
                    raise TransientError(
                        f"the stage of run {manifest.run_id} was dropped while shard {task.shard} was on its way; try again"
                    ) from exc
    return Outcome(
        outcome="already done" if rows is None else "staged",
        generation=manifest.generation,
        content=manifest.content,
        counts={"shard": task.shard, **({} if rows is None else {"staged": rows})},
        manifest=task.keys(manifest.content).manifest("transform"),
    )


def _prepared(connection: Connection, task: Task, manifest: Manifest) -> bool:
    """Have the run's stage; ``False``: the shard, or the whole run, is in PostgreSQL already."""
    values = {"run_id": manifest.run_id, "generation": manifest.generation, "shard": task.shard}
    with transaction(connection, task.settings) as cursor:
        _own_or_stop(cursor, manifest, values)
        cursor.execute(_SQL["is_settled"], values)
        if (cursor.fetchone() or (False,))[0]:
            return False
        cursor.execute(_SQL["lock_stages"])
        create_shared_stage(cursor, manifest.contract, _stage_of(manifest))
    return True


def _copied(connection: Connection, task: Task, exchange: Exchange, manifest: Manifest) -> int | None:
    """The rows that count from here on; ``None``: another attempt was first, and these do not."""
    stage = _stage_of(manifest)
    with transaction(connection, task.settings, may_idle=True) as cursor:
        parts = row_groups(exchange, manifest.parts)
        rows = copy_rows(cursor, manifest.contract, manifest.deliveries, parts, stage, task.shard)
        if rows != manifest.rows:
            raise DataError(
                f"the manifest promises {manifest.rows} rows and its parts hold {rows}; open a new generation: "
                "extract with --reprocess"
            )
        limit_idle(cursor, task.settings)
        values = {
            "run_id": manifest.run_id,
            "generation": manifest.generation,
            "shard": task.shard,
            "rows": rows,
            "parts": [part.key for part in manifest.parts],
            "attempt": task.attempt,
        }
        cursor.execute(_SQL["record_shard"], values)
        if not cursor.rowcount:
            connection.rollback()
            return None
    return rows


def staged_whole(cursor: Cursor, manifest: Manifest) -> sql.Identifier | None:
    """The run's stage, when it holds every row of these parts and no other; else the caller copies them.

    Once all shards are recorded no row can be added: who comes late cannot record its shard again.
    """
    values = {"run_id": manifest.run_id, "generation": manifest.generation}
    cursor.execute(_SQL["recorded_shards"], values)
    recorded = cursor.fetchall()
    if not recorded:
        return None
    stage = _stage_of(manifest)
    expected = {shard: rows for shard, rows, _ in recorded if rows}
    keys = sorted(key for *_, parts in recorded for key in parts)
    found: dict[int, int] = {}
    if keys == sorted(part.key for part in manifest.parts) and _exists(cursor, stage):
        cursor.execute(sql.SQL(_SQL["count_shards"]).format(shard=sql.Identifier(SHARD), stage=stage))
        found = dict(cursor.fetchall())
    if found != expected:
        log.warning("the stage is not whole; copying its shards again", extra={"facts": values})
        return None
    return stage


def drop_settled_stages(connection: Connection, task: Task) -> None:
    """Remove the stages of runs that were loaded or moved on.

    Housekeeping: what cannot be removed now, such as one that a frozen attempt holds, is left to the next.
    """
    try:
        with driver_errors():
            _drop_settled_stages(connection, task)
    except HaulierError as exc:
        log.warning("stages were left to the next load", extra={"facts": {"reason": str(exc)}})


def _drop_settled_stages(connection: Connection, task: Task) -> None:
    with transaction(connection, task.settings) as cursor:
        cursor.execute(_SQL["settled_stages"])
        settled = cursor.fetchall()
    for run_id, generation in settled:
        with (
            contextlib.suppress(psycopg2.errors.LockNotAvailable),
            transaction(connection, task.settings) as cursor,
        ):
            cursor.execute("SET LOCAL lock_timeout = '1s'")
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_stage(run_id, generation)))
            cursor.execute(_SQL["forget_shards"], {"run_id": run_id, "generation": generation})


def _stage_of(manifest: Manifest) -> sql.Identifier:
    return _stage(manifest.run_id, manifest.generation)


def _stage(run_id: int, generation: int) -> sql.Identifier:
    return sql.Identifier(_SCHEMA, f"run_{run_id}_g{generation}")


def _own_or_stop(cursor: Cursor, manifest: Manifest, values: dict[str, int | None]) -> None:
    cursor.execute(_SQL["generation_of_run"], values)
    found = cursor.fetchone()
    if found is None:
        raise DataError(f"the ledger has no run {manifest.run_id}; the exchange belongs to another ledger")
    if found[0] != manifest.generation:
        raise FencedError(
            f"run {manifest.run_id} is at generation {found[0]}; this task hauls {manifest.generation} and stops"
        )


def _exists(cursor: Cursor, stage: sql.Identifier) -> bool:
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [".".join(stage.strings)])
    return bool((cursor.fetchone() or (False,))[0])
