"""The sources extract can read: a module and a line each."""

from __future__ import annotations

from collections.abc import Callable

from haulier.definitions import Instance
from haulier.interval import Interval
from haulier.settings import Settings
from haulier_extract.sources import files
from haulier_extract.sources.files import Found

#: What finds the deliveries of an interval.
Source = Callable[[Instance, Interval, Settings], Found]

SOURCES: dict[str, Source] = {"files": files.find}
