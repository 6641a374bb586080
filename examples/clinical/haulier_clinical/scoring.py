"""A table against an answer key: how many rows it has of it, and where their cells differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from haulier.errors import DefinitionError

Row = Mapping[str, str]
_ASKED = re.compile(
    r"(?P<column>\w+)(?:~(?P<tolerance>[0-9.]+))?(?:\s+where\s+(?P<where>.+))?", re.IGNORECASE
)
_CONDITION = re.compile(r"(?P<column>\w+)\s*(?P<not>!?)=\s*(?P<value>.*)")


@dataclass(frozen=True, kw_only=True)
class Condition:
    column: str
    value: str
    is_negated: bool

    def __call__(self, row: Row) -> bool:
        return (row[self.column] == self.value) != self.is_negated


@dataclass(frozen=True, kw_only=True)
class Question:
    """``LBSTRESN~0.001 where LBSTRESN!= and VISIT!=BASELINE``: a column, how far its numbers may differ, and of which
    rows of the key it is asked."""

    text: str
    column: str
    #: Share of the key's number.
    tolerance: Decimal
    conditions: tuple[Condition, ...] = ()

    @classmethod
    def of(cls, text: str) -> Question:
        """Raises `DefinitionError`."""
        asked = _ASKED.fullmatch(text.strip())
        parts = re.split(r"\s+and\s+", asked["where"]) if asked and asked["where"] else []
        found = [_CONDITION.fullmatch(part.strip()) for part in parts]
        if asked is None or None in found:
            raise DefinitionError(f"{text!r} is no question such as 'LBSTRESN~0.001 where LBSTRESN!='")
        conditions = tuple(
            Condition(column=one["column"].upper(), value=one["value"].strip(), is_negated=bool(one["not"]))
            for one in found
            if one
        )
        return cls(
            text=text,
            column=asked["column"].upper(),
            tolerance=Decimal(asked["tolerance"] or "0"),
            conditions=conditions,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the key that it needs."""
        return (self.column, *(condition.column for condition in self.conditions))

    def is_about(self, row: Row) -> bool:
        return all(condition(row) for condition in self.conditions)

    def agrees(self, ours: str, key: str) -> bool:
        number, wanted = _number(ours), _number(key)
        if number is None or wanted is None:
            return ours == key
        return abs(number - wanted) <= abs(wanted) * self.tolerance


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one question."""

    question: str
    #: Rows of the key that it is asked of.
    rows: int
    matched: int
    #: The rest, and the first of them: which row, what it has, what the key says.
    differing: int
    examples: tuple[str, ...] = ()


def score(
    ours: Iterable[Row],
    key: Iterable[Row],
    on: Sequence[str],
    questions: Sequence[Question],
    translate: Callable[[str, str], str] = lambda _, cell: cell,
) -> Iterator[Answer]:
    """Rows are the same where the columns ``on`` have the same cells, numbers as numbers; ``translate`` (column, cell)
    gives a cell of the key the name it has today. First come the answers of the rows themselves, both ways."""
    table = {tuple(_plain(row[name]) for name in on): row for row in ours}
    keyed = [(tuple(_plain(translate(name, row[name])) for name in on), row) for row in key]
    absent = [at for at, _ in keyed if at not in table]
    yield _answer("rows of the key that the table has", len(keyed), [" ".join(at) for at in absent])
    beyond = table.keys() - {at for at, _ in keyed}
    yield _answer("rows of the table that the key has", len(table), [" ".join(at) for at in sorted(beyond)])
    for question in questions:
        asked = [(at, row) for at, row in keyed if question.is_about(row)]
        wrong = []
        for at, row in asked:
            cell = table[at][question.column] if at in table else "no row"
            if not question.agrees(cell, row[question.column]):
                wrong.append(f"{' '.join(at)}: {cell!r}, the key has {row[question.column]!r}")
        yield _answer(question.text, len(asked), wrong)


def _answer(question: str, rows: int, wrong: Sequence[str]) -> Answer:
    return Answer(
        question=question,
        rows=rows,
        matched=rows - len(wrong),
        differing=len(wrong),
        examples=tuple(wrong[:5]),
    )


def shown(answers: Sequence[Answer]) -> str:
    """The answers as a table for people."""
    width = max(len(one.question) for one in answers)
    lines = [f"{'question':<{width}}  {'rows':>7}  {'matched':>7}  {'differing':>9}"]
    for one in answers:
        lines.append(f"{one.question:<{width}}  {one.rows:>7}  {one.matched:>7}  {one.differing:>9}")
        lines += [f"    {example}" for example in one.examples]
    return "\n".join(lines)


def text_of(value: object) -> str:
    """A cell of a table as a key has it."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value.isoformat() if isinstance(value, date) else str(value)


def _plain(cell: str) -> str:
    number = _number(cell)
    return cell if number is None else text_of(number)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) else None
    except InvalidOperation:
        return None
