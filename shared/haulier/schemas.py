"""JSON Schemas of definitions, contracts and steps, described by the ``#:`` comments above the fields.

The comment is what a reader of the code sees, what an editor shows beside the key and what
``docs/definitions.md`` prints: one text, in one place.
"""

from __future__ import annotations

import re
import sys
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from haulier.contracts import Contract
from haulier.definitions import Change, Instance, InstanceOverride, Pipeline
from haulier.manifest import Step
from haulier.odcs.standard import Document

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Said of a field of the standard that has no comment of ours.
NOT_OURS = "For people and other tools: Haulier keeps the contract and does not act on this."
_OVERRIDE = "Override"
_CLASS = re.compile(r"class (\w+)")
_COMMENT = re.compile(r"    #: ?(.*)")
_FIELD = re.compile(r"    (\w+): ")


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step is told on its command line, `--interval-start` for `interval_start` and so on."""

    #: Name of a definition file without its ending.
    pipeline: str
    #: Which of its instances.
    instance: str = "main"
    #: Start of the run's interval, part of it; ISO 8601 with an offset or Z.
    interval_start: datetime
    #: End of the run's interval, not part of it; ISO 8601 with an offset or Z.
    interval_end: datetime
    #: Which content of the run; none: asked of the ledger.
    generation: Annotated[int, Meta(ge=1)] | None = None
    #: A replay, whose rejects are hauled in place of whole deliveries.
    replay: Annotated[int, Meta(ge=1)] | None = None
    #: `plan` only: folder for its files; none: a new temporary one.
    into: str | None = None


class ExtractArguments(Arguments, frozen=True, kw_only=True):
    """What extract is told on its command line."""

    #: `run` only: why a new generation is wanted though nothing changed.
    reprocess: str | None = None


class ShardArguments(Arguments, frozen=True, kw_only=True):
    """What transform and load are told on their command lines."""

    #: `run` only: which shard of a run that extract split, counted from 1; none: all of it.
    shard: Annotated[int, Meta(ge=1)] | None = None


class _Accepted(msgspec.Struct):
    arguments: ShardArguments
    definition: Instance
    contract: Contract


class _ExtractAccepted(msgspec.Struct):
    arguments: ExtractArguments
    definition: Instance
    contract: Contract


def spec(step: Step) -> Schema:
    """What the step accepts: its arguments, and the definition and contract they lead to once resolved."""
    accepted = _schema(_ExtractAccepted if step == "extract" else _Accepted, f"Haulier: {step}")
    accepted["description"] = (
        "Arguments come from the command line; definition and contract are what the pipeline's files resolve "
        "to, as extract seals them. Settings come from the environment: docs/environment.md."
    )
    return accepted


def pipeline_schema() -> Schema:
    """For editors of ``pipelines/*.yaml``."""
    schema = _schema(Pipeline, "Haulier: pipeline")
    definitions = schema["$defs"]
    for struct in (InstanceOverride, Change):
        override = definitions[struct.__name__]["properties"]
        for name in ("source", "transform"):
            description = override[name]["description"]
            override[name] = {"description": description, **_partial(_reference(name.title()), definitions)}
    return schema


def contract_schema() -> Schema:
    """For editors of ``contracts/*.odcs.yaml``."""
    return _schema(Document, "Haulier: contract")


@cache
def comments(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Field -> its ``#:`` comment, a base class's where it has none of its own."""
    found: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            found |= _module_comments(base.__module__).get(base.__name__, {})
    return found


@cache
def _module_comments(module: str) -> dict[str, dict[str, str]]:
    source = sys.modules[module].__file__ or ""
    found: dict[str, dict[str, str]] = {}
    here: dict[str, str] = {}
    lines: list[str] = []
    for line in Path(source).read_text(encoding="utf-8").splitlines():
        if opened := _CLASS.match(line):
            here = found.setdefault(opened[1], {})
        elif comment := _COMMENT.match(line):
            lines.append(comment[1])
            continue
        elif lines and (field := _FIELD.match(line)):
            here[field[1]] = " ".join(lines)
        lines = []
    return found


def _schema(root: type[msgspec.Struct], title: str) -> Schema:
    ours = root is not Document
    (top,), definitions = msgspec.json.schema_components([root], ref_template="#/$defs/{name}")
    for struct in _structs(root):
        _describe(definitions[struct.__name__], struct, ours)
    body = definitions.pop(root.__name__) if root in (_Accepted, _ExtractAccepted) else {**top}
    return {
        "$schema": DIALECT,
        "title": title,
        **{k: v for k, v in body.items() if k != "title"},
        "$defs": definitions,
    }


def _describe(schema: Schema, struct: type[msgspec.Struct], ours: bool) -> None:
    texts = comments(struct)
    names = dict(zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True))
    for name, member in schema["properties"].items():
        if names[name] in texts:
            member["description"] = texts[names[name]]
        elif not ours:
            member["description"] = NOT_OURS


def _structs(root: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """Every struct a document of this kind may hold."""
    from msgspec import inspect

    found: dict[type[msgspec.Struct], None] = {}

    def visit(kind: Any) -> None:
        if isinstance(kind, inspect.StructType):
            if kind.cls in found:
                return
            found[kind.cls] = None
            for field in kind.fields:
                visit(field.type)
        for inner in (*getattr(kind, "types", ()), *(getattr(kind, at, None) for at in _INSIDE)):
            if isinstance(inner, inspect.Type):
                visit(inner)

    visit(inspect.type_info(root))
    return list(found)


_INSIDE = ("type", "item_type", "value_type")


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _partial(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """The same, with nothing required and null allowed: what an instance may lay over its pipeline."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if f"{name}{_OVERRIDE}" not in definitions:
            definitions[f"{name}{_OVERRIDE}"] = {}
            original = definitions[name]
            definitions[f"{name}{_OVERRIDE}"] |= {
                "title": f"{name}, in part",
                "description": f"{original['description']} Null takes a key back to its default.",
                "type": "object",
                "properties": {
                    key: _or_null(_partial(member, definitions))
                    for key, member in original["properties"].items()
                },
                "additionalProperties": False,
            }
        return {**{k: v for k, v in schema.items() if k != "default"}, **_reference(f"{name}{_OVERRIDE}")}
    partial = {key: value for key, value in schema.items() if key != "default"}
    if isinstance(partial.get("additionalProperties"), dict):
        partial["additionalProperties"] = _or_null(partial["additionalProperties"])
    if "anyOf" in partial:
        partial["anyOf"] = [_partial(choice, definitions) for choice in partial["anyOf"]]
    return partial


def _or_null(schema: Schema) -> Schema:
    null = {"type": "null"}
    if null in schema.get("anyOf", ()):
        return schema
    about = {key: schema[key] for key in ("description",) if key in schema}
    return {**about, "anyOf": [{k: v for k, v in schema.items() if k not in about}, null]}
