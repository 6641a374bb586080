"""A pipeline and a contract that do not go together are refused: unpivoting, modes, deletions and versions."""

import pytest
from support.definitions import CONTRACT, refusal, resolve, writer


@pytest.fixture
def write(tmp_path):
    return writer(tmp_path)


UNPIVOT = {"columns": {"net": "NET", "tax": "TAX"}, "names_to": "kind", "values_to": "amount"}
UNPIVOTING = [
    (
        {"names_to": "kin"},
        'transform.unpivot.names_to: "kin" is not a column of contracts/orders.odcs.yaml; did',
    ),
    ({"values_to": "amont"}, 'transform.unpivot.values_to: "amont" is not a column of contracts/orders.odcs'),
    ({"values_to": "total"}, 'transform.unpivot.values_to: "total" is derived'),
    ({"values_to": "kind"}, 'transform.unpivot.values_to: "kind" receives the labels already (names_to)'),
    (
        {"names_to": "placed"},
        'transform.unpivot.names_to: "placed" is date in contracts/orders.odcs.yaml; labels',
    ),
    ({"columns": {}}, "transform.unpivot.columns names no column"),
    (
        {"columns": {"net": "NET", "tax": "NET"}},
        'transform.unpivot.columns.tax: "NET" is the label of net already',
    ),
    (
        {"columns": {"No": "NET"}},
        "transform.columns.No is unpivoted, so it has no column of its own; remove one",
    ),
    (
        {"columns": {"net": "NETT"}},
        'transform.unpivot.columns.net: "NETT" is not in the enum of kind in contracts/orders.odcs.yaml; did you mean '
        '"NET"?',
    ),
]


@pytest.mark.parametrize(("changes", "message"), UNPIVOTING)
def test_an_unpivot_that_cannot_work_is_refused(write, changes, message):
    assert message in refusal(write({"transform.unpivot": {**UNPIVOT, **changes}}))


def test_an_unpivoted_column_is_not_filled_from_the_source_as_well(write):
    folder = write({"transform.unpivot": UNPIVOT, "transform.columns": {"Kind": "kind"}})

    assert 'transform.columns.Kind: "kind" is filled by transform.unpivot' in refusal(folder)


def test_an_unpivot_whose_labels_are_not_in_the_key_is_refused(write):
    folder = write({"transform.unpivot": UNPIVOT}, {"schema.0.properties.2.primaryKey": False})

    assert (
        'transform.unpivot.names_to: "kind" must be in the primary key of contracts/orders.odcs.yaml, or the rows made '
        "of one row have the same key"
    ) in refusal(folder)


def test_labels_may_stay_out_of_a_key_that_functions_make(write):
    made = {"schema.0.properties.2.primaryKey": False, "schema.0.properties.4.primaryKey": True}
    folder = write({"transform.unpivot": UNPIVOT, "transform.functions": ["shop.total"]}, made)

    assert resolve(folder)[1].key == ("number", "total")


