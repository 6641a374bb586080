"""Writes the reference pages, by their templates, and the JSON Schemas from the code they describe. ``--check`` writes
nothing and exits 1 when one is stale."""

from __future__ import annotations

import json
import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from haulier.errors import EXIT_CODES
from haulier.formats import DIRECTIVES
from haulier.odcs import documentation, standard
from haulier.odcs.columns import CUSTOM_PROPERTIES, OPTIONS
from haulier.odcs.pgtypes import ALIASES, FITTING, REFUSED, USUAL
from haulier.schemas import comments, contract_schema, pipeline_schema
from haulier.settings import VARIABLES
from haulier_airflow.settings import VARIABLES as AIRFLOW_VARIABLES

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
_NOTE = "<!-- Written by docs/generate.py; change what it reads, not this page. -->"
#: Sections of a definition file in the order one reads them: struct, what it is called, where it stands.
_SECTIONS = (
    ("Pipeline", "The file", ""),
    ("Approval", "approval", "approval"),
    ("Source", "source", "source"),
    ("Files", "source.files", "source.files"),
    ("Ready", "source.files.ready", "source.files.ready"),
    ("Http", "source.http", "source.http"),
    ("Auth", "source.http.auth", "source.http.auth"),
    ("Basic", "source.http.auth.basic", "source.http.auth.basic"),
    ("ApiKey", "source.http.auth.api_key", "source.http.auth.api_key"),
    ("OAuth2", "source.http.auth.oauth2", "source.http.auth.oauth2"),
    ("Pages", "source.http.pages", "source.http.pages"),
    ("Custom", "source.custom", "source.custom"),
    ("Sql", "source.sql", "source.sql"),
    ("Watermark", "source.sql.watermark", "source.sql.watermark"),
    ("Changes", "source.sql.changes", "source.sql.changes"),
    ("Csv", "source.csv", "source.csv"),
    ("Footer", "source.csv.footer", "source.csv.footer"),
    ("Packed", "source.csv.packed", "source.csv.packed"),
    ("JsonLines", "source.jsonl", "source.jsonl"),
    ("Debezium", "source.jsonl.debezium", "source.jsonl.debezium"),
    ("FixedWidth", "source.fixed", "source.fixed"),
    ("FixedColumn", "source.fixed.columns", "source.fixed.columns[…]"),
    ("Excel", "source.excel", "source.excel"),
    ("Parquet", "source.parquet", "source.parquet"),
    ("Identifiers", "source.identifiers", "source.identifiers"),
    ("Transform", "transform", "transform"),
    ("Unpivot", "transform.unpivot", "transform.unpivot"),
    ("Pivot", "transform.pivot", "transform.pivot"),
    ("SourceDrift", "transform.drift", "transform.drift"),
    ("Load", "load", "load"),
    ("Drift", "load.drift", "load.drift"),
    ("Split", "split", "split"),
    ("InstanceOverride", "instances", "instances.NAME"),
    ("Change", "instances.changes", "instances.NAME.changes[…]"),
)
#: Those whose template has more to say than their table does.
_BESIDE_TEXT = ("InstanceOverride", "Change")
#: The parts of a contract Haulier acts on.
_CONTRACT_PARTS: tuple[tuple[type[msgspec.Struct], str], ...] = (
    (standard.Document, "The contract"),
    (standard.SchemaObject, "The table: `schema[0]`"),
    (standard.Property, "A column: `schema[0].properties[…]`"),
    (standard.LogicalTypeOptions, "`logicalTypeOptions`"),
    (standard.EnumValue, "`enum[…]`"),
    (standard.Synonym, "`synonyms[…]`"),
    (documentation.CustomProperty, "`customProperties[…]`"),
    (standard.Server, "`servers[…]`"),
    (standard.ServiceLevel, "`slaProperties[…]`"),
)


def pages() -> dict[str, str]:
    """Path below docs/ -> what it should hold."""
    return {
        "definitions.md": definitions(),
        "environment.md": environment(),
        "exit-codes.md": exit_codes(),
        "schemas/pipeline.schema.json": _json(pipeline_schema()),
        "schemas/contract.schema.json": _json(contract_schema()),
    }


