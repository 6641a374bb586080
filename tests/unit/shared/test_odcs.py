"""Open Data Contract Standard documents, kept as one table's contract."""

import pytest
from support.odcs import custom, loader

from haulier.contracts import Column
from haulier.errors import DefinitionError


@pytest.fixture
def load(tmp_path):
    return loader(tmp_path)


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
