"""Rejects that a person asks to haul again, and what such a replay hauls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from haulier.errors import DefinitionError
from haulier.interval import Interval
from haulier.ledger.connection import Connection, transaction
from haulier.ledger.queries import queries
from haulier.ledger.reservations import Reservation, delivery_of, number_in
from haulier.settings import Settings
from haulier.task import Task

_SQL = queries("haulier.ledger", "replays.sql")


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Rejects of one generation that a person asked to haul again."""

    replay_id: int
    run_id: int
    instance: str
    generation: int
    interval: Interval
    rejects: int


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
            delivery_of(row[:8], replayed=tuple(zip(row[8], row[9], strict=True))) for row in rows
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
    instances: Mapping[str, Callable[[Interval], str]],
    *,
    rule: str | None = None,
    reject_ids: Iterable[int] | None = None,
    reason: str,
) -> list[Replay]:
    """Ask for open rejects to be hauled again, one replay per generation; empty when none is open.

    ``instances``: each with the digest of what a run of an interval would obey now. Where one of them refuses, nothing
    is asked for.

    Rejects of runs whose models were built are left out, too: those read all rows of a run together.

    Rejects of a quarantined run are left out: none of its rows is in the target, so it wants
    ``--reprocess``, not a replay.
    """
    ids = None if reject_ids is None else list(reject_ids)
    replays = []
    with transaction(connection, settings) as cursor:
        for instance, digest in instances.items():
            cursor.execute(
                _SQL["replayable_rejects"],
                {"pipeline": pipeline, "instance": instance, "rule": rule, "reject_ids": ids},
            )
            for run_id, generation, start, end, rejects in cursor.fetchall():
                interval = Interval(start=start, end=end)
                cursor.execute(
                    _SQL["insert_replay"],
                    {
                        "run_id": run_id,
                        "generation": generation,
                        "definition_digest": digest(interval),
                        "reason": reason,
                        "actor": settings.actor,
                    },
                )
                replay_id = number_in(cursor)
                cursor.execute(_SQL["insert_replay_rejects"], {"replay_id": replay_id, "reject_ids": rejects})
                replays.append(
                    Replay(
                        replay_id=replay_id,
                        run_id=run_id,
                        instance=instance,
                        generation=generation,
                        interval=interval,
                        rejects=len(rejects),
                    )
                )
    return replays
