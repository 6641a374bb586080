"""What the verbs ask of the ledger in common; all of it only reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from psycopg2.extras import register_default_jsonb

from haulier.accounts import SOURCE
from haulier.errors import DefinitionError, HaulierError
from haulier.interval import Interval
from haulier.ledger.connection import Cursor, connect, driver_errors, transaction
from haulier.ledger.queries import queries
from haulier.problems import quoted, suggestion

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


def hauled_lanes(cursor: Cursor) -> set[tuple[str, str]]:
    """Every pipeline and instance that was ever hauled."""
    return {(row["pipeline"], row["instance"]) for row in rows(cursor, _SQL["lanes"])}


def refuse_unknown(cursor: Cursor, settings: Settings, pipeline: str | None, instance: str | None) -> None:
    """Raises `DefinitionError` for a pipeline or an instance that neither the ledger nor a definition knows.

    Asked where nothing was found: nothing to see of a name that was mistyped is no good news.
    """
    lanes = hauled_lanes(cursor) | set(_defined(settings))
    for what, name, known in (
        ("pipeline", pipeline, {one for one, _ in lanes}),
        ("instance", instance, {one for of, one in lanes if pipeline in (None, of)}),
    ):
        if name is not None and name not in known:
            raise DefinitionError(
                f"there is no {what} {quoted(name)}{suggestion(name, sorted(known), 'there are')}"
            )


def _defined(settings: Settings) -> Iterator[tuple[str, str]]:
    """What can be read; what cannot is told elsewhere."""
    from haulier import loading

    with suppress(HaulierError):
        for name in loading.pipeline_names(settings.definitions):
            with suppress(HaulierError):
                file = loading.load_pipeline(settings.definitions, name)
                yield from ((name, instance) for instance in loading.instances(file))


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
