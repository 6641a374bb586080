"""What sites call tests, specimens, visits and outcomes, and what CDISC does."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from haulier.errors import DefinitionError
from haulier_clinical.folding import folded, plain
from haulier_clinical.numerals import parse_number
from haulier_clinical.records import Record, records, spellings

_TOKEN = re.compile(r"[^\s,;:()/_-]+")
_ASIDE = re.compile(r"\(([^()]*)\)")
#: What stands beside a test's name and does not change what it is.
_BESIDE_NAMES = frozenset({"count", "level", "levels", "measurement", "concentration", "test", "result"})
#: What stands beside a word about a specimen.
_BESIDE_WORDS = frozenset(
    {
        "sample",
        "specimen",
        "the",
        "is",
        "was",
        "tube",
        "result",
        "due",
        "to",
        "grossly",
        "slightly",
        "moderately",
    }
)
#: The number at the end of an unscheduled visit's name.
_TAIL = re.compile(r"(.*?)[\s#(._-]*([0-9]+(?:\.[0-9]+)?)?\)?", re.DOTALL)
_CODE = re.compile(r"[A-Z_][A-Z0-9_]{0,7}")


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One test on one kind of specimen, as ``references/tests.csv`` has it."""

    testcd: str
    test: str
    category: str = ""
    #: Specimen this row is about; the empty text: any that no other row is about.
    specimen: str = ""
    #: Its unit in each system; `haulier_clinical.units.ANY`: that of each result.
    si_unit: str = ""
    conventional_unit: str = ""
    #: Decimals of a converted result; none: significant digits.
    decimals: int | None = None
    is_known: bool = True

    @property
    def parts(self) -> Sequence[str]:
        """The tests whose results one cell of this holds, in their order: ``SYSBP/DIABP``."""
        return self.testcd.split("/") if self.is_known and "/" in self.testcd else ()


@dataclass(frozen=True, kw_only=True)
class Found:
    """A test, and the specimen that its name as sent says beside it."""

    test: Topic
    specimen: str = ""
    #: Tests of the same name that the unit may mean instead.
    others: Sequence[Topic] = ()


class Words:
    """The table ``words``: kind -> folded spelling -> term."""

    def __init__(self, references: Mapping[str, pd.DataFrame]) -> None:
        self._terms: dict[str, dict[str, str]] = {}
        for record in records(references, "words", ("kind", "term", "synonyms")):
            known = self._terms.setdefault(record["kind"], {})
            for text in spellings(record, "term"):
                known.setdefault(_word(text), record["term"])

    def find(self, kind: str, text: str) -> str | None:
        """The term for a text, as it is or without the words that often stand beside one."""
        known = self._terms.get(kind, {})
        if (key := _word(text)) in known:
            return known[key] if key else None
        if not folded(text).strip("%#+"):
            return None
        kept = [token for token in _TOKEN.findall(plain(text)) if token.casefold() not in _BESIDE_WORDS]
        return known.get(folded(" ".join(kept))) if kept else None


