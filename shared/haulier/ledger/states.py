"""How far sources were read: moved by a person, who says why."""

from __future__ import annotations

import json
from typing import Any

from haulier.errors import DefinitionError
from haulier.ledger.connection import Connection, transaction
from haulier.ledger.queries import queries
from haulier.ledger.reservations import lock_instance
from haulier.settings import Settings

_SQL = queries("haulier.ledger", "states.sql")


def move(
    connection: Connection,
    settings: Settings,
    pipeline: str,
    instance: str,
    name: str,
    after: dict[str, Any] | None,
    reason: str,
) -> tuple[int, dict[str, Any] | None]:
    """Set a state, or remove it; (number of the audit row, the state before).

    The next run begins there, and runs that have not loaded what they read are no longer in its way. Raises
    `DefinitionError` without a reason.
    """
    if not reason.strip():
        raise DefinitionError("--reason is empty; the ledger wants to know why the position is moved")
    values = {"pipeline": pipeline, "instance": instance, "name": name}
    with transaction(connection, settings) as cursor:
        # A reservation that is on its way sees that it was overtaken, and reads again.
        lock_instance(cursor, pipeline, instance)
        cursor.execute(_SQL["state"], values)
        (before,) = cursor.fetchone() or (None,)
        written = None if after is None else json.dumps(after)
        cursor.execute(_SQL["remove_state" if after is None else "set_state"], {**values, "after": written})
        cursor.execute(
            _SQL["insert_change"],
            {
                **values,
                "before": None if before is None else json.dumps(before),
                "after": written,
                "reason": reason,
                "actor": settings.actor,
            },
        )
        (change_id,) = cursor.fetchone() or (0,)
    return change_id, before