ALONG = [
    (
        {"beside": {"placd": {"NET": "d"}}},
        'transform.unpivot.beside.placd: "placd" is not a column of contracts/orders',
    ),
    ({"beside": {"total": {"NET": "d"}}}, 'transform.unpivot.beside.total: "total" is derived'),
    (
        {"beside": {"placed": {"NETT": "d"}}},
        'beside.placed.NETT is no label of transform.unpivot.columns; did you mean "NET"?',
    ),
    (
        {"beside": {"placed": {"NET": "tax"}}},
        'beside.placed.NET: "tax" is in transform.unpivot.columns as well; remove one',
    ),
    (
        {"beside": {"placed": {"NET": "No"}}},
        'beside.placed.NET: "No" is in transform.columns as well; remove one',
    ),
    (
        {"beside": {"kind": {"NET": "d"}}},
        "transform.unpivot.beside.kind is filled by transform.unpivot itself",
    ),
    (
        {"beside": {"number": {"NET": "d"}}},
        'beside.number is required in contracts/orders.odcs.yaml and has nothing for "TAX"',
    ),
    ({"beside": {"number": {"NET": "d"}}}, 'transform.columns.No: "number" is filled by transform.unpivot'),
    (
        {"constants": {"placd": {"NET": "d"}}},
        'transform.unpivot.constants.placd: "placd" is not a column of contracts',
    ),
    (
        {"constants": {"placed": {"NETT": "d"}}},
        "constants.placed.NETT is no label of transform.unpivot.columns; did you",
    ),
    (
        {"constants": {"placed": {"NET": "{foldr}"}}},
        'constants.placed.NET: "{foldr}" is not a placeholder here',
    ),
    (
        {"constants": {"placed": {"NET": "d"}}, "beside": {"placed": {"NET": "d", "TAX": "e"}}},
        "constants.placed.NET is in transform.unpivot.beside as well; remove one of the two",
    ),
    (
        {"keep_empty": ["placd"]},
        'transform.unpivot.keep_empty[0]: "placd" is not a column of contracts/orders',
    ),
    (
        {"keep_empty": ["amount"]},
        'keep_empty[0]: "amount" has a value for every cell; name a column that a file',
    ),
    (
        {"keep_empty": ["placed"], "constants": {"placed": {"NET": "d"}}},
        'keep_empty[0]: "placed" has a value for every cell; name a column that a file fills',
    ),
]


@pytest.mark.parametrize(("more", "message"), ALONG)
def test_what_cannot_go_along_with_unpivoted_cells_is_refused(write, more, message):
    assert message in refusal(write({"transform.unpivot": {**UNPIVOT, **more}}))


def test_constants_of_unpivoted_cells_are_filled_in(write):
    unpivot = {**UNPIVOT, "constants": {"number": {"NET": "{instance}", "TAX": "0"}}}
    folder = write({"transform.unpivot": unpivot, "transform.columns": {}, "instances.south.transform": {}})

    assert resolve(folder)[0].transform.unpivot.constants == {"number": {"NET": "north", "TAX": "0"}}


PIVOT = {
    "by": ["No", "When"],
    "names_from": "item",
    "values_from": "value",
    "pattern": "(?P<kind>[A-Z]+)_(?P<item>.+)",
    "items": {"amount": "amount", "day": "placed"},
    "ignore": ["note"],
}
PIVOTING = [
    ({"by": []}, "transform.pivot.by names no column"),
    (
        {"by": ["No", "no "]},
        'transform.pivot.by[1]: "no " is a column of transform.pivot already; choose another',
    ),
    ({"values_from": "Item"}, 'transform.pivot.values_from: "Item" is a column of transform.pivot already'),
    ({"names_from": "No"}, 'transform.pivot.names_from: "No" is a column of transform.pivot already'),
    ({"items": {}}, "transform.pivot.items names no item"),
    ({"items": {"a": "x", "b": "X"}}, 'transform.pivot.items.b: "X" is a column of transform.pivot already'),
    ({"items": {"a": "when"}}, 'transform.pivot.items.a: "when" is a column of transform.pivot already'),
    ({"items": {"a": "kind"}}, 'transform.pivot.items.a: "kind" is a column of transform.pivot already'),
    (
        {"ignore": ["day"]},
        'transform.pivot.ignore: "day" is in transform.pivot.items as well; remove one of the two',
    ),
    (
        {"pattern": "(?P<no>.)(?P<item>.+)"},
        'transform.pivot.pattern: "no" is a column of transform.pivot already',
    ),
    (
        {"pattern": "(?P<itm>.+)"},
        'transform.pivot.pattern: "(?P<itm>.+)" has no group item; write it as (?P<item>…)',
    ),
    ({"pattern": "(a|b)(?P<item>.+)"}, "has a group without a name; name it, or write (?:…)"),
    ({"pattern": "(?P<item>"}, 'transform.pivot.pattern: "(?P<item>" is not a regular expression'),
    ({"pattern": "(?P<item>.+)(?=x)"}, "has a look-around, which patterns may not"),
]


