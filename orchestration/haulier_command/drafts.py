"""A proposal as files that a person goes on with: a contract and a pipeline, with what to look at in them."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from haulier_command.words import counted

#: What YAML reads as text, whoever reads it.
_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\(\d+(?:,\d+)?\))?")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_WIDTH = 100


def contract_text(proposed: Mapping[str, Any]) -> str:
    """The contract, ODCS in YAML."""
    document = proposed["contract"]
    table = document["schema"][0]
    lines = [
        *_comment(_seen(proposed)),
        *_comment(
            "Types, required and enum hold for every row of the sample and are a guess for all others. minimum and "
            "maximum are left out: the next file may rightly go beyond what a sample shows. Reference: "
            "docs/definitions.md."
        ),
        *(line for note in proposed["notes"] for line in _comment(f"Look: {note}.")),
        *(f"{key}: {scalar(document[key])}" for key in ("apiVersion", "kind", "id", "version", "status")),
        "schema:",
        f"  - name: {scalar(table['name'])}",
        *_comment("schema.table in PostgreSQL; the first load makes it.", 4),
        f"    physicalName: {scalar(table['physicalName'])}",
        *(f"    {key}: {flow(table[key])}" for key in ("customProperties",) if key in table),
        "    properties:",
    ]
    for one in table["properties"]:
        remarks = proposed["remarks"].get(one["name"], ())
        lines += [line for remark in remarks for line in _comment(remark, 6)]
        lines.append(f"      - name: {scalar(one['name'])}")
        lines += [f"        {key}: {flow(value)}" for key, value in one.items() if key != "name"]
    return "\n".join(lines) + "\n"


def pipeline_text(name: str, source: Mapping[str, Any], start: date, proposed: Mapping[str, Any]) -> str:
    """The pipeline that reads it, once a day."""
    key = proposed["key"]
    load = (
        f"upsert: a row with a known {' and '.join(key)} replaces the older one. Is that the key?"
        if key
        else "append: every row is a new one, because no key was found. With a primaryKey in the contract, upsert."
    )
    lines = [
        *_comment(_seen(proposed)),
        f"pipeline: {scalar(name)}",
        f"contract: {scalar(f'../contracts/{name}.odcs.yaml')}",
        'schedule: "@daily"',
        f"start: {start.isoformat()}",
        "source:",
        *_source(source),
        *(_section("transform", proposed["transform"], indent=0) if proposed["transform"] else ()),
        "load:",
        *_comment(load, 2),
        f"  mode: {'upsert' if key else 'append'}",
        *_comment("Past this share of rejected rows a run is quarantined whole.", 2),
        "  reject_threshold: 0.05",
    ]
    return "\n".join(lines) + "\n"


def _seen(proposed: Mapping[str, Any]) -> str:
    sample = proposed["sample"]
    rows = counted(sample["rows"], "row")
    if sample["rows"] != sample["seen"] or not sample["whole"]:
        rows += f" of {'more than ' if not sample['whole'] else ''}{sample['seen']:,}"
    rejected = sum(sample["rejected"].values())
    rest = (
        f"; {counted(rejected, 'row')} could not be read ({', '.join(sample['rejected'])})"
        if rejected
        else ""
    )
    return f"Guessed from {rows} of {sample['name']}{rest}."


def _source(source: Mapping[str, Any]) -> Iterator[str]:
    for name, section in source.items():
        if name == "files" and section.get("select") == "name":
            yield from _section(name, section, "The date in its name says which run a file belongs to.")
        elif name == "files":
            yield from _section(name, section, "A file belongs to the run in whose interval it was modified.")
        elif name == "http":
            yield from _section(
                name,
                section,
                'Ask for what changed in the run\'s interval: parameters: {updated_since: "{start}", updated_before: "{end}"}',
            )
        else:
            yield from _section(name, section)


def _section(name: str, values: Mapping[str, Any], comment: str = "", indent: int = 2) -> list[str]:
    pad = " " * indent
    if not values:
        return [f"{pad}{name}: {{}}"]
    body = [f"{pad}  {key}: {flow(value)}" for key, value in values.items()]
    return [f"{pad}{name}:", *(_comment(comment, indent + 2) if comment else ()), *body]


def flow(value: object) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def scalar(value: object) -> str:
    """A value that every YAML reader reads as it is."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _BARE.fullmatch(value) and value.lower() not in _WORDS and "," not in value:
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())


def _comment(text: str, indent: int = 0) -> list[str]:
    """Lines of a comment; nothing in it ends the comment."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    pad = " " * indent + "# "
    return textwrap.wrap(shown, _WIDTH, initial_indent=pad, subsequent_indent=pad, break_long_words=False)
