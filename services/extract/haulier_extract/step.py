"""Extract: keep what is new as it is, reserve it, and hand it on as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pyarrow as pa

import haulier
from haulier.approvals import approved
from haulier.contracts import Contract
from haulier.definitions import Instance
from haulier.digests import definition_digest, digest_of
from haulier.errors import DataError, FencedError, NothingNew
from haulier.exchange import Exchange, ObjectMissing, open_exchange
from haulier.keys import RunKeys
from haulier.ledger.reservations import Reservation
from haulier.loading import load_pipeline, resolve
from haulier.logs import log
from haulier.manifest import Manifest, Part, SourceAccount, facts
from haulier.parts import PartWriter
from haulier.rows import REJECT_SCHEMA, SYSTEM_FIELDS
from haulier.sealing import read_manifest, seal
from haulier.shards import shards_of
from haulier.task import Ending, Outcome, Task
from haulier_extract.ahead import ahead
from haulier_extract.cutting import Cut
from haulier_extract.formats import module_of
from haulier_extract.reserving import reserved
from haulier_extract.sources import source_versions


def extract(task: Task) -> Outcome:
    """Seal one run's content as text; what is sealed or loaded already is done.

    Raises `DefinitionError` before anything is touched, `DataError` for a file that contradicts
    itself and for a run that was quarantined, `FencedError` for a generation that is not the run's,
    and what the source, the exchange and the ledger raise.
    """
    return _hauled(task, "sealed")


def plan(task: Task) -> Outcome:
    """The same, in the folder that the task's settings name; nothing is reserved."""
    return _hauled(task, "planned")


def _hauled(task: Task, outcome: Ending) -> Outcome:
    file = load_pipeline(task.settings.definitions, task.pipeline)
    instance, contract = resolve(file, task.instance, task.interval.start)
    digest = definition_digest(instance, contract)
    # A plan is for whoever has yet to approve.
    approval, doubt = approved(file, task.settings) if task.verb == "run" else (None, None)
    instance = msgspec.structs.replace(instance, approval=approval)
    exchange = open_exchange(task.settings)
    reservation, waiting = reserved(task, exchange, instance, digest)
    if doubt:
        reservation = replace(reservation, notes=(*reservation.notes, doubt))
    for note in (*waiting, *([doubt] if doubt else [])):
        log.warning(note)
    if reservation.status == "empty":
        return _outcome("empty", reservation, waiting, exit_code=NothingNew.exit_code)
    _check(task, reservation)
    keys = task.keys(task.content or f"g{reservation.generation}")
    manifest = None if task.verb == "plan" else _sealed(exchange, keys)
    if reservation.status == "done" or manifest is not None:
        return _outcome("already done", reservation, waiting, keys, manifest)
    if task.verb == "plan":
        reservation = _at_hand(exchange, reservation)
    manifest = seal(exchange, keys, _read(task, exchange, keys, reservation, instance, contract, digest))
    return _outcome(outcome, reservation, waiting, keys, manifest)


def _check(task: Task, reservation: Reservation) -> None:
    run = f"{task.pipeline}/{task.instance} {task.interval}"
    if task.generation not in (None, reservation.generation) and task.verb == "run":
        raise FencedError(
            f"{run} is at generation {reservation.generation}, not {task.generation}; run extract without --generation"
        )
    if reservation.status == "quarantined":
        raise DataError(
            f"generation {reservation.generation} of {run} is already quarantined: too many of its rows were rejected, "
            "or too many of the table's are no longer sent (load.removal_threshold). See them with haulier rejects; then mend "
            "the definition or have the file corrected, and run it again",
            run_id=reservation.run_id,
            generation=reservation.generation,
        )


def _sealed(exchange: Exchange, keys: RunKeys) -> Manifest | None:
    """What an earlier attempt sealed of the same reservation."""
    try:
        return read_manifest(exchange, keys, "extract")
    except ObjectMissing:
        return None


def _at_hand(exchange: Exchange, reservation: Reservation) -> Reservation:
    """Without the deliveries whose files are no longer at the source: a plan keeps its own originals."""
    here = tuple(d for d in reservation.deliveries if exchange.size(d.original) is not None)
    gone = (
        f"{d.uri} is not at its source any more: not planned" for d in reservation.deliveries if d not in here
    )
    return replace(reservation, deliveries=here, notes=(*reservation.notes, *gone))


def _read(
    task: Task,
    exchange: Exchange,
    keys: RunKeys,
    reservation: Reservation,
    instance: Instance,
    contract: Contract,
    digest: str,
) -> Manifest:
    """Every reserved delivery, from its kept original: each attempt reads exactly what was reserved."""
    parts: list[Part] = []
    accounts: list[SourceAccount] = []
    headers: list[tuple[int, tuple[str, ...]]] = []
    notes = list(reservation.notes)
    rules: Counter[str] = Counter()
    form, settings = instance.source.format, task.settings
    cut = Cut(None if reservation.replay_id else instance.split, len(reservation.deliveries))
    rejects = PartWriter(exchange, keys, "extract", task.attempt, REJECT_SCHEMA, kind="reject")
    for position, delivery in enumerate(reservation.deliveries):
        wanted = None if delivery.replayed is None else [row for row, _ in delivery.replayed]
        reader = module_of(form).read(exchange, delivery, form, position=position, wanted=wanted)
        rows = PartWriter(exchange, keys, "extract", task.attempt, reader.schema)
        for batch in ahead(reader.batches(settings.batch_rows, settings.batch_bytes)):
            if batch.rows is not None:
                rows.write(batch.rows)
                if cut.filled(position, batch.rows.num_rows):
                    parts += rows.close()
                    cut.end(len(parts))
                    rows = PartWriter(exchange, keys, "extract", task.attempt, reader.schema)
            if batch.rejects is not None:
                rejects.write(batch.rejects)
        parts += rows.close()
        accounts.append(reader.account(delivery.delivery_id))
        columns = tuple(reader.schema.names[len(SYSTEM_FIELDS) :])
        if columns and not accounts[-1].accepted and wanted is None:
            headers.append((position, columns))
        notes += reader.notes
        rules += reader.rules
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
            digest,
        ),
        versions={
            "haulier": haulier.__version__,
            "pyarrow": pa.__version__,
            **source_versions(instance, settings),
        },
        definition=instance,
        contract=contract,
        deliveries=reservation.deliveries,
        accounts=tuple(accounts),
        parts=tuple(parts),
        headers=tuple(headers),
        shards=cut.shards(len(parts)),
        rejects=rejects.close(),
        produced=sum(part.rows for part in parts),
        rules=dict(rules),
        notes=tuple(notes),
    )


def _outcome(
    outcome: Ending,
    reservation: Reservation,
    waiting: tuple[str, ...],
    keys: RunKeys | None = None,
    manifest: Manifest | None = None,
    exit_code: int = 0,
) -> Outcome:
    counts = facts(manifest) if manifest else {"deliveries": len(reservation.deliveries)}
    notes = manifest.notes if manifest else ()
    return Outcome(
        outcome=outcome,
        exit_code=exit_code,
        generation=reservation.generation,
        replay=reservation.replay_id,
        content=keys.content if keys else None,
        shards=len(shards_of(manifest)) if manifest else 1,
        counts={**counts, "waiting": len(waiting)},
        manifest=keys.manifest("extract") if keys and manifest else None,
        notes=tuple(dict.fromkeys((*waiting, *reservation.notes, *notes))),
    )
