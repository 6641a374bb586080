"""Open Data Contract Standard documents: accepted as the standard has them, kept as one table's contract."""

import copy
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

from haulier import rows
from haulier.contracts import Column, Index
from haulier.errors import DefinitionError
from haulier.odcs import pgtypes, standard
from haulier.odcs.columns import CUSTOM_PROPERTIES, OPTIONS
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
    "SupportItem": standard.Support,
    "Pricing": standard.Pricing,
    "TeamMember": standard.TeamMember,
    "Team": standard.Team,
    "Role": standard.Role,
    "ServiceLevelAgreementProperty": standard.ServiceLevel,
    "EnumValue": standard.EnumValue,
    "Synonym": standard.Synonym,
    "CustomProperty": standard.CustomProperty,
    "RelationshipBase": standard.Relationship,
    "Server": standard.Server,
    "DataQuality": standard.Quality,
    "DataQualityLibrary": standard.Quality,
    "DataQualitySql": standard.Quality,
    "DataQualityCustom": standard.Quality,
}


def wire_names(struct):
    return {field.encode_name for field in msgspec.structs.fields(struct)}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_of_the_published_models_is_accepted(model):
    struct = getattr(standard, RENAMED.get(model.__name__, model.__name__))

    fields = {field.alias or name for name, field in model.model_fields.items()}

    assert fields - wire_names(struct) == set()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_field_is_accepted_that_the_standard_does_not_have(model):
    struct = getattr(standard, RENAMED.get(model.__name__, model.__name__))
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


BASE = {
    "apiVersion": "v3.2.0",
    "kind": "DataContract",
    "id": "things",
    "version": "2.1.0",
    "description": {"purpose": "To know all things."},
    "schema": [
        {
            "name": "things",
            "physicalName": "shop.things",
            "properties": [{"name": "thing", "logicalType": "string", "primaryKey": True}],
        }
    ],
}


@pytest.fixture
def load(tmp_path):
    """Load the document above with other fields of the contract, the table, or with more columns."""

    def load(*columns, table=None, **document):
        written = copy.deepcopy(BASE) | document
        if written["schema"] and written["schema"] is not ...:
            written["schema"][0] |= table or {}
            written["schema"][0].setdefault("properties", []).extend(columns)
        written = {key: value for key, value in written.items() if value is not ...}
        path = tmp_path / "things.odcs.yaml"
        path.write_text(yaml.safe_dump(written, sort_keys=False))
        return load_contract(path, "contracts/things.odcs.yaml")

    return load


@pytest.fixture
def column(load):
    """Load one more column, named x unless it says otherwise."""

    def column(**written):
        return load({"name": "x", **written}).columns[-1]

    return column


@pytest.fixture
def refusal(load):
    """What is said of one more column named x, after its place."""

    def refusal(**written):
        with pytest.raises(DefinitionError) as refused:
            load({"name": "x", **written})
        place = "contracts/things.odcs.yaml: schema[things].properties[x]."
        lines = str(refused.value).splitlines()
        assert all(line.startswith(place) for line in lines), lines
        return "\n".join(line.removeprefix(place) for line in lines)

    return refusal


def custom(**values):
    return [{"property": name, "value": value} for name, value in values.items()]


def test_a_contract_is_one_table(load):
    contract = load({"name": "price", "logicalType": "number"})

    assert (contract.id, contract.version) == ("things", "2.1.0")
    assert (contract.schema, contract.table) == ("shop", "things")
    assert contract.description == "To know all things."
    assert contract.columns == (
        Column(name="thing", logical_type="string", pg_type="text", required=True, key_position=1),
        Column(name="price", logical_type="number", pg_type="numeric"),
    )
    assert contract.ordering is None


def test_the_tables_own_description_comes_first(load):
    assert load(table={"description": "All of them."}).description == "All of them."


def test_a_column_keeps_all_the_contract_says_of_it(column):
    found = column(
        physicalName="x_y",
        logicalType="date",
        description="A day",
        required=True,
        unique=True,
        classification="restricted",
        transformLogic="later",
        logicalTypeOptions={"minimum": "2020-01-01", "exclusiveMaximum": "2030-01-01"},
        customProperties=custom(
            nullValues=["-", ""], formats=["%d.%m.%Y", "iso"], softMinimum="2021-01-01", softMaximum="2029-01-01",
            howToFix="Write the day.", costCentre="4711",
        ),
        synonyms=[
            {"synonym": "X"},
            {"synonym": "day", "status": "approved"},
            {"synonym": "tag", "status": "Active"},
            {"synonym": "jour", "status": "proposed"},
            {"synonym": "dia", "status": "retired"},
        ],
    )  # fmt: skip

    assert found == Column(
        name="x_y",
        logical_type="date",
        pg_type="date",
        description="A day",
        required=True,
        unique=True,
        derived=True,
        classification="restricted",
        minimum="2020-01-01",
        exclusive_maximum="2030-01-01",
        soft_minimum="2021-01-01",
        soft_maximum="2029-01-01",
        null_values=("-", ""),
        formats=("%d.%m.%Y", "iso"),
        how_to_fix="Write the day.",
        aliases=("X", "day", "tag"),
    )


