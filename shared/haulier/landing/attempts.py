"""Who owns a run: the fence each attempt takes, and what the ledger already holds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg2.errors

from haulier.accounts import TARGET
from haulier.contracts import Contract
from haulier.errors import DataError, FencedError, TransientError
from haulier.ledger.connection import Connection, Cursor, connect, driver_errors, transaction
from haulier.ledger.queries import queries
from haulier.manifest import Manifest
from haulier.task import Outcome, Task

_SQL = queries("haulier.landing", "load.sql")

# A frozen attempt of this run may hold its row; it is ended and the row tried again.
_TRIES = 60
# How often a lost connection is followed up before the outcome is left to the next attempt.
_RECONNECTS = 3


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """This attempt's claim on a run."""

    run_id: int
    generation: int
    replay_id: int | None
    fence: int
    content: str

    def values(self, contract: Contract) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "generation": self.generation,
            "replay_id": self.replay_id,
            "target": contract.target,
        }


def acquire(connection: Connection, task: Task, manifest: Manifest, step: str = "load") -> Attempt:
    """Take the run's next fence, in a transaction of its own, and end an older attempt's backend.

    Raises `FencedError` when the run has moved on to a newer generation.
    """
    values = {
        "pipeline": task.pipeline,
        "instance": task.instance,
        "interval_start": task.interval.start,
        "interval_end": task.interval.end,
        "attempt": task.attempt,
        "step": step,
        "content": manifest.content,
        "actor": task.settings.actor,
    }
    for _ in range(_TRIES):
        with (
            driver_errors(),
            contextlib.suppress(psycopg2.errors.LockNotAvailable),
            transaction(connection, task.settings) as cursor,
        ):
            cursor.execute(_SQL["queue_for_run"], {"run_id": manifest.run_id})
            cursor.execute(_SQL["find_run"], values)
            found = cursor.fetchone()
            if found is None or found[0] != manifest.run_id:
                raise DataError(
                    f"the ledger has no run {manifest.run_id} for {task.pipeline}/{task.instance} {task.interval}; the exchange "
                    "belongs to another ledger",
                )
            run_id, generation, fence = found
            if generation != manifest.generation:
                raise FencedError(
                    f"run {run_id} is at generation {generation}; this task hauls {manifest.generation} and stops"
                )
            cursor.execute(_SQL["end_older_attempt"], {"fence": fence})
            cursor.execute("SET LOCAL lock_timeout = '1s'")
            cursor.execute(_SQL["take_fence"], {"run_id": run_id})
            (taken,) = cursor.fetchone() or (0,)
            cursor.execute(_SQL["insert_attempt"], {**values, "run_id": run_id, "fence": taken})
            return Attempt(
                run_id=run_id,
                generation=generation,
                replay_id=manifest.replay_id,
                fence=taken,
                content=manifest.content,
            )
    raise TransientError(
        f"run {manifest.run_id} is held by another attempt that does not end; try again later"
    )


def still_own_or_stop(cursor: Cursor, attempt: Attempt) -> None:
    """As `own_or_stop`, after whoever is taking the run over has done so: it ends our backend first."""
    cursor.execute(_SQL["queue_for_run"], {"run_id": attempt.run_id})
    own_or_stop(cursor, attempt)


def own_or_stop(cursor: Cursor, attempt: Attempt) -> None:
    """Lock the run. Raises `FencedError` when it is no longer this attempt's."""
    cursor.execute(_SQL["own_run"], {"run_id": attempt.run_id})
    if cursor.fetchone() != (attempt.generation, attempt.fence):
        raise FencedError(f"run {attempt.run_id} belongs to a newer attempt or generation; this one stops")


def settle(
    task: Task, attempt: Attempt, lost: TransientError, find: Callable[[Cursor], Outcome | None]
) -> Outcome:
    """The link broke, perhaps while committing: the ledger knows, so it is asked and not guessed."""
    for pause in range(_RECONNECTS):
        try:
            with connect(task.settings, f"haulier settle {task.attempt}") as connection:
                with transaction(connection, task.settings) as cursor:
                    found = find(cursor)
                    if found is None:
                        still_own_or_stop(cursor, attempt)
                if found is not None:
                    return found
                raise lost
        except TransientError as exc:
            if exc is lost:
                raise
            time.sleep(2**pause / 2)
    raise lost


def recorded(cursor: Cursor, attempt: Attempt, manifest: Manifest) -> Outcome | None:
    """What the ledger already holds of this content.

    Raises `DataError` when it holds other content under the same generation.
    """
    cursor.execute(_SQL["recorded"], attempt.values(manifest.contract))
    found = cursor.fetchone()
    if found is None:
        return None
    load_id, outcome, exit_code, input_digest, *counts = found
    if input_digest != manifest.input_digest:
        raise DataError(
            f"load {load_id} already holds other content for generation {attempt.generation} of run {attempt.run_id}; "
            "open a new generation with --reprocess"
        )
    names = (*TARGET, "removed")
    return Outcome(
        outcome="already done" if outcome == "loaded" else outcome,
        exit_code=exit_code,
        generation=attempt.generation,
        replay=attempt.replay_id,
        content=attempt.content,
        models=len(manifest.definition.models) or None,
        counts={"load": load_id, **dict(zip(names, counts, strict=True))},
    )
