"""JSON Schemas: they accept what loading accepts, refuse what it refuses, and explain every key."""

import copy
import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from haulier import loading, run, schemas
from haulier.contracts import Contract
from haulier.definitions import Instance, Pipeline
from haulier.errors import DefinitionError
from haulier.odcs import standard
from haulier.run import Program

CLINICAL = Path("examples/clinical")
PIPELINES = sorted(Path("examples").glob("*/pipelines/*.yaml"))
CONTRACTS = sorted(Path("examples").glob("*/contracts/*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator


class Dates(yaml.SafeLoader):
    """As YAML 1.2, and so as editors do: a date is text."""


Dates.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path):
    return yaml.load(path.read_text(), Dates)


def errors(schema, document):
    return [error.message for error in VALIDATOR(schema).iter_errors(document)]


@pytest.mark.parametrize(
    "schema", [schemas.pipeline_schema, schemas.contract_schema], ids=lambda make: make.__name__
)
def test_a_published_schema_is_a_schema(schema):
    VALIDATOR.check_schema(schema())


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_the_example_pipelines_follow_their_schema(path):
    assert errors(schemas.pipeline_schema(), read(path)) == []


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.name)
def test_the_example_contracts_follow_their_schema(path):
    assert errors(schemas.contract_schema(), read(path)) == []


def test_there_are_examples():
    assert len(PIPELINES) >= 2
    assert len(CONTRACTS) >= 2


@pytest.mark.parametrize("path", [*PIPELINES, *CONTRACTS], ids=lambda path: path.name)
def test_an_editor_finds_the_schema_of_an_example(path):
    """The first line names it, from where the file lies."""
    first = path.read_text().splitlines()[0]
    kind = "pipeline" if path.parent.name == "pipelines" else "contract"

    named = path.parent / first.removeprefix("# yaml-language-server: $schema=")

    assert named.resolve() == Path(f"docs/schemas/{kind}.schema.json").resolve()
    assert named.is_file()


BREAKAGES = [
    ("load", "mode", "upsrt"),
    ("load", "reject_threshold", 2),
    ("source", "csv", {"encodin": "utf-8"}),
    ("source", "files", {}),
    ("transform", "functions", "clinical.labs"),
    ("instances", "702", {"source": {"csv": {"encodin": "utf-8"}}}),
    ("instances", "702", {"load": {}}),
    ("instances", "702", {"transform": {"decimal_mark": ";"}}),
    ("instances", "702", None),
    ("instances", "702", {"changes": [{"since": "2026-01-20", "source": {"csv": {"encodin": "utf-8"}}}]}),
    ("instances", "702", {"changes": [{"since": "2026-01-20", "transform": {"decimal_mark": ";"}}]}),
]


@pytest.mark.parametrize(("section", "key", "value"), BREAKAGES)
def test_what_loading_refuses_the_schema_refuses_too(tmp_path, section, key, value):
    document = copy.deepcopy(read(CLINICAL / "pipelines/labs.yaml"))
    document[section][key] = value

    assert errors(schemas.pipeline_schema(), document)
    assert _refused(tmp_path, document)


@pytest.mark.parametrize(
    "override",
    [
        {"source": {"csv": {"footer": {"pattern": None}}}},
        {"source": {"files": {"path": "x/*.csv"}}},
        {"transform": {"unpivot": None, "columns": {"WERT": None}}},
        {
            "changes": [
                {"since": "2026-01-20", "source": {"csv": {"footer": None}, "files": {"select": None}}}
            ]
        },
        {},
    ],
)
def test_an_override_need_not_be_complete(tmp_path, override):
    document = copy.deepcopy(read(CLINICAL / "pipelines/labs.yaml"))
    document["instances"]["702"] = override

    assert errors(schemas.pipeline_schema(), document) == []
    assert not _refused(tmp_path, document)


