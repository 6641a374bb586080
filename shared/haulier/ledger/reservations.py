"""What extract asks of the ledger: which deliveries are new, and which a run may read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec

from haulier.errors import DefinitionError, NothingNew, TransientError
from haulier.interval import Interval
from haulier.ledger.connection import Connection, Cursor, connect, transaction
from haulier.ledger.queries import queries
from haulier.manifest import Delivery, Position
from haulier.settings import Settings
from haulier.task import Task

_SQL = queries("haulier.ledger", "reservations.sql")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file that is completely there, its original kept in the exchange."""

    logical_name: str
    uri: str
    sha256: str
    bytes: int
    modified_at: datetime
    original: str
    position: Position | None = None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How things stand for a run of a source that is read as it is, whichever interval the run is of."""

    generation: int
    sealed_definition: str | None
    outcome: str | None
    #: How far the source was read and loaded.
    state: dict[str, Any] | None
    #: The last time that a person moved it.
    change_id: int | None
    #: The last delivery of the instance: another since means that somebody read meanwhile, and perhaps more.
    delivery_id: int | None
    #: Where the increment ended that was read last, be it loaded or not.
    last: dict[str, Any] | None
    #: From where the run's own content was read.
    began: dict[str, Any] | None
    #: Start of a later run that has read already.
    later: datetime | None
    #: A run whose content may not get lost behind the position: its interval, and `open` or `quarantined`.
    blocking: tuple[Interval, str] | None

    def may_read(self, reprocess: str | None, definition_digest: str) -> bool:
        """Whether the run asks the source now, and does not go on with what it read before, or leave it to a later run.

        A later run read behind this one; what this one would read now had the version of an older interval.
        """
        if self.later is not None:
            return False
        if self.generation == 0:
            return True
        again = bool(reprocess) or (self.outcome != "loaded" and self.sealed_definition != definition_digest)
        return again and self.state == self.began


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """What a run hauls.

    ``new`` and ``open``: read exactly these deliveries. ``done`` and ``quarantined``: the ledger has
    this content already. ``empty``: there is nothing, and that is recorded.
    """

    status: Literal["new", "open", "done", "quarantined", "empty"]
    run_id: int
    generation: int
    replay_id: int | None = None
    deliveries: tuple[Delivery, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Rejects of one generation that a person asked to haul again."""

    replay_id: int
    run_id: int
    generation: int
    interval: Interval
    rejects: int


def known(
    connection: Connection, settings: Settings, pipeline: str, instance: str, uris: Sequence[str]
) -> dict[str, tuple[str, int, datetime]]:
    """uri -> (sha256, bytes, modified_at) of what was last recorded there."""
    with transaction(connection, settings) as cursor:
        cursor.execute(_SQL["known_uris"], {"pipeline": pipeline, "instance": instance, "uris": list(uris)})
        return {uri: (sha256, size, modified_at) for uri, sha256, size, modified_at in cursor.fetchall()}


def standing(connection: Connection, task: Task, name: str | None) -> Standing:
    """How things stand for a run; ``name``: of the state that says how far its source was read."""
    with transaction(connection, task.settings) as cursor:
        return _standing(cursor, task, name)


def _standing(cursor: Cursor, task: Task, name: str | None) -> Standing:
    values = {
        "pipeline": task.pipeline,
        "instance": task.instance,
        "interval_start": task.interval.start,
        "interval_end": task.interval.end,
        "name": name,
    }
    cursor.execute(_SQL["find_run"], values)
    found = cursor.fetchone() or (None, 0, None, None, None)
    cursor.execute(_SQL["standing"], values)
    state, change_id, delivery_id, last, began, later, start, end, status = cursor.fetchone() or (None,) * 9
    return Standing(
        generation=found[1],
        sealed_definition=found[3],
        outcome=found[4],
        state=state,
        change_id=change_id,
        delivery_id=delivery_id,
        last=last,
        began=began,
        later=later,
        blocking=(Interval(start=start, end=end), status) if status else None,
    )


