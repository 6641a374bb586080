"""What an extract needs before it starts."""

from __future__ import annotations

import os
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import msgspec

from haulier.approvals import problem_of
from haulier.definitions import Instance
from haulier.definitions.sources import Files
from haulier.errors import HaulierError, Told
from haulier.exchange import Exchange, open_exchange
from haulier.interval import Interval
from haulier.ledger.connection import connect
from haulier.loading import findings, instances, load_pipeline, pipeline_names, resolve_instance, states
from haulier.placeholders import is_remote
from haulier.settings import Settings
from haulier_extract.sources import Vanished
from haulier_extract.sources.stores import Entry, open_store

_PROBE = b"haulier"


def check(pipeline: str | None, instance: str | None, settings: Settings) -> list[tuple[str, str]]:
    """(what was checked, what is wrong): definitions, source folder, exchange and ledger."""
    found = list(findings(settings.definitions, pipeline, instance))
    if settings.require_approval and not found:
        found += _approvals(pipeline, settings)
    root = settings.source_root
    if not root.is_dir():
        found.append(("HAULIER_SOURCE_ROOT", f"{root} is not a folder; is it mounted?"))
    elif not os.access(root, os.R_OK | os.X_OK):
        found.append(("HAULIER_SOURCE_ROOT", f"{root} cannot be read by user {os.getuid()}"))
    found += _sources(pipeline, instance, settings)
    found += _slots(pipeline, instance, settings)
    try:
        found += _exchange(open_exchange(settings))
    except HaulierError as exc:
        found.append(("exchange", Told.of(exc)))
    try:
        with connect(settings, "haulier extract check"):
            pass
    except HaulierError as exc:
        found.append(("ledger", Told.of(exc)))
    return found


def _approvals(pipeline: str | None, settings: Settings) -> Iterator[tuple[str, str]]:
    """What nobody has approved as it is."""
    for name in [pipeline] if pipeline else pipeline_names(settings.definitions):
        if problem := problem_of(load_pipeline(settings.definitions, name)):
            yield name, f"approval: {problem}"


def _sources(pipeline: str | None, instance: str | None, settings: Settings) -> Iterator[tuple[str, str]]:
    """Whether the definitions' stores can be listed and a file there be read, and their APIs and databases let us in."""
    asked: set[bytes] = set()
    now = datetime.now(UTC)
    today = Interval(start=now - timedelta(days=1), end=now)
    for label, chosen in _of_instances(pipeline, instance, settings):
        source = chosen.source
        said = msgspec.json.encode(getattr(source, source.kind))
        # What a user's own source reads, or a query, may depend on the instance, too.
        if said in asked and not (source.custom or (source.sql and source.sql.query)):
            continue
        asked.add(said)
        try:
            if source.custom:
                from haulier_extract.sources import custom

                custom.reach(chosen, today, settings)
            elif source.http:
                # Its client takes longer to import than all the rest of a check.
                from haulier_extract.sources.http import reach

                reach(source.http, settings, today)
            elif source.sql:
                from haulier_extract.sources.sql import reach as reach_database

                reach_database(chosen, settings, today)
            elif source.files and (is_remote(source.place) or settings.source_root.is_dir()):
                _read_one(source.files, settings, today)
        except HaulierError as exc:
            yield label, Told.of(exc)


def _slots(pipeline: str | None, instance: str | None, settings: Settings) -> Iterator[tuple[str, str]]:
    """Slots of a server's log that several instances name, whichever are asked about."""
    named = defaultdict[tuple[str, str], list[str]](list)
    for label, chosen in _of_instances(None, None, settings):
        sql = chosen.source.sql
        if sql and sql.changes:
            server = urlsplit(sql.url).netloc.rpartition("@")[2].removesuffix(":5432").lower()
            named[server, sql.changes.slot].append(label)
    for label, _ in _of_instances(pipeline, instance, settings):
        for (_, slot), labels in named.items():
            if label in labels and len(labels) > 1:
                yield (
                    label,
                    f"source.sql.changes.slot: {slot} is also that of {', '.join(sorted({*labels} - {label}))}; a slot is read "
                    "once, so each would miss what the other has read: name another, perhaps with {instance} in it",
                )


def _read_one(files: Files, settings: Settings, today: Interval) -> None:
    """List until there is a file, and read its beginning: who may list need not be allowed to read."""
    store = open_store(files, settings, today)
    for entry, _ in store.entries():
        if isinstance(entry, Entry):
            with suppress(Vanished):
                next(store.chunks(entry), None)
            return


def _of_instances(
    pipeline: str | None, instance: str | None, settings: Settings
) -> Iterator[tuple[str, Instance]]:
    """Each instance, before and after each of its changes; what is wrong with a definition is said elsewhere."""
    with suppress(HaulierError):
        for name in [pipeline] if pipeline else pipeline_names(settings.definitions):
            with suppress(HaulierError):
                file = load_pipeline(settings.definitions, name)
                for chosen in [instance] if instance else instances(file):
                    for at in states(file, chosen):
                        with suppress(HaulierError):
                            yield f"{name}/{chosen}", resolve_instance(file, chosen, at)


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
