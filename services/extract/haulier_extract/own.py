"""What a source of a user's own is given, and what it may give back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from haulier.errors import DefinitionError


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One look at a source, for one run of one instance."""

    pipeline: str
    instance: str
    #: The run's interval, in UTC; its end is not included.
    start: datetime
    end: datetime
    #: What `source.custom.options` says, placeholders filled in.
    options: Mapping[str, str | int | bool]
    #: The instance's own parameters.
    parameters: Mapping[str, str]
    #: HAULIER_SOURCE_ROOT.
    folder: Path
    _secrets: Mapping[str, str] = field(repr=False)

    def secret(self, name: str) -> str:
        """The value of HAULIER_SECRET_``name``. Raises `DefinitionError` when it is not set."""
        try:
            return self._secrets[name]
        except KeyError:
            raise DefinitionError(
                f"HAULIER_SECRET_{name} is not set; nor is HAULIER_SECRET_{name}_FILE"
            ) from None


@dataclass(frozen=True, kw_only=True)
class File:
    """A file as it is, in the format that the definition names."""

    #: What makes two of them the same thing sent again.
    name: str
    #: With its time zone.
    modified_at: datetime
    #: Its bytes from the beginning, each time it is called.
    open: Callable[[], Iterable[bytes]] = field(repr=False)