@pytest.mark.parametrize(
    ("logical", "physical", "pg_type"),
    [
        ("string", None, "text"),
        ("integer", None, "bigint"),
        ("number", None, "numeric"),
        ("boolean", None, "boolean"),
        ("date", None, "date"),
        ("timestamp", None, "timestamptz"),
        ("time", None, "time"),
        ("object", None, "jsonb"),
        ("array", None, "jsonb"),
        ("integer", "int8", "bigint"),
        ("integer", "INT", "integer"),
        ("integer", "int2", "smallint"),
        ("integer", "numeric(20)", "numeric(20,0)"),
        ("timestamp", "timestamp with time zone", "timestamptz"),
        ("timestamp", "Timestamp  Without Time Zone", "timestamp"),
        ("timestamp", "timestamp(6) with time zone", "timestamptz"),
        ("time", "time(6)", "time"),
        ("string", "character varying(20)", "varchar(20)"),
        ("string", "varchar( 20 )", "varchar(20)"),
        ("string", "varchar", "text"),
        ("string", "uuid", "uuid"),
        ("number", "decimal(10, 2)", "numeric(10,2)"),
        ("number", "decimal", "numeric"),
        ("number", "float8", "double precision"),
        (None, "int4", "integer"),
        (None, "numeric(5,1)", "numeric(5,1)"),
        (None, "jsonb", "jsonb"),
    ],
)
def test_types_have_one_spelling(column, logical, physical, pg_type):
    written = {"logicalType": logical, "physicalType": physical}
    found = column(**{key: value for key, value in written.items() if value})

    assert found.pg_type == pg_type
    rows.arrow_type(found.pg_type)


def test_every_type_a_contract_may_name_is_one_the_steps_can_carry():
    for pg_type in {*pgtypes.ALIASES.values(), *pgtypes.USUAL.values()}:
        rows.arrow_type(pg_type)
        assert pgtypes.logical_type_of(pg_type) in pgtypes.USUAL


@pytest.mark.parametrize(
    ("logical", "physical", "message"),
    [
        (
            "number",
            "money",
            'physicalType: "money" is not loaded; write numeric(19,4): money has no currency',
        ),
        ("string", "char(3)", 'physicalType: "char(3)" is not loaded; write text, or varchar(n): char pads'),
        ("number", "real", 'physicalType: "real" is not loaded; write numeric where digits matter'),
        (
            "timestamp",
            "timestamp(3)",
            'physicalType: "timestamp(3)" would round; Haulier keeps microseconds, write',
        ),
        ("string", "text[]", 'physicalType: "text[]" is not loaded; write jsonb, with logicalType: array'),
        ("string", "txt", 'physicalType: "txt" is not a type Haulier loads; did you mean "text"?'),
        ("string", "text(5)", 'physicalType: "text(5)" takes no arguments; write text'),
        ("string", "varchar(0)", 'physicalType: "varchar(0)" cannot be; varchar has 1 to'),
        ("number", "numeric(39,2)", 'physicalType: "numeric(39,2)" cannot be; numeric has 1 to 38 digits'),
        ("number", "numeric(4,5)", 'physicalType: "numeric(4,5)" cannot be; numeric has 1 to 38 digits'),
        ("string", "???", 'physicalType: "???" is not a type of PostgreSQL'),
        (
            "date",
            "text",
            'physicalType: "text" does not hold date values; write "date", or logicalType: string',
        ),
        (
            "integer",
            "numeric(5,1)",
            'physicalType: "numeric(5,1)" does not hold integer values; write "bigint", or',
        ),
        ("integer", "numeric", 'physicalType: "numeric" does not hold integer values'),
        (
            "number",
            "bigint",
            'physicalType: "bigint" does not hold number values; write "numeric", or logicalType: int',
        ),
        (None, "money", 'physicalType: "money" is not loaded'),
        (None, None, "logicalType is missing"),
        ("strin", None, 'logicalType: "strin" is not a logicalType; did you mean "string"?'),
        ("map", None, 'logicalType: "map" is not loaded; write "object" or "array" (jsonb)'),
    ],
)
def test_a_type_that_is_not_loaded_is_answered_with_what_to_write(refusal, logical, physical, message):
    written = {"logicalType": logical, "physicalType": physical}

    assert message in refusal(**{key: value for key, value in written.items() if value})


@pytest.mark.parametrize(
    ("logical", "options", "pg_type"),
    [
        ("integer", {"format": "i16"}, "smallint"),
        ("integer", {"format": "i32"}, "integer"),
        ("number", {"format": "f64"}, "double precision"),
        ("timestamp", {"timezone": False}, "timestamp"),
        ("timestamp", {"timezone": True}, "timestamptz"),
        ("string", {"format": "email"}, "text"),
    ],
)
def test_options_choose_the_type_where_none_is_named(column, logical, options, pg_type):
    assert column(logicalType=logical, logicalTypeOptions=options).pg_type == pg_type


