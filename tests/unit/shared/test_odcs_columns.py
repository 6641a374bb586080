"""A column's name, its enum and the custom properties that are Haulier's."""

import pytest
from support.odcs import adder, custom, loader, refuser

from haulier.contracts import Column
from haulier.errors import DefinitionError
from haulier.odcs.columns import CUSTOM_PROPERTIES


@pytest.fixture
def load(tmp_path):
    return loader(tmp_path)


@pytest.fixture
def column(load):
    return adder(load)


@pytest.fixture
def refusal(load):
    return refuser(load)


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
