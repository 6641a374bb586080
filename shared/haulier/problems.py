"""What is wrong with a document, in words: the field's path, its value and the nearest valid spelling."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from haulier.errors import DefinitionError

#: Keys and positions that lead to a value of a document.
Trail = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[\w-]+")
_SHOWN_AT_MOST = 80
#: Keys an item of a list goes by.
_TITLES = ("name", "property", "synonym")


@dataclass(frozen=True)
class Problem:
    """One thing wrong at one place."""

    trail: Trail
    text: str
    joint: str = ": "

    def words(self, document: object = None) -> str:
        """As a person reads it: ``load.mode: "upsrt" is not a mode``."""
        place = show_trail(self.trail, document)
        return f"{place}{self.joint}{self.text}" if place else self.text


def refuse(problems: Iterable[Problem], shown: str, document: object) -> None:
    """Raises `DefinitionError` with all of them, if there are any, for the document that is shown as that."""
    if said := [f"{shown}: {problem.words(document)}" for problem in problems]:
        raise DefinitionError("\n".join(said))


def show_trail(trail: Trail, document: object = None) -> str:
    """``source.csv.encoding``; a list's item goes by its ``name`` where it has one: ``schema[labs]``."""
    shown, here = "", document
    for step in trail:
        here = _inside(here, step)
        if isinstance(step, int):
            shown += f"[{_title(here) or step}]"
        else:
            key = step if _PLAIN_KEY.fullmatch(step) else quoted(step)
            shown += f".{key}" if shown else key
    return shown


def _title(item: object) -> str | None:
    """What an item of a list is called."""
    titles = [item.get(key) for key in _TITLES] if isinstance(item, dict) else []
    return next((title for title in titles if isinstance(title, str) and title), None)


def _inside(value: object, step: str | int) -> object:
    if isinstance(value, dict) and isinstance(step, str):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def reaches(document: object, trail: Trail) -> int:
    """How many steps of the trail exist in the document."""
    for taken, step in enumerate(trail):
        known = step in document if isinstance(document, dict) else _inside(document, step) is not None
        if not known:
            return taken
        document = _inside(document, step)
    return len(trail)


def quoted(value: object) -> str:
    """The value as a definition would write it, shortened."""
    text = str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_AT_MOST else f"{text[: _SHOWN_AT_MOST - 1]}…"


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word most like this one, if any is."""
    import difflib

    folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def suggestion(word: str, known: Iterable[str], otherwise: str = "use", last: str = "or") -> str:
    """``; did you mean "x"?``, or all there is to choose from."""
    names = list(known)
    if (near := nearest(word, names)) is not None:
        return f"; did you mean {quoted(near)}?"
    return f"; {otherwise} {listed(names, last)}" if names else ""


def listed(names: Sequence[str], last: str = "or") -> str:
    shown = [quoted(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {last} {shown[-1]}"
