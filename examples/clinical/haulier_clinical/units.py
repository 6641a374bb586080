"""Units: what a site typed, as CDISC writes it, and how a result in it becomes one in the test's own unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import pandas as pd

from haulier.errors import DefinitionError
from haulier_clinical.folding import unit_key
from haulier_clinical.records import records, spellings

#: In place of a test's unit: it has none of its own, and keeps that of each result.
ANY = "*"
_REMARK = re.compile(r"\{[^{}]*\}")
#: Kind of the units that say there is none.
NO_UNIT = ""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One unit, as ``references/units.csv`` has it."""

    #: The term of CDISC's codelist; the empty text for "no unit".
    name: str
    ucum: str
    #: Units of one kind differ by their scale alone.
    kind: str
    scale: Fraction


@dataclass(frozen=True, kw_only=True)
class Step:
    """From one kind of unit to another: ``to = from * factor + offset``, both in the row's own units."""

    of: Unit
    to: Unit
    factor: Fraction
    offset: Fraction

    def __call__(self, value: Fraction) -> Fraction:
        """From the base unit of one kind to that of the other."""
        return (value / self.of.scale * self.factor + self.offset) * self.to.scale

    @property
    def back(self) -> Step:
        return Step(of=self.to, to=self.of, factor=1 / self.factor, offset=-self.offset / self.factor)


class Units:
    """The tables ``units`` and ``conversions``."""

    def __init__(self, references: Mapping[str, pd.DataFrame]) -> None:
        self._by_name: dict[str, Unit] = {}
        self._exact: dict[str, list[Unit]] = {}
        self._folded: dict[str, list[Unit]] = {}
        for record in records(references, "units", ("unit", "ucum", "kind", "scale", "synonyms")):
            where = f"reference units: {record['unit']!r}"
            unit = Unit(
                name=record["unit"],
                ucum=record["ucum"],
                kind=record["kind"],
                scale=fraction(record["scale"] or "1", where),
            )
            self._by_name[unit.name] = unit
            for text in spellings(record, "unit", "ucum"):
                if unit.name == NO_UNIT and text == unit.ucum:
                    continue
                for keys, key in ((self._exact, unit_key(text)), (self._folded, unit_key(text).casefold())):
                    if unit not in (known := keys.setdefault(key, [])):
                        known.append(unit)
        self._steps: dict[str, list[Step]] = {}
        for record in records(
            references, "conversions", ("testcd", "from_unit", "to_unit", "factor", "offset")
        ):
            where = f"reference conversions: {record['testcd']} from {record['from_unit']}"
            step = Step(
                of=self.named(record["from_unit"], where),
                to=self.named(record["to_unit"], where),
                factor=fraction(record["factor"], where),
                offset=fraction(record["offset"] or "0", where),
            )
            self._steps.setdefault(record["testcd"], []).extend((step, step.back))
        self._ways: dict[tuple[str, str, str], tuple[Step, ...] | None] = {}

    def named(self, name: str, where: str) -> Unit:
        """The unit of that very name. Raises `DefinitionError`."""
        if name not in self._by_name:
            raise DefinitionError(f"{where}: {name!r} is no unit of the reference units")
        return self._by_name[name]

    def find(self, text: str, testcd: str = "", target: Unit | None = None) -> Unit | None:
        """The unit a text means. Where it may mean several (``G/L``), the one that the test can be given in; as it is
        spelt before without regard to case, and without the remarks in braces that UCUM allows (``{cells}/uL``)."""
        found = self._found(text, testcd, target)
        if found is None and (bare := _REMARK.sub("", text)) != text:
            return self._found(bare, testcd, target) if bare.strip() else self._by_name.get(NO_UNIT)
        return found

    def _found(self, text: str, testcd: str, target: Unit | None) -> Unit | None:
        key = unit_key(text)
        exact, loosely = self._exact.get(key, []), self._folded.get(key.casefold(), [])
        if target is not None:
            for candidates in (exact, loosely):
                fitting = [unit for unit in candidates if self.can_convert(testcd, unit, target)]
                if len(fitting) == 1:
                    return fitting[0]
        for candidates in (exact, loosely):
            if len(candidates) == 1:
                return candidates[0]
        return None

    def can_convert(self, testcd: str, unit: Unit, target: Unit) -> bool:
        return self._way(testcd, unit.kind, target.kind) is not None

    def convert(self, value: Fraction, testcd: str, unit: Unit, target: Unit) -> Fraction:
        """Exact. Only for what `can_convert`."""
        value *= unit.scale
        for step in self._way(testcd, unit.kind, target.kind) or ():
            value = step(value)
        return value / target.scale

    def _way(self, testcd: str, kind: str, wanted: str) -> tuple[Step, ...] | None:
        """The fewest steps from kind to kind; nothing where there are none."""
        key = (testcd, kind, wanted)
        if key not in self._ways:
            self._ways[key] = self._searched(testcd, kind, wanted)
        return self._ways[key]

    def _searched(self, testcd: str, kind: str, wanted: str) -> tuple[Step, ...] | None:
        ways: list[tuple[Step, ...]] = [()]
        reached = {kind}
        while ways:
            longer = []
            for way in ways:
                at = way[-1].to.kind if way else kind
                if at == wanted:
                    return way
                for step in self._steps.get(testcd, ()):
                    if step.of.kind == at and step.to.kind not in reached:
                        reached.add(step.to.kind)
                        longer.append((*way, step))
            ways = longer
        return None


def named_units(text: str, where: str) -> dict[str, str]:
    """``HGB g/L, MCHC g/L`` as a mapping of tests to units. Raises `DefinitionError`."""
    found = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        test, _, unit = entry.partition(" ")
        if not unit.strip():
            raise DefinitionError(
                f"{where}: {entry!r} names no unit; write it as HGB g/L, and a comma between two"
            )
        found[test] = unit.strip()
    return found


def fraction(text: str, where: str) -> Fraction:
    """Of ``0.357`` or ``5/9``. Raises `DefinitionError`."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as exc:
        raise DefinitionError(f"{where}: {text!r} is no number such as 0.357 or 5/9") from exc
