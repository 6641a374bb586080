"""What a contract for a source might say, from a sample of it.

Nothing is written and no ledger is asked: the newest delivery is looked at, its first rows and a
reservoir over the rest, and every column is given the narrowest type that holds all that was seen.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from haulier.definitions import Instance
from haulier.definitions.formats import Csv, Format
from haulier.definitions.sources import Source
from haulier.errors import DataError, DefinitionError
from haulier.exchange.folder import FolderExchange
from haulier.interval import Interval
from haulier.loading import load_pipeline, resolve_instance
from haulier.settings import Settings
from haulier_extract.discovery.events import of_events
from haulier_extract.discovery.pointing import source_at
from haulier_extract.discovery.proposing import Proposal, proposal
from haulier_extract.discovery.sampling import Kept, Sample, keep, sample
from haulier_extract.discovery.sniffing import sniffed
from haulier_extract.sources import Newest, newest

#: Rows read from the beginning; ten times as many are drawn from the rest.
FIRST_ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to look at: a definition's source, or a place."""

    pipeline: str | None = None
    instance: str = "main"
    #: As `source.files.path` has it, or the address of an API.
    place: str | None = None
    #: The table that the contract is to be about, `schema.name`.
    table: str = "landing.sample"
    rows: int = FIRST_ROWS
    #: What an API is asked about, and whose day a path's date is; none: the last day.
    interval: Interval | None = None


def discover(wanted: Wanted, settings: Settings) -> dict[str, Any]:
    """The proposal, ready for JSON: the contract's document, the rest of a definition, what was seen.

    Raises `DefinitionError` when there is nothing to look at, `DataError` for a file that cannot be
    read or has no row, and what the source raises.
    """
    instance = _instance(wanted, settings)
    source = instance.source
    now = datetime.now(UTC)
    interval = wanted.interval or Interval(start=now - timedelta(days=1), end=now)
    found = newest(instance, interval, settings)
    if found is None:
        raise DefinitionError(
            f"{source.place} has nothing to take a sample from; is the path right, or the interval?"
        )
    # A definition that names a format is taken at its word; an API says what it answers.
    form: Format = source.format
    with tempfile.TemporaryDirectory(prefix="haulier-discover-") as folder:
        kept = keep(FolderExchange(folder), found, form)
        notes: tuple[str, ...] = ()
        if isinstance(form, Csv) and source.csv is None:
            form, notes = sniffed(kept)
        _refuse(source, kept, form, settings)
        taken = sample(kept, form, wanted.rows)
    if not taken.names:
        raise DataError(f"{found.uri} has no header, so there is no column to propose")
    return _told(found, source, form, kept, taken, proposal(taken, wanted.table, found.key), notes)


def _refuse(source: Source, kept: Kept, form: Format, settings: Settings) -> None:
    """Raises `DataError` for a sample with something in it that may not be there."""
    if source.identifiers is None:
        return
    from haulier_extract.clearing.reading import search_all
    from haulier_extract.clearing.searching import Search

    search = Search(source.identifiers)
    search_all(search, kept.exchange, kept.delivery, form, settings)
    if search.findings:
        told = ", ".join(finding.words() for finding in search.findings)
        raise DataError(f"{kept.delivery.uri} is no sample (source.identifiers): it has {told}")


def _instance(wanted: Wanted, settings: Settings) -> Instance:
    if wanted.place is not None:
        return Instance(pipeline="sample", instance=wanted.instance, source=source_at(wanted.place))
    assert wanted.pipeline is not None
    file = load_pipeline(settings.definitions, wanted.pipeline)
    at = wanted.interval.start if wanted.interval else datetime.now(UTC)
    # Its contract need not be there yet: that is what is asked for.
    return resolve_instance(file, wanted.instance, at)


def _told(
    found: Newest,
    source: Source,
    form: Format,
    kept: Kept,
    taken: Sample,
    proposed: Proposal,
    notes: tuple[str, ...],
) -> dict[str, Any]:
    sections = msgspec.to_builtins(source)
    if source.sql is not None:
        # Filled in from the query's file, and never written.
        del sections["sql"]["statement"]
    given = {kind: _said(sections[kind], type(getattr(source, kind))) for kind in (source.kind,)}
    if own := _said(msgspec.to_builtins(form), type(form)):
        given[form.section] = own
    elif getattr(source, form.section) is not None:
        given[form.section] = {}
    return {
        "outcome": "discovered",
        "sample": {
            "uri": found.uri,
            "name": found.name,
            "modified_at": found.modified_at.isoformat(),
            "rows": taken.table.num_rows,
            "seen": taken.seen,
            "rejected": dict(taken.rules),
            "whole": kept.whole and taken.whole,
        },
        "source": given,
        "transform": proposed.transform,
        "contract": of_events(proposed.contract) if source.sends_events else proposed.contract,
        "key": proposed.key,
        "remarks": proposed.remarks,
        "notes": list(dict.fromkeys((*notes, *taken.notes, *proposed.notes))),
    }


def _said(section: dict[str, Any], kind: Any) -> dict[str, Any]:
    """Without what is so anyway."""
    usual = {
        field.encode_name: msgspec.to_builtins(field.default)
        for field in msgspec.structs.fields(kind)
        if field.default is not msgspec.NODEFAULT
    }
    return {
        key: value
        for key, value in section.items()
        if value not in (None, {}) and usual.get(key, ...) != value
    }