def test_an_option_that_contradicts_the_type_is_refused(refusal):
    written = {
        "logicalType": "timestamp",
        "physicalType": "timestamptz",
        "logicalTypeOptions": {"timezone": False},
    }

    assert refusal(**written) == "logicalTypeOptions.timezone means timestamp, physicalType is timestamptz"


def test_a_length_that_the_type_sets_is_a_limit_of_the_column(column):
    assert column(logicalType="string", physicalType="varchar(5)").max_length == 5
    options = {"minLength": 1, "maxLength": 3}
    found = column(logicalType="string", physicalType="varchar(5)", logicalTypeOptions=options)
    assert (found.min_length, found.max_length) == (1, 3)


@pytest.mark.parametrize(
    ("logical", "options", "minimum"),
    [
        ("number", 0.1, "0.1"),
        ("number", -40, "-40"),
        ("integer", 0, "0"),
        ("date", "2026-01-05", "2026-01-05"),
        ("timestamp", "2026-01-05T08:50:00+01:00", "2026-01-05T08:50:00+01:00"),
        ("time", "08:50", "08:50:00"),
    ],
)
def test_limits_are_kept_as_text(column, logical, options, minimum):
    assert column(logicalType=logical, logicalTypeOptions={"minimum": options}).minimum == minimum


def test_a_limit_keeps_every_digit(tmp_path):
    path = tmp_path / "a.odcs.yaml"
    path.write_text(
        yaml.safe_dump(BASE).replace(
            "logicalType: string",
            "logicalType: number\n    logicalTypeOptions: {maximum: 12345678901234567.89}",
        )
    )

    assert load_contract(path, "a").columns[0].maximum == "12345678901234567.89"