def _page(name: str, **slots: Iterable[str]) -> str:
    """A page's template with each ``<!-- slot -->`` filled."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    filled = re.sub(r"<!-- (.+) -->", lambda slot: "\n".join(slots[slot[1].replace(" ", "_")]), text)
    return f"{_NOTE}\n\n{filled}"


def definitions() -> str:
    schema = pipeline_schema()["$defs"]
    instances = schema["InstanceOverride"]
    return _page(
        "definitions.md",
        sections=_sections(schema),
        instances=[instances["description"]],
        table_of_instances=_table_of(instances),
        changes=[schema["Change"]["description"]],
        table_of_changes=_table_of(schema["Change"]),
        directives=_table(("directive", "reads"), ([f"`{name}`", text] for name, text in DIRECTIVES.items())),
        contract=_contract(),
        custom_properties=_table(("on a", "property", "meaning"), _custom_properties()),
        types=_table(("`logicalType`", "`physicalType` without one", "may be", "options"), _types()),
        spellings=_table(("`physicalType`", "is kept as"), _spellings()),
        refused_types=_table(
            ("`physicalType`", "write"), ([f"`{one}`", text] for one, text in REFUSED.items())
        ),
    )


def _sections(schema: Mapping[str, Any]) -> Iterator[str]:
    for number, (struct, title, place) in enumerate(_SECTIONS):
        if struct not in _BESIDE_TEXT:
            yield from [""] if number else []
            yield f"### `{title}`" if place else f"### {title}"
            yield from ["", schema[struct]["description"], "", *_table_of(schema[struct])]


def _contract() -> Iterator[str]:
    schema = contract_schema()["$defs"]
    for number, (struct, title) in enumerate(_CONTRACT_PARTS):
        wire = {one.name: one.encode_name for one in msgspec.structs.fields(struct)}
        own = [name for name in struct.__annotations__ if name in comments(struct)]
        names = [wire[name] for name in dict.fromkeys([*own, *comments(struct)])]
        yield from [""] if number else []
        yield from [f"### {title}", "", *_table_of(schema[struct.__name__], names)]


def _custom_properties() -> Iterator[list[str]]:
    for level, names in CUSTOM_PROPERTIES.items():
        for name, text in names.items():
            yield [level, f"`{name}`", text]


def _types() -> Iterator[list[str]]:
    for logical, fitting in FITTING.items():
        yield [f"`{logical}`", f"`{USUAL[logical]}`", _code(fitting), _code(OPTIONS[logical])]


def _spellings() -> Iterator[list[str]]:
    for kept in dict.fromkeys(ALIASES.values()):
        yield [_code([written for written, to in ALIASES.items() if to == kept]), f"`{kept}`"]


def _of_airflow() -> list[list[str]]:
    return [
        [f"`{one.name}`", f"`{one.default}`" if one.default else "", one.meaning] for one in AIRFLOW_VARIABLES
    ]


def environment() -> str:
    rows = []
    for one in VARIABLES:
        default = f"`{one.default}`" if one.default else ""
        name = f"`{one.name}`" + (f" or `{one.name}_FILE`" if one.secret else "")
        rows.append([name, default, one.meaning])
    head = ("variable", "default", "meaning")
    return _page(
        "environment.md", variables=_table(head, rows), variables_of_Airflow=_table(head, _of_airflow())
    )


def exit_codes() -> str:
    rows = [
        [str(code), name, _first_lines(text), airflow] for code, (name, text, airflow) in EXIT_CODES.items()
    ]
    return _page("exit-codes.md", codes=_table(("code", "name", "meaning", "Airflow"), rows))


def _first_lines(docstring: str) -> str:
    return " ".join(docstring.strip().split("\n\n")[0].split())


def _table_of(schema: Mapping[str, Any], names: Sequence[str] | None = None) -> list[str]:
    rows = []
    for name in names or schema["properties"]:
        member = schema["properties"][name]
        needed = name in schema.get("required", ())
        rows.append([f"`{name}`", _type(member), _default(member, needed), member["description"]])
    return _table(("key", "type", "default", "meaning"), rows)


def _default(member: Mapping[str, Any], needed: bool) -> str:
    default = member.get("default")
    if needed:
        return "**required**"
    if default in (None, "") or isinstance(default, (dict, list, tuple)):
        return ""
    return f"`{default}`" if isinstance(default, str) else f"`{json.dumps(default)}`"


def _type(member: Mapping[str, Any]) -> str:
    if "anyOf" in member:
        choices = [_type(one) for one in member["anyOf"] if one != {"type": "null"}]
        return " or ".join(dict.fromkeys(choices))
    if "enum" in member:
        return _code([str(value) for value in sorted(member["enum"], key=str)], " or ")
    if "$ref" in member:
        return _section(member["$ref"].rpartition("/")[2])
    kind = member.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(_WORDS[one] for one in kind)
    if kind == "array":
        return f"list of {_type(member['items'])}"
    if kind == "object":
        inner = member.get("additionalProperties")
        return f"mapping to {_type(inner)}" if isinstance(inner, dict) else "mapping"
    if member.get("format") == "date":
        return "date"
    return f"{_WORDS.get(kind, kind)}{_bounds(member)}"


_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}


def _bounds(member: Mapping[str, Any]) -> str:
    low, high = member.get("minimum"), member.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    if low is not None:
        return f", {low} or more"
    shortest, longest = member.get("minLength"), member.get("maxLength")
    if longest == 1:
        return ", 1 character" if shortest else ", 1 character or none"
    return ", not empty" if shortest else ""


def _section(struct: str) -> str:
    struct = struct.removesuffix("Override") if struct != "InstanceOverride" else struct
    for name, title, place in _SECTIONS:
        if name == struct and place:
            return f"[{title}](#{title.replace('.', '').lower()})"
    return "mapping"


def _table(head: Sequence[str], rows: Iterator[list[str]] | Sequence[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def _code(names: Sequence[str], joint: str = ", ") -> str:
    return joint.join(f"`{name}`" for name in names)


def _json(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def stale(folder: Path = HERE) -> list[str]:
    """The pages that are not what the code says."""
    wanted = pages()
    return [name for name, text in wanted.items() if not _is(folder / name, text)]


def write(folder: Path = HERE) -> None:
    for name, text in pages().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def main(argv: Sequence[str] | None = None, say: Callable[[str], object] = sys.stderr.write) -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is stale")
    if not parser.parse_args(argv).check:
        write()
        return 0
    found = stale()
    for name in found:
        say(f"docs/{name} is stale; run: .venv/bin/python docs/generate.py\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
