"""What the ledger's invariants find wrong."""

from __future__ import annotations

from haulier.exchange import Exchange, open_exchange
from haulier.ledger.connection import connect
from haulier.ledger.verify import Finding, verify
from haulier.settings import Settings


def findings(
    settings: Settings, *, exchange: Exchange | None = None, run_id: int | None = None
) -> list[Finding]:
    """Of everything or of one run, deeply: every original is read again."""
    with connect(settings, "test") as connection:
        exchange = exchange or open_exchange(settings)
        return verify(connection, settings, exchange=exchange, run_id=run_id, deep=True)


def findings_by_run(settings: Settings) -> list[Finding]:
    """Of every run, asked for alone."""
    exchange = open_exchange(settings)
    with connect(settings, "test") as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT run_id FROM haulier.run")
            runs = [run_id for (run_id,) in cursor.fetchall()]
        connection.rollback()
        return [
            found
            for run_id in runs
            for found in verify(connection, settings, exchange=exchange, run_id=run_id)
        ]
