"""One measurement as sent, and as SDTM keeps it: test, result, unit and range in their standard form, and what is odd."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import pandas as pd

from haulier.errors import DefinitionError
from haulier.problems import nearest
from haulier_clinical.folding import plain
from haulier_clinical.numerals import CONVERTED_DIGITS, EXACT_DIGITS, rounded, significant, written
from haulier_clinical.plausibility import read_limits
from haulier_clinical.range_texts import RangeTexts
from haulier_clinical.ranges import Limit, indicator, read_range
from haulier_clinical.results import Result, read_result
from haulier_clinical.terms import Found, Topic, Topics, Words
from haulier_clinical.units import ANY, NO_UNIT, Unit, Units, named_units

SYSTEMS = ("si", "conventional")
_MARKS = (".", ",")
_UNIT_BEHIND = re.compile(r".*[0-9]\s*([^0-9\s]+)")


class Sent(NamedTuple):
    """What a site sends of one measurement; an empty text for what it does not."""

    code: str = ""
    test: str = ""
    specimen: str = ""
    category: str = ""
    loinc: str = ""
    result: str = ""
    operator: str = ""
    unit: str = ""
    low: str = ""
    high: str = ""
    both: str = ""
    sex: str = ""
    status: str = ""
    reason: str = ""
    condition: str = ""


class Divided(NamedTuple):
    """The measurements that one cell holds, and why they cannot be told apart."""

    sent: Sequence[Sent]
    problem: str = ""


class Odd(NamedTuple):
    """Something to look at: a flag of the row."""

    rule: str
    #: Which of the things sent it is about.
    about: str
    message: str


@dataclass(kw_only=True)
class Measured:
    """The variables of SDTM without their domain's letters; nothing where they are empty."""

    testcd: str
    test: str
    cat: str | None = None
    spec: str = ""
    orres: str | None = None
    orresu: str | None = None
    orresu_ucum: str | None = None
    ornrlo: str | None = None
    ornrhi: str | None = None
    stresc: str | None = None
    stresn: Decimal | None = None
    stresu: str | None = None
    stnrlo: Decimal | None = None
    stnrhi: Decimal | None = None
    stnrc: str | None = None
    nrind: str | None = None
    stat: str | None = None
    reasnd: str | None = None
    spccnd: str | None = None
    odd: list[Odd] = field(default_factory=list)