@pytest.mark.parametrize(("changes", "message"), PIVOTING)
def test_a_pivot_that_cannot_work_is_refused(write, changes, message):
    assert message in refusal(write({"transform.pivot": {**PIVOT, **changes}}))


def test_a_pivot_is_refused_where_groups_would_be_divided(write):
    assert "split would divide groups that transform.pivot brings together" in refusal(
        write({"transform.pivot": PIVOT, "split": {"rows": 10}})
    )
    events = write(
        {
            "transform.pivot": PIVOT,
            "source.csv": ...,
            "source.jsonl": {"debezium": {}},
            "instances.south.source": {},
        }
    )
    assert (
        "transform.pivot needs all rows of a group together, and this source brings those that changed"
        in refusal(events)
    )


def test_a_pivot_beside_an_unpivot_is_refused(write):
    assert "transform.unpivot stands beside transform.pivot; remove one of the two" in refusal(
        write({"transform.pivot": PIVOT, "transform.unpivot": UNPIVOT})
    )


def test_an_instance_has_items_of_its_own(write):
    folder = write(
        {
            "transform.pivot": PIVOT,
            "instances.south.transform.pivot": {"items": {"day": None, "Day": "placed"}},
        }
    )

    assert resolve(folder)[0].transform.pivot.items == {"amount": "amount", "day": "placed"}
    assert resolve(folder, "south")[0].transform.pivot.items == {"amount": "amount", "Day": "placed"}


CONSTANTS = [
    (
        {"amont": "1"},
        'transform.constants.amont: "amont" is not a column of contracts/orders.odcs.yaml; did you mean "amount"?',
    ),
    ({"total": "1"}, 'transform.constants.total: "total" is derived (transformLogic'),
    (
        {"number": "1"},
        'transform.constants.number is filled from "No" in transform.columns; remove one of the two',
    ),
    ({"amount": "{foldr}"}, 'transform.constants.amount: "{foldr}" is not a placeholder here'),
]


@pytest.mark.parametrize(("constants", "message"), CONSTANTS)
def test_a_constant_that_cannot_stand_is_refused(write, constants, message):
    assert message in refusal(write({"transform.constants": constants}))


def test_a_constant_for_what_is_unpivoted_is_refused(write):
    folder = write({"transform.unpivot": UNPIVOT, "transform.constants": {"kind": "NET"}})

    assert "transform.constants.kind is filled by transform.unpivot; remove one of the two" in refusal(folder)


def test_constants_are_filled_in_with_the_instances_own(write):
    folder = write(
        {
            "transform.constants": {"kind": "NET-{instance}"},
            "instances.south.transform.constants": {"amount": "{folder}"},
        }
    )

    assert resolve(folder)[0].transform.constants == {"kind": "NET-north"}
    assert resolve(folder, "south")[0].transform.constants == {"kind": "NET-south", "amount": "s"}


def test_an_upsert_without_a_primary_key_is_refused(write):
    keyless = {f"schema.0.properties.{n}.primaryKey": False for n in (0, 2)}

    assert refusal(write(contract=keyless)) == (
        'pipelines/orders.yaml: load.mode: "upsert" needs a primary key and contracts/orders.odcs.yaml declares none; '
        'declare primaryKey there, or use "append"'
    )
    assert resolve(write({"load.mode": "append"}, keyless))[1].key == ()


MARKER = {
    "name": "op",
    "logicalType": "string",
    "customProperties": [{"property": "deletes", "value": ["D"]}],
}


def test_what_never_deletes_is_refused_with_a_contract_that_does(write):
    marked = {"schema.0.properties": [*CONTRACT["schema"][0]["properties"], MARKER]}

    assert refusal(write({"load.mode": "append"}, marked)) == (
        'pipelines/orders.yaml: load.mode: "append" never deletes, and op of contracts/orders.odcs.yaml has deletes; use "upsert"'
    )
    unpivot = {"columns": {"a": "x"}, "names_to": "kind", "values_to": "note"}
    assert (
        "transform.unpivot makes several rows of one, and op of contracts/orders.odcs.yaml has deletes"
        in refusal(write({"transform.unpivot": unpivot}, marked))
    )


