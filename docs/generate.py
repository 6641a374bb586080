"""Writes the reference pages and JSON Schemas from the code they describe. ``--check`` writes nothing and exits 1
when one is stale."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from haulier.errors import EXIT_CODES
from haulier.formats import DIRECTIVES
from haulier.odcs import standard
from haulier.odcs.columns import CUSTOM_PROPERTIES, OPTIONS
from haulier.odcs.pgtypes import ALIASES, FITTING, REFUSED, USUAL
from haulier.schemas import comments, contract_schema, pipeline_schema
from haulier.settings import VARIABLES
from haulier_airflow.settings import VARIABLES as AIRFLOW_VARIABLES

HERE = Path(__file__).parent
_NOTE = "<!-- Written by docs/generate.py; change what it reads, not this page. -->"
#: Sections of a definition file in the order one reads them: struct, what it is called, where it stands.
_SECTIONS = (
    ("Pipeline", "The file", ""),
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
    ("Transform", "transform", "transform"),
    ("Unpivot", "transform.unpivot", "transform.unpivot"),
    ("SourceDrift", "transform.drift", "transform.drift"),
    ("Load", "load", "load"),
    ("Drift", "load.drift", "load.drift"),
    ("Split", "split", "split"),
    ("InstanceOverride", "instances", "instances.NAME"),
)
#: The parts of a contract Haulier acts on.
_CONTRACT_PARTS: tuple[tuple[type[msgspec.Struct], str], ...] = (
    (standard.Document, "The contract"),
    (standard.SchemaObject, "The table: `schema[0]`"),
    (standard.Property, "A column: `schema[0].properties[…]`"),
    (standard.LogicalTypeOptions, "`logicalTypeOptions`"),
    (standard.EnumValue, "`enum[…]`"),
    (standard.Synonym, "`synonyms[…]`"),
    (standard.CustomProperty, "`customProperties[…]`"),
    (standard.Server, "`servers[…]`"),
    (standard.ServiceLevel, "`slaProperties[…]`"),
)

#: What only `haulier_command` reads; the steps do not know it.
_OF_THE_COMMAND = (
    [
        "`HAULIER_HOME`",
        "`.haulier`",
        "Folder of the embedded tier: its database, its object store and their logs.",
    ],
)

_OF_COMPOSE = (
    [
        "`HAULIER_COMPOSE_HOME`",
        "`.haulier/compose`",
        "Folder of the secrets, settings and sample data it made.",
    ],
    ["`HAULIER_PROJECT`", "`haulier`", "Name of the Compose project: two of them live side by side."],
    ["`HAULIER_LANDING`", "`landing` below that folder", "Folder of this machine where files arrive."],
    ["`HAULIER_WEB_PORT`", "`8080`", "Airflow's port on this machine."],
    ["`HAULIER_POSTGRES_PORT`", "`5433`", "PostgreSQL's port on this machine."],
    ["`HAULIER_S3_PORT`", "`8333`", "The exchange's port on this machine."],
    ["`HAULIER_LOAD_SLOTS`", "`4`", "Loads side by side, the size of Airflow's pool `haulier_load`."],
    [
        "`OPENLINEAGE_URL`",
        "",
        "A lineage backend that is told what every run read and wrote. None: nobody is told.",
    ],
    ["`TAG`, `SEAWEEDFS_TAG`", "`latest`", "Which releases of the images run."],
)

_DEFINITIONS = """\
# Definitions

A definitions folder (`HAULIER_DEFINITIONS`) has four folders:

