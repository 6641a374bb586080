"""Attempts that failed, on record: why an instance is late is asked of the ledger, where no step's log may be left."""

from __future__ import annotations

from dataclasses import replace

from haulier.errors import HaulierError
from haulier.ledger.connection import connect, driver_errors, transaction
from haulier.ledger.queries import queries
from haulier.task import Task

_SQL = queries("haulier.ledger", "failures.sql")

#: A process that failed has no time to wait for a database that may be what it failed of.
_SECONDS = 3
_REASON_AT_MOST = 1000


def record(task: Task, step: str, exc: Exception) -> None:
    """On a connection of its own: what the attempt had may be what broke. Raises what that raises."""
    settings = replace(
        task.settings,
        postgres={**task.settings.postgres, "PGCONNECT_TIMEOUT": str(_SECONDS)},
        lock_timeout_seconds=_SECONDS,
        idle_timeout_seconds=_SECONDS,
        transaction_timeout_seconds=_SECONDS,
    )
    with (
        driver_errors(),
        connect(settings, f"haulier failure {task.attempt}") as connection,
        transaction(connection, settings) as cursor,
    ):
        cursor.execute(
            _SQL["record"],
            {
                "pipeline": task.pipeline,
                "instance": task.instance,
                "interval_start": task.interval.start,
                "interval_end": task.interval.end,
                "step": step,
                "attempt": task.attempt,
                "exit_code": exc.exit_code if isinstance(exc, HaulierError) else 1,
                "reason": _reason(exc),
                "actor": task.settings.actor,
            },
        )


def _reason(exc: Exception) -> str:
    """What the log says. A bug's own words may hold a cell: its log has them, the ledger its name."""
    said = (
        str(exc) if isinstance(exc, HaulierError) else f"a bug: {type(exc).__name__}; the step's log has it"
    )
    return said if len(said) <= _REASON_AT_MOST else said[: _REASON_AT_MOST - 1] + "…"
