"""Where files lie: a module and a line each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any, Protocol

from haulier.definitions.sources import Files
from haulier.interval import Interval
from haulier.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file as its store lists it."""

    #: The file's name alone.
    name: str
    #: Where it lies, as a logical name may show it; and with the store before it.
    path: str
    uri: str
    bytes: int
    modified_at: datetime
    #: What the store knows it by.
    handle: Any


class Store(Protocol):
    """Files under paths, read only.

    Each method raises `TransientError` when the store cannot be reached or read for now and
    `DefinitionError` when it refuses for good.
    """

    def entries(self) -> Iterator[tuple[Entry | str, datetime | None]]:
        """Every file that matches, with the date in its path; in place of a file, why it waits.

        Without a date in the pattern, or with one that is no day of the calendar: ``None``.
        """

    def beside(self, entry: Entry, name: str) -> Entry | None:
        """The file of that name beside another."""

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Its bytes, from the beginning each time. Raises `haulier_extract.sources.Vanished`."""

    def changed(self, entry: Entry) -> bool:
        """Whether it is no longer as it was listed. Raises `Vanished`."""


#: Scheme of a path -> the module whose ``open_store`` reads there; imported when it is needed.
STORES: dict[str, str] = {
    "": "haulier_extract.sources.stores.folder",
    "https": "haulier_extract.sources.stores.https",
    "s3": "haulier_extract.sources.stores.s3",
    "sftp": "haulier_extract.sources.stores.sftp",
}


def open_store(files: Files, settings: Settings, interval: Interval) -> Store:
    """The store that a path names; one that cannot list needs the interval.

    Raises `DefinitionError` for a setting that is missing or cannot be used.
    """
    scheme = files.path.partition("://")[0] if "://" in files.path else ""
    store: Store = import_module(STORES[scheme]).open_store(files, settings, interval)
    return store
