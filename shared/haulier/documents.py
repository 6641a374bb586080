"""A YAML file as plain values; what two YAML readers would read differently is refused, with the reason.

YAML 1.1 (PyYAML, Ruby) reads ``NO`` as false, ``012`` as ten and ``12:30`` as 750; YAML 1.2 (editors, Go)
reads text, twelve and text. A definition means the same to everyone or it is an error. Dates stay text.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from haulier.errors import DefinitionError
from haulier.problems import Problem, Trail

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
#: Plain scalars that begin otherwise are text to every reader.
_SUSPICIOUS = frozenset("+-.0123456789yYnNoO")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?")
_TRUTH_TO_SOME = re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_NUMBER_TO_SOME = re.compile(
    r"[-+]?(?:0[0-7_]+|0[0-9]+|0b[01_]+|0o[0-7]+|0x[0-9a-fA-F_]+"  # octal, binary, hexadecimal
    r"|[1-9][0-9_]*(?::[0-5]?[0-9])+|[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*"  # sexagesimal
    r"|[0-9]*_[0-9_]*(?:\.[0-9_]*)?"
    r"|(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+"
    r"|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)
#: Deeper than anything a definition says; a bound keeps recursion off Python's own.
_DEPTH = 40
#: Values after aliases are followed; without a bound a kilobyte of aliases means a terabyte of values.
_VALUES = 1_000_000


def read(path: Path, shown: str) -> Any:
    """The file's values, decimals as `Decimal`. Raises `DefinitionError` beginning with ``shown``."""
    return _Reading(_text(path, shown), shown).document()


def parse(text: str, shown: str) -> Any:
    """The values of a document that is part of another file, as `read`."""
    return _Reading(text, shown).document()


def original_texts(path: Path, shown: str) -> dict[Trail, str]:
    """How each plain scalar stands in the file; for messages about what YAML made of it."""
    reading = _Reading(_text(path, shown), shown)
    reading.document()
    return reading.plain


def _text(path: Path, shown: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as exc:
        raise DefinitionError(f"{shown}: cannot be read ({exc.strerror}): {path.absolute()}") from exc
    except UnicodeDecodeError as exc:
        raise DefinitionError(f"{shown}: byte {exc.start} is not UTF-8; save the file as UTF-8") from exc


class _Reading:
    """One pass over the parser's events. PyYAML's own constructor takes twice as long and keeps the last
    of two equal keys."""

    def __init__(self, text: str, shown: str) -> None:
        self._loader = yaml.CSafeLoader(text)
        self._shown = shown
        self._trail: list[str | int] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._values = 0
        self.plain: dict[Trail, str] = {}

    def document(self) -> Any:
        try:
            self._expect(yaml.StreamStartEvent)
            if self._loader.check_event(yaml.StreamEndEvent):
                raise DefinitionError(f"{self._shown}: the file is empty")
            self._expect(yaml.DocumentStartEvent)
            value = self._value(self._event())
            self._expect(yaml.DocumentEndEvent)
            if not self._loader.check_event(yaml.StreamEndEvent):
                raise DefinitionError(
                    f"{self._shown}: holds more than one document (---); write one file for each"
                )
        except yaml.MarkedYAMLError as exc:
            raise DefinitionError(
                f"{self._shown}: {_where(exc.problem_mark)}{_explained(exc.problem)}"
            ) from exc
        except yaml.YAMLError as exc:
            raise DefinitionError(f"{self._shown}: {' '.join(str(exc).split())}") from exc
        return value

    def _expect(self, kind: type[yaml.Event]) -> None:
        event = self._event()
        if not isinstance(event, kind):
            raise AssertionError(f"{event} where {kind.__name__} belongs")

    def _event(self) -> Any:
        return self._loader.get_event()

    def _value(self, event: Any) -> Any:
        self._values += 1
        if self._values > _VALUES or len(self._trail) > _DEPTH:
            raise self._problem("is too much: aliases of aliases, or nested too deeply")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor)
        before = self._values
        if isinstance(event, yaml.ScalarEvent):
            value: Any = self._scalar(event)
            if event.implicit[0]:
                self.plain[tuple(self._trail)] = event.value
        elif isinstance(event, yaml.MappingStartEvent):
            self._refuse_tag(event)
            value = self._mapping()
        else:
            self._refuse_tag(event)
            value = self._sequence()
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._values - before + 1)
        return value

    def _mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := self._event(), yaml.MappingEndEvent):
            key = self._key(event)
            self._trail.append(key)
            if key in found:
                raise self._problem(
                    f"is given twice, again on line {event.start_mark.line + 1}", ": the key "
                )
            found[key] = self._value(self._event())
            self._trail.pop()
        return found

    def _sequence(self) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := self._event(), yaml.SequenceEndEvent):
            self._trail.append(len(found))
            found.append(self._value(event))
            self._trail.pop()
        return found

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._problem("has a key that is not a text", " ")
        if event.value == "<<" and event.implicit[0]:
            raise self._problem("<< (YAML's merge key) is not understood by every reader; write the keys out")
        key = self._scalar(event)
        if not isinstance(key, str):
            raise self._problem(
                f'the key {event.value or "~"} is {_kind(key)} to YAML; write "{event.value}" in quotes'
            )
        return key

    def _alias(self, anchor: str | None) -> Any:
        if anchor is None or anchor not in self._anchors:
            raise self._problem(f"*{anchor} stands for nothing that was complete before it")
        value, size = self._anchors[anchor]
        self._values += size
        if self._values > _VALUES:
            raise self._problem("is too much: aliases of aliases")
        return value

    def _scalar(self, event: Any) -> str | int | Decimal | bool | None:
        if not event.implicit[0]:
            if not event.implicit[1] and event.tag != "tag:yaml.org,2002:str":
                self._refuse_tag(event)
            return str(event.value)
        text: str = event.value
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in _SUSPICIOUS:
            return text
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return Decimal(text)
        if _TRUTH_TO_SOME.fullmatch(text):
            meant = "true" if text.lower() in ("yes", "on") else "false"
            raise self._problem(
                f"{text} is {meant} to some YAML readers and text to others; "
                f'write {meant}, or "{text}" in quotes'
            )
        if _NUMBER_TO_SOME.fullmatch(text):
            raise self._problem(
                f"{text} is one number to some YAML readers and another, or text, to others; "
                f'write "{text}" in quotes, or the number in plain decimals'
            )
        return text

    def _refuse_tag(self, event: Any) -> None:
        if event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise self._problem(f"the tag {event.tag} is not understood; remove it")

    def _problem(self, text: str, joint: str = ": ") -> DefinitionError:
        return DefinitionError(f"{self._shown}: {Problem(tuple(self._trail), text, joint).words()}")


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    return "a truth value" if isinstance(value, bool) else "a number"


def _where(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""


def _explained(problem: str | None) -> str:
    text = problem or "is not YAML"
    if "\\t" in text or "cannot start any token" in text:
        return f"{text}; YAML indents with spaces, and text beginning with @ ` % * & ! [ or {{ needs quotes"
    return text
