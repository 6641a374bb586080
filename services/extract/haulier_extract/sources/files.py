"""Files in a folder: which of them belong to a run, and which are completely written."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_ISREG

from haulier.compression import BrokenStream, decompressed
from haulier.definitions import Csv, Files, Instance
from haulier.encodings import cell_encoding, framable
from haulier.errors import DefinitionError, TransientError
from haulier.interval import Interval
from haulier.originals import file_chunks
from haulier.paths import PathPattern
from haulier.placeholders import fill
from haulier.settings import Settings
from haulier_extract.footer import Footer

#: So much of a text's end is looked at for its last line and its footer.
TAIL_BYTES = 64 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file that is completely there."""

    path: Path
    uri: str
    logical_name: str
    sha256: str
    bytes: int
    modified_at: datetime


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a look at the source found: files to offer to the ledger, and why others wait."""

    files: tuple[SourceFile, ...]
    waiting: tuple[str, ...] = ()


def find(instance: Instance, interval: Interval, settings: Settings) -> Found:
    """The complete files of an interval, oldest first.

    Each is read to its end every time: a digest is what a file is, and time and size are not (a
    correction may be as long as what it corrects, and ``cp -p`` keeps the time). Raises
    `DefinitionError` when there is no source folder, `TransientError` when it cannot be read, and
    `DataError` for a file no waiting would help.
    """
    source, root = instance.source.files, settings.source_root
    if not root.is_dir():
        raise DefinitionError(f"HAULIER_SOURCE_ROOT: {root} is not a folder; is it mounted?")
    if ".." in source.path.split("/"):
        raise DefinitionError(f"source.files.path: {source.path!r} leaves the source folder")
    looking = _Looking(source, instance.source.csv, interval, root.absolute(), time.time())
    found = [looking.at(path, date) for path, date in looking.paths()]
    ready = [file for file in found if isinstance(file, SourceFile)]
    return Found(
        files=tuple(sorted(ready, key=lambda file: (file.modified_at, file.uri))),
        waiting=tuple(sorted(why for why in found if isinstance(why, str))),
    )


@dataclass(frozen=True)
class _Looking:
    source: Files
    csv: Csv
    interval: Interval
    root: Path
    now: float

    def paths(self) -> Iterator[tuple[Path, datetime | None]]:
        """What matches the path, with the date in its name."""
        pattern = PathPattern(self.source.path)
        base = Path("/") if self.source.path.startswith("/") else self.root
        with _readable(base):
            for path, date in pattern.paths(base):
                yield path, pattern.date(date) if date else None

    def at(self, path: Path, date: datetime | None) -> SourceFile | str | None:
        """The file, why it waits, or ``None`` when it is not this run's."""
        uri = f"file://{self._shown(path)}"
        with _readable(path):
            try:
                before = path.stat()
                if not S_ISREG(before.st_mode) or self._is_marker(path):
                    return None
                instant = date if self.source.select == "name" else self._arrival(path, before)
                if instant is None:
                    return f"{uri} waits: the date in its name is no day of the calendar"
                if not self._is_due(instant):
                    return None
                return self._complete(path, uri, before)
            except FileNotFoundError:
                return f"{uri} waits: it vanished while it was looked at"

    def _shown(self, path: Path) -> str:
        """Stable wherever the source folder is mounted."""
        inside = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        return os.fsencode(inside.as_posix()).decode("utf-8", "backslashreplace")

    def _marker(self, path: Path) -> Path | None:
        marker = self.source.ready.marker
        return path.with_name(fill(marker, {"name": path.name})) if marker else None

    def _is_marker(self, path: Path) -> bool:
        """Whether the path's wildcards also reached a marker, be its file there or not."""
        before, placeholder, after = (self.source.ready.marker or "").partition("{name}")
        if not placeholder:
            return path.name == before
        beside = bool(before or after)
        return beside and path.name.startswith(before) and path.name.endswith(after)

    def _arrival(self, path: Path, status: os.stat_result) -> datetime:
        """When the file was there: with its marker, however long before that it was written."""
        marker = self._marker(path)
        times = [status.st_mtime_ns]
        if marker and marker.exists():
            times.append(marker.stat().st_mtime_ns)
        return _instant(max(times))

    def _is_due(self, instant: datetime) -> bool:
        source = self.source
        since = self.interval.start - timedelta(days=source.look_back_days)
        if source.select == "modified":
            # What was still waiting for its quiet time when the previous run looked.
            since -= timedelta(seconds=source.ready.quiet_seconds)
        return since <= instant < self.interval.end

    def _complete(self, path: Path, uri: str, before: os.stat_result) -> SourceFile | str:
        ready, marker = self.source.ready, self._marker(path)
        if marker and not marker.exists():
            return f"{uri} waits: its marker {marker.name} is not there"
        if self.now - before.st_mtime < ready.quiet_seconds:
            return f"{uri} waits: it was modified less than {ready.quiet_seconds} seconds ago"
        digest = hashlib.sha256()
        try:
            tail = self._tail(path, uri, digest)
        except BrokenStream as exc:
            return f"{uri} waits: {exc}"
        after = path.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            return f"{uri} waits: it was written to while it was read"
        if ready.last_line == "complete" and tail and not tail.endswith((b"\n", b"\r")):
            return f"{uri} waits: its last line has no end; if the sender never ends it, write ready: {{last_line: any}}"
        if not self._has_footer(tail):
            return f"{uri} waits: no last line matches csv.footer.pattern yet"
        name = path.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return SourceFile(
            path=path,
            uri=uri,
            logical_name=fill(self.source.logical_name, {"name": name, "path": self._shown(path)}),
            sha256=digest.hexdigest(),
            bytes=before.st_size,
            modified_at=_instant(before.st_mtime_ns),
        )

    def _tail(self, path: Path, uri: str, digest: hashlib._Hash) -> bytes:
        """The end of the text, after all of the file went into the digest."""

        def read() -> Iterator[bytes]:
            for chunk in file_chunks(path):
                digest.update(chunk)
                yield chunk

        tail = b""
        for piece in framable(decompressed(read(), uri), self.csv.encoding, uri):
            tail = piece[-TAIL_BYTES:] if len(piece) >= TAIL_BYTES else (tail + piece)[-TAIL_BYTES:]
        return tail

    def _has_footer(self, tail: bytes) -> bool:
        """Whether a file that must say how many rows it has does so: half a file does not, yet."""
        footer = Footer(self.csv)
        if not footer.claims:
            return True
        lines = tail.decode(cell_encoding(self.csv.encoding), "replace").splitlines()
        return bool(footer.measure(reversed(lines))[1])


def _instant(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise TransientError(f"{path} cannot be read: {exc.strerror}", path=str(path)) from exc