@pytest.mark.parametrize(
    ("logical", "options", "message"),
    [
        ("number", {"minimum": "4"}, 'logicalTypeOptions.minimum: "4" is text; write the number without quotes'),
        ("integer", {"minimum": 1.5}, "logicalTypeOptions.minimum: 1.5 is not a whole number"),
        ("date", {"minimum": 2026}, "logicalTypeOptions.minimum: 2026 is not a date such as 2026-01-05"),
        ("date", {"minimum": "2026-02-30"}, 'minimum: "2026-02-30" is not a date such as 2026-01-05'),
        ("timestamp", {"maximum": "2026-01-05T08:50:00"}, 'maximum: "2026-01-05T08:50:00" is not a time such as'),
        ("number", {"minimum": 5, "maximum": 4}, "logicalTypeOptions.maximum: 4 leaves no value beside minimum 5"),
        ("number", {"minimum": 4, "exclusiveMaximum": 4}, "exclusiveMaximum: 4 leaves no value beside minimum 4"),
        ("string", {"minLength": 3, "maxLength": 2}, "maxLength: 2 leaves no value beside minLength 3"),
        ("string", {"minLength": -1}, "logicalTypeOptions.minLength: -1 is out of range; 0 or more"),
        ("string", {"minimum": 3}, 'minimum is not an option of text; it has "minLength", "maxLength", "pattern"'),
        ("boolean", {"pattern": "x"}, "logicalTypeOptions.pattern is not an option of boolean, which has none"),
        ("number", {"multipleOf": 5}, "logicalTypeOptions.multipleOf is not enforced; check it in a function"),
        ("timestamp", {"defaultTimezone": "Europe/Berlin"}, "defaultTimezone is the sender's matter; write transform"),
        ("array", {"maxItems": 5}, "logicalTypeOptions.maxItems is not enforced by Haulier; remove it"),
        ("integer", {"format": "u64"}, 'logicalTypeOptions.format: "u64" is no type of PostgreSQL; write one of "i16"'),
        ("number", {"format": "f32"}, 'logicalTypeOptions.format: "f32" is not loaded; write "f64"'),
        ("string", {"pattern": "["}, 'pattern: "[" is not a regular expression: unterminated character set'),
        ("string", {"pattern": "(?=a)b"}, 'pattern: "(?=a)b" has a look-around, which patterns may not'),
        ("string", {"pattern": r"(a)\1"}, "has a back-reference, which patterns may not"),
        ("string", {"patern": "a"}, 'patern is not a setting of schema[things].properties[x].logicalTypeOptions; did'),
        ("date", {"format": "dd.MM.yyyy"}, '"dd.MM.yyyy" is not a strptime format such as "%d.%m.%Y", or "iso"; did'),
        ("date", {"format": "%d.%m"}, 'logicalTypeOptions.format: "%d.%m" does not say one full date'),
        ("time", {"format": "%d %H"}, '"%d %H" has a date in it, the column is a time'),
        ("time", {"format": "%M"}, '"%M" does not say one hour'),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_kept_is_refused(refusal, logical, options, message):
    assert message in refusal(logicalType=logical, logicalTypeOptions=options)


def test_texts_that_are_uuids_have_no_options(refusal):
    written = {"logicalType": "string", "physicalType": "uuid", "logicalTypeOptions": {"maxLength": 36}}

    assert refusal(**written) == "logicalTypeOptions.maxLength is not an option of uuid, which has none"


def test_a_length_beyond_the_type_is_refused(refusal):
    written = {"logicalType": "string", "physicalType": "varchar(5)", "logicalTypeOptions": {"maxLength": 6}}

    assert refusal(**written) == "logicalTypeOptions.maxLength: 6 does not fit physicalType varchar(5)"


def test_the_format_option_is_a_format_of_the_column(column):
    assert column(logicalType="date", logicalTypeOptions={"format": "%d.%m.%Y"}).formats == ("%d.%m.%Y",)


@pytest.mark.parametrize(
    ("logical", "written", "kept"),
    [
        ("string", [{"value": "A"}, {"value": "NA", "label": "Sodium"}], ("A", "NA")),
        ("string", ["A", "B"], ("A", "B")),
        ("integer", [1, {"value": 2}], ("1", "2")),
        ("number", [0.1, {"value": 1.5}], ("0.1", "1.5")),
        ("boolean", [True, False], ("true", "false")),
        ("date", [{"value": "2026-01-05"}], ("2026-01-05",)),
    ],
)
def test_enums_are_kept_as_text(column, logical, written, kept):
    assert column(logicalType=logical, enum=written).enum == kept


@pytest.mark.parametrize(
    ("logical", "written", "message"),
    [
        ("string", [{"value": True}], 'enum[0].value: true is a truth value to YAML; write "true" in quotes'),
        ("string", [{"value": 701}], 'enum[0].value: 701 is a number to YAML; write "701" in quotes'),
        ("string", ["A", 7], 'enum[1]: 7 is a number to YAML; write "7" in quotes'),
        ("string", ["A", "A"], 'enum[1]: "A" is there already'),
        ("string", [], "enum allows no value"),
        ("integer", [1.5], "enum[0]: 1.5 is not a whole number"),
        ("number", ["many"], 'enum[0]: "many" is not a number'),
        ("boolean", ["maybe"], 'enum[0]: "maybe" is not true or false'),
        ("date", ["05.01.2026"], 'enum[0]: "05.01.2026" is not a date such as 2026-01-05'),
        ("object", [{"value": "a"}], "enum: object values cannot be listed"),
        ("string", [{"vale": "A"}], 'enum[0].vale is not a setting of'),
    ],
)  # fmt: skip
def test_an_enum_must_hold_values_of_the_column(refusal, logical, written, message):
    assert message in refusal(logicalType=logical, enum=written)


@pytest.mark.parametrize(
    ("logical", "properties", "message"),
    [
        ("string", custom(nullValues="-"), 'customProperties[nullValues].value: "-" is not a list; write ["-"]'),
        ("string", custom(nullValues=["-", 9]), 'customProperties[nullValues].value[1]: 9 is a number to YAML; write "9"'),
        ("string", custom(howToFix=True), 'customProperties[howToFix].value: true is a truth value to YAML; write'),
        ("string", custom(softMinimum=3), "customProperties[softMinimum].value: string values have no limits"),
        ("string", custom(formats=["iso"]), "customProperties[formats].value: string values have no formats"),
        ("date", custom(formats=[]), "customProperties[formats].value names no format"),
        ("date", custom(formats=["%Q"]), 'customProperties[formats].value: "%Q" in "%Q" is not a directive'),
        ("number", custom(softMinimum="a lot"), 'customProperties[softMinimum].value: "a lot" is text; write the number'),
        ("number", custom(softMinimum=3, softMaximum=2), "customProperties[softMaximum].value: 2 leaves no value beside"),
        ("string", custom(ordering="x"), "customProperties[ordering] belongs to a table, not to a column"),
        ("string", custom(howtoFix="x"), 'customProperties[howtoFix] is not a property Haulier knows; did you mean'),
        ("string", custom(howToFix="x") * 2, "customProperties[howToFix] is given twice"),
        (
            "string",
            [{"property": "colour", "value": 1, "vendor": "haulier"}],
            "customProperties[colour] is not a property Haulier knows",
        ),
    ],
)  # fmt: skip
def test_a_custom_property_of_ours_must_make_sense(refusal, logical, properties, message):
    assert message in refusal(logicalType=logical, customProperties=properties)


def test_custom_properties_of_others_are_left_alone(column):
    others = [
        {"property": "howtoFix", "value": 7, "vendor": "someone"},
        {"property": "costCentre", "value": [1]},
    ]

    assert column(logicalType="string", customProperties=others).how_to_fix == ""


def test_a_soft_limit_that_a_hard_one_makes_useless_is_refused(refusal):
    written = {"logicalTypeOptions": {"minimum": 10}, "customProperties": custom(softMinimum=9)}

    assert refusal(logicalType="number", **written) == (
        "customProperties[softMinimum].value: 9 flags nothing: minimum 10 rejects it already"
    )


def test_formats_are_given_once(refusal):
    written = {"logicalTypeOptions": {"format": "iso"}, "customProperties": custom(formats=["iso"])}

    assert "logicalTypeOptions.format is given too; keep one of the two" in refusal(
        logicalType="date", **written
    )


def test_every_custom_property_haulier_knows_is_tested_here():
    assert set(CUSTOM_PROPERTIES["column"]) == {
        "nullValues",
        "formats",
        "softMinimum",
        "softMaximum",
        "howToFix",
        "deletes",
        "truncates",
        "unchangedValues",
    }
    assert set(CUSTOM_PROPERTIES["table"]) == {
        *("ordering", "deletedAt", "validTo", "isCurrent"),
        *("partitions", "partitionsAhead", "indexes"),
    }


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"name": "a" * 64}, f'name: "{"a" * 64}" has 64 bytes; PostgreSQL keeps 63'),
        ({"name": "é" * 32}, 'has 64 bytes; PostgreSQL keeps 63'),
        ({"name": "_haulier_row"}, 'name: "_haulier_row" begins like Haulier\'s own columns'),
        ({"name": "_HAULIER_x"}, "begins like Haulier's own columns"),
        ({"name": "xmin"}, 'name: "xmin" is a column every table of PostgreSQL has'),
        ({"name": " x"}, 'name: " x" cannot be a name'),
        ({"name": "a\nb"}, "cannot be a name"),
        ({"name": "x", "physicalName": ""}, 'physicalName: "" cannot be a name'),
        ({"name": "thing"}, 'name: "thing" is there already'),
        ({"name": "Thing"}, 'name: "Thing" differs from "thing" only in case'),
        ({"name": "x", "synonyms": [{"synonym": "THING"}]}, 'synonyms: "THING" is a name of "thing" already'),
        ({}, "schema[things].properties[1].name is missing"),
    ],
)  # fmt: skip
def test_a_name_that_cannot_stand_beside_the_others_is_refused(load, written, message):
    with pytest.raises(DefinitionError) as refused:
        load({"logicalType": "string", **written})

    assert message in str(refused.value)


