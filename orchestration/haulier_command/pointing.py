"""What a person points at when they say "this file": a place as definitions write it, and its pattern."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from haulier.errors import DefinitionError

_WILD = re.compile(r"[*?\[]|\{date:")
#: A date in a file's name -> its format; a time or a number right behind it changes with every file.
_DATES = (
    (re.compile(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?!\d)"), "%Y-%m-%d"),
    (re.compile(r"(?<!\d)(\d{4}_\d{2}_\d{2})(?!\d)"), "%Y_%m_%d"),
    (re.compile(r"(?<!\d)(\d{4}\.\d{2}\.\d{2})(?!\d)"), "%Y.%m.%d"),
    (re.compile(r"(?<!\d)(\d{2}\.\d{2}\.\d{4})(?!\d)"), "%d.%m.%Y"),
    (re.compile(r"(?<!\d)((?:19|20)\d{6})(?!\d)"), "%Y%m%d"),
)
_BEHIND = re.compile(r"[T_-]?\d{2}[-:]?\d{2}(?:[-:]?\d{2})?Z?(?![\dA-Za-z])")


@dataclass(frozen=True, kw_only=True)
class Pointed:
    """A sample, and the path of all files like it."""

    #: What discover is asked for.
    place: str
    #: What the definition says.
    path: str
    #: The date in the sample's name; none: there is no date, or there are wildcards.
    date: date | None = None


def pointed_at(where: str, root: Path) -> Pointed:
    """A file, a pattern or an address. Raises `DefinitionError` for a file that is not there."""
    if "://" in where:
        return Pointed(place=where, path=where) if _WILD.search(where) else _dated(where)
    if _WILD.search(where) and not Path(where).exists() and not (root / where).exists():
        place = _from(root, where)
        return Pointed(place=place, path=place)
    found = where if Path(where).is_file() else str(root / where)
    if not Path(found).is_file():
        raise DefinitionError(f"--from: there is no file {where!r}, here or in HAULIER_SOURCE_ROOT ({root})")
    return _dated(_from(root, found), escaped=True)


def _from(root: Path, where: str) -> str:
    """As a definition says it: from the source folder on, else from the root of the file system."""
    # Not `resolve`: a link stays the name that the sender uses.
    path, base = (Path(os.path.normpath(Path(one).absolute())) for one in (where, root))
    return str(path.relative_to(base) if path.is_relative_to(base) else path)


def _dated(place: str, *, escaped: bool = False) -> Pointed:
    if escaped and ("{" in place or "}" in place):
        raise DefinitionError(
            f"--from: {place!r} has a brace in it, which a path of a definition reads; rename it"
        )
    literal = _literal(place) if escaped else place
    folder, slash, name = place.rpartition("/")
    for shape, form in _DATES:
        if (found := shape.search(name)) and (day := _day(found[1], form)):
            rest = name[found.end() :]
            # Addresses are no patterns: what follows the date stays.
            behind = None if "https://" in place else _BEHIND.match(rest)
            if behind:
                rest = rest[behind.end() :]
            front, back = (
                (_literal(one) if escaped else one) for one in (folder + slash + name[: found.start()], rest)
            )
            path = f"{front}{{date:{form}}}{'*' if behind else ''}{back}"
            return Pointed(place=literal, path=path, date=day)
    return Pointed(place=literal, path=literal)


def _literal(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def _day(text: str, form: str) -> date | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC).date()
    except ValueError:
        return None