| folder | holds |
| --- | --- |
| `pipelines/` | one file a pipeline, `NAME.yaml`: which data, from where, to which table, when |
| `contracts/` | one file a table, `NAME.odcs.yaml`: what the table promises |
| `functions/` | Python modules whose functions pipelines name |
| `sources/` | Python modules with [sources of your own](sources.md#a-source-of-your-own) |

`haulier_extract check` judges all of them, and reads the beginning of a file of each source at the most. What is
wrong is said with the file, the field, its value and the nearest valid spelling, all of it at once, and ends with exit code 2:

```text
pipelines/labs.yaml: load.mode: "upsrt" is not a mode; did you mean "upsert"?
pipelines/labs.yaml: instances.702.source.csv.encodin is not a setting of source.csv; did you mean "encoding"?
```

Editors that speak YAML complete and explain keys with a first line such as
`# yaml-language-server: $schema=../../../docs/schemas/pipeline.schema.json`; the schemas are in
[schemas/](schemas/).

## YAML

A file means the same to every YAML reader, or it is refused:

| written | why it is refused | write |
| --- | --- | --- |
| `701:` as a key | a number, and names are text | `"701":` |
| `NO`, `on`, `Yes` | a truth value in YAML 1.1, text in YAML 1.2 | `"NO"`, or `false` |
| `0701`, `12:30`, `1_000`, `1e3` | a number in one, another or text in the other | `"0701"`, or plain decimals |
| `1.0` where text belongs (`version: 1.0`) | a number | `"1.0"` |
| a key given twice | most readers silently keep one of them | one of them |
| `<<`, tags such as `!!set`, several documents | not understood by every reader | the keys themselves |

Dates (`2026-01-05`) need no quotes. `NA` is text: the test code of sodium, for one. Anchors and aliases work.
"""

_PLACEHOLDERS = """\
### Placeholders

| placeholder | where | becomes |
| --- | --- | --- |
| `{instance}`, `{pipeline}` | `path`, `logical_name`, `ready.marker` | the names, when the instance is resolved |
| `{PARAMETER}` | the same | the value in `instances.NAME.parameters` |
| `{date:FORMAT}` | `path`, once, with `select: name` only | a day; a run's files have one inside its interval |
| `{name}` | `logical_name`, `ready.marker` | the file's name |
| `{path}` | `logical_name` | the file's whole path |

### Date and time formats

`iso`, or these of `strptime`'s directives, with English names whatever the locale:
"""

_OVERRIDES = """\
What an instance says is laid over the pipeline's `source` and `transform` key by key, as JSON Merge Patch (RFC 7396)
does: mappings merge, lists and values are replaced, `null` takes a key back to its default. The result is validated
as a whole. A pipeline without `instances` has one, named `main`; an instance that changes nothing is `"701": {}`.
"""

_CONTRACTS = """\
## Contracts

Contracts follow the [Open Data Contract Standard](https://bitol-io.github.io/open-data-contract-standard/), v3.0 to
v3.2. Every field of the standard is accepted and has the standard's shape; a key it does not have is an error. A
contract is about one table. These are the fields Haulier acts on:
"""

_CONTRACT_RULES = """\
### What is decided here

- **Target.** `physicalName` of the table, else its `name`: `schema.table`. One without a schema takes the `schema`
  of the contract's PostgreSQL server. Servers say nothing else: where Haulier connects to comes from the
  [environment](environment.md).
- **Columns** are named by `physicalName`, else `name`. A header matches a column's name or an approved synonym
  without regard to case. Names have at most 63 bytes, differ in more than case, and do not begin with `_haulier_`.
- **Key columns** are required. Without `primaryKeyPosition` they count in the order of the file.
- **Formats** are `strptime`'s, not Java's as the standard suggests: `%d.%m.%Y`, or `iso`. A pipeline's
  `transform.date_formats` takes the place of the contract's.
- **Patterns** must match the whole value. Look-around and back-references are refused, so that no value can make a
  pattern slow.
- **An empty cell is no value.** A quoted empty one (`""`) is an empty text in a text column; `nullValues: [""]`
  makes it no value there, too.
- **Limits** of numbers are numbers, of dates and times text in ISO 8601.
- **Promises Haulier would not keep are refused**: `multipleOf`, `uniqueItems` and the like. `quality`,
  `relationships` and all else that is not named above is documentation.
- **Custom properties** of other tools are left alone. One that is spelled almost like ours is refused, unless it
  names its `vendor`.
"""


def pages() -> dict[str, str]:
    """Path below docs/ -> what it should hold."""
    return {
        "definitions.md": definitions(),
        "environment.md": environment(),
        "exit-codes.md": exit_codes(),
        "schemas/pipeline.schema.json": _json(pipeline_schema()),
        "schemas/contract.schema.json": _json(contract_schema()),
    }


def definitions() -> str:
    schema = pipeline_schema()["$defs"]
    parts = [_NOTE, "", _DEFINITIONS, "## Pipelines", ""]
    for struct, title, place in _SECTIONS:
        parts += [f"### {title}" if not place else f"### `{title}`", "", schema[struct]["description"], ""]
        if struct == "InstanceOverride":
            parts += [_OVERRIDES]
        parts += [*_table_of(schema[struct]), ""]
    formats = _table(("directive", "reads"), ([f"`{name}`", text] for name, text in DIRECTIVES.items()))
    parts += [_PLACEHOLDERS, *formats, "", *_contracts()]
    return "\n".join(parts).rstrip() + "\n"


def _contracts() -> Iterator[str]:
    schema = contract_schema()["$defs"]
    yield _CONTRACTS
    for struct, title in _CONTRACT_PARTS:
        wire = {one.name: one.encode_name for one in msgspec.structs.fields(struct)}
        own = [name for name in struct.__annotations__ if name in comments(struct)]
        names = [wire[name] for name in dict.fromkeys([*own, *comments(struct)])]
        yield from [f"### {title}", "", *_table_of(schema[struct.__name__], names), ""]
    yield from ["### Custom properties", ""]
    rows = (
        [level, f"`{name}`", text]
        for level, names in CUSTOM_PROPERTIES.items()
        for name, text in names.items()
    )
    yield from [*_table(("on a", "property", "meaning"), rows), "", "### Types", ""]
    yield from [*_table(("`logicalType`", "`physicalType` without one", "may be", "options"), _types()), ""]
    yield from [*_table(("`physicalType`", "is kept as"), _spellings()), ""]
    yield "`varchar(n)` and `numeric(p,s)` (38 digits at most) keep their arguments. These are refused:"
    yield from [
        "",
        *_table(("`physicalType`", "write"), ([f"`{one}`", text] for one, text in REFUSED.items())),
        "",
    ]
    yield _CONTRACT_RULES


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
    return "\n".join(
        [
            _NOTE,
            "",
            "# Environment",
            "",
            "All a step knows beside its command line and its definitions. A variable that is empty counts as not",
            "set. A secret may be in a file: `NAME_FILE` names it and wins over `NAME`; white space around the",
            "file's text is no part of it. Secrets show in no log, result line, manifest or ledger row.",
            "",
            *_table(("variable", "default", "meaning"), rows),
            "",
            "On AWS the role needs `s3:ListBucket` beside Get and Put: without it a missing object looks like a forbidden",
            "one, and the step ends 2. Give the bucket a lifecycle rule for incomplete multipart uploads. Profiles in",
            "`~/.aws` are not read; a private certificate authority goes into `SSL_CERT_FILE`.",
            "",
            "The `haulier` command, which people use, reads these as well:",
            "",
            *_table(("variable", "default", "meaning"), _OF_THE_COMMAND),
            "",
            "Airflow's own containers are told how steps are run; `docker-compose.yml` sets most of these:",
            "",
            *_table(("variable", "default", "meaning"), _of_airflow()),
            "",
            "`make up` and `docker-compose.yml` take these from the shell or `.env`:",
            "",
            *_table(("variable", "default", "meaning"), _OF_COMPOSE),
            "",
        ]
    )


def exit_codes() -> str:
    rows = [
        [str(code), name, _first_lines(text), airflow] for code, (name, text, airflow) in EXIT_CODES.items()
    ]
    return "\n".join(
        [
            _NOTE,
            "",
            "# Exit codes",
            "",
            "The same for every step, in a container or not. What Airflow does with them is set by the operators",
            "that Haulier ships.",
            "",
            *_table(("code", "name", "meaning", "Airflow"), rows),
            "",
        ]
    )


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