def keyed(name, **written):
    return {"name": name, "logicalType": "string", **written}


def test_key_columns_count_in_the_order_of_the_file_or_by_their_numbers(load):
    in_order = load(keyed("a", primaryKey=True), keyed("b"))
    numbered = load(
        table={
            "properties": [
                keyed("a", primaryKey=True, primaryKeyPosition=2),
                keyed("b", primaryKeyPosition=-1),
                keyed("c", primaryKey=True, primaryKeyPosition=1),
            ]
        }
    )

    assert in_order.key == ("thing", "a")
    assert numbered.key == ("c", "a")
    assert numbered.column("a").required


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            {"primaryKeyPosition": 1},
            "properties[x].primaryKeyPosition stands alone; write primaryKey: true beside it",
        ),
        (
            {"primaryKey": True, "primaryKeyPosition": 2},
            "primaryKeyPosition is none, 2; number the key columns 1 to 2",
        ),
    ],
)
def test_half_a_numbering_of_the_key_is_refused(load, written, message):
    with pytest.raises(DefinitionError) as refused:
        load(keyed("x", **written))

    assert message in str(refused.value)


def test_the_ordering_column_is_kept(load):
    changed = {"name": "changed", "logicalType": "timestamp", "required": True}

    assert load(changed, table={"customProperties": custom(ordering="changed")}).ordering == "changed"


@pytest.mark.parametrize(
    ("ordering", "written", "message"),
    [
        ("chnged", {}, '"chnged" is not a column; did you mean "changed"?'),
        (7, {}, "7 is not a column"),
        ("changed", {"required": False}, '"changed" must be required, or some rows have no version'),
        ("changed", {"logicalType": "object"}, '"changed" is jsonb, which has no newer and older'),
        ("thing", {}, '"thing" is in the primary key, so it is equal wherever it is compared'),
    ],
)
def test_an_ordering_column_that_orders_nothing_is_refused(load, ordering, written, message):
    changed = {"name": "changed", "logicalType": "timestamp", "required": True, **written}

    with pytest.raises(DefinitionError) as refused:
        load(changed, table={"customProperties": custom(ordering=ordering)})

    assert f"schema[things].customProperties[ordering].value: {message}" in str(refused.value)


def marking(values, **written):
    return {"name": "op", "logicalType": "string", "customProperties": custom(deletes=values), **written}


def test_a_column_that_marks_deletions_is_read_and_not_stored(load):
    contract = load(
        keyed("a", primaryKey=True),
        marking(["D", "X"]),
        table={"customProperties": custom(deletedAt="gone_at")},
    )

    assert contract.marker.deletes == ("D", "X")
    assert [c.name for c in contract.stored] == ["thing", "a"]
    assert contract.identifying == {"thing", "a", "op"}
    assert contract.deleted_at == "gone_at"


def test_deletions_are_marked_by_values_of_the_columns_own_type(load):
    key = keyed("a", primaryKey=True)

    assert load(key, marking([True], logicalType="boolean")).marker.deletes == ("true",)
    assert load(key, marking([0], logicalType="integer")).marker.deletes == ("0",)


