"""A run's SQL models, in order, with everything the ledger says of them, in one transaction."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from psycopg2 import sql
from psycopg2.extras import execute_values

from haulier.contracts import Contract
from haulier.errors import DataError, TransientError
from haulier.exchange import Exchange, open_exchange
from haulier.landing.attempts import Attempt, acquire, own_or_stop, settle
from haulier.landing.evolving import shown, stand_in
from haulier.landing.indexes import analyze_if_large
from haulier.landing.merge import Account
from haulier.landing.names import SYSTEM_COLUMNS
from haulier.landing.table import ddl, ensure
from haulier.landing.writing import checked_table, would_make
from haulier.ledger.connection import Connection, Cursor, connect, driver_errors, transaction
from haulier.ledger.queries import queries
from haulier.ledger.runs import current_generation
from haulier.manifest import Manifest
from haulier.parts import row_groups
from haulier.rows import DELIVERY, ROW
from haulier.sealing import read_manifest
from haulier.task import Ending, Outcome, Task
from haulier_transform.models import standing
from haulier_transform.models.merging import Merging
from haulier_transform.models.parsing import ReadModel, in_order, read_model

_SQL = queries("haulier_transform.models", "models.sql")
_LEDGER = queries("haulier.landing", "load.sql")
_COUNTS = ("produced", "inserted", "updated", "unchanged", "superseded", "duplicate", "rejected", "held")
_PLAN_RAW = sql.Identifier("pg_temp", "haulier_raw")


def build(task: Task) -> Outcome:
    """Build the models of the run's content, once; already there is done.

    Raises `DefinitionError` for a model that cannot work, `DataError` for SQL that a value makes fail,
    `FencedError` when a newer attempt or generation owns the run, `TransientError` when load has not
    brought the raw rows yet or a server is unavailable. Nothing of any model is kept then.
    """
    exchange = open_exchange(task.settings)
    content = task.content
    if content is None:
        _, generation = current_generation(task.settings, task.pipeline, task.instance, task.interval)
        content = f"g{generation}"
    manifest = read_manifest(exchange, task.keys(content), "extract")
    ordered = in_order(read_model(model) for model in manifest.definition.models)
    if not ordered:
        return _outcome(manifest, "already done", {}, ("this run was sealed without models",))
    with connect(task.settings, f"haulier models {task.attempt}") as connection:
        attempt = acquire(connection, task, manifest, step="models")
        for contract in _contracts(ordered):
            ensure(connection, task.settings, contract, manifest.definition.load.drift, manifest.run_id)
        building = _Building(task, exchange, manifest, attempt, ordered)
        try:
            with driver_errors():
                outcome = building.commit(connection)
        except TransientError as exc:
            return settle(task, attempt, exc, building.recorded)
        for contract, account in building.written:
            analyze_if_large(connection, task.settings, contract, account)
        return outcome


class _Building:
    """One attempt at the models' transaction."""

    def __init__(
        self, task: Task, exchange: Exchange, manifest: Manifest, attempt: Attempt, ordered: list[ReadModel]
    ) -> None:
        self._task = task
        self._exchange = exchange
        self._manifest = manifest
        self._ordered = ordered
        self._values: dict[str, Any] = {
            **attempt.values(manifest.contract),
            "fence": attempt.fence,
            "attempt": task.attempt,
            "actor": task.settings.actor,
            "manifest": task.keys(attempt.content).manifest("extract"),
            "raw": manifest.contract.target,
            "pipeline": manifest.pipeline,
        }
        self._attempt = attempt
        #: What the merges wrote, each to its target.
        self.written: list[tuple[Contract, Account]] = []

    def commit(self, connection: Connection) -> Outcome:
        with transaction(connection, self._task.settings) as cursor:
            cursor.execute(_LEDGER["lock_fence"], {"fence": self._attempt.fence})
            # All at once and in one order, so that no two runs wait for each other. Each when its model begins would not do:
            # that order comes from references, and two definitions, or pipelines, that share targets may have it the
            # other way around. When it writes is too late: what a `table` reads would be older than what another
            # run wrote meanwhile, and take its place; and a merge judges against its target first.
            for target in sorted(read.model.target for read in self._ordered):
                cursor.execute(_LEDGER["lock_target"], {"target": target})
            found = self.recorded(cursor)
            if found is not None:
                return found
            own_or_stop(cursor, self._attempt)
            load_id = self._raw_load(cursor)
            if load_id is None:
                return _outcome(self._manifest, "quarantined", {}, (_RAW_QUARANTINED,))
            cursor.execute("SAVEPOINT before_models")
            _tell_run(cursor, self._manifest)
            raw = of_run(self._manifest.contract.target, load_id)
            counts: dict[str, Any] = {}
            for read in self._ordered:
                if read.model.contract is None:
                    counts[read.model.name] = self._stand(cursor, read)
                    continue
                merging = Merging(
                    cursor=cursor, exchange=self._exchange, manifest=self._manifest, read=read, raw=raw
                )
                merging.judge()
                if merging.is_over_threshold:
                    self.written.clear()
                    return self._quarantine(cursor, merging)
                load_id = merging.record({**self._values, "outcome": "loaded"})
                self.written.append((merging.contract, merging.merge.account))
                self._keep(cursor, read, "built", merging.merge.account.produced, load_id)
                counts[read.model.name] = _told(read, "built", asdict(merging.merge.account))
            self._mark(cursor, "loaded")
            return _outcome(self._manifest, "loaded", counts)

    def recorded(self, cursor: Cursor) -> Outcome | None:
        """What the ledger already holds of this content's models."""
        cursor.execute(_SQL["built"], self._values)
        found = cursor.fetchall()
        if not found:
            return None
        by_name = {read.model.name: read for read in self._ordered}
        counts, is_quarantined = {}, False
        for name, _, built, rows, outcome, _, *account in found:
            is_quarantined |= outcome == "quarantined"
            told = dict(zip(_COUNTS, account, strict=True)) if outcome else {"rows": rows}
            counts[name] = _told(by_name[name], built, told)
        return _outcome(self._manifest, "quarantined" if is_quarantined else "already done", counts)

    def _raw_load(self, cursor: Cursor) -> int | None:
        """The load that brought the raw rows; none: they were quarantined."""
        cursor.execute(_SQL["loaded"], self._values)
        found = cursor.fetchone()
        if found is None:
            raise TransientError(
                f"load has not brought the rows of run {self._manifest.run_id} into {self._manifest.contract.target} yet; "
                "it must run first"
            )
        load_id, outcome, inserted = found
        if outcome != "loaded":
            return None
        if all(read.model.contract is None for read in self._ordered):
            return int(load_id)  # tables and views read what is there, whichever run brought it
        raw = self._manifest.contract.target
        cursor.execute(sql.SQL(_SQL["count_raw"]).format(raw=of_run(raw, load_id)))
        (there,) = cursor.fetchone() or (0,)
        if there != inserted:
            raise DataError(
                f"load {load_id} brought {inserted} rows into {raw} and {there} of them are there: no model may count without "
                "the others; bring them back (haulier restore, if they are archived), and run again"
            )
        return int(load_id)

    def _stand(self, cursor: Cursor, read: ReadModel) -> dict[str, Any]:
        built, rows = standing.stand(cursor, read, self._values)
        self._keep(cursor, read, built, rows, None)
        return _told(read, built, {} if rows is None else {"rows": rows})

    def _quarantine(self, cursor: Cursor, merging: Merging) -> Outcome:
        """No model of this run changes anything; the one that was past the threshold keeps its rejects."""
        cursor.execute("ROLLBACK TO SAVEPOINT before_models")
        read = merging.read
        load_id = merging.record({**self._values, "outcome": "quarantined"})
        self._keep(cursor, read, "quarantined", merging.merge.account.produced, load_id)
        self._mark(cursor, "quarantined")
        counts = {read.model.name: _told(read, "quarantined", asdict(merging.merge.account))}
        manifest = self._manifest
        note = (
            f"more than {manifest.definition.load.reject_threshold:.1%} of the rows of models/{read.model.name}.sql were "
            f"rejected, so no model of this run changed anything; see: haulier rejects list --pipeline {manifest.pipeline} "
            f"--instance {manifest.instance}"
        )
        return _outcome(manifest, "quarantined", counts, (note,))

    def _keep(
        self, cursor: Cursor, read: ReadModel, built: str, rows: int | None, load_id: int | None
    ) -> None:
        model = read.model
        values = {
            **self._values,
            "model": model.name,
            "materialized": model.materialized,
            "target": model.target,
            "reads": list(read.reads),
            "sql_digest": standing.sql_digest(read),
            "built": built,
            "rows": rows,
            "load_id": load_id,
        }
        cursor.execute(_SQL["insert_build"], values)

    def _mark(self, cursor: Cursor, status: str) -> None:
        if self._manifest.replay_id is None:
            cursor.execute(_LEDGER["mark_run"], {"run_id": self._manifest.run_id, "status": status})


