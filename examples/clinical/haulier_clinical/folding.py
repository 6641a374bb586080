"""What two spellings have in common: texts folded for matching only, never for what is kept."""

from __future__ import annotations

import re
import unicodedata

_SPACE = re.compile(r"\s+")
_NOT_IN_A_NAME = re.compile(r"[^\w%#+]|_")
#: British and American spellings, behind accents and case.
_SPELLINGS = (("haem", "hem"), ("leuco", "leuko"), ("oestr", "estr"), ("lysed", "lyzed"))
#: Both mu signs; NFKC makes one of them.
_SIGNS = str.maketrans({"μ": "u", "−": "-", "–": "-", "‐": "-", "×": "x", "º": "°"})
#: Digits that stand high are a power, 10⁵ is not 105: NFKC would make plain digits of them.
_RAISED = re.compile(r"[⁺⁻]?[⁰¹²³⁴-⁹]+")
#: As people write them where a keyboard has none of them.
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
#: Powers of ten that counts are given in: 10^9, 10*9, 10e9, x109.
_TEN = re.compile(r"^x?10(?:e\+?)?(?=(?:12|10|[234689])(?:/|$))", re.IGNORECASE)
_BRACKETED = re.compile(r"^(x?10)\(([0-9]+)\)", re.IGNORECASE)


def plain(text: str) -> str:
    """Without space around it, and with one way of writing signs that look alike."""
    if text.isascii():
        return " ".join(text.split())
    raised = _RAISED.sub(r"^\g<0>", text)
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", raised).translate(_SIGNS)).strip()


def folded(text: str) -> str:
    """A name or a word: case, accents, space and punctuation do not matter; ``%``, ``#`` and ``+`` do."""
    spelt = plain(text).casefold().translate(_UMLAUTS)
    bare = "".join(c for c in unicodedata.normalize("NFKD", spelt) if not unicodedata.combining(c))
    key = _NOT_IN_A_NAME.sub("", bare)
    for other, ours in _SPELLINGS:
        key = key.replace(other, ours)
    return key


def unit_key(text: str) -> str:
    """A unit: space and the ways of writing powers do not matter; case still does."""
    key = plain(text).replace(" ", "").replace("^", "").replace("*", "")
    key = _BRACKETED.sub(r"\1\2", key)
    key = re.sub(r"cells?(?=/|$)", "", key, flags=re.IGNORECASE)
    return _TEN.sub("10", key)
