"""The text of a reference range before it is numbers: which of it counts, and what its words mean."""

from __future__ import annotations

import re

from haulier_clinical.terms import Words

#: What may say a sex.
_LABEL = re.compile(r"[^\W\d_]+|[♀♂]")
#: Between the words of a range that has several.
_EITHER = re.compile(r"\s*[/,;]\s*|\s+(?:or|to|oder|bis|ou|-)\s+|(?<=\w)-(?=\w)", re.IGNORECASE)


class RangeTexts:
    """Ranges as sites write them, with the reference words."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._known: dict[tuple[str, ...], tuple[str, str, str, str]] = {}

    def that_count(self, *sent: str) -> tuple[str, str, str, str]:
        """The lower limit, the upper one and the range in one text that count, and why there is none: files repeat them."""
        if sent not in self._known:
            low, high, both, sex = sent
            both, problem = self._of_sex(both, sex)
            low, high, both = ("" if self._words.find("no-range", one) else one for one in (low, high, both))
            self._known[sent] = low, high, both, problem
        return self._known[sent]

    def _of_sex(self, text: str, sex: str) -> tuple[str, str]:
        """Of a range for either sex, such as ``M: 13.5-17.5 F: 12-15.5``, the one for this; and why there is none."""
        labels = [found for found in _LABEL.finditer(text) if self._words.find("sex", found[0])]
        if not labels or text[: labels[0].start()].strip(" (["):
            return text, ""
        wanted = self._words.find("sex", sex) if sex else None
        if wanted is None:
            return "", "its reference range depends on the sex, and the row does not say which"
        ends = [*(label.start() for label in labels[1:]), len(text)]
        for label, end in zip(labels, ends, strict=True):
            if self._words.find("sex", label[0]) == wanted:
                return text[label.end() : end].strip(" :=,;/|()[]"), ""
        return "", ""

    def normal(self, text: str) -> list[str]:
        """The terms that a range in words has, such as NEGATIVE and TRACE; none where one of them is not known."""
        for parts in ([text], _EITHER.split(text)):
            terms = [self._words.find("result", part) or "" for part in parts]
            if all(terms):
                return terms
        return []
