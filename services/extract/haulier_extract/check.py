"""What an extract needs before it starts."""

from __future__ import annotations

import uuid

from haulier.errors import HaulierError
from haulier.exchange import open_exchange
from haulier.ledger.connection import connect
from haulier.loading import findings
from haulier.settings import Settings


def check(pipeline: str | None, instance: str | None, settings: Settings) -> list[tuple[str, str]]:
    """(what was checked, what is wrong): definitions, source folder, exchange and ledger."""
    found = list(findings(settings.definitions, pipeline, instance))
    if not settings.source_root.is_dir():
        found.append(("HAULIER_SOURCE_ROOT", f"{settings.source_root} is not a folder that can be read"))
    try:
        exchange = open_exchange(settings)
        key = f"_check/{uuid.uuid4()}"
        if not exchange.create(key, b"haulier") or exchange.create(key, b"twice"):
            found.append(
                ("exchange", f"{exchange.url} does not keep If-None-Match: two writers could both win")
            )
        exchange.delete(key)
    except HaulierError as exc:
        found.append(("exchange", str(exc)))
    try:
        with connect(settings, "haulier check"):
            pass
    except HaulierError as exc:
        found.append(("ledger", str(exc)))
    return found
