"""What a load needs before it starts."""

from __future__ import annotations

from haulier.errors import HaulierError, Told
from haulier.landing.catalogue import live_columns
from haulier.landing.drift import check_live
from haulier.landing.partitions import check_partitioned
from haulier.ledger.connection import connect, transaction
from haulier.loading import instances, load_pipeline, load_pipelines, resolve
from haulier.partitions import live_tree
from haulier.settings import Settings


def check(pipeline: str | None, instance: str | None, settings: Settings) -> list[tuple[str, str]]:
    """(what was checked, what is wrong): the ledger, and every target against its contract."""
    findings: list[tuple[str, str]] = []
    try:
        files = (
            [load_pipeline(settings.definitions, pipeline)]
            if pipeline
            else list(load_pipelines(settings.definitions).values())
        )
        with connect(settings, "haulier check") as connection:
            for file in files:
                names = [instance] if instance else instances(file)
                definition, contract = resolve(file, names[0])
                with transaction(connection, settings) as cursor:
                    live = live_columns(cursor, contract)
                    tree = live_tree(cursor, contract.schema, contract.table)
                try:
                    if live:
                        check_partitioned(tree, contract)
                        check_live(contract, live, definition.load.drift)
                except HaulierError as exc:
                    findings.append((contract.target, Told.of(exc)))
    except HaulierError as exc:
        findings.append(("ledger", Told.of(exc)))
    return findings