def plan(task: Task) -> Outcome:
    """Count by SELECT what the merges would do with what transform's plan made; nothing outlives the transaction."""
    exchange = open_exchange(task.settings)
    extracted = read_manifest(exchange, task.keys("plan"), "extract")
    transformed = read_manifest(exchange, task.keys("plan"), "transform")
    ordered = in_order(read_model(model) for model in extracted.definition.models)
    counts: dict[str, Any] = {}
    notes: list[str] = []
    with (
        connect(task.settings, "haulier plan") as connection,
        driver_errors(),
        transaction(connection, task.settings) as cursor,
    ):
        _tell_run(cursor, extracted)
        if any(read.model.contract for read in ordered):
            _copy_raw(cursor, exchange, transformed)
        others = {read.model.target for read in ordered}
        for read in ordered:
            told: dict[str, Any] = {}
            if read.model.contract is None:
                notes.append(standing.ddl(cursor, read))
            elif waits := others.intersection(read.reads):
                notes.append(
                    f"models/{read.model.name}.sql reads {', '.join(sorted(waits))}, so it is not counted"
                )
            else:
                cursor.execute("SAVEPOINT before_model")
                told, statements = _planned(cursor, exchange, extracted, read)
                notes += statements
                cursor.execute("ROLLBACK TO SAVEPOINT before_model")
            counts[read.model.name] = _told(read, "planned", told)
        connection.rollback()
    return Outcome(
        outcome="planned",
        generation=extracted.generation,
        content="plan",
        counts={"models": counts},
        notes=tuple(notes),
    )


