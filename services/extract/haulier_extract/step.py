"""Extract: reserve what is new, keep it as it is, hand it on as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import haulier
from haulier import keys as naming
from haulier.contracts import Contract
from haulier.definitions import Instance
from haulier.errors import DataError, NothingNew
from haulier.exchange import Exchange, ObjectMissing, open_exchange
from haulier.keys import RunKeys
from haulier.ledger.connection import Connection, connect
from haulier.ledger.reservations import Candidate, Reservation, known, reserve, reserved_for_replay
from haulier.loading import definition_digest, load_pipeline, resolve
from haulier.logs import log
from haulier.manifest import Manifest, facts
from haulier.originals import keep
from haulier.parts import PartWriter
from haulier.rows import REJECT_SCHEMA
from haulier.sealing import digest_of, read_manifest, seal
from haulier.task import Outcome, Task
from haulier_extract.reading import Reading, read
from haulier_extract.sources import SOURCES


def extract(task: Task) -> Outcome:
    """Seal the run's content as text; already sealed or loaded is done.

    Raises `DefinitionError` before anything is touched, `DataError` for a file that contradicts its
    own footer, `TransientError` when the ledger or the exchange is unavailable.
    """
    return _Extract(task).run()


def plan(task: Task) -> Outcome:
    """The same into a folder, with nothing reserved."""
    return _Extract(task).run()


@dataclass
class _Extract:
    task: Task

    def run(self) -> Outcome:
        task = self.task
        instance, contract = resolve(load_pipeline(task.settings.definitions, task.pipeline), task.instance)
        exchange = open_exchange(task.settings)
        with connect(task.settings, f"haulier extract {task.attempt}") as connection:
            reservation = self._reserve(connection, exchange, instance, contract)
        if reservation.status == "empty":
            return self._outcome("empty", reservation, exit_code=NothingNew.exit_code)
        content = task.content or f"g{reservation.generation}"
        keys = task.keys(content)
        if reservation.status == "quarantined":
            raise DataError(
                f"generation {reservation.generation} of {task.pipeline}/{task.instance} {task.interval} is quarantined: too many "
                "of its rows were rejected; see haulier rejects, then send a corrected file or run with --reprocess REASON"
            )
        manifest = _sealed(exchange, keys)
        if manifest is None and reservation.status == "done":
            return self._outcome("already done", reservation)
        if manifest is None:
            manifest = seal(exchange, keys, self._read(exchange, keys, reservation, instance, contract))
        outcome = {"done": "already done"}.get(
            reservation.status, "planned" if task.verb == "plan" else "sealed"
        )
        return self._outcome(outcome, reservation, manifest=manifest, key=keys.manifest("extract"))

    def _reserve(
        self, connection: Connection, exchange: Exchange, instance: Instance, contract: Contract
    ) -> Reservation:
        """What this run hauls; new files are kept in the exchange before the ledger hears of them."""
        task = self.task
        if task.replay is not None:
            return reserved_for_replay(connection, task)
        found = SOURCES["files"](instance, task.interval, task.settings)
        uris = [file.uri for file in found.files]
        recorded = known(connection, task.settings, task.pipeline, task.instance, uris) if uris else {}
        waiting = list(found.waiting)
        candidates = []
        for file in found.files:
            if file.uri in recorded and recorded[file.uri][0] == file.sha256 and task.verb == "run":
                continue
            key = naming.original(task.pipeline, task.instance, file.sha256)
            if not keep(exchange, key, file.path, sha256=file.sha256, size=file.bytes):
                waiting.append(f"{file.uri} waits: it changed while it was read")
                continue
            candidates.append(
                Candidate(
                    logical_name=file.logical_name,
                    uri=file.uri,
                    sha256=file.sha256,
                    bytes=file.bytes,
                    modified_at=file.modified_at,
                    original=key,
                )
            )
        reservation = reserve(
            connection,
            task,
            definition_digest=definition_digest(instance, contract),
            candidates=candidates,
            copies=instance.source.files.copies,
            preview=task.verb == "plan",
        )
        return replace(reservation, notes=(*waiting, *reservation.notes))

    def _read(
        self,
        exchange: Exchange,
        keys: RunKeys,
        reservation: Reservation,
        instance: Instance,
        contract: Contract,
    ) -> Manifest:
        """Every reserved delivery, from its kept original: each attempt reads exactly what was reserved."""
        task = self.task
        reading = Reading(
            csv=instance.source.csv,
            batch_rows=task.settings.batch_rows,
            batch_bytes=task.settings.batch_bytes,
        )
        rejects = PartWriter(exchange, keys, "extract", task.attempt, REJECT_SCHEMA, kind="reject")
        parts, accounts, notes, rules = [], [], list(reservation.notes), Counter[str]()
        for position, delivery in enumerate(reservation.deliveries):
            got = read(exchange, keys, task.attempt, reading, delivery, position, rejects)
            parts += got.parts
            accounts.append(got.account)
            notes += got.notes
            rules.update(got.rules)
        return Manifest(
            step="extract",
            run_id=reservation.run_id,
            pipeline=task.pipeline,
            instance=task.instance,
            interval_start=task.interval.start,
            interval_end=task.interval.end,
            content=keys.content,
            generation=reservation.generation,
            replay_id=reservation.replay_id,
            attempt=task.attempt,
            created_at=datetime.now(UTC),
            input_digest=digest_of(
                "extract",
                keys.content,
                [(d.logical_name, d.sequence, d.sha256, d.replayed) for d in reservation.deliveries],
                definition_digest(instance, contract),
            ),
            versions={"haulier": haulier.__version__},
            definition=instance,
            contract=contract,
            deliveries=reservation.deliveries,
            accounts=tuple(accounts),
            parts=tuple(parts),
            rejects=rejects.close(),
            produced=sum(part.rows for part in parts),
            rules=dict(rules),
            notes=tuple(notes),
        )

    def _outcome(
        self,
        outcome: str,
        reservation: Reservation,
        *,
        exit_code: int = 0,
        manifest: Manifest | None = None,
        key: str | None = None,
    ) -> Outcome:
        notes = manifest.notes if manifest else reservation.notes
        for note in notes:
            log.info(note)
        return Outcome(
            outcome=outcome,
            exit_code=exit_code,
            generation=reservation.generation,
            replay=reservation.replay_id,
            content=manifest.content if manifest else None,
            counts=facts(manifest) if manifest else {"deliveries": len(reservation.deliveries)},
            manifest=key,
            notes=notes,
        )


def _sealed(exchange: Exchange, keys: RunKeys) -> Manifest | None:
    if keys.content == "plan":
        return None
    try:
        return read_manifest(exchange, keys, "extract")
    except ObjectMissing:
        return None
