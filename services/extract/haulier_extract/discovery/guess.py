"""What a column might be."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A type in the words of a contract; the logical one's usual PostgreSQL type where none is named."""

    logical: str
    physical: str | None = None
    format: str | None = None
    #: What a person should look at.
    remarks: tuple[str, ...] = ()


def all_match(texts: Collection[str], pattern: re.Pattern[str]) -> bool:
    """Whether each text, from its first to its last character, is of that shape."""
    return all(map(pattern.fullmatch, texts))
