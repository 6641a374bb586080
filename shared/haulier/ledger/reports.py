"""One run in figures: what arrived, both accounts, rejects and flags by rule. Numbers and names, no values."""

from __future__ import annotations

from typing import Any

from haulier.accounts import SOURCE, TARGET
from haulier.interval import Interval
from haulier.ledger.connection import Connection, transaction
from haulier.ledger.queries import queries
from haulier.settings import Settings

_SQL = queries("haulier.ledger", "reports.sql")

#: The account of the target, and beside it the rows that went without one being read.
FIGURES = (*TARGET, "removed", "vanished")
#: A report passes through an orchestrator's database; the account of a run of more files is in the ledger.
_DELIVERIES_AT_MOST = 100


def report(
    connection: Connection, settings: Settings, pipeline: str, instance: str, interval: Interval
) -> dict[str, Any] | None:
    """The run's current generation; `None`: the ledger knows no such run.

    ``outcome`` is the run's status: loaded, quarantined, empty, or open while it is not loaded yet.
    """
    with transaction(connection, settings) as cursor:
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
        if found is None:
            return None
        run_id, generation, status = found
        values: dict[str, Any] = {"run_id": run_id, "generation": generation}
        cursor.execute(_SQL["deliveries"], values)
        deliveries = [
            {"name": name, "sequence": sequence, **dict(zip(SOURCE, account, strict=True))}
            for name, sequence, *account in cursor.fetchall()
        ]
        cursor.execute(_SQL["loads"], values)
        loads = [
            {
                "load": load_id,
                "replay": replay_id,
                "target": target,
                "outcome": outcome,
                **dict(zip(FIGURES, account, strict=True)),
            }
            for load_id, replay_id, target, outcome, *account in cursor.fetchall()
        ]
        values["loads"] = [one["load"] for one in loads]
        cursor.execute(_SQL["rejects_by_rule"], values)
        rejects = {rule: {"rejected": n, "open": still} for rule, n, still in cursor.fetchall()}
        cursor.execute(_SQL["flags_by_rule"], values)
        flags = dict(cursor.fetchall())
    return {
        "run": run_id,
        "generation": generation,
        "outcome": status,
        "source": {
            "deliveries": len(deliveries),
            **{name: sum(one[name] or 0 for one in deliveries) for name in SOURCE},
        },
        "deliveries": deliveries[:_DELIVERIES_AT_MOST],
        "loads": loads,
        "rejects": rejects,
        "flags": flags,
    }
