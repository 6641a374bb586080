"""Files in a folder: which of them belong to a run, and which are completely written."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from haulier.compression import BrokenStream, decompressed
from haulier.definitions import Files, Instance
from haulier.encodings import line_ends
from haulier.errors import DefinitionError
from haulier.interval import Interval
from haulier.originals import file_chunks
from haulier.placeholders import fill
from haulier.settings import Settings

_DATE = re.compile(r"\{date:([^{}]*)\}")


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
    """What a look at the source found: files to offer to the ledger, and notes on those that wait."""

    files: tuple[SourceFile, ...]
    waiting: tuple[str, ...] = ()


def files(instance: Instance, interval: Interval, settings: Settings) -> Found:
    """The complete files of an interval, oldest first. Raises `DefinitionError` when the folder is not there."""
    source = instance.source.files
    root = settings.source_root
    if not root.is_dir():
        raise DefinitionError(f"HAULIER_SOURCE_ROOT: {root} is not a folder")
    ready, waiting = [], []
    for path in _candidates(source, root, interval):
        found = _complete(path, root, source, interval, instance.source.csv.encoding)
        if isinstance(found, str):
            waiting.append(f"{_uri(path, root)} waits: {found}")
        elif found is not None:
            ready.append(found)
    ready.sort(key=lambda file: (file.modified_at, file.uri))
    return Found(files=tuple(ready), waiting=tuple(waiting))


def _candidates(source: Files, root: Path, interval: Interval) -> Iterator[Path]:
    pattern = source.path
    if ".." in Path(pattern).parts:
        raise DefinitionError(f"source.files.path: {pattern!r} leaves the source folder")
    base = Path("/") if pattern.startswith("/") else root
    dated = _DATE.search(pattern)
    since, until = _window(source, interval)
    named = _name_pattern(pattern) if dated else None
    for path in sorted(base.glob(_DATE.sub("*", pattern).lstrip("/"))):
        if not path.is_file():
            continue
        if source.ready.marker and path.name == fill(source.ready.marker, {"name": path.name}):
            continue
        if named and dated:
            match = named.fullmatch(str(path.relative_to(base)))
            day = _day(match["date"], dated[1]) if match else None
            if day is None or (source.select == "name" and not since <= day < until):
                continue
        yield path


def _window(source: Files, interval: Interval) -> tuple[datetime, datetime]:
    return interval.start - timedelta(days=source.look_back_days), interval.end


def _name_pattern(pattern: str) -> re.Pattern[str]:
    """The glob as a regular expression whose group ``date`` is the first date in it."""
    pieces = _DATE.split(pattern.lstrip("/"), maxsplit=1)
    return re.compile(f"{_glob(pieces[0])}(?P<date>[^/]+?){_glob(_DATE.sub('*', pieces[2]))}")


def _glob(pattern: str) -> str:
    pieces = re.split(r"(\*\*/|\*|\?)", pattern)
    translated = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return "".join(translated.get(piece, re.escape(piece)) for piece in pieces)


def _day(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return None


def _complete(
    path: Path, root: Path, source: Files, interval: Interval, encoding: str
) -> SourceFile | str | None:
    """The file with its digest, why it waits, or ``None`` when it is not this run's."""
    before = path.stat()
    modified_at = datetime.fromtimestamp(before.st_mtime_ns / 1e9, UTC)
    since, until = _window(source, interval)
    if source.select == "modified" and not since <= modified_at < until:
        return None
    if source.ready.marker and not path.with_name(fill(source.ready.marker, {"name": path.name})).exists():
        return f"its marker {fill(source.ready.marker, {'name': path.name})} is not there"
    if time.time() - before.st_mtime < source.ready.quiet_seconds:
        return f"it changed less than {source.ready.quiet_seconds} seconds ago"
    digest = hashlib.sha256()
    last = b""

    def read() -> Iterator[bytes]:
        for chunk in file_chunks(path):
            digest.update(chunk)
            yield chunk

    try:
        for piece in decompressed(read(), path.name):
            last = (last + piece)[-4:]
    except BrokenStream as exc:
        return str(exc)
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return "it changed while it was read"
    if source.ready.last_line == "complete" and last and not last.endswith(line_ends(encoding)):
        return "its last line has no end"
    return SourceFile(
        path=path,
        uri=_uri(path, root),
        logical_name=fill(source.logical_name, {"name": path.name, "path": _relative(path, root)}),
        sha256=digest.hexdigest(),
        bytes=after.st_size,
        modified_at=modified_at,
    )


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _uri(path: Path, root: Path) -> str:
    """Stable wherever the source folder is mounted."""
    return f"file://{_relative(path, root)}"