def reserve(
    connection: Connection,
    task: Task,
    *,
    definition_digest: str,
    candidates: Sequence[Candidate],
    copies: Literal["skip", "load"],
    preview: bool = False,
    stood: tuple[str | None, Standing] | None = None,
    replaces: bool = False,
) -> Reservation:
    """Decide which candidates are new and what this run hauls, in one transaction.

    A candidate is new when its digest differs from what was last recorded at its place and from
    the last delivery of its logical name. The same bytes under another name are recorded as a copy
    and, unless ``copies`` is ``load``, not hauled. A run whose input changed, or that a person wants
    reprocessed, gets its next generation; so does one that did not load under an older definition.
    ``preview`` decides the same and records nothing. ``stood``: the name of a state and what `standing` said before
    the source was read; raises `TransientError` when that is no longer so. ``replaces``: the candidate is all that the
    run has, whatever it had before and under whichever name, and is new when it differs from what was read last.
    """
    with transaction(connection, task.settings) as cursor:
        if not preview:
            lock_instance(cursor, task.pipeline, task.instance)
        if stood is not None and _standing(cursor, task, stood[0]) != stood[1]:
            raise TransientError(
                f"another run of {task.pipeline}/{task.instance}, or a person, was there while its source was read; try again"
            )
        reserving = _Reserving(cursor, task, definition_digest, preview, replaces)
        if replaces:
            candidates = reserving.unread(candidates, as_it_stands=stood is not None)
        notes = reserving.record(candidates, copies)
        return reserving.decide(notes)


def lock_instance(cursor: Cursor, pipeline: str, instance: str) -> None:
    """Until the transaction ends nobody else reserves for the instance, or moves its position."""
    cursor.execute(_SQL["lock_instance"], {"pipeline": pipeline, "instance": instance})


