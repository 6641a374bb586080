"""What an extract needs before it starts."""

from __future__ import annotations

import os
import uuid

from haulier.errors import HaulierError
from haulier.exchange import Exchange, open_exchange
from haulier.ledger.connection import connect
from haulier.loading import findings
from haulier.settings import Settings

_PROBE = b"haulier"


def check(pipeline: str | None, instance: str | None, settings: Settings) -> list[tuple[str, str]]:
    """(what was checked, what is wrong): definitions, source folder, exchange and ledger."""
    found = list(findings(settings.definitions, pipeline, instance))
    root = settings.source_root
    if not root.is_dir():
        found.append(("HAULIER_SOURCE_ROOT", f"{root} is not a folder; is it mounted?"))
    elif not os.access(root, os.R_OK | os.X_OK):
        found.append(("HAULIER_SOURCE_ROOT", f"{root} cannot be read by user {os.getuid()}"))
    try:
        found += _exchange(open_exchange(settings))
    except HaulierError as exc:
        found.append(("exchange", str(exc)))
    try:
        with connect(settings, "haulier extract check"):
            pass
    except HaulierError as exc:
        found.append(("ledger", str(exc)))
    return found


def _exchange(exchange: Exchange) -> list[tuple[str, str]]:
    """Whether a manifest could be committed there: written once, read back, and nobody's second."""
    key = f"_check/{uuid.uuid4()}"
    found = []
    if not exchange.create(key, _PROBE) or exchange.create(key, b"another"):
        found.append(("exchange", f"{exchange.url} does not keep If-None-Match: two attempts could both win"))
    if exchange.get(key) != _PROBE:
        found.append(("exchange", f"{exchange.url} does not give back what was written"))
    try:
        exchange.delete(key)
    except HaulierError as exc:
        found.append(("exchange", f"{key} stays behind, which harms nothing: {exc}"))
    return found