@pytest.mark.parametrize(
    ("columns", "table", "message"),
    [
        ([marking("D")], {}, 'properties[op].customProperties[deletes].value: "D" is not a list of values'),
        ([marking([])], {}, "customProperties[deletes].value: [] is not a list of values"),
        ([marking([3])], {}, "customProperties[deletes].value[0]: 3 is a number to YAML"),
        ([marking([{}], logicalType="object")], {}, "object values cannot be listed"),
        ([marking(["D"], primaryKey=True)], {}, "stands on a key column, which says which row is gone"),
        ([marking(["D"]), marking(["D"], name="op2")], {}, '"op" and "op2" all have deletes'),
        ([marking(["D"], required=True)], {"ordering": "op"}, '"op" says which rows are gone, so it is not stored'),
        ([marking(["D"])], {"deletedAt": 3}, "3 is not the name of a column"),
        ([marking(["D"])], {"deletedAt": "Thing"}, '"Thing" is a column that is read; choose another name'),
        ([marking(["D"])], {"deletedAt": "xmin"}, '"xmin" is a column every table of PostgreSQL has'),
    ],
)  # fmt: skip
def test_deletions_nobody_could_carry_out_are_refused(load, columns, table, message):
    with pytest.raises(DefinitionError) as refused:
        load(*columns, table={"customProperties": custom(**table)} if table else {})

    assert message in str(refused.value)


def test_deletions_without_a_key_are_refused(load):
    with pytest.raises(DefinitionError, match='"op" has deletes and no column is primaryKey'):
        load(table={"properties": [keyed("a"), marking(["D"])]})


def events(*, key=True, ordering="at", table=None, body=None, **op):
    properties = [
        keyed("id", primaryKey=key),
        {"name": "at", "logicalType": "integer", "required": True},
        {
            "name": "body",
            "logicalType": "string",
            "customProperties": custom(unchangedValues=["__keep"]),
            **(body or {}),
        },
        {
            "name": "op",
            "logicalType": "string",
            "customProperties": custom(**{"deletes": ["D"], "truncates": ["T"]} | op),
        },
    ]
    given = {"ordering": ordering, **(table or {})}
    return {"properties": properties, "customProperties": custom(**{k: v for k, v in given.items() if v})}


def test_a_feed_says_what_truncates_and_what_did_not_change(load):
    contract = load(table=events())

    assert contract.truncates
    assert contract.marker.truncates == ("T",)
    assert [(c.name, c.unchanged_values) for c in contract.keeping] == [("body", ("__keep",))]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"ordering": None}, '"op" has truncates, which needs a primary key and ordering'),
        ({"ordering": None}, '"body" has unchangedValues, which needs a primary key and ordering'),
        ({"table": {"deletedAt": "gone"}}, '"op" has truncates, which only a table of live rows can keep; remove deletedAt'),
        ({"table": {"validTo": "until"}}, '"body" has unchangedValues, which only a table of live rows can keep'),
        ({"truncates": ["D"]}, '"D" both deletes and truncates; it can mean one of the two'),
        ({"truncates": "T"}, '"T" is not a list of values; write [T]'),
        ({"unchangedValues": ["x"]}, "what it says of the event has to be known"),
        ({"body": {"unique": True}}, "stands on a column that is in the key, unique or computed"),
        ({"body": {"required": True}, "ordering": "body"}, "what it says of the event has to be known"),
    ],
)  # fmt: skip
def test_a_feed_nobody_could_follow_is_refused(load, told, message):
    with pytest.raises(DefinitionError) as refused:
        load(table=events(**told))

    assert message in str(refused.value)


def test_truncations_are_marked_where_deletions_are(load):
    column = {"name": "op", "logicalType": "string", "customProperties": custom(truncates=["T"])}

    with pytest.raises(DefinitionError, match="stands alone; give deletes as well"):
        load(keyed("a", primaryKey=True), column)


EDITED = {"name": "edited", "logicalType": "date", "required": True}
VERSIONS = {"ordering": "edited", "validTo": "valid_to", "isCurrent": "is_current"}


def test_a_table_of_versions_names_its_columns(load):
    contract = load(keyed("a", primaryKey=True), EDITED, table={"customProperties": custom(**VERSIONS)})

    assert (contract.ordering, contract.valid_to, contract.is_current) == ("edited", "valid_to", "is_current")


@pytest.mark.parametrize(
    ("columns", "table", "message"),
    [
        ([], {"ordering": ...}, "customProperties[validTo].value needs a primary key and ordering"),
        ([], {"validTo": ...}, "customProperties[isCurrent].value stands alone; give validTo as well"),
        ([], {"isCurrent": "valid_to"}, '"valid_to" is isCurrent, too; choose another name'),
        ([], {"validTo": "edited"}, '"edited" is a column that is read; choose another name'),
        ([marking(["D"])], {"deletedAt": "gone"}, "says already what deletedAt would; keep one of the two"),
        ([keyed("b", unique=True)], {}, 'keeps every version of a row, and "b" must be unique'),
    ],
)
def test_versions_that_could_not_be_kept_are_refused(load, columns, table, message):
    properties = {name: value for name, value in {**VERSIONS, **table}.items() if value is not ...}

    with pytest.raises(DefinitionError) as refused:
        load(keyed("a", primaryKey=True), EDITED, *columns, table={"customProperties": custom(**properties)})

    assert message in str(refused.value)


SEEN = {"name": "seen", "logicalType": "date", "primaryKey": True, "partitioned": True}
SITE = {"name": "site", "logicalType": "string", "primaryKey": True, "partitioned": True}