class Topics:
    """The rows of the table ``tests`` for one domain."""

    def __init__(self, references: Mapping[str, pd.DataFrame], domain: str, words: Words) -> None:
        self._words = words
        #: Folded name -> its rows.
        self._named: dict[str, list[Topic]] = {}
        self._rows: dict[str, list[Topic]] = {}
        #: Folded name -> the tests that it means where the unit is one of theirs.
        self._by_unit: dict[str, list[Topic]] = {}
        self._loinc: dict[str, Topic] = {}
        #: What was asked before: files repeat their tests in every row.
        self._asked: dict[tuple[str, ...], Found] = {}
        columns = ("domain", "testcd", "test", "specimen", "si_unit", "conventional_unit", "synonyms")
        for record in records(references, "tests", columns):
            if record["domain"] == domain:
                self._add(record)

    def _add(self, record: Record) -> None:
        decimals = record.get("decimals", "")
        if decimals and not decimals.isdecimal():
            raise DefinitionError(
                f"reference tests: {record['testcd']}: decimals {decimals!r} is no whole number"
            )
        test = Topic(
            testcd=record["testcd"],
            test=record["test"],
            category=record.get("category", ""),
            specimen=record["specimen"],
            si_unit=record["si_unit"],
            conventional_unit=record["conventional_unit"],
            decimals=int(decimals) if decimals else None,
        )
        self._rows.setdefault(test.testcd, []).append(test)
        for text in _listed(record, "names_by_unit"):
            self._by_unit.setdefault(folded(text), []).append(test)
        for text in _listed(record, "loinc"):
            self._loinc.setdefault(text, test)
        for text in spellings(record, "testcd", "test"):
            known = self._named.setdefault(folded(text), [])
            if other := next((one for one in known if one.testcd != test.testcd), None):
                raise DefinitionError(
                    f"reference tests: {text!r} is a name of both {other.testcd} and {test.testcd}; keep one"
                )
            if test not in known:
                known.append(test)

    @property
    def codes(self) -> Iterable[str]:
        return self._rows

    def find(self, code: str, name: str, specimen: str = "", category: str = "", loinc: str = "") -> Found:
        """By code, else by name, else by LOINC code; on this specimen or in this category. One that is not known is made
        of the text."""
        asked = (code, name, specimen, category, loinc)
        if asked not in self._asked:
            self._asked[asked] = self._searched(*asked)
        return self._asked[asked]

    def _searched(self, code: str, name: str, specimen: str, category: str, loinc: str) -> Found:
        about = specimen
        if not about and self._words.find("category", category) == "URINALYSIS":
            about = "URINE"
        for text in filter(None, (code, name)):
            if found := self._found(text, about):
                return found
        if known := self._loinc.get(plain(loinc)):
            return Found(test=known, specimen=known.specimen)
        return Found(test=_unknown(code or (loinc if not name else ""), name, category))

    def _found(self, text: str, about: str) -> Found | None:
        for spelling, said in self._variants(text):
            if rows := self._named.get(folded(spelling)):
                wanted = said or about
                others = self._by_unit.get(folded(spelling), ())
                return Found(test=self._row(rows, wanted), specimen=said or _only(rows), others=others)
        return None

    def _row(self, rows: list[Topic], specimen: str) -> Topic:
        """Of the test's rows the one about the specimen; else the one that the name itself means."""
        every = self._rows[rows[0].testcd]
        by_specimen = {one.specimen: one for one in every}
        return by_specimen.get(specimen or _only(rows)) or by_specimen.get("") or rows[0]

    def _variants(self, text: str) -> list[tuple[str, str]]:
        """The ways of reading a name, and the specimen each one sets aside."""
        shown = plain(text)
        ways = [shown]
        if asides := _ASIDE.findall(shown):
            without = _ASIDE.sub(" ", shown)
            ways += [without, _turned(without), *asides]
        ways.append(_turned(shown))
        variants = [(way, "") for way in ways]
        for way in (shown, _turned(shown)):
            kept, said = [], ""
            for token in _TOKEN.findall(way):
                specimen = self._words.find("specimen", token) if len(token) > 2 else None
                if specimen:
                    said = specimen
                elif token.casefold() not in _BESIDE_NAMES:
                    kept.append(token)
            variants.append((" ".join(kept), said))
        return variants


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One visit, as ``references/visits.csv`` has it."""

    visit: str
    visitnum: Decimal
    visitdy: int | None = None


class Visits:
    """The table ``visits``, where the definition names one."""

    def __init__(self, references: Mapping[str, pd.DataFrame]) -> None:
        self._named: dict[str, Visit] = {}
        self._numbered: dict[Decimal, Visit] = {}
        #: What an unscheduled visit's name begins with, folded -> what its number is counted from.
        self._prefixes: dict[str, Decimal] = {}
        if "visits" not in references:
            return
        for record in records(references, "visits", ("visit", "visitnum", "visitdy")):
            texts = spellings(record, "visit")
            prefixes = [folded(text.removesuffix("*")) for text in texts if text.endswith("*")]
            number, day = _number(record["visitnum"] or "0"), _number(record["visitdy"] or "0")
            if number is None or day is None:
                raise DefinitionError(
                    f"reference visits: {record['visit']!r} has a number or a day that is none"
                )
            self._prefixes |= dict.fromkeys(prefixes, number)
            if prefixes or not record["visitnum"]:
                continue
            visit = Visit(
                visit=record["visit"], visitnum=number, visitdy=int(day) if record["visitdy"] else None
            )
            self._numbered.setdefault(number, visit)
            for text in texts:
                self._named.setdefault(_visit_key(text), visit)

    def find(self, name: str, number: str) -> Visit | None:
        """By the number sent, else by name. Nothing for a visit that nobody knows."""
        sent = _number(number) if number else None
        named = self._named.get(_visit_key(name)) if name else None
        if sent is not None:
            known = named if named and named.visitnum == sent else None if name else self._numbered.get(sent)
            return known or Visit(visit=name, visitnum=sent)
        if number or not name:
            return None
        if named:
            return named
        return self._unscheduled(plain(name))

    def _unscheduled(self, name: str) -> Visit | None:
        """``Unscheduled 1.1`` and ``UNS (2)``, counted from where the table says. A number that a planned visit has is none:
        two visits would be one."""
        head, tail = _TAIL.fullmatch(name).groups()  # type: ignore[union-attr]  # of any text
        base = self._prefixes.get(folded(head))
        counted = _number(tail) if tail else Decimal(0)
        if base is None or counted is None or not (tail or base):
            return None
        number = base + counted
        return None if number in self._numbered else Visit(visit=name, visitnum=number)


def _visit_key(text: str) -> str:
    """A visit's name as it is looked up: folded, but day -1 is not day 1, and 1.1 neither 11 nor 1."""
    shown = re.sub(r"(?<!\w)-(?=[0-9])", "minus", plain(text))
    return folded(
        re.sub(r"(?<=[0-9])\W+(?=[0-9])", lambda found: "point" if found[0] == "." else "to", shown)
    )


