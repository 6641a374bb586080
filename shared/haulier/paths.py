"""Paths with wildcards and dates in them: ``sites/{date:%Y}/labs_{date:%m-%d}*.csv``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, Self, TypeVar

_TOKEN = re.compile(r"\{date:([^{}]*)\}|(\*+)|(\?)|\[(!?)([^]]+)\]")
_DIRECTIVE = re.compile(r"%(.)")
_NUMBERS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "y": 2, "I": 2, "j": 3, "f": 6}
_WORDS = {"z": r"(?:[+-]\d\d:?\d\d|Z)", "%": "%"}
#: Between the pieces of a date that stands in several places; in no file's name.
_JOINT = "\0"


class Walked(Protocol):
    """A path that can be walked from: `pathlib.Path`, or one on a server."""

    @property
    def name(self) -> str: ...
    def __truediv__(self, name: str, /) -> Self: ...
    def __lt__(self, other: Any, /) -> bool: ...
    def iterdir(self) -> Iterable[Self]: ...
    def exists(self) -> bool: ...
    def is_dir(self) -> bool: ...
    def is_symlink(self) -> bool: ...


Place = TypeVar("Place", bound=Walked)


class PathPattern:
    """A glob whose ``{date:…}`` are read as one date.

    ``*`` and ``?`` stop at a slash and match no name that begins with a dot; ``**`` is any number of
    folders, ``[ab]`` one of these characters.
    """

    def __init__(self, pattern: str) -> None:
        self._segments = [segment for segment in pattern.split("/") if segment]
        self._formats = [found for found, *_ in _TOKEN.findall(pattern) if found]
        self._patterns = {segment: re.compile(_expression(segment)) for segment in self._segments}

    def paths(self, base: Place) -> Iterator[tuple[Place, str]]:
        """Every path below ``base`` that matches, with the text of its date. Raises `OSError` for a folder
        that is there and cannot be read."""
        return self._below(base, 0, ())

    def match(self, path: str) -> str | None:
        """The text of the date in a path that matches; ``None``: it does not."""
        found = self._matched(path.split("/"), 0, ())
        return None if found is None else _JOINT.join(found)

    def folder(self) -> str:
        """The folder that every path that matches lies in, however deep."""
        wild = (at for at, segment in enumerate(self._segments) if segment == "**" or _TOKEN.search(segment))
        return "/".join(self._segments[: min(next(wild, len(self._segments)), len(self._segments) - 1)])

    def _matched(self, names: Sequence[str], depth: int, dates: tuple[str, ...]) -> tuple[str, ...] | None:
        if depth == len(self._segments):
            return None if names else dates
        segment = self._segments[depth]
        if segment == "**":
            found = self._matched(names, depth + 1, dates)
            if found is None and names and names[0] and not names[0].startswith("."):
                return self._matched(names[1:], depth, dates)
            return found
        if not names or not (match := self._patterns[segment].fullmatch(names[0])):
            return None
        return self._matched(names[1:], depth + 1, dates + match.groups())

    def date(self, text: str) -> datetime | None:
        """The instant that a date's text says, in UTC; ``None`` when there is no such day."""
        try:
            if self._formats == ["iso"]:
                found = datetime.fromisoformat(text)
            else:
                found = datetime.strptime(text, _JOINT.join(self._formats))  # noqa: DTZ007 - the next line
        except ValueError:
            return None
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)

    def _below(self, folder: Place, depth: int, dates: tuple[str, ...]) -> Iterator[tuple[Place, str]]:
        if depth == len(self._segments):
            yield folder, _JOINT.join(dates)
            return
        segment = self._segments[depth]
        if segment == "**":
            yield from self._below(folder, depth + 1, dates)
            for child in _children(folder):
                if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
                    yield from self._below(child, depth, dates)
            return
        if not _TOKEN.search(segment):
            if (folder / segment).exists():
                yield from self._below(folder / segment, depth + 1, dates)
            return
        for child in _children(folder):
            if found := self._patterns[segment].fullmatch(child.name):
                yield from self._below(child, depth + 1, dates + found.groups())


def _children(folder: Place) -> list[Place]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _expression(segment: str) -> str:
    """A segment as a regular expression; each date in it is a group."""
    expression, at = "" if segment.startswith(".") else r"(?!\.)", 0
    for token in _TOKEN.finditer(segment):
        date, stars, mark, but, letters = token.groups()
        expression += re.escape(segment[at : token.start()])
        if date is not None:
            expression += f"({_date_expression(date)})"
        elif stars or mark:
            expression += ".*" if stars else "."
        else:
            expression += "[" + "^" * bool(but) + re.escape(letters).replace(r"\-", "-") + "]"
        at = token.end()
    return f"(?s:{expression}{re.escape(segment[at:])})"


def _date_expression(form: str) -> str:
    """What a strptime format reads. A number that touches no other may lack its leading zero."""
    if form == "iso":
        return r"\d{4}-?\d\d-?\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?"
    expression, at = "", 0
    for directive in _DIRECTIVE.finditer(form):
        start, end = directive.span()
        expression += re.escape(form[at:start])
        digits = _NUMBERS.get(directive[1])
        touching = (start == at and at > 0) or form[end : end + 1] == "%"
        if digits is None:
            expression += _WORDS.get(directive[1], "[A-Za-z]+")
        else:
            expression += rf"\d{{{digits if touching or digits > 2 else 1},{digits}}}"
        at = end
    return expression + re.escape(form[at:])
