"""Load: one run's rows into the target, with everything the ledger says of them, in one transaction."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Literal

import pyarrow as pa
from psycopg2 import sql

from haulier.digests import definition_digest
from haulier.errors import DataError, TransientError
from haulier.exchange import Exchange, open_exchange
from haulier.landing.attempts import Attempt, acquire, own_or_stop, recorded, settle
from haulier.landing.catalogue import live_columns
from haulier.landing.closing import close_superseded, close_unmade
from haulier.landing.closing import settle as settle_queries
from haulier.landing.drift import unfit
from haulier.landing.evolving import shown, stand_in
from haulier.landing.indexes import analyze_if_large
from haulier.landing.merge import Account, Content, Merge
from haulier.landing.names import STAGE
from haulier.landing.rejects import insert_rejects, own_rejects
from haulier.landing.table import ddl, ensure
from haulier.landing.writing import checked_table, would_make, write
from haulier.ledger.connection import Connection, Cursor, connect, driver_errors, limit_idle, transaction
from haulier.ledger.queries import queries
from haulier.ledger.runs import current_generation
from haulier.manifest import Manifest, recorded_versions
from haulier.parts import row_groups
from haulier.sealing import read_manifest
from haulier.shards import read_transformed
from haulier.task import Ending, Outcome, Task
from haulier_load.modes import mode_of
from haulier_load.replays import Replayed
from haulier_load.sealed import keep_replayed_flags, keep_sealed, sealed_rejects, stage_sealed
from haulier_load.sharded import drop_settled_stages, stage_shard, staged_whole
from haulier_load.staging import copy_rows, create_stage

_SQL = queries("haulier.landing", "load.sql")


def load(task: Task) -> Outcome:
    """Bring the run's content into its target, once; already there is done. Of a shard: stage it.

    Raises `FencedError` when a newer attempt or generation owns the run, `DataError` for parts that
    are not what the manifest says, `TransientError` when PostgreSQL or the exchange is unavailable
    and the ledger does not show that the commit happened.
    """
    exchange = open_exchange(task.settings)
    content = task.content
    if content is None:
        _, generation = current_generation(task.settings, task.pipeline, task.instance, task.interval)
        content = f"g{generation}"
    if task.shard is None:
        manifest = read_transformed(exchange, task.keys(content), task.attempt)
    else:
        manifest = read_manifest(exchange, task.keys(content), "transform")
    with connect(task.settings, f"haulier load {task.attempt}") as connection:
        if task.shard is not None:
            return stage_shard(connection, task, exchange, manifest)
        attempt = acquire(connection, task, manifest)
        ensure(connection, task.settings, manifest.contract, manifest.definition.load.drift, manifest.run_id)
        loading = _Load(task, exchange, manifest, attempt)
        try:
            with driver_errors():
                outcome = loading.commit(connection)
        except TransientError as exc:
            return settle(task, attempt, exc, lambda cursor: recorded(cursor, attempt, manifest))
        if loading.written is not None:
            analyze_if_large(connection, task.settings, manifest.contract, loading.written)
        if manifest.definition.split:
            drop_settled_stages(connection, task)
        return outcome


def plan(task: Task) -> Outcome:
    """Count by SELECT what a load would do; nothing outlives the transaction."""
    exchange = open_exchange(task.settings)
    manifest = read_manifest(exchange, task.keys("plan"), "transform")
    contract = manifest.contract
    with connect(task.settings, "haulier plan") as connection:
        with transaction(connection, task.settings) as cursor:
            live, pending, tree = checked_table(cursor, contract, manifest.definition.load.drift)
            attempt = Attempt(
                run_id=manifest.run_id,
                generation=manifest.generation,
                replay_id=None,
                fence=0,
                content="plan",
            )
            planned = _Load(task, exchange, manifest, attempt)
            merge = planned.judge(cursor, stand_in(cursor, contract, live, pending))
            outcome = planned.outcome_of(merge)
            statements = (
                [shown(cursor, change) for change in pending]
                if live
                else [f"{statement};" for statement in ddl(contract)]
            )
            if outcome == "loaded":
                statements += would_make(cursor, contract, merge, tree)
            connection.rollback()
        return Outcome(
            outcome="planned",
            generation=manifest.generation,
            content="plan",
            models=len(manifest.definition.models) or None,
            counts={**asdict(merge.account), "would_be": outcome, "target": contract.target},
            notes=tuple(statements),
        )


class _Load:
    """One attempt at the load transaction."""

    def __init__(self, task: Task, exchange: Exchange, manifest: Manifest, attempt: Attempt) -> None:
        self._task = task
        self._exchange = exchange
        self._manifest = manifest
        self._contract = manifest.contract
        self._attempt = attempt
        self._replayed = Replayed()
        #: What the earlier steps rejected of a replay; of that, what it was not asked for, such as one output of a row.
        self._sealed: list[pa.Table] = []
        self._new_rejects: list[pa.Table] = []
        self._started_at = datetime.now(UTC)
        #: What was written to the target; None: nothing.
        self.written: Account | None = None
        self._notes: list[str] = []
        #: Whether its files hold all that there was before them.
        self._is_everything = False

    def commit(self, connection: Connection) -> Outcome:
        with transaction(connection, self._task.settings, may_idle=True) as cursor:
            cursor.execute(_SQL["lock_fence"], {"fence": self._attempt.fence})
            merge = self._stage(cursor)
            # Everything above ran without a lock that anybody waits for, however slow the exchange was.
            limit_idle(cursor, self._task.settings)
            cursor.execute(_SQL["lock_target"], {"target": self._contract.target})
            found = recorded(cursor, self._attempt, self._manifest)
            if found is not None:
                return found
            own_or_stop(cursor, self._attempt)
            self._judge(cursor, merge)
            return self._record(cursor, merge)

    def judge(self, cursor: Cursor, target: sql.Composable | None) -> Merge:
        """Everything but writing, for a plan, against the target or what stands in for it."""
        merge = self._stage(cursor)
        merge.stand_in = target
        self._judge(cursor, merge)
        return merge

    def outcome_of(self, merge: Merge) -> Literal["loaded", "quarantined"]:
        """`loaded`, or `quarantined` when too large a share of the rows was rejected or would go."""
        if self._rejects_too_much(merge) or merge.takes_too_much:
            return "quarantined"
        return "loaded"

    def _rejects_too_much(self, merge: Merge) -> bool:
        manifest = self._manifest
        if manifest.replay_id is not None:
            return False
        rejected = merge.unread + merge.account.rejected
        judged = merge.unread + merge.account.produced
        return rejected > manifest.definition.load.reject_threshold * judged

    def _stage(self, cursor: Cursor) -> Merge:
        manifest = self._manifest
        stage = self._shared_stage(cursor) or self._own_stage(cursor)
        stage_sealed(cursor, self._exchange, manifest)
        if manifest.replay_id is not None:
            self._sealed = list(sealed_rejects(self._exchange, manifest))
        saying = manifest.definition.load
        merge = mode_of(saying, self._contract)(
            cursor=cursor,
            contract=self._contract,
            content=Content.of(manifest),
            stage=stage,
            removal_threshold=saying.removal_threshold,
            unread=sum(account.rejected for account in manifest.accounts),
        )
        merge.account.produced = manifest.produced
        merge.account.rejected = manifest.rejected_outputs
        return merge

    def _shared_stage(self, cursor: Cursor) -> sql.Identifier | None:
        if self._task.verb == "plan" or self._manifest.replay_id is not None:
            return None
        return staged_whole(cursor, self._manifest)

    def _own_stage(self, cursor: Cursor) -> sql.Identifier:
        manifest = self._manifest
        create_stage(cursor, self._contract)
        copied = copy_rows(
            cursor, self._contract, manifest.deliveries, row_groups(self._exchange, manifest.parts)
        )
        if copied != manifest.rows:
            raise DataError(
                f"the manifest promises {manifest.rows} rows and its parts hold {copied}; open a new generation: "
                "extract with --reprocess"
            )
        return STAGE

    def _judge(self, cursor: Cursor, merge: Merge) -> None:
        manifest, attempt = self._manifest, self._attempt
        values = attempt.values(self._contract)
        if manifest.replay_id is not None:
            self._replayed = Replayed.find(cursor, manifest.replay_id)
            self._new_rejects = [self._replayed.failing(table) for table in self._sealed]
            sealed = sum(table.num_rows for table in self._sealed)
            merge.account.produced = manifest.rows + sealed
            merge.account.rejected = len(self._replayed.failed) + sum(t.num_rows for t in self._new_rejects)
            # The rest somebody else resolved since the replay was asked for.
            merge.account.duplicate += sealed - merge.account.rejected
            merge.leave_out_rows(self._replayed.resolved)
        live = live_columns(cursor, self._contract)
        merge.unfit = unfit(self._contract, live, manifest.definition.load.drift)
        deliveries = [d.delivery_id for d in manifest.deliveries]
        cursor.execute(_SQL["loaded_by_another_run"], {**values, "deliveries": deliveries})
        leave_out = [delivery_id for (delivery_id,) in cursor.fetchall()]
        merge.judge(leave_out)
        files = manifest.definition.source.files
        is_whole = manifest.replay_id is None and bool(deliveries) and not leave_out
        self._is_everything = bool(files and files.content == "cumulative" and is_whole)
        if self._is_everything:
            merge.count_vanished()
        if manifest.replay_id is not None and merge.takes_too_much:
            raise DataError(self._too_much(merge))

    def _record(self, cursor: Cursor, merge: Merge) -> Outcome:
        task, manifest, attempt = self._task, self._manifest, self._attempt
        outcome = self.outcome_of(merge)
        if outcome == "quarantined":
            merge.quarantine()
        account = merge.account
        account.close()
        exit_code = 0 if outcome == "loaded" else DataError.exit_code
        cursor.execute(_SQL["next_load"])
        (load_id,) = cursor.fetchone() or (0,)
        values = {
            **attempt.values(self._contract),
            "load_id": load_id,
            "kind": "run" if manifest.replay_id is None else "replay",
            "input_digest": manifest.input_digest,
            "manifest": task.keys(attempt.content).manifest("transform"),
            "definition_digest": definition_digest(manifest.definition, self._contract),
            "outcome": outcome,
            "exit_code": exit_code,
            "mode": manifest.definition.load.mode,
            "fence": attempt.fence,
            "attempt": task.attempt,
            "actor": task.settings.actor,
            "versions": json.dumps(recorded_versions(manifest)),
            "started_at": self._started_at,
            "owner": manifest.definition.owner,
            "deliveries": [d.delivery_id for d in manifest.deliveries],
            "pipeline": manifest.pipeline,
            "merged": [model.target for model in manifest.definition.models if model.contract],
            **asdict(account),
        }
        cursor.execute(_SQL["insert_load"], values)
        if manifest.replay_id is None:
            for source in manifest.accounts:
                cursor.execute(
                    _SQL["insert_account"],
                    {"load_id": load_id, **{f: getattr(source, f) for f in source.__struct_fields__}},
                )
        if outcome == "loaded":
            write(cursor, self._contract, merge, load_id, task.settings.actor)
            self._advance(cursor, load_id)
            self.written = account
        self._record_rejects(cursor, merge, values)
        cursor.execute(_SQL["insert_link"], values)
        if manifest.replay_id is None:
            # Its models close it: until then a changed definition still opens a new generation.
            status = "open" if outcome == "loaded" and manifest.definition.models else outcome
            cursor.execute(_SQL["mark_run"], {**values, "status": status})
        return self._outcome(outcome, exit_code, load_id, merge)

    def _advance(self, cursor: Cursor, load_id: int) -> None:
        """Say how far the source is read, in the transaction of the rows themselves."""
        if self._manifest.replay_id is not None:
            return
        for position in [d.position for d in self._manifest.deliveries if d.position]:
            values = {
                "pipeline": self._manifest.pipeline,
                "instance": self._manifest.instance,
                "name": position.name,
                "start": None if position.start is None else json.dumps(position.start),
                "end": json.dumps(position.end),
                "load_id": load_id,
            }
            cursor.execute(_SQL["advance_state"], values)
            if not cursor.rowcount:
                self._notes.append(
                    f"the position {position.name} was moved since this run read; it stays: see haulier state show"
                )

    def _record_rejects(self, cursor: Cursor, merge: Merge, values: dict[str, object]) -> None:
        load_id = values["load_id"]
        assert isinstance(load_id, int)
        if self._manifest.replay_id is None:
            close_superseded(cursor, values, is_everything=self._is_everything)
            if values["outcome"] == "loaded":
                # Here and not with the models, since there may be none left whose link would seal it.
                close_unmade(cursor, values)
            keep_sealed(cursor, load_id, flags=values["outcome"] == "loaded")
            insert_rejects(
                cursor, load_id, own_rejects(cursor, self._exchange, self._manifest, merge.rejected)
            )
            settle_queries(cursor, values, is_everything=self._is_everything)
        else:
            own = [
                self._replayed.failing(table)
                for table in own_rejects(cursor, self._exchange, self._manifest, merge.rejected)
            ]
            self._replayed.record(cursor, load_id)
            insert_rejects(cursor, load_id, [*self._new_rejects, *own])
            keep_replayed_flags(cursor, load_id)

    def _outcome(self, outcome: Ending, exit_code: int, load_id: int, merge: Merge) -> Outcome:
        account = merge.account
        counts: dict[str, object] = {"load": load_id, **asdict(account)}
        if self._manifest.replay_id is not None:
            counts["failed_again"] = len(self._replayed.failed)
        notes = tuple(self._notes)
        if outcome == "quarantined" and merge.takes_too_much:
            notes += (self._too_much(merge),)
        elif outcome == "quarantined":
            notes += (
                f"more than {self._manifest.definition.load.reject_threshold:.1%} of the rows were rejected, so none entered "
                f"{self._contract.target}; see: haulier rejects list --pipeline {self._manifest.pipeline} "
                f"--instance {self._manifest.instance}",
            )
        if account.vanished and outcome == "loaded":
            notes += (_of_vanished(account, merge),)
        return Outcome(
            outcome=outcome,
            exit_code=exit_code,
            generation=self._attempt.generation,
            replay=self._attempt.replay_id,
            content=self._attempt.content,
            models=len(self._manifest.definition.models) or None,
            counts=counts,
            manifest=self._task.keys(self._attempt.content).manifest("transform"),
            notes=notes,
        )

    def _too_much(self, merge: Merge) -> str:
        manifest, target = self._manifest, self._contract.target
        limit, share = merge.removal_threshold or 0, merge.going / merge.standing
        why = (
            f"more than load.removal_threshold, {limit:.2%}, lets go"
            if share > limit
            else "and what holds no row never takes any away"
        )
        again = (
            f"haulier run --pipeline {manifest.pipeline} --instance {manifest.instance} "
            f"--interval-start {manifest.interval_start.isoformat()} --interval-end {manifest.interval_end.isoformat()} "
            "--reprocess REASON"
            if manifest.replay_id is None
            else "replay"
        )
        return (
            f"{merge.going} of the {merge.standing} rows that this instance has in {target} are no longer sent, {share:.2%}: "
            f"{why}, so nothing in {target} changed. If the source is wrong, have it sent anew; if they are really gone, "
            f"raise the threshold; then: {again}"
        )


def _of_vanished(account: Account, merge: Merge) -> str:
    said = f"{account.vanished} keys of this instance are no longer in its cumulative files; "
    if account.removed:
        return said + ("marked as deleted" if merge.contract.deleted_at else "removed")
    if merge.removal_threshold is None:
        return said + "kept"
    return said + "kept, since rows of this run were rejected and may be theirs"