@dataclass
class _Reserving:
    cursor: Cursor
    task: Task
    definition_digest: str
    preview: bool
    replaces: bool
    run_id: int = 0
    generation: int = 0
    sealed_definition: str | None = None
    outcome: str | None = None
    #: What the next delivery's has to be above, whatever its name: a correction is newer than what it corrects.
    sequence: int = 0
    reserved: list[Delivery] = field(default_factory=list)

    def __post_init__(self) -> None:
        found = self._run("find_run").fetchone()
        if found:
            self.run_id, self.generation, _, self.sealed_definition, self.outcome = found
        elif not self.preview:
            self.run_id = _value(self._run("insert_run"))

    def unread(self, candidates: Sequence[Candidate], *, as_it_stands: bool) -> list[Candidate]:
        """The candidates that are not what was read last."""
        # What another run read at the same place is nothing new to one that has nothing yet; to another it is a correction.
        uris = [] if self.generation else [c.uri for c in candidates]
        last = self._run("last_increment", as_it_stands=as_it_stands, uris=uris).fetchone()
        if last is None:
            return list(candidates)
        uri, name, sha256, self.sequence, known = last
        if not known:
            return list(candidates)
        return [c for c in candidates if c.sha256 != sha256 or (c.uri != uri and c.logical_name != name)]

    def record(self, candidates: Sequence[Candidate], copies: str) -> tuple[str, ...]:
        """Write down every candidate nobody saw before; return what a person should know."""
        notes: list[str] = []
        uris = [] if self.replaces else [c.uri for c in candidates]
        at_uri = {row[0]: row[1] for row in self._run("known_uris", uris=uris)}
        named = {
            name: (delivery_id, sequence, sha256)
            for name, delivery_id, sequence, sha256 in self._run(
                "last_named", names=[c.logical_name for c in candidates]
            )
        }
        digests = {
            sha256: (delivery_id, name)
            for sha256, delivery_id, name in self._run("same_bytes", digests=[c.sha256 for c in candidates])
        }
        for candidate in candidates:
            if at_uri.get(candidate.uri) == candidate.sha256:
                continue
            at_uri[candidate.uri] = candidate.sha256
            last = named.get(candidate.logical_name)
            twin = digests.get(candidate.sha256)
            if last and last[2] == candidate.sha256 and not self.replaces:
                self._insert(candidate, "resend", same_as=last[0])
                notes.append(f"{candidate.uri} was sent again unchanged; not loaded")
            elif twin and twin[1] != candidate.logical_name and copies == "skip":
                self._insert(candidate, "copy", same_as=twin[0])
                notes.append(f"{candidate.uri} is a copy of {twin[1]}; not loaded")
            else:
                sequence = max(last[1] if last else 0, self.sequence) + 1
                delivery = self._insert(candidate, "reserved", sequence=sequence)
                self.reserved.append(delivery)
                named[candidate.logical_name] = (delivery.delivery_id, sequence, candidate.sha256)
                digests.setdefault(candidate.sha256, (delivery.delivery_id, candidate.logical_name))
        return tuple(notes)

    def decide(self, notes: tuple[str, ...]) -> Reservation:
        reason = self._reason_for_a_new_generation()
        if reason:
            return self._open(reason, notes)
        if self.generation == 0:
            if not self.preview:
                self._run("mark_empty")
            return Reservation(status="empty", run_id=self.run_id, generation=0, notes=notes)
        status: Literal["open", "done", "quarantined"] = "open"
        if self.outcome:
            status = "done" if self.outcome == "loaded" else "quarantined"
        return Reservation(
            status=status,
            run_id=self.run_id,
            generation=self.generation,
            deliveries=_deliveries(self._run("content_of_generation", generation=self.generation)),
            notes=notes,
        )

    def _reason_for_a_new_generation(self) -> str | None:
        if self.reserved:
            return "first delivery" if self.generation == 0 else "new delivery"
        if self.generation == 0:
            return None
        if self.task.reprocess:
            return f"reprocess: {self.task.reprocess}"
        if self.outcome != "loaded" and self.sealed_definition != self.definition_digest:
            return "definition changed before it was loaded"
        return None

    def _open(self, reason: str, notes: tuple[str, ...]) -> Reservation:
        generation = self.generation + 1
        before = _deliveries(self._run("content_of_generation", generation=self.generation))
        kept = () if self.replaces and self.reserved else before
        content = tuple({d.logical_name: d for d in (*kept, *self.reserved)}.values())
        if not self.preview:
            self._run(
                "open_generation",
                generation=generation,
                definition_digest=self.definition_digest,
                reason=reason,
                actor=self.task.settings.actor,
            )
            for delivery in content:
                self._run("reserve_delivery", generation=generation, delivery_id=delivery.delivery_id)
            content = _deliveries(self._run("content_of_generation", generation=generation))
        return Reservation(
            status="new", run_id=self.run_id, generation=generation, deliveries=content, notes=notes
        )

    def _insert(
        self,
        candidate: Candidate,
        disposition: str,
        *,
        sequence: int | None = None,
        same_as: int | None = None,
    ) -> Delivery:
        values = {
            "logical_name": candidate.logical_name,
            "sha256": candidate.sha256,
            "bytes": candidate.bytes,
            "uri": candidate.uri,
            "modified_at": candidate.modified_at,
            "original": candidate.original,
        }
        position = candidate.position
        sealed = None if position is None else msgspec.json.encode(position).decode()
        delivery_id = -1 - len(self.reserved)
        if not self.preview:
            delivery_id = _value(
                self._run(
                    "insert_delivery",
                    **values,
                    disposition=disposition,
                    sequence=sequence,
                    same_as=same_as,
                    position=sealed,
                )
            )
        made = {"delivery_id": delivery_id, "sequence": sequence or 0, "position": position, **values}
        return Delivery(**made)  # type: ignore[arg-type]  # values of many types

    def _run(self, name: str, **values: object) -> Cursor:
        self.cursor.execute(
            _SQL[name],
            {
                "pipeline": self.task.pipeline,
                "instance": self.task.instance,
                "interval_start": self.task.interval.start,
                "interval_end": self.task.interval.end,
                "run_id": self.run_id,
                **values,
            },
        )
        return self.cursor


