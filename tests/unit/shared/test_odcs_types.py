"""A column's type and the limits of its values: one spelling, or what to write instead."""

import pytest
import yaml
from support.odcs import BASE, adder, loader, refuser

from haulier import rows
from haulier.odcs import pgtypes
from haulier.odcs.contract import load_contract


@pytest.fixture
def load(tmp_path):
    return loader(tmp_path)


@pytest.fixture
def column(load):
    return adder(load)


@pytest.fixture
def refusal(load):
    return refuser(load)


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
