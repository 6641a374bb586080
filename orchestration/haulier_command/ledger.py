"""What the verbs ask of the ledger in common; all of it only reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from psycopg2.extras import register_default_jsonb

from haulier.accounts import SOURCE
from haulier.errors import HaulierError
from haulier.interval import Interval
from haulier.ledger.connection import Cursor, connect, driver_errors, transaction
from haulier.ledger.queries import queries

if TYPE_CHECKING:
    from haulier.settings import Settings
    from haulier_command.hauling import Run

_SQL = queries("haulier_command", "ledger.sql")

Row = dict[str, Any]

#: The source's account, as a row has it that holds the target's, too.
SOURCE_ACCOUNT = tuple("source_rejected" if name == "rejected" else name for name in SOURCE)


@contextmanager
def reading(settings: Settings, verb: str) -> Iterator[Cursor]:
    """One read-only transaction, every statement seeing the same ledger."""
    with driver_errors(), connect(settings, f"haulier {verb}") as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        # Numbers of a table keep their digits on the way through JSON.
        register_default_jsonb(connection, loads=partial(json.loads, parse_float=Decimal))
        with transaction(connection, settings) as cursor:
            yield cursor


def rows(cursor: Cursor, statement: Any, values: dict[str, Any] | None = None) -> list[Row]:
    """The rows of a statement by column name."""
    cursor.execute(statement, values or {})
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def completed_runs(
    settings: Settings, instances: Sequence[tuple[str, str]]
) -> set[tuple[str, str, Interval]]:
    """The runs of these instances that nobody waits for: loaded, empty, or quarantined and corrected since."""
    values: dict[str, Any] = {"pipelines": [p for p, _ in instances], "instances": [i for _, i in instances]}
    with reading(settings, "run") as cursor:
        values["corrected"] = corrected_runs(cursor)
        return {
            (row["pipeline"], row["instance"], Interval(start=row["interval_start"], end=row["interval_end"]))
            for row in rows(cursor, _SQL["completed_runs"], values)
        }


def corrected_runs(cursor: Cursor) -> list[int]:
    """Quarantined runs whose files were all sent again, and loaded."""
    return [row["run_id"] for row in rows(cursor, _SQL["corrected_runs"])]


def recorded_status(settings: Settings, run: Run) -> str | None:
    """What the ledger says of a run; None when it knows none, or cannot be asked now."""
    values = {"pipeline": run.pipeline, "instance": run.instance, **vars(run.interval)}
    try:
        with reading(settings, "run") as cursor:
            found = rows(cursor, _SQL["run_status"], values)
    except HaulierError:
        return None
    return str(found[0]["status"]) if found else None


def accounts(settings: Settings, runs: Sequence[Run]) -> list[Row]:
    """Both accounts of every one of these runs that has a load."""
    values = {
        "pipelines": [run.pipeline for run in runs],
        "instances": [run.instance for run in runs],
        "starts": [run.interval.start for run in runs],
        "ends": [run.interval.end for run in runs],
        "replays": [run.replay for run in runs],
    }
    with reading(settings, "run") as cursor:
        return rows(cursor, _SQL["accounts"], values)
