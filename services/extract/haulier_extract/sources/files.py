"""Files that someone sends: which of them belong to a run, and which are completely written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from haulier.definitions import Instance
from haulier.definitions.formats import Format
from haulier.definitions.sources import Files
from haulier.errors import DataError
from haulier.interval import Interval
from haulier.placeholders import fill
from haulier.settings import Settings
from haulier_extract.formats import module_of
from haulier_extract.sources import Found, IsKnown, Newest, SourceFile, Vanished
from haulier_extract.sources.stores import Entry, Store, open_store


def find(
    instance: Instance, interval: Interval, settings: Settings, is_known: IsKnown = lambda _: False
) -> Found:
    """The complete files of an interval, oldest first.

    Each is read to its end every time: a digest is what a file is, and time and size are not (a
    correction may be as long as what it corrects, and ``cp -p`` keeps the time). Raises
    `DefinitionError` when there is no such store, `TransientError` when it cannot be read, and
    `DataError` for a file no waiting would help. One of which nothing would be hauled is passed over: a look back behind a
    change of the export finds those that the runs before it read as they were written, and some are sent again.
    """
    source = instance.source.files
    assert source is not None
    store = open_store(source, settings, interval)
    looking = _Looking(source, instance.source.format, interval, store, datetime.now(UTC), is_known)
    found = [looking.at(entry, date) for entry, date in store.entries()]
    ready = [file for file in found if isinstance(file, SourceFile)]
    return Found(
        files=tuple(sorted(ready, key=lambda file: (file.modified_at, file.uri))),
        waiting=tuple(sorted(why for why in found if isinstance(why, str))),
    )


def newest(instance: Instance, interval: Interval, settings: Settings) -> Newest | None:
    """The file with the latest date in its name, or modified last, whatever interval it belongs to.

    Raises as `find` does.
    """
    source = instance.source.files
    assert source is not None
    store = open_store(source, settings, interval)
    looking = _Looking(source, instance.source.format, interval, store, datetime.now(UTC))
    found = [
        (date or entry.modified_at, entry)
        for entry, date in store.entries()
        if isinstance(entry, Entry) and not looking.is_marker(entry.name)
    ]
    if not found:
        return None
    _, entry = max(found, key=lambda one: (one[0], one[1].uri))
    return Newest(
        uri=entry.uri, name=entry.name, modified_at=entry.modified_at, open=partial(store.chunks, entry)
    )


@dataclass(frozen=True)
class _Looking:
    source: Files
    form: Format
    interval: Interval
    store: Store
    now: datetime
    is_known: IsKnown = lambda _: False

    def at(self, entry: Entry | str, date: datetime | None) -> SourceFile | str | None:
        """The file, why it waits, or ``None`` when it is not this run's."""
        if isinstance(entry, str):
            return entry
        if self.is_marker(entry.name):
            return None
        try:
            instant = date if self.source.select == "name" else self._arrival(entry)
            if instant is None:
                return f"{entry.uri} waits: the date in its name is no day of the calendar"
            return self._complete(entry, instant) if self._is_due(instant) else None
        except Vanished:
            return f"{entry.uri} waits: it vanished while it was looked at"

    def _marker(self, entry: Entry) -> str | None:
        marker = self.source.ready.marker
        return fill(marker, {"name": entry.name}) if marker else None

    def is_marker(self, name: str) -> bool:
        """Whether the path's wildcards also reached a marker, be its file there or not."""
        before, placeholder, after = (self.source.ready.marker or "").partition("{name}")
        if not placeholder:
            return name == before
        beside = bool(before or after)
        return beside and name.startswith(before) and name.endswith(after)

    def _arrival(self, entry: Entry) -> datetime:
        """When the file was there: with its marker, however long before that it was written."""
        name = self._marker(entry)
        marker = self.store.beside(entry, name) if name else None
        return max(entry.modified_at, marker.modified_at) if marker else entry.modified_at

    def _is_due(self, instant: datetime) -> bool:
        source = self.source
        since = self.interval.start - timedelta(days=source.look_back_days)
        if source.select == "modified":
            # What was still waiting for its quiet time when the previous run looked.
            since -= timedelta(seconds=source.ready.quiet_seconds)
        return since <= instant < self.interval.end

    def _complete(self, entry: Entry, instant: datetime) -> SourceFile | str | None:
        uri, ready, marker = entry.uri, self.source.ready, self._marker(entry)
        if marker and not self.store.beside(entry, marker):
            return f"{uri} waits: its marker {marker} is not there"
        if self.now - entry.modified_at < timedelta(seconds=ready.quiet_seconds):
            return f"{uri} waits: it was modified less than {ready.quiet_seconds} seconds ago"
        digest = hashlib.sha256()
        size = 0

        def read() -> Iterator[bytes]:
            nonlocal size
            for chunk in self.store.chunks(entry):
                digest.update(chunk)
                size += len(chunk)
                yield chunk

        chunks, wrong = read(), None
        try:
            why = module_of(self.form).unfinished(chunks, self.form, ready, uri)
        except DataError as exc:
            why, wrong = None, exc
        for _ in chunks:  # the rest belongs to the digest
            pass
        name = entry.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        file = SourceFile(
            uri=uri,
            logical_name=fill(self.source.logical_name, {"name": name, "path": entry.path}),
            sha256=digest.hexdigest(),
            bytes=size,
            modified_at=entry.modified_at,
            open=partial(self.store.chunks, entry),
        )
        if (why is not None or wrong is not None) and self.is_known(file):
            return None
        if wrong is not None:
            raise self._placed(wrong, instant)
        if self.store.changed(entry):
            why = "it was written to while it was read"
        return file if why is None else f"{uri} waits: {why}"

    def _placed(self, wrong: DataError, instant: datetime) -> DataError:
        """With the way out where the file is one of another run, which may read it in another way."""
        if instant >= self.interval.start:
            return wrong
        return DataError(
            f"{wrong}; or, where its sender changed the export since, haul again the run of {instant:%Y-%m-%d %H:%M}Z, "
            "which reads it as it was: this one then passes over it",
            **wrong.context,
        )