def levels(contract):
    return [(level.column, level.by) for level in contract.partitions]


def test_a_partitioned_date_goes_by_month_and_all_else_by_list(load):
    assert levels(load(SEEN)) == [("seen", "month")]
    assert levels(load(SITE, SEEN)) == [("site", "list"), ("seen", "month")]
    assert levels(load(SEEN | {"partitioned": False})) == []


def test_the_outer_level_is_the_one_with_the_lower_position(load):
    site, seen = SITE | {"partitionKeyPosition": 2}, SEEN | {"partitionKeyPosition": 1}

    assert levels(load(site, seen)) == [("seen", "month"), ("site", "list")]


def test_a_contract_says_how_long_a_partition_is_and_how_many_are_made_ahead(load):
    table = {"customProperties": custom(partitions={"seen": "year"}, partitionsAhead=0)}
    contract = load(SEEN, table=table)

    assert (levels(contract), contract.partitions_ahead) == ([("seen", "year")], 0)
    assert load(SEEN).partitions_ahead == 1


@pytest.mark.parametrize(
    ("columns", "table", "message"),
    [
        ([SEEN | {"primaryKey": False, "required": True}], {}, "seen must be in the primary key (thing): PostgreSQL holds a key"),
        ([SEEN, keyed("b", unique=True)], {}, '"b" must be unique, which PostgreSQL holds within each partition only'),
        ([SEEN | {"partitionKeyPosition": 2}], {}, "number the partitioned columns 1 to 1 by partitionKeyPosition"),
        ([{"name": "b", "logicalType": "string", "partitionKeyPosition": 1}], {}, "partitionKeyPosition stands alone"),
        ([SEEN, SEEN | {"name": "b"}], {}, "it may be one date or time, one list, or one in the other"),
        ([SITE, SITE | {"name": "b"}], {}, "it may be one date or time, one list, or one in the other"),
        ([SITE], {"partitions": {"site": "month"}}, '"site" is text, which has no month; partition it by list'),
        ([SEEN], {"partitions": {"seen": "list"}}, '"seen" is date, whose values are not listed'),
        ([SEEN], {"partitions": {"seen": "week"}}, 'partitions].value.seen: "week" is not one of'),
        ([SEEN], {"partitions": {"sen": "day"}}, 'is not a column with partitioned: true; did you mean "seen"?'),
        ([SEEN], {"partitions": "day"}, '"day" is not a mapping; write {collected: month}'),
        ([SEEN], {"partitionsAhead": -1}, "-1 is not a whole number from 0 to 100"),
        ([SITE], {"partitionsAhead": 1}, "partitionsAhead].value has no day, month or year to make ahead"),
        ([], {"partitionsAhead": 1}, "partitionsAhead].value has no day, month or year to make ahead"),
    ],
)  # fmt: skip
def test_partitions_postgresql_could_not_keep_are_refused(load, columns, table, message):
    with pytest.raises(DefinitionError) as refused:
        load(*columns, table={"customProperties": custom(**table)} if table else {})

    assert message in str(refused.value).replace('"seen" must be in', "seen must be in")


def test_a_partition_column_without_a_value_in_some_rows_is_refused(load):
    with pytest.raises(DefinitionError, match='"seen" must be required, or some rows have no partition'):
        load(table={"properties": [SEEN | {"primaryKey": False}]})


def test_a_contract_asks_for_indexes(load):
    json = {"name": "more", "logicalType": "object"}
    written = [
        {"columns": ["thing", "a"]},
        {"columns": ["a"], "using": "brin"},
        {"columns": ["more"], "using": "gin"},
    ]
    contract = load(
        {"name": "a", "logicalType": "date"}, json, table={"customProperties": custom(indexes=written)}
    )

    assert contract.indexes == (
        Index(columns=("thing", "a"), using="btree"),
        Index(columns=("a",), using="brin"),
        Index(columns=("more",), using="gin"),
    )


@pytest.mark.parametrize(
    ("indexes", "message"),
    [
        ("a", '"a" is not a list; write [{columns: [subject]}]'),
        ([{"using": "brin"}], "names no columns"),
        ([{"columns": []}], "names no columns"),
        (["a"], '"a" names no columns'),
        ([{"columns": ["thin"]}], '"thin" is not a column of the table; did you mean "thing"?'),
        ([{"columns": ["op"]}], '"op" is not a column of the table'),
        ([{"columns": ["thing"], "using": "hash"}], '"hash" is not one of'),
        ([{"columns": ["thing"], "using": "gin"}], '"thing" is text, which btree or brin indexes'),
        ([{"columns": ["more"]}], '"more" is jsonb, which gin indexes'),
        ([{"columns": ["thing", "thing"]}], "names a column twice"),
        ([{"columns": ["thing"]}] * 2, "is there already"),
        ([{"columns": ["thing"], "unique": True}], "is not known; an index has"),
    ],
)
def test_indexes_that_are_none_are_refused(load, indexes, message):
    with pytest.raises(DefinitionError) as refused:
        load(
            {"name": "more", "logicalType": "object"},
            marking(["D"]),
            table={"customProperties": custom(indexes=indexes)},
        )

    assert message in str(refused.value)


