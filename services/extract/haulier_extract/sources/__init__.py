"""The sources extract can read: a module and a line each.

A source finds what arrived in an interval. It opens each file as often as it is asked to, as a stream
of bytes: once or more to know its digest, and once to keep it. One that makes its own increment (of
rows of a database, of pages of an API) writes it to an unnamed temporary file, in the format that
`haulier.definitions.Source.format` says it makes, and opens that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Any

from haulier.definitions import Instance
from haulier.interval import Interval
from haulier.manifest import Position
from haulier.originals import Opener
from haulier.settings import Settings


class Vanished(Exception):
    """A file that was found is gone."""


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file that is completely there."""

    #: The same wherever the source is reached from; holds no credential.
    uri: str
    logical_name: str
    sha256: str
    bytes: int
    modified_at: datetime
    #: Raises `Vanished`, at the first chunk or later.
    open: Opener = field(repr=False, compare=False)
    #: Of an increment: from where to where it reaches.
    position: Position | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a look at the source found: files to offer to the ledger, and why others wait."""

    files: tuple[SourceFile, ...]
    waiting: tuple[str, ...] = ()
    #: What a person should know of it.
    notes: tuple[str, ...] = ()
    #: Whether its one file is all that the run has, and takes the place of what the run had before.
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Newest:
    """What a sample is taken of: the newest delivery, or the beginning of one."""

    uri: str
    name: str
    modified_at: datetime
    open: Opener = field(repr=False, compare=False)
    #: Columns that the source itself knows as the key.
    key: tuple[str, ...] = ()


#: Finds the deliveries of an interval; of a source with a position, those behind it.
Find = Callable[..., Found]
#: Whether nothing would be hauled of a file: it was here before.
IsKnown = Callable[[SourceFile], bool]

#: Section of a definition's source -> the module whose ``find`` and ``newest`` read it; imported when it is needed.
SOURCES: dict[str, str] = {
    "files": "haulier_extract.sources.files",
    "http": "haulier_extract.sources.http",
    "sql": "haulier_extract.sources.sql",
    "custom": "haulier_extract.sources.custom",
}


def _is_news(file: SourceFile) -> bool:
    return False


def find(
    instance: Instance,
    interval: Interval,
    settings: Settings,
    standing: dict[str, Any] | None = None,
    *,
    last: dict[str, Any] | None = None,
    preview: bool = False,
    is_known: IsKnown = _is_news,
) -> Found:
    """What arrived in an interval, where the instance's definition says. Raises what the source raises.

    ``standing``: how far a source with a position was read; ``last``: where the increment ended that was read last;
    ``preview`` leaves the source as it is; ``is_known`` says of a file that cannot be hauled as it is whether it would be.
    """
    look: Find = import_module(SOURCES[instance.source.kind]).find
    if instance.source.position:
        return look(instance, interval, settings, standing, last=last, preview=preview)
    if instance.source.files:
        return look(instance, interval, settings, is_known=is_known)
    return look(instance, interval, settings)


def newest(instance: Instance, interval: Interval, settings: Settings) -> Newest | None:
    """What a look at the source would show first; ``None``: there is nothing. Raises what the source raises."""
    found: Newest | None = import_module(SOURCES[instance.source.kind]).newest(instance, interval, settings)
    return found


def source_versions(instance: Instance, settings: Settings) -> dict[str, str]:
    """What a manifest says of code that is not Haulier's."""
    if instance.source.custom is None:
        return {}
    from haulier_extract.sources.custom import digest

    return {"source": digest(instance, settings)}
