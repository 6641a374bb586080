"""What a run hauls: new files are kept in the exchange, then reserved in the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from haulier import keys
from haulier.definitions import Instance
from haulier.errors import DataError, DefinitionError, TransientError
from haulier.exchange import Exchange
from haulier.ledger.connection import connect
from haulier.ledger.replays import reserved_for_replay
from haulier.ledger.reservations import Candidate, Reservation, known, reserve
from haulier.ledger.runs import Standing, standing
from haulier.originals import keep
from haulier.task import Task
from haulier_extract.sources import Found, SourceFile, Vanished, find


def reserved(
    task: Task, exchange: Exchange, instance: Instance, definition_digest: str
) -> tuple[Reservation, tuple[str, ...]]:
    """The run's deliveries, and why other files wait for a later run.

    The ledger hears of a file when its original is kept. Raises what the source, the exchange and
    the ledger raise.
    """
    application = f"haulier extract {task.attempt}"
    if task.replay is not None:
        with connect(task.settings, application) as connection:
            return reserved_for_replay(connection, task), ()

    copies = instance.source.files.copies if instance.source.files else "load"

    def is_known(file: SourceFile) -> bool:
        with connect(task.settings, application) as connection:
            looked = reserve(
                connection,
                task,
                definition_digest=definition_digest,
                candidates=[_candidate(file, "")],
                copies=copies,
                preview=True,
            )
        return not looked.is_news

    stood: Standing | None = None
    found = Found(files=())
    if instance.source.as_it_stands:
        if task.interval.end > datetime.now(UTC) + _CLOCKS_APART:
            raise DefinitionError(
                f"the interval {task.interval} ends in the future, and {instance.source.place} is read as it stands: what it "
                "has now would pass for all of it, and no run would read before that end; name one that is over"
            )
        with connect(task.settings, application) as connection:
            stood = standing(connection, task, instance.source.position)
        if stood.may_read(task.reprocess, definition_digest):
            _unblocked(task, instance, stood)
            found = find(
                instance,
                task.interval,
                task.settings,
                stood.state,
                last=stood.last,
                preview=task.verb == "plan",
            )
        elif stood.generation == 0:
            found = Found(files=(), notes=(_LATER.format(later=stood.later),))
    else:
        found = find(instance, task.interval, task.settings, is_known=is_known)
    new: Sequence[SourceFile] = found.files
    if new and not found.whole and task.verb == "run":
        # A connection of its own: no connection stays open while files are sent.
        with connect(task.settings, application) as connection:
            uris = [file.uri for file in new]
            recorded = known(connection, task.settings, task.pipeline, task.instance, uris)
        digests = {uri: sha256 for uri, (sha256, _, _) in recorded.items()}
        new = [file for file in new if digests.get(file.uri) != file.sha256]
    unclear: list[str] = []
    if new and instance.source.identifiers:
        new, unclear = _cleared(task, instance, definition_digest, new)
    candidates, changed = _kept(task, exchange, new)
    with connect(task.settings, application) as connection:
        reservation = reserve(
            connection,
            task,
            definition_digest=definition_digest,
            candidates=candidates,
            copies=copies,
            preview=task.verb == "plan",
            stood=(instance.source.position, stood) if stood else None,
            replaces=found.whole,
        )
    return replace(reservation, notes=(*reservation.notes, *found.notes)), (
        *found.waiting,
        *unclear,
        *changed,
    )


#: How much a clock may be behind the one that schedules.
_CLOCKS_APART = timedelta(minutes=5)
_LATER = "not read: the later run of {later:%Y-%m-%d %H:%M}Z has read what this one would, and older versions would hide newer"


def _unblocked(task: Task, instance: Instance, stood: Standing) -> None:
    """Raises `TransientError` or `DataError` where a run before this one has not loaded what it read.

    What it holds lies behind the position this run would begin at, and the next position behind both.
    """
    if instance.source.position is None or stood.blocking is None:
        return
    interval, status = stood.blocking
    name = f"{task.pipeline}/{task.instance}"
    if status == "open":
        raise TransientError(
            f"the run {interval} of {name} has not loaded yet what it read, and this one goes on from there: "
            "let it end, or run it again; haulier state set leaves it behind"
        )
    raise DataError(
        f"the run {interval} of {name} is quarantined, and this one goes on from there: see haulier rejects, mend what is "
        "wrong, and run it again with --reprocess; haulier state set or reset leaves it behind",
    )


def _cleared(
    task: Task, instance: Instance, definition_digest: str, files: Iterable[SourceFile]
) -> tuple[list[SourceFile], list[str]]:
    """The files, all of which were searched, and why some wait. Raises `DataError` when one is refused: then none is kept."""
    # Its readers are needed here only, and take as long to import as all the rest.
    from haulier.ledger.refusals import record
    from haulier_extract.clearing import cleared, refusal

    clear, waiting, refused = cleared(files, instance, task.settings)
    if refused:
        if task.verb == "run":
            application = f"haulier extract {task.attempt}"
            with connect(task.settings, application) as connection:
                record(connection, task, definition_digest, [one.on_record() for one in refused])
        raise refusal(refused)
    return clear, waiting


def _kept(task: Task, exchange: Exchange, files: Iterable[SourceFile]) -> tuple[list[Candidate], list[str]]:
    """The files whose originals are in the exchange, and notes on those that changed before they were."""
    candidates, changed = [], []
    for file in files:
        original = keys.original(task.pipeline, task.instance, file.sha256)
        try:
            if not keep(exchange, original, file.open, sha256=file.sha256, size=file.bytes):
                changed.append(f"{file.uri} waits: it was written to while it was read")
                continue
        except Vanished:
            changed.append(f"{file.uri} waits: it vanished before it could be kept")
            continue
        candidates.append(_candidate(file, original))
    return candidates, changed


def _candidate(file: SourceFile, original: str) -> Candidate:
    return Candidate(
        logical_name=file.logical_name,
        uri=file.uri,
        sha256=file.sha256,
        bytes=file.bytes,
        modified_at=file.modified_at,
        original=original,
        position=file.position,
    )
