"""What extract asks of the ledger: which deliveries are new, and which a run may read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec

from haulier.errors import TransientError
from haulier.ledger.connection import Connection, Cursor, transaction
from haulier.ledger.queries import queries
from haulier.ledger.runs import Standing, find_run, standing_in
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

    @property
    def is_news(self) -> bool:
        """Of a preview: whether a candidate would be a delivery."""
        return any(delivery.delivery_id < 0 for delivery in self.deliveries)


def known(
    connection: Connection, settings: Settings, pipeline: str, instance: str, uris: Sequence[str]
) -> dict[str, tuple[str, int, datetime]]:
    """uri -> (sha256, bytes, modified_at) of what was last recorded there."""
    with transaction(connection, settings) as cursor:
        cursor.execute(_SQL["known_uris"], {"pipeline": pipeline, "instance": instance, "uris": list(uris)})
        return {uri: (sha256, size, modified_at) for uri, sha256, size, modified_at in cursor.fetchall()}


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
        if stood is not None and standing_in(cursor, task, stood[0]) != stood[1]:
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
        found = find_run(self.cursor, self.task.pipeline, self.task.instance, self.task.interval)
        if found:
            self.run_id, self.generation, _, self.sealed_definition, self.outcome = found
        elif not self.preview:
            self.run_id = number_in(self._run("insert_run"))

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
            delivery_id = number_in(
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


def _deliveries(rows: Iterable[tuple[Any, ...]]) -> tuple[Delivery, ...]:
    return tuple(delivery_of(row) for row in rows)


def delivery_of(row: tuple[Any, ...], replayed: tuple[tuple[int, int | None], ...] | None = None) -> Delivery:
    """A delivery as a statement returns it; ``replayed``: the rejected rows of it that are hauled again."""
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


def number_in(cursor: Cursor) -> int:
    """What a statement returns that returns one number."""
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])
