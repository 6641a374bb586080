"""Files that were refused for what they hold, on record."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from haulier.ledger.connection import Connection, transaction
from haulier.ledger.queries import queries
from haulier.task import Task

_SQL = queries("haulier.ledger", "refusals.sql")


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A file of which nothing was kept."""

    #: ``None`` where the name may not be told either.
    uri: str | None
    sha256: str
    bytes: int
    modified_at: datetime
    #: Pattern, place and number of rows; never a value.
    findings: list[dict[str, object]]


def record(connection: Connection, task: Task, definition_digest: str, refusals: Iterable[Refusal]) -> None:
    """In a transaction of their own: the run they belong to ends with them."""
    with transaction(connection, task.settings) as cursor:
        for refusal in refusals:
            cursor.execute(
                _SQL["record"],
                {
                    "pipeline": task.pipeline,
                    "instance": task.instance,
                    "interval_start": task.interval.start,
                    "interval_end": task.interval.end,
                    "uri": refusal.uri,
                    "sha256": refusal.sha256,
                    "bytes": refusal.bytes,
                    "modified_at": refusal.modified_at,
                    "findings": json.dumps(refusal.findings),
                    "definition_digest": definition_digest,
                    "attempt": task.attempt,
                    "actor": task.settings.actor,
                },
            )
