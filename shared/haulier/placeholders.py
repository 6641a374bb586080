"""The ``{…}`` of source paths and names: what they may be, and filling them in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from haulier.formats import ISO, names_a_day, problem_of_format
from haulier.problems import Problem, Trail, quoted, suggestion

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NAMED = re.compile(r"\{(\w+)\}")
_DATE = "date:"
#: What a query says of a run's interval; each alone is ISO 8601, or has a format behind a colon.
INSTANTS = ("start", "end")
#: The format that is seconds since 1970.
EPOCH = "epoch"
_INSTANT = re.compile(r"\{(start|end)(?::([^{}]*))?\}")
#: Where files may lie, beside a folder; `haulier_extract.sources.stores` has a module for each.
SCHEMES = ("https", "s3", "sftp")
_EXAMPLES = {
    "https": "host/labs_{date:%Y-%m-%d}.csv",
    "s3": "bucket/prefix/*.csv",
    "sftp": "host/exports/*.csv, or with a port sftp://host:2222/exports/*.csv",
}
#: host, port and what lies there.
_SERVER = re.compile(r"[^/:]+(?::[1-9]\d{0,4})?/+[^/].*", re.DOTALL)


def fill(text: str, values: Mapping[str, str]) -> str:
    """``{instance}``, ``{pipeline}`` and parameters become their values; others stay."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def asked_with(statement: str) -> list[str]:
    """What stands in a query for a value, but in a line that is a comment."""
    lines = (line for line in statement.splitlines() if not line.lstrip().startswith("--"))
    return sorted({name for line in lines for name in _NAMED.findall(line)})


def date_formats(text: str) -> list[str]:
    """The formats of its ``{date:…}``."""
    return [name.removeprefix(_DATE) for name in _PLACEHOLDER.findall(text) if name.startswith(_DATE)]


def instants(text: str) -> list[tuple[str, str]]:
    """Its ``{start}`` and ``{end}`` with their formats; "" for none."""
    return _INSTANT.findall(text)


def without_instants(text: str) -> str:
    return _INSTANT.sub("", text)


def fill_instants(text: str, start: datetime, end: datetime) -> str:
    """``{start}`` and ``{end}`` as their formats say, in UTC."""

    def said(found: re.Match[str]) -> str:
        instant = start if found[1] == "start" else end
        if found[2] == EPOCH:
            return str(int(instant.timestamp()))
        if found[2] in (None, "", ISO):
            return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
        return instant.strftime(found[2])

    return _INSTANT.sub(said, text)


def problems_of_template(
    text: str, trail: Trail, known: Iterable[str], *, dates: bool = False
) -> Iterator[Problem]:
    """Placeholders that are none. ``dates``: whether ``{date:…}`` is one here."""
    names = sorted(known)
    for name in _PLACEHOLDER.findall(text):
        if name in names:
            continue
        if dates and name.startswith(_DATE):
            if reason := problem_of_format(name.removeprefix(_DATE)):
                yield Problem(trail, f"{{{name}}}: {reason}")
        elif dates and name == "date":
            yield Problem(trail, "{date} needs a format, such as {date:%Y-%m-%d}")
        else:
            choices = [f"{{{one}}}" for one in names] + (["{date:%Y-%m-%d}"] if dates else [])
            yield Problem(
                trail,
                f"{quoted(f'{{{name}}}')} is not a placeholder here{suggestion(f'{{{name}}}', choices)}",
            )
    rest = _PLACEHOLDER.sub("", text)
    if "{" in rest or "}" in rest:
        yield Problem(trail, f"{quoted(text)} has a brace without its partner")


def is_remote(path: str) -> bool:
    """Whether files lie elsewhere than in a folder of this machine."""
    return "://" in path


def problems_of_path(path: str, select: str) -> Iterator[Problem]:
    """A path that leaves its folder; a date in it, and a way of selecting files, without each other."""
    trail: Trail = ("source", "files", "path")
    formats = date_formats(path)
    scheme, separator, place = path.partition("://")
    if separator and scheme not in SCHEMES:
        known = [f"{one}://" for one in SCHEMES]
        yield Problem(trail, f"{quoted(path)} is nowhere Haulier reads{suggestion(f'{scheme}://', known)}")
    elif separator and (not place.partition("/")[0] or re.search(r"[*?\[{]", place.partition("/")[0])):
        yield Problem(trail, f"{quoted(path)} names no place; write {scheme}://{_EXAMPLES[scheme]}")
    elif scheme in ("https", "sftp") and "@" in place.partition("/")[0]:
        yield Problem(trail, "holds a user or a password, which a definition may not; remove it", " ")
    elif scheme == "sftp" and not _SERVER.fullmatch(place):
        yield Problem(trail, f"{quoted(path)} names no files of a server; write sftp://{_EXAMPLES['sftp']}")
    elif scheme == "https" and re.search(r"[*?\[#]", place):
        text = "* ? [ # have no part in an address: a web server lists nothing, and what follows ? may be a secret"
        yield Problem(trail, f"{quoted(path)}: {text}")
    if ".." in path.split("/"):
        yield Problem(trail, f"{quoted(path)} leaves the source folder; write it from HAULIER_SOURCE_ROOT on")
    if select == "modified" and formats:
        text = f"{{date:{formats[0]}}} has no part in select: modified; write * in its place, or select: name"
        yield Problem(trail, text)
    elif select == "name" and not formats:
        yield Problem(
            ("source", "files", "select"),
            f'"name" needs a date in source.files.path ({quoted(path)}), such as {{date:%Y-%m-%d}}; '
            "or write select: modified",
        )
    elif select == "name" and len(formats) > 1:
        yield Problem(trail, f"{quoted(path)} has more than one date; keep one, write * for the others")
    elif select == "name" and not problem_of_format(formats[0]) and not names_a_day(formats[0]):
        yield Problem(trail, f"{{date:{formats[0]}}} does not name a whole day: year, month and day")