def _refused(tmp_path, document):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "contracts").symlink_to((CLINICAL / "contracts").absolute())
    (tmp_path / "pipelines/labs.yaml").write_text(yaml.safe_dump(document))
    try:
        loading.resolve(loading.load_pipeline(tmp_path, "labs"), "702")
    except DefinitionError:
        return True
    return False


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("requird", True),
        ("logicalType", "strin"),
        ("enum", [{"vale": 1}]),
        ("logicalTypeOptions", {"minLength": -1}),
    ],
)
def test_a_broken_contract_does_not_follow_its_schema(where, value):
    document = read(CLINICAL / "contracts/labs.odcs.yaml")
    document["schema"][0]["properties"][0][where] = value

    assert errors(schemas.contract_schema(), document)


@pytest.mark.parametrize("step", ["extract", "transform", "load"])
def test_spec_accepts_what_a_step_is_given(step):
    instance, contract = loading.resolve(loading.load_pipeline(CLINICAL, "labs"), "702")
    arguments = {
        "pipeline": "labs",
        "instance": "702",
        "interval_start": "2026-01-05T00:00:00Z",
        "interval_end": "2026-01-06T00:00:00Z",
    }
    given = {
        "arguments": arguments,
        "definition": msgspec.to_builtins(instance),
        "contract": msgspec.to_builtins(contract),
    }
    schema = schemas.spec(step)

    VALIDATOR.check_schema(schema)
    assert errors(schema, json.loads(json.dumps(given, default=str))) == []
    assert errors(schema, {**given, "arguments": {**arguments, "generation": 0}})
    assert errors(schema, {**given, "arguments": {**arguments, "genration": 1}})
    assert errors(schema, {**given, "definition": {"pipeline": "labs"}})


@pytest.mark.parametrize("step", ["extract", "transform", "load"])
def test_spec_has_every_argument_of_the_command_line(step):
    parser = run._parser(Program(name=step, summary="", run=None, plan=None, check=None, spec=None))
    verbs = parser._subparsers._group_actions[0].choices
    options = {
        action.dest for verb in ("run", "plan") for action in verbs[verb]._actions if action.dest != "help"
    }
    schema = schemas.spec(step)

    assert set(_resolved(schema, schema["properties"]["arguments"])["properties"]) == options


def _resolved(schema, reference):
    return schema["$defs"][reference["$ref"].rpartition("/")[2]]


def _members(schema):
    for name, one in schema["$defs"].items():
        for key, member in one.get("properties", {}).items():
            yield f"{name}.{key}", member


@pytest.mark.parametrize(
    "make",
    [
        schemas.pipeline_schema,
        schemas.contract_schema,
        lambda: schemas.spec("extract"),
        lambda: schemas.spec("load"),
    ],
    ids=["pipeline", "contract", "extract", "load"],
)
def test_every_key_is_explained(make):
    unexplained = [name for name, member in _members(make()) if not member.get("description")]

    assert unexplained == []


def test_the_explanation_is_the_comment_above_the_field():
    members = dict(_members(schemas.pipeline_schema()))

    assert members["Files.look_back_days"]["description"] == (
        "How many days before the interval a run also looks, for late and corrected files."
    )
    # Of several lines, one text.
    assert members["Footer.pattern"]["description"].startswith(
        "A trailing line that matches this regular expression is"
    )
    assert "  " not in members["Footer.pattern"]["description"]
    # In an override, the same.
    assert (
        members["FilesOverride.look_back_days"]["description"]
        == members["Files.look_back_days"]["description"]
    )


def test_a_class_says_its_own_comment_and_else_its_bases():
    assert schemas.comments(standard.Property)["physical_type"].startswith("PostgreSQL's type")
    assert schemas.comments(standard.SchemaObject)["physical_type"] == "`table`, or nothing."


@pytest.mark.parametrize("struct", [Pipeline, Instance, Contract])
def test_every_field_of_ours_has_a_comment(struct):
    missing = [
        f"{one.__name__}.{field.name}"
        for one in schemas._structs(struct)
        for field in msgspec.structs.fields(one)
        if field.name not in schemas.comments(one)
    ]

    assert missing == []