def test_a_bare_table_takes_the_schema_of_the_postgresql_server(load):
    servers = [
        {"server": "raw", "type": "s3", "location": "s3://b"},
        {"server": "db", "type": "postgresql", "host": "h", "port": 5432, "database": "d", "schema": "stock"},
    ]

    assert load(table={"physicalName": "things"}, servers=servers).target == "stock.things"
    assert load(table={"physicalName": "shop.things"}, servers=servers).target == "shop.things"


@pytest.mark.parametrize(
    ("table", "document", "message"),
    [
        ({"physicalName": "things"}, {}, 'physicalName: "things" has no schema and no PostgreSQL server here names one'),
        ({"physicalName": "a.b.c"}, {}, 'physicalName: "a.b.c" is not schema.table'),
        ({"physicalName": "a."}, {}, 'physicalName: "" cannot be a name'),
        ({"physicalName": "haulier.things"}, {}, 'physicalName: "haulier" is not a schema for data'),
        ({"physicalName": "pg_catalog.things"}, {}, 'physicalName: "pg_catalog" is not a schema for data'),
        ({"physicalType": "view"}, {}, 'physicalType: "view" is not loaded; only "table" is'),
        ({"properties": []}, {}, "schema[things].properties has no column"),
        ({"customProperties": custom(nullValues=[])}, {}, "customProperties[nullValues] belongs to a column, not to a"),
        ({"customProperties": custom(orderin="x")}, {}, 'customProperties[orderin] is not a property Haulier knows; did'),
        ({}, {"schema": []}, "schema has no table; a contract is about one table, in a list of one"),
        ({}, {"schema": ...}, "schema has no table"),
        ({}, {"schema": [{"name": "a"}, {"name": "b"}]}, 'schema has "a" and "b"; a contract is about one table'),
        ({}, {"apiVersion": "v2.2.2"}, 'apiVersion: "v2.2.2" is not read; write "v3.2.0" (v3.0 to v3.2 are read)'),
        ({}, {"apiVersion": "v3.3.0"}, 'apiVersion: "v3.3.0" is not read'),
        ({}, {"kind": "Contract"}, 'kind: "Contract" is not a kind; did you mean "DataContract"?'),
        ({}, {"id": ""}, "id is empty"),
        ({}, {"version": 1.0}, 'version: 1.0 is a number to YAML; write "1.0" in quotes'),
        ({}, {"version": ...}, "version is missing"),
        ({}, {"sever": []}, 'sever is not a setting of a contract; did you mean "servers"?'),
        ({}, {"team": {"member": []}}, 'team.member is not a setting of team; did you mean "members"?'),
    ],
)  # fmt: skip
def test_a_document_that_is_no_contract_of_one_table_is_refused(load, table, document, message):
    with pytest.raises(DefinitionError) as refused:
        load(table=table, **document)

    assert refused.value.exit_code == 2
    assert all(line.startswith("contracts/things.odcs.yaml: ") for line in str(refused.value).splitlines())
    assert message in str(refused.value)


@pytest.mark.parametrize("version", ["v3.0.0", "v3.0.2", "v3.1.0", "v3.2.0"])
def test_every_v3_of_the_standard_is_read(load, version):
    assert load(apiVersion=version).target == "shop.things"


def test_every_problem_of_a_contract_is_named_at_once(load):
    with pytest.raises(DefinitionError) as refused:
        load(
            {"name": "x", "logicalType": "number", "physicalType": "money"},
            {"name": "y", "logicalType": "date", "logicalTypeOptions": {"format": "%d"}},
            apiVersion="v2.2.2",
        )

    assert len(str(refused.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("level", "seconds"),
    [
        ({"property": "latency", "value": 6, "unit": "h"}, 6 * 3600),
        ({"property": "ly", "value": 2, "unit": "d"}, 2 * 86_400),
        ({"property": "latency", "value": 1.5}, 1.5 * 86_400),
        ({"property": "latency", "value": 90, "unit": "min"}, 5_400),
        ({"property": "retention", "value": "7", "unit": "y"}, None),
    ],
)
def test_latency_is_the_longest_time_to_the_table(load, level, seconds):
    assert load(slaProperties=[level]).latency_seconds == seconds


@pytest.mark.parametrize(
    ("level", "message"),
    [
        ({"value": "soon", "unit": "h"}, 'slaProperties[latency].value: "soon" is not a number above 0'),
        ({"value": True, "unit": "h"}, "slaProperties[latency].value: true is not a number above 0"),
        ({"value": 0, "unit": "h"}, "slaProperties[latency].value: 0 is not a number above 0"),
        (
            {"value": 1, "unit": "y"},
            'slaProperties[latency].unit: "y" is not a unit of time; use d, h, min or s',
        ),
    ],
)
def test_a_latency_nobody_can_measure_is_refused(load, level, message):
    with pytest.raises(DefinitionError) as refused:
        load(slaProperties=[{"property": "latency", **level}])

    assert message in str(refused.value)