class Measuring:
    """The rules, with the tables and parameters of one definition. Raises `DefinitionError` for what is wrong in them."""

    def __init__(
        self, references: Mapping[str, pd.DataFrame], parameters: Mapping[str, str], domain: str
    ) -> None:
        self.words = Words(references)
        self.tests = Topics(references, domain, self.words)
        self.units = Units(references)
        self._mark = _one_of(parameters, "decimal_mark", _MARKS)
        self._system = _one_of(parameters, "unit_system", SYSTEMS)
        self._standard = named_units(parameters.get("standard_units", ""), "parameter standard_units")
        self._assumed = named_units(parameters.get("units", ""), "parameter units")
        for name, given in (("standard_units", self._standard), ("units", self._assumed)):
            for code in given:
                if code not in self.tests.codes:
                    near = nearest(code, list(self.tests.codes))
                    hint = f"; did you mean {near}?" if near else ""
                    raise DefinitionError(
                        f"parameter {name}: {code!r} is no test of the reference tests{hint}"
                    )
        self._ranges = RangeTexts(self.words)
        self._limits = read_limits(references, self.units, domain)

    def __call__(self, sent: Sent) -> Measured:
        specimen = self._specimen(sent.specimen)
        found = self.tests.find(sent.code, sent.test, specimen, sent.category, sent.loinc)
        found = replace(found, test=self._meant(found, sent))
        made = Measured(
            testcd=found.test.testcd,
            test=found.test.test,
            cat=self.words.find("category", sent.category) or sent.category or found.test.category or None,
            spec=specimen or found.specimen,
            spccnd=(self.words.find("condition", sent.condition) or sent.condition) or None,
        )
        if not found.test.is_known:
            text = "the test is in no reference; its result is kept as sent and not converted"
            about = "code" if sent.code else "test" if sent.test else "loinc"
            made.odd.append(Odd("test-unknown", about, text))
        if specimen and not self.words.find("specimen", sent.specimen):
            text = f"the specimen {specimen} is not among the reference words; it is kept as sent"
            made.odd.append(Odd("specimen-unknown", "specimen", text))
        target = self._target(found.test)
        typed = sent.unit or self._assumed.get(made.testcd, "")
        result = self._read(sent, found.test, target)
        self._completion(made, sent, result)
        if made.stat is None:
            unit = self._unit(made, found.test, result, result.unit or typed, sent, target)
            self._result(made, found.test, result, unit, target)
            self._range(made, sent, result, unit, target, found.test)
            self._plausible(made)
        return made

    def divides(self, sent: Sent) -> bool:
        """Whether the test is several."""
        return bool(self._as_sent(sent).parts)

    def divided(self, sent: Sent) -> Divided:
        """Itself; of a test that is several, such as blood pressure, a measurement of each."""
        test = self._as_sent(sent)
        if not test.parts:
            return Divided([sent])
        cells = [cell.strip() for cell in plain(sent.result).split("/")]
        if self._read(sent, test, None).kind in ("empty", "not-done", "condition"):
            cells = [sent.result] * len(test.parts)
        elif len(cells) != len(test.parts):
            return Divided(
                [], f"it is not {len(test.parts)} results divided by /, of {', '.join(test.parts)}"
            )
        elif unit := _UNIT_BEHIND.fullmatch(cells[-1]):
            # A unit behind the last of them is that of all.
            cells = [f"{cell} {unit[1]}" if cell[-1:].isdecimal() else cell for cell in cells]
        parts = zip(test.parts, cells, strict=True)
        return Divided([sent._replace(code=part, test="", loinc="", result=cell) for part, cell in parts])

    def _as_sent(self, sent: Sent) -> Topic:
        return self.tests.find(sent.code, sent.test, sent.specimen, sent.category, sent.loinc).test

    def _read(self, sent: Sent, test: Topic, target: Unit | None) -> Result:
        return read_result(
            sent.result,
            self.words,
            mark=self._mark,
            operator=sent.operator,
            is_unit=lambda text: self.units.find(text, test.testcd, target) is not None,
        )

    def _meant(self, found: Found, sent: Sent) -> Topic:
        """Of several tests with one name the first that the unit can be of; the test itself where there is none."""
        for test in (found.test, *found.others) if found.others else ():
            target = self._target(test)
            unit = self.units.find(self._read(sent, test, target).unit or sent.unit, test.testcd, target)
            if unit and target and self.units.can_convert(test.testcd, unit, target):
                return test
        return found.test

    def _specimen(self, text: str) -> str:
        return self.words.find("specimen", text) or plain(text).upper() if text else ""

    def _target(self, test: Topic) -> Unit | None:
        """The test's standard unit; nothing for a test that has none of its own."""
        name = test.si_unit if self._system == "si" else test.conventional_unit
        name = self._standard.get(test.testcd, name)
        if not test.is_known or name == ANY:
            return None
        where = f"the unit of {test.testcd}"
        unit = self.units.find(name) if test.testcd in self._standard else None
        return unit or self.units.named(name, where)

    def _completion(self, made: Measured, sent: Sent, result: Result) -> None:
        """--STAT and --REASND: only where there is no result."""
        said = self.words.find("status", sent.status) or self.words.find("not-done", sent.status)
        is_done = result.kind in ("number", "limit", "coded", "words")
        if is_done:
            if said and said != "DONE":
                text = "there is a result, and the status says that there is none; the result is kept"
                made.odd.append(Odd("status-contradicts", "status", text))
            if sent.reason:
                text = (
                    f"there is a result, and a reason why there is none ({sent.reason}); the result is kept"
                )
                made.odd.append(Odd("status-contradicts", "reason", text))
        else:
            made.stat = "NOT DONE"
            made.reasnd = sent.reason or result.reason or None
        if result.condition:
            made.spccnd = result.condition
            text = f"the specimen is {result.condition}"
            made.odd.append(Odd("specimen-condition", "result", text))
        if result.kind == "condition":
            made.reasnd = made.reasnd or f"SPECIMEN {result.term}"
        if result.kind == "empty" and said in (None, "DONE") and not (sent.reason or sent.condition):
            text = "there is no result and nothing that says why"
            if said:
                text = "there is no result, and the status says that there is one"
            made.odd.append(Odd("result-missing", "result", text))

    def _unit(
        self, made: Measured, test: Topic, result: Result, typed: str, sent: Sent, target: Unit | None
    ) -> Unit | None:
        """The original unit; nothing, and a flag where a number needs one, for a unit that is not known."""
        unit = self.units.find(typed, test.testcd, target) if typed else None
        if unit is not None:
            made.orresu, made.orresu_ucum = unit.name or None, unit.ucum or None
        elif typed:
            made.orresu = typed
        if result.number is None or not test.is_known:
            return unit
        about = "result" if result.unit else "unit"
        if typed and unit is None:
            text = f"the unit {typed} is in no reference; the result is kept as sent and not converted"
        elif target is None:
            return unit or self.units.find("NONE")
        elif not typed and target.kind != NO_UNIT:
            text = (
                f"there is no unit, and {test.testcd} needs one; the result is kept as sent and not converted"
            )
        elif (
            unit is not None
            and not self.units.can_convert(test.testcd, unit, target)
            and not _same(unit, target)
        ):
            wanted = target.name or "a number without a unit"
            text = f"{unit.name or 'no unit'} of {test.testcd} does not become {wanted}; the result is kept as sent"
        else:
            return unit or target
        made.odd.append(Odd("unit-unknown", about, text))
        return None

    def _result(
        self, made: Measured, test: Topic, result: Result, unit: Unit | None, target: Unit | None
    ) -> None:
        made.orres = result.text
        if result.kind == "coded":
            made.stresc = result.term
        elif result.kind == "words":
            made.stresc = result.text
            text = f"{result.text!r} is kept as it is: {result.problem}"
            made.odd.append(Odd("result-in-words", "result", text))
        elif unit is not None and result.number is not None:
            number = self._converted(result.number, test, unit, target or unit)
            made.stresc = f"{result.operator}{written(number)}"
            made.stresn = None if result.operator else number
            made.stresu = (target or unit).name or None

    def _converted(self, number: Decimal, test: Topic, unit: Unit, target: Unit) -> Decimal:
        if unit == target or not self.units.can_convert(test.testcd, unit, target):
            return rounded(Fraction(number), digits=EXACT_DIGITS)
        value = self.units.convert(Fraction(number), test.testcd, unit, target)
        if value == Fraction(number) or (unit.kind == target.kind and _is_ten(unit.scale / target.scale)):
            return rounded(value, digits=EXACT_DIGITS)
        digits = min(max(CONVERTED_DIGITS, significant(number)), EXACT_DIGITS)
        return rounded(value, digits=digits, decimals=test.decimals)

    def _range(
        self, made: Measured, sent: Sent, result: Result, unit: Unit | None, target: Unit | None, test: Topic
    ) -> None:
        low, high, both, problem = self._ranges.that_count(sent.low, sent.high, sent.both, sent.sex)
        limits = read_range(
            low,
            high,
            both,
            mark=self._mark,
            is_unit=lambda text: unit is not None and self.units.find(text, test.testcd, target) == unit,
        )
        if problem := problem or limits.problem:
            about = "both" if sent.both and not (sent.low or sent.high) else "low" if sent.low else "high"
            made.odd.append(Odd("range-unreadable", about, problem))
        if limits.words:
            normal = self._ranges.normal(limits.words)
            made.stnrc = "/".join(normal) or limits.words
            if normal and result.kind == "coded":
                made.nrind = "NORMAL" if result.term in normal else "ABNORMAL"
        made.nrind = indicator(result, limits) or made.nrind

        def standard(limit: Limit | None) -> tuple[str | None, Decimal | None]:
            if limit is None:
                return None, None
            if unit is None or result.number is None:
                return limit.text, None
            return limit.text, self._converted(limit.number, test, unit, target or unit)

        made.ornrlo, made.stnrlo = standard(limits.low)
        made.ornrhi, made.stnrhi = standard(limits.high)

    def _plausible(self, made: Measured) -> None:
        """Limits are judged in the standard unit, whatever the site's is."""
        limits = self._limits.get(made.testcd)
        if limits is None or made.stresn is None or not made.stresu:
            return
        unit = self.units.find(made.stresu, made.testcd, limits.unit) or limits.unit
        value = self.units.convert(Fraction(made.stresn), made.testcd, unit, limits.unit)
        shown = f"{written(made.stresn)} {made.stresu}"
        if limits.is_impossible(value):
            text = (
                f"{made.orres} {made.orresu or ''}".strip()
                + f" would be {shown}, which {made.testcd} cannot be; "
                "check the value and its unit. It is kept as sent and not converted"
            )
            made.odd.append(Odd("implausible", "result", text))
            made.stresc = made.stresn = made.stresu = None
        elif limits.is_unusual(value):
            made.odd.append(Odd("unusual", "result", f"{made.testcd} is seldom {shown}"))


def _same(unit: Unit, target: Unit) -> bool:
    """A ratio is a number without a unit."""
    return {unit.kind, target.kind} <= {NO_UNIT, "ratio"}


def _is_ten(scale: Fraction) -> bool:
    """Whether it only moves the decimal mark, which keeps every digit."""
    ends = {str(scale.numerator), str(scale.denominator)}
    return "1" in ends and all(not end.strip("0").removeprefix("1") for end in ends)


def _one_of(parameters: Mapping[str, str], name: str, choices: Sequence[str]) -> str:
    chosen = parameters.get(name, choices[0])
    if chosen not in choices:
        raise DefinitionError(f"parameter {name}: {chosen!r} is none of {', '.join(choices)}")
    return chosen
