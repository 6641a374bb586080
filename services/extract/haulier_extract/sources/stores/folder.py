"""Files in a folder of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_ISREG

from haulier.definitions.sources import Files
from haulier.errors import DefinitionError, TransientError
from haulier.interval import Interval
from haulier.paths import PathPattern
from haulier.settings import Settings
from haulier_extract.sources import Vanished
from haulier_extract.sources.stores import Entry

CHUNK_BYTES = 4 * 1024 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def open_store(files: Files, settings: Settings, interval: Interval) -> Folder:
    """Raises `DefinitionError` when there is no source folder, or the path leaves it."""
    root = settings.source_root
    if not root.is_dir():
        raise DefinitionError(f"HAULIER_SOURCE_ROOT: {root} is not a folder; is it mounted?")
    if ".." in files.path.split("/"):
        raise DefinitionError(f"source.files.path: {files.path!r} leaves the source folder")
    return Folder(files.path, root.absolute())


@dataclass(frozen=True)
class Folder:
    """Paths below a folder; one that begins with a slash stands on its own."""

    path: str
    root: Path

    def entries(self) -> Iterator[tuple[Entry | str, datetime | None]]:
        pattern = PathPattern(self.path)
        base = Path("/") if self.path.startswith("/") else self.root
        with _readable(base):
            for path, date in pattern.paths(base):
                uri = f"file://{self._shown(path)}"
                try:
                    entry: Entry | str | None = self._entry(path, uri)
                except Vanished:
                    entry = f"{uri} waits: it vanished while it was looked at"
                if entry is not None:
                    yield entry, pattern.date(date) if date else None

    def beside(self, entry: Entry, name: str) -> Entry | None:
        path = entry.handle[0].with_name(name)
        try:
            return self._entry(path, f"file://{self._shown(path)}", regular=False)
        except Vanished:
            return None

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        path = entry.handle[0]
        with _readable(path):
            yield from file_chunks(path)

    def changed(self, entry: Entry) -> bool:
        path, before = entry.handle
        with _readable(path):
            after = path.stat()
        return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)

    def _entry(self, path: Path, uri: str, *, regular: bool = True) -> Entry | None:
        with _readable(path):
            status = path.stat()
        if regular and not S_ISREG(status.st_mode):
            return None
        return Entry(
            name=path.name,
            path=self._shown(path),
            uri=uri,
            bytes=status.st_size,
            modified_at=_EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000),
            handle=(path, status),
        )

    def _shown(self, path: Path) -> str:
        """Stable wherever the source folder is mounted."""
        inside = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        return os.fsencode(inside.as_posix()).decode("utf-8", "backslashreplace")


def file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise Vanished from exc
    except OSError as exc:
        raise TransientError(f"{path} cannot be read: {exc.strerror}", path=str(path)) from exc
