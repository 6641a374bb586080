"""Everything that keeps a document from being what it should be, by structure alone.

msgspec says only the first of it, without the keys of mappings and without a suggestion. It judges,
because it is fast; this explains, once it has refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import inspect

from haulier.problems import Problem, Trail, quoted, show_trail, suggestion


def explain(
    value: object, kind: type, noun: str, originals: Mapping[Trail, str] | None = None
) -> list[Problem]:
    """What is wrong with ``value`` as a ``kind``, called ``noun`` when the whole of it is meant.

    ``originals`` has the texts of plain scalars, which YAML may have taken for something else.
    """
    return list(_Explainer(value, noun, originals or {}).problems(value, inspect.type_info(kind), ()))


@dataclass(frozen=True)
class _Explainer:
    document: object
    noun: str
    originals: Mapping[Trail, str]

    def problems(self, value: object, kind: inspect.Type, trail: Trail) -> Iterator[Problem]:
        match kind:
            case inspect.Metadata():
                yield from self.problems(value, kind.type, trail)
            case inspect.UnionType():
                yield from self._union(value, kind, trail)
            case inspect.StructType():
                yield from self._struct(value, kind, trail)
            case inspect.DictType():
                yield from self._mapping(value, kind, trail)
            case inspect.VarTupleType() | inspect.ListType():
                yield from self._list(value, kind, trail)
            case inspect.LiteralType():
                yield from self._literal(value, kind, trail)
            case inspect.StrType():
                yield from self._text(value, kind, trail)
            case inspect.IntType():
                yield from self._integer(value, kind, trail)
            case inspect.FloatType():
                yield from self._number(value, kind, trail)
            case inspect.BoolType():
                yield from self._truth(value, trail)
            case inspect.DateType():
                yield from self._day(value, trail)

    def _union(self, value: object, kind: inspect.UnionType, trail: Trail) -> Iterator[Problem]:
        choices = [choice for choice in kind.types if not isinstance(choice, inspect.NoneType)]
        if value is None and len(choices) < len(kind.types):
            return
        answers = [list(self.problems(value, choice, trail)) for choice in choices]
        if all(answers):
            # The choice of the same shape says most: a mapping was meant as the mapping.
            deepest = max(answers, key=lambda found: max(len(problem.trail) for problem in found))
            yield from deepest

    def _struct(self, value: object, kind: inspect.StructType, trail: Trail) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield self._other_shape(value, "a mapping of settings", trail)
            return
        fields = {field.encode_name: field for field in kind.fields}
        here = show_trail(trail, self.document) or self.noun
        #: Field -> a word that other sections take -> why this one does not.
        refused: Mapping[str, Mapping[str, str]] = getattr(kind.cls, "refused", {})
        for key, inner in value.items():
            if isinstance(inner, str) and (reason := refused.get(key, {}).get(inner)):
                choices = suggestion("", _choices(fields[key].type))
                yield Problem((*trail, key), f"{quoted(inner)} makes no sense here: {reason}{choices}")
            elif key in fields:
                yield from self.problems(inner, fields[key].type, (*trail, key))
            else:
                hint = suggestion(key, fields, "its settings are", "and")
                yield Problem((*trail, key), f"is not a setting of {here}{hint}", " ")
        for name, field in fields.items():
            if field.required and name not in value:
                yield Problem((*trail, name), "is missing", " ")

    def _mapping(self, value: object, kind: inspect.DictType, trail: Trail) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield self._other_shape(value, "a mapping", trail)
            return
        for key, inner in value.items():
            yield from self.problems(inner, kind.value_type, (*trail, key))

    def _list(
        self, value: object, kind: inspect.VarTupleType | inspect.ListType, trail: Trail
    ) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield self._other_shape(value, "a list", trail)
            return
        for position, inner in enumerate(value):
            yield from self.problems(inner, kind.item_type, (*trail, position))

    def _literal(self, value: object, kind: inspect.LiteralType, trail: Trail) -> Iterator[Problem]:
        if value in kind.values:
            return
        choices = [str(choice) for choice in kind.values]
        yield Problem(trail, f"{quoted(value)} is not {_a(trail)}{suggestion(str(value), choices)}")

    def _text(self, value: object, kind: inspect.StrType, trail: Trail) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield self._other_shape(value, "text", trail)
        elif kind.min_length is not None and len(value) < kind.min_length:
            yield Problem(trail, f"{quoted(value)} is too short; at least {_characters(kind.min_length)}")
        elif kind.max_length is not None and len(value) > kind.max_length:
            yield Problem(trail, f"{quoted(value)} is too long; at most {_characters(kind.max_length)}")

    def _integer(self, value: object, kind: inspect.IntType, trail: Trail) -> Iterator[Problem]:
        whole = isinstance(value, Decimal) and value == value.to_integral_value()
        if isinstance(value, bool) or not (isinstance(value, int) or whole):
            yield self._other_shape(value, "a whole number", trail)
        else:
            yield from self._bounds(value, kind, trail)

    def _number(self, value: object, kind: inspect.FloatType, trail: Trail) -> Iterator[Problem]:
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            yield self._other_shape(value, "a number", trail)
        else:
            yield from self._bounds(value, kind, trail)

    def _bounds(
        self, value: Any, kind: inspect.IntType | inspect.FloatType, trail: Trail
    ) -> Iterator[Problem]:
        low, high = kind.ge, kind.le
        if (low is None or value >= low) and (high is None or value <= high):
            return
        allowed = (
            f"between {low:g} and {high:g}" if high is not None and low is not None else f"{low:g} or more"
        )
        yield Problem(trail, f"{value} is out of range; {allowed}")

    def _truth(self, value: object, trail: Trail) -> Iterator[Problem]:
        if not isinstance(value, bool):
            yield self._other_shape(value, "true or false", trail)

    def _day(self, value: object, trail: Trail) -> Iterator[Problem]:
        try:
            if not isinstance(value, str):
                raise ValueError
            msgspec.convert(value, date)
        except (ValueError, msgspec.ValidationError):
            yield self._other_shape(value, "a date such as 2026-01-05", trail)

    def _other_shape(self, value: object, wanted: str, trail: Trail) -> Problem:
        original = self.originals.get(trail)
        if value is None:
            instead = (
                "write {} for an empty one" if wanted.startswith("a mapping") else "or leave the key out"
            )
            return Problem(trail, f"has no value; {wanted} is needed, {instead}", " ")
        if wanted == "text" and isinstance(value, (bool, int, Decimal)):
            became = "a truth value" if isinstance(value, bool) else "a number"
            return Problem(
                trail,
                f"{original or value} is {became} to YAML; write {quoted(original or str(value))} in quotes",
            )
        shape = (
            "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else quoted(value)
        )
        return Problem(trail, f"{shape} is not {wanted}")


def _choices(kind: inspect.Type) -> list[str]:
    literals = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return [str(value) for one in literals if isinstance(one, inspect.LiteralType) for value in one.values]


def _a(trail: Trail) -> str:
    names = [step for step in trail if isinstance(step, str)]
    word = names[-1].replace("_", " ") if names else "value"
    return f"an {word}" if word[0].lower() in "aeiou" else f"a {word}"


def _characters(count: int) -> str:
    return "1 character" if count == 1 else f"{count} characters"
