"""Names that no column of a delivery may have, whatever their case and spacing."""

from __future__ import annotations

from fnmatch import fnmatchcase

from haulier.definitions.sources import Identifiers


def forbidden_name(identifiers: Identifiers, name: str) -> str | None:
    """The entry of ``columns`` that a name is like; ``None``: it may be there."""
    if is_exempt(identifiers, name):
        return None
    return next((one for one in identifiers.columns if fnmatchcase(_folded(name), _folded(one))), None)


def is_exempt(identifiers: Identifiers, name: str) -> bool:
    """Whether a column of that name is not looked at."""
    return _folded(name) in map(_folded, identifiers.exempt)


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