def _word(text: str) -> str:
    """What a word is looked up by. One of signs alone is all of them: ``+/-`` and ``(+)`` are not ``+``."""
    shown = plain(text)
    return folded(text) if any(c.isalnum() for c in shown) else shown.replace(" ", "")


def _number(text: str) -> Decimal | None:
    """As numeric(8,2) has it."""
    number = parse_number(plain(text), ".")
    if number is None or abs(number) >= 10**6 or number != round(number, 2):
        return None
    return number


def _listed(record: Record, column: str) -> list[str]:
    return [text for text in record.get(column, "").split("|") if text]


def _only(rows: list[Topic]) -> str:
    """The specimen that all the rows of a name are about."""
    specimens = {row.specimen for row in rows}
    return specimens.pop() if len(specimens) == 1 else ""


def _turned(name: str) -> str:
    """``Aminotransferase, alanine`` as it is spoken."""
    head, comma, tail = name.partition(",")
    return f"{tail.strip()} {head.strip()}" if comma else name


def _unknown(code: str, name: str, category: str) -> Topic:
    """A code of its own for a test that is in no table: the one sent where it may be one, else one of its name."""
    text = plain(code or name)
    testcd = re.sub(r"[^A-Z0-9_]", "", folded(text).upper())
    if not _CODE.fullmatch(testcd):
        digest = hashlib.sha256(folded(text).encode()).hexdigest()[:4].upper()
        testcd = f"X{testcd[:3]}{digest}"
    return Topic(testcd=testcd, test=plain(name or code), category=category, is_known=False)