def _planned(
    cursor: Cursor,
    exchange: Exchange,
    manifest: Manifest,
    read: ReadModel,
) -> tuple[dict[str, Any], list[str]]:
    contract = read.model.contract
    assert contract is not None
    live, pending, tree = checked_table(cursor, contract, manifest.definition.load.drift)
    merging = Merging(cursor=cursor, exchange=exchange, manifest=manifest, read=read, raw=_PLAN_RAW)
    merging.judge(stand_in(cursor, contract, live, pending))
    told = {
        **asdict(merging.merge.account),
        "would_be": "quarantined" if merging.is_over_threshold else "loaded",
    }
    made = [shown(cursor, change) for change in pending] if live else [f"{one};" for one in ddl(contract)]
    if not merging.is_over_threshold:
        made += would_make(cursor, contract, merging.merge, tree)
    return told, made


def _copy_raw(cursor: Cursor, exchange: Exchange, transformed: Manifest) -> None:
    """The raw rows as load would bring them; a plan is of few rows, so no COPY is needed."""
    contract = transformed.contract
    own = SYSTEM_COLUMNS
    spec = [(c.name, c.pg_type) for c in contract.stored] + list(own.items())
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(pg_type)) for name, pg_type in spec
    )
    cursor.execute(sql.SQL("CREATE TEMP TABLE haulier_raw ({}) ON COMMIT DROP").format(columns))
    names = [c.name for c in contract.stored]
    statement = sql.SQL("INSERT INTO {} ({}) VALUES %s").format(
        _PLAN_RAW, sql.SQL(", ").join(map(sql.Identifier, [*names, DELIVERY, ROW]))
    )
    ids = [d.delivery_id for d in transformed.deliveries]
    for table in row_groups(exchange, transformed.parts):
        rows = [[*(row[name] for name in names), ids[row[DELIVERY]], row[ROW]] for row in table.to_pylist()]
        execute_values(cursor, statement, rows, page_size=1000)


def _tell_run(cursor: Cursor, manifest: Manifest) -> None:
    """What SQL may ask of the run with `current_setting('haulier.instance')`: its names and parameters."""
    told = {
        "pipeline": manifest.pipeline,
        "instance": manifest.instance,
        "interval_start": manifest.interval_start.isoformat(),
        "interval_end": manifest.interval_end.isoformat(),
        **{f"parameter.{name}": value for name, value in manifest.definition.parameters.items()},
    }
    for name, value in told.items():
        cursor.execute("SELECT set_config(%s, %s, true)", [f"haulier.{name}", value])


def of_run(table: str, load_id: int) -> sql.Composable:
    """What a merge sees of a table: the rows that one load wrote."""
    return sql.SQL(_SQL["of_run"]).format(
        table=sql.Identifier(*table.split(".", 1)), load_id=sql.Literal(load_id)
    )


_RAW_QUARANTINED = "the raw rows are quarantined, so there is nothing for the models to read"


def _contracts(ordered: list[ReadModel]) -> list[Contract]:
    return [read.model.contract for read in ordered if read.model.contract is not None]


def _told(read: ReadModel, built: str, more: dict[str, Any]) -> dict[str, Any]:
    model = read.model
    return {
        "materialized": model.materialized,
        "target": model.target,
        "reads": list(read.reads),
        "outcome": built,
        **more,
    }


def _outcome(
    manifest: Manifest, outcome: Ending, counts: dict[str, Any], notes: tuple[str, ...] = ()
) -> Outcome:
    return Outcome(
        outcome=outcome,
        exit_code=DataError.exit_code if outcome == "quarantined" else 0,
        generation=manifest.generation,
        replay=manifest.replay_id,
        content=manifest.content,
        counts={"models": counts} if counts else {},
        notes=notes,
    )
