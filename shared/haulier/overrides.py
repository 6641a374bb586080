"""How what is written becomes one instance's settings: the pipeline's, overridden by its own and by its changes.

And the other way round: where a setting that is wrong was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from haulier import documents
from haulier.definitions import Transform
from haulier.definitions.sources import Source
from haulier.problems import Problem, Trail, reaches, refuse


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where in the file each setting of an instance was written."""

    path: Path
    shown: str
    document: Mapping[str, Any]
    instance: str
    #: How many of its changes hold.
    changes: int

    @cached_property
    def _overrides(self) -> list[tuple[Trail, Mapping[str, Any]]]:
        """Where each override that holds is written, and it: the instance's own, then its changes."""
        overrides: Mapping[str, Any] = self.document.get("instances") or {}
        own: Mapping[str, Any] = overrides.get(self.instance) or {}
        trail: Trail = ("instances", self.instance)
        return [
            (trail, own),
            *(((*trail, "changes", number), own["changes"][number]) for number in range(self.changes)),
        ]

    def parameters(self) -> dict[str, str]:
        """The instance's, with those of its changes."""
        merged: dict[str, str] = {}
        for _, override in self._overrides:
            merged = _merged(merged, override.get("parameters", {}))
        return merged

    def sections(self) -> tuple[Source, Transform]:
        """The pipeline's source and transform with the instance's laid over them, validated as a whole."""
        merged = {name: self.document.get(name, {}) for name in ("source", "transform")}
        for _, override in self._overrides:
            merged = {name: _merged(section, override.get(name, {})) for name, section in merged.items()}
        try:
            return msgspec.convert(merged["source"], Source), msgspec.convert(merged["transform"], Transform)
        except msgspec.ValidationError as exc:
            self.refuse(self._explained(merged))
            raise AssertionError(f"{self.shown}: refused without a reason: {exc}") from exc

    def refuse(self, problems: list[Problem]) -> None:
        """Raises `DefinitionError` if there are any, each named where it was written."""
        refuse([self._placed(problem) for problem in problems], self.shown, self.document)

    def _explained(self, merged: Mapping[str, Any]) -> list[Problem]:
        from haulier.explaining import explain

        originals = documents.original_texts(self.path, self.shown)
        laid = dict(originals)
        for place, _ in self._overrides:
            there = len(place)
            laid |= {trail[there:]: text for trail, text in originals.items() if trail[:there] == place}
        return explain(merged, _Sections, "a pipeline", laid)

    def _placed(self, problem: Problem) -> Problem:
        """Under ``instances.…`` when that is where the setting was written last."""
        deepest, written = reaches(self.document, problem.trail), problem.trail
        for place, override in self._overrides:
            theirs = reaches(override, problem.trail)
            if theirs > 1 and theirs >= deepest:
                deepest, written = theirs, (*place, *problem.trail)
        return Problem(written, problem.text, problem.joint)


class _Sections(msgspec.Struct, forbid_unknown_fields=True):
    source: Source
    transform: Transform


def _merged(base: Any, override: Any) -> Any:
    """JSON Merge Patch (RFC 7396): mappings merge, anything else replaces, null takes the key away."""
    if not isinstance(override, dict):
        return override
    merged = dict(base) if isinstance(base, dict) else {}
    for key, value in override.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
