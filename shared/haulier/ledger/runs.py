"""What a run is to the ledger, and how things stand for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from haulier.errors import NothingNew, TransientError
from haulier.interval import Interval
from haulier.ledger.connection import Connection, Cursor, connect, transaction
from haulier.ledger.queries import queries
from haulier.settings import Settings
from haulier.task import Task

_SQL = queries("haulier.ledger", "runs.sql")


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


def standing(connection: Connection, task: Task, name: str | None) -> Standing:
    """How things stand for a run; ``name``: of the state that says how far its source was read."""
    with transaction(connection, task.settings) as cursor:
        return standing_in(cursor, task, name)


def standing_in(cursor: Cursor, task: Task, name: str | None) -> Standing:
    """The same, in a transaction that goes on."""
    values = {
        "pipeline": task.pipeline,
        "instance": task.instance,
        "interval_start": task.interval.start,
        "interval_end": task.interval.end,
        "name": name,
    }
    found = find_run(cursor, task.pipeline, task.instance, task.interval) or (None, 0, None, None, None)
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


def find_run(cursor: Cursor, pipeline: str, instance: str, interval: Interval) -> tuple[Any, ...] | None:
    """(run, generation, status, digest of the definition that its content was sealed with, what became of it)"""
    values = {
        "pipeline": pipeline,
        "instance": instance,
        "interval_start": interval.start,
        "interval_end": interval.end,
    }
    cursor.execute(_SQL["find_run"], values)
    return cursor.fetchone()


def current_generation(
    settings: Settings, pipeline: str, instance: str, interval: Interval
) -> tuple[int, int]:
    """(run, generation) of an interval. Raises `NothingNew` for an empty run, `TransientError` for one
    that extract has not opened yet."""
    with connect(settings, "haulier") as connection, transaction(connection, settings) as cursor:
        found = find_run(cursor, pipeline, instance, interval)
    if found is None or (found[1] == 0 and found[2] != "empty"):
        raise TransientError(f"{pipeline}/{instance} {interval} has no generation yet; run extract first")
    if found[1] == 0:
        raise NothingNew(f"{pipeline}/{instance} {interval} is empty: extract found nothing")
    return found[0], found[1]
