"""Regular expressions of definitions and contracts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from haulier.problems import Problem, Trail, quoted

_BACK_REFERENCE = re.compile(r"\\[1-9]|\(\?P=")
_LOOK_AROUND = re.compile(r"\(\?<?[=!]")
_HOLDS_ON = re.compile(r"\(\?>|[*+?}]\+")
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_CLASS = re.compile(r"\[\^?\]?[^\]]*\]")


def problems_of_regex(pattern: str, trail: Trail, *, only_regular: bool = False) -> Iterator[Problem]:
    """Why it cannot be used. ``only_regular``: RE2 will read it, so that no value can make it slow."""
    try:
        re.compile(pattern)
    except re.error as exc:
        at = f" at character {exc.pos + 1}" if exc.pos is not None else ""
        yield Problem(trail, f"{quoted(pattern)} is not a regular expression: {exc.msg}{at}")
        return
    if only_regular and (beyond := _beyond_regular(pattern)):
        yield Problem(
            trail, f"{quoted(pattern)} has {beyond}, which patterns may not; check it in a function"
        )


def _beyond_regular(pattern: str) -> str | None:
    """What RE2 has not."""
    without_backslashes = pattern.replace(r"\\", "")
    if _BACK_REFERENCE.search(without_backslashes):
        return "a back-reference"
    bare = _CLASS.sub("x", _ESCAPED.sub("x", pattern))
    if _LOOK_AROUND.search(bare):
        return "a look-around"
    return "a possessive quantifier or atomic group" if _HOLDS_ON.search(bare) else None