def test_values_that_did_not_change_are_for_upsert_without_functions(write):
    edited = {"name": "edited", "logicalType": "integer", "required": True}
    kept = {
        "name": "body",
        "logicalType": "string",
        "customProperties": [{"property": "unchangedValues", "value": ["-"]}],
    }
    feed = {
        "schema.0.properties": [*CONTRACT["schema"][0]["properties"], edited, kept],
        "schema.0.customProperties": [{"property": "ordering", "value": "edited"}],
    }
    what = "body of contracts/orders.odcs.yaml has unchangedValues"

    assert f"transform.functions would be given rows whose values are not known, and {what}" in refusal(
        write({}, feed)
    )
    assert f'load.mode: "replace" has no row whose value could be kept, and {what}; use "upsert"' in refusal(
        write({"load.mode": "replace"}, feed)
    )


def test_rows_go_that_are_no_longer_sent_only_where_what_is_sent_is_everything(write):
    said = "load.removal_threshold"
    cumulative = {said: 0.1, "source.files.content": "cumulative"}
    marked = {"schema.0.properties": [*CONTRACT["schema"][0]["properties"], MARKER]}

    assert resolve(write(cumulative))[0].load.removal_threshold == 0.1
    assert resolve(write({said: 0.1, "load.mode": "replace"}))[0].load.removal_threshold == 0.1
    assert refusal(write({said: 0.1})) == (
        "pipelines/orders.yaml: load.removal_threshold takes rows away that are no longer sent, and only cumulative files are "
        'known to hold everything; write source.files.content: cumulative, use "replace", or remove it'
    )
    assert refusal(write({**cumulative, "load.mode": "append"})) == (
        'pipelines/orders.yaml: load.removal_threshold is for "upsert" of cumulative files and for "replace", and load.mode is '
        '"append"; remove it'
    )
    assert (
        "load.removal_threshold stands beside op of contracts/orders.odcs.yaml, which has deletes: such rows are events"
        in refusal(write(cumulative, marked))
    )
    assert "load.removal_threshold: 1.5 is out of range; between 0 and 1" in refusal(write({said: 1.5}))


def test_a_column_that_nothing_would_fill_is_refused(write):
    stays = {"schema.0.customProperties": [{"property": "deletedAt", "value": "deleted_at"}]}
    cumulative = {"load.removal_threshold": 0.1, "source.files.content": "cumulative"}

    assert resolve(write(cumulative, stays))[1].deleted_at == "deleted_at"
    for definition in ({}, {"load.mode": "replace", "load.removal_threshold": 0.1}):
        assert (
            "load: contracts/orders.odcs.yaml has deletedAt and no column with deletes, so only load.removal_threshold of "
            '"upsert" would fill it; say one of them, or remove deletedAt'
        ) in refusal(write(definition, stays))


def test_versions_are_kept_by_scd2_and_by_nothing_else(write):
    edited = {"name": "edited", "logicalType": "date", "required": True}
    versions = {
        "schema.0.properties": [*CONTRACT["schema"][0]["properties"], edited],
        "schema.0.customProperties": [
            {"property": "ordering", "value": "edited"},
            {"property": "validTo", "value": "valid_to"},
        ],
    }

    assert resolve(write({"load.mode": "scd2"}, versions))[1].valid_to == "valid_to"
    assert (
        'load.mode: contracts/orders.odcs.yaml has validTo, so it keeps every version of a row; use "scd2"'
        in refusal(write({}, versions))
    )
    assert (
        'load.mode: "scd2" keeps every version of a row; say in contracts/orders.odcs.yaml with validTo'
        in refusal(write({"load.mode": "scd2"}))
    )
