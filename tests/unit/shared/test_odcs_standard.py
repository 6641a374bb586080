"""The standard's own models, JSON Schema and examples against what is accepted of a contract."""

import importlib.resources
import json
import typing
from pathlib import Path

import jsonschema
import msgspec
import open_data_contract_standard.model as published
import pydantic
import pytest
import yaml

from haulier.odcs import documentation, standard
from haulier.odcs.columns import OPTIONS
from haulier.odcs.contract import load_contract

EXAMPLES = sorted(Path("examples").glob("*/contracts/*.yaml"))
SCHEMA = json.loads(
    importlib.resources.files("open_data_contract_standard").joinpath("schema.json").read_text()
)

#: The published model -> our struct, where the names differ.
RENAMED = {
    "OpenDataContractStandard": "Document",
    "SchemaProperty": "Property",
    "DataQuality": "Quality",
    "ServiceLevelAgreementProperty": "ServiceLevel",
}
MODELS = [
    model
    for model in vars(published).values()
    if isinstance(model, type)
    and issubclass(model, pydantic.BaseModel)
    and model.__module__ == published.__name__
]
#: Definition of the published JSON Schema -> our struct.
DEFINITIONS = {
    "SchemaElement": standard.SchemaObject,
    "SchemaObject": standard.SchemaObject,
    "SchemaBaseProperty": standard.Property,
    "SupportItem": documentation.Support,
    "Pricing": documentation.Pricing,
    "TeamMember": documentation.TeamMember,
    "Team": documentation.Team,
    "Role": documentation.Role,
    "ServiceLevelAgreementProperty": standard.ServiceLevel,
    "EnumValue": standard.EnumValue,
    "Synonym": standard.Synonym,
    "CustomProperty": documentation.CustomProperty,
    "RelationshipBase": documentation.Relationship,
    "Server": standard.Server,
    "DataQuality": documentation.Quality,
    "DataQualityLibrary": documentation.Quality,
    "DataQualitySql": documentation.Quality,
    "DataQualityCustom": documentation.Quality,
}


def struct_of(model):
    name = RENAMED.get(model.__name__, model.__name__)
    return getattr(standard, name, None) or getattr(documentation, name)


def wire_names(struct):
    return {field.encode_name for field in msgspec.structs.fields(struct)}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_of_the_published_models_is_accepted(model):
    struct = struct_of(model)

    fields = {field.alias or name for name, field in model.model_fields.items()}

    assert fields - wire_names(struct) == set()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_field_is_accepted_that_the_standard_does_not_have(model):
    struct = struct_of(model)
    names = {field.alias or name for name, field in model.model_fields.items()}

    # The models lag behind their own JSON Schema here and there; either of them is the standard.
    title = "Server" if struct is standard.Server else None
    for name, one in DEFINITIONS.items():
        if one is struct or (title and name == title):
            names |= set(SCHEMA["$defs"][name].get("properties", ()))
    if struct is standard.Document:
        names |= set(SCHEMA["properties"])

    assert wire_names(struct) - names == set()


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_field_of_the_published_json_schema_is_accepted(name):
    assert set(SCHEMA["$defs"][name]["properties"]) - wire_names(DEFINITIONS[name]) == set()


def test_every_field_of_every_kind_of_server_is_accepted():
    fields = {
        name for server in SCHEMA["$defs"]["ServerSource"].values() for name in server.get("properties", ())
    }

    assert len(fields) > 15
    assert fields - wire_names(standard.Server) == set()


def test_every_logical_type_and_option_of_the_standard_is_known():
    base = SCHEMA["$defs"]["SchemaBaseProperty"]
    options = {
        name
        for rule in base["allOf"]
        for name in rule.get("then", {})
        .get("properties", {})
        .get("logicalTypeOptions", {})
        .get("properties", ())
    }
    logical = typing.get_type_hints(standard.Property)["logical_type"]
    known = {value for choice in typing.get_args(logical) for value in typing.get_args(choice)}

    assert known == set(base["properties"]["logicalType"]["enum"])
    assert options == wire_names(standard.LogicalTypeOptions)


def test_all_options_haulier_says_it_enforces_are_the_standards():
    assert {name for names in OPTIONS.values() for name in names} <= wire_names(standard.LogicalTypeOptions)


FULL = yaml.safe_load(Path(__file__).with_name("full.odcs.yaml").read_text())


def test_a_document_that_uses_the_whole_standard_is_the_standards_and_is_read(tmp_path):
    jsonschema.validate(FULL, SCHEMA)
    published.OpenDataContractStandard(**FULL)

    contract = load_contract(Path(__file__).with_name("full.odcs.yaml"), "full.odcs.yaml")

    assert contract.target == "sales.orders"
    assert [column.name for column in contract.columns] == ["order_no", "placed_at", "lines", "state"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_example_contracts_are_contracts_of_the_standard(path):
    document = yaml.safe_load(path.read_text())

    jsonschema.validate(document, SCHEMA)
    published.OpenDataContractStandard.from_file(str(path))
    load_contract(path, path.name)


def test_there_are_example_contracts():
    assert len(EXAMPLES) >= 2