def reserved_for_replay(connection: Connection, task: Task) -> Reservation:
    """The rejected rows of ``task.replay``. Raises `DefinitionError` when it is another run's."""
    with transaction(connection, task.settings) as cursor:
        cursor.execute(_SQL["find_replay"], {"replay_id": task.replay})
        found = cursor.fetchone()
        asked = (task.pipeline, task.instance, task.interval.start, task.interval.end)
        if found is None or tuple(found[2:6]) != asked:
            raise DefinitionError(
                f"--replay {task.replay} is no replay of {task.pipeline}/{task.instance} {task.interval}; "
                "haulier replay requests one and prints its number"
            )
        run_id, generation, outcome = found[0], found[1], found[6]
        cursor.execute(_SQL["content_of_replay"], {"replay_id": task.replay})
        rows = cursor.fetchall()
        deliveries = tuple(
            _delivery(row[:8], replayed=tuple(zip(row[8], row[9], strict=True))) for row in rows
        )
        return Reservation(
            status="done" if outcome else "open",
            run_id=run_id,
            generation=generation,
            replay_id=task.replay,
            deliveries=deliveries,
        )


def request_replays(
    connection: Connection,
    settings: Settings,
    pipeline: str,
    instance: str,
    *,
    rule: str | None = None,
    reject_ids: Iterable[int] | None = None,
    reason: str,
    definition_digest: Callable[[Interval], str],
) -> list[Replay]:
    """Ask for open rejects to be hauled again, one replay per generation; empty when none is open.

    ``definition_digest``: of what a run of an interval would obey now.


    Rejects of runs whose models were built are left out, too: those read all rows of a run together.

    Rejects of a quarantined run are left out: none of its rows is in the target, so it wants
    ``--reprocess``, not a replay.
    """
    ids = None if reject_ids is None else list(reject_ids)
    with transaction(connection, settings) as cursor:
        cursor.execute(
            _SQL["replayable_rejects"],
            {"pipeline": pipeline, "instance": instance, "rule": rule, "reject_ids": ids},
        )
        replays = []
        for run_id, generation, start, end, rejects in cursor.fetchall():
            interval = Interval(start=start, end=end)
            cursor.execute(
                _SQL["insert_replay"],
                {
                    "run_id": run_id,
                    "generation": generation,
                    "definition_digest": definition_digest(interval),
                    "reason": reason,
                    "actor": settings.actor,
                },
            )
            replay_id = _value(cursor)
            cursor.execute(_SQL["insert_replay_rejects"], {"replay_id": replay_id, "reject_ids": rejects})
            replays.append(
                Replay(
                    replay_id=replay_id,
                    run_id=run_id,
                    generation=generation,
                    interval=interval,
                    rejects=len(rejects),
                )
            )
        return replays


def current_generation(
    settings: Settings, pipeline: str, instance: str, interval: Interval
) -> tuple[int, int]:
    """(run, generation) of an interval. Raises `NothingNew` for an empty run, `TransientError` for one
    that extract has not opened yet."""
    with connect(settings, "haulier") as connection, transaction(connection, settings) as cursor:
        cursor.execute(
            _SQL["find_run"],
            {
                "pipeline": pipeline,
                "instance": instance,
                "interval_start": interval.start,
                "interval_end": interval.end,
            },
        )
        found = cursor.fetchone()
    if found is None or (found[1] == 0 and found[2] != "empty"):
        raise TransientError(f"{pipeline}/{instance} {interval} has no generation yet; run extract first")
    if found[1] == 0:
        raise NothingNew(f"{pipeline}/{instance} {interval} is empty: extract found nothing")
    return found[0], found[1]


def _deliveries(rows: Iterable[tuple[Any, ...]]) -> tuple[Delivery, ...]:
    return tuple(_delivery(row) for row in rows)


def _delivery(row: tuple[Any, ...], replayed: tuple[tuple[int, int | None], ...] | None = None) -> Delivery:
    delivery_id, logical_name, sequence, sha256, size, uri, modified_at, original, *more = row
    return Delivery(
        delivery_id=delivery_id,
        logical_name=logical_name,
        sequence=sequence,
        sha256=sha256,
        bytes=size,
        uri=uri,
        modified_at=modified_at,
        original=original,
        replayed=replayed,
        position=msgspec.convert(more[0], Position) if more and more[0] else None,
    )


def _value(cursor: Cursor) -> int:
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])
