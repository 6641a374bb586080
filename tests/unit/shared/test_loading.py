"""Definition files: loaded, merged, filled in, or refused with the field, its value and the way out."""

import copy
import subprocess
import sys
import time
from datetime import date

import msgspec
import pytest
import yaml

from haulier import loading
from haulier.definitions import Instance, Transform, Unpivot
from haulier.definitions.formats import Csv, JsonLines
from haulier.digests import definition_digest
from haulier.errors import DefinitionError

PIPELINE = {
    "pipeline": "orders",
    "contract": "../contracts/orders.odcs.yaml",
    "schedule": "@daily",
    "start": "2026-01-05",
    "source": {
        "files": {"path": "{instance}/{pipeline}_*.csv"},
        "csv": {"delimiter": ";", "footer": {"pattern": "Total: ([0-9]+)"}},
    },
    "transform": {
        "columns": {"No": "number", "When": "placed"},
        "date_formats": {"placed": ["%d.%m.%Y"]},
        "null_values": ["-"],
    },
    "load": {"reject_threshold": 0.1},
    "instances": {
        "north": {},
        "south": {
            "description": "The other shop",
            "parameters": {"folder": "s"},
            "source": {
                "files": {"path": "in/{folder}/{instance}-*.csv", "logical_name": "{folder}/{name}"},
                "csv": {"encoding": "cp1252", "footer": None},
            },
            "transform": {"columns": {"Nr": "number", "No": None}, "null_values": ["?"]},
        },
    },
}
CONTRACT = {
    "apiVersion": "v3.2.0",
    "kind": "DataContract",
    "id": "orders",
    "version": "1.0.0",
    "schema": [
        {
            "name": "orders",
            "physicalName": "sales.orders",
            "properties": [
                {"name": "number", "logicalType": "string", "primaryKey": True},
                {"name": "placed", "logicalType": "date"},
                {
                    "name": "kind",
                    "logicalType": "string",
                    "primaryKey": True,
                    "enum": [{"value": "NET"}, {"value": "TAX"}],
                },
                {"name": "amount", "logicalType": "number"},
                {"name": "total", "logicalType": "number", "transformLogic": "sum of it all"},
            ],
        }
    ],
}
WITH_FUNCTION = {"transform.functions": ["shop.total"]}


def changed(document, changes):
    """A copy with values set at dotted paths; `...` takes a key away."""
    document = copy.deepcopy(document)
    for path, value in changes.items():
        *front, last = path.split(".")
        here = document
        for key in front:
            here = here[int(key)] if isinstance(here, list) else here.setdefault(key, {})
        if value is ...:
            del here[last]
        else:
            here[last] = value
    return document


@pytest.fixture
def write(tmp_path):
    """Write a definitions folder: the documents above, changed."""

    def write(pipeline=None, contract=None, name="orders"):
        for folder, file, document in (
            ("pipelines", f"{name}.yaml", changed(PIPELINE, {**WITH_FUNCTION, **(pipeline or {})})),
            ("contracts", "orders.odcs.yaml", changed(CONTRACT, contract or {})),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / file).write_text(yaml.safe_dump(document, sort_keys=False))
        return tmp_path

    return write


def resolve(folder, instance="north"):
    return loading.resolve(loading.load_pipeline(folder, "orders"), instance)


def refusal(folder, instance="north"):
    with pytest.raises(DefinitionError) as refused:
        resolve(folder, instance)
    assert refused.value.exit_code == 2
    return str(refused.value)


def test_an_instance_without_overrides_is_the_pipeline_filled_in(write):
    instance, contract = resolve(write())

    assert instance.pipeline == "orders"
    assert instance.instance == "north"
    assert instance.start == date(2026, 1, 5)
    assert instance.source.files.path == "north/orders_*.csv"
    assert instance.source.files.logical_name == "{name}"
    assert instance.transform.columns == {"No": "number", "When": "placed"}
    assert instance.load.reject_threshold == 0.1
    assert contract.target == "sales.orders"
    assert contract.key == ("number", "kind")


def test_overrides_are_laid_over_the_pipeline_key_by_key(write):
    instance, _ = resolve(write(), "south")

    assert instance.description == "The other shop"
    assert instance.source.csv == Csv(delimiter=";", encoding="cp1252")  # the footer is back to its default
    assert instance.source.files.path == "in/s/south-*.csv"
    assert instance.source.files.logical_name == "s/{name}"
    assert instance.transform.columns == {"When": "placed", "Nr": "number"}
    assert instance.transform.null_values == ("?",)
    assert instance.transform.date_formats == {"placed": ("%d.%m.%Y",)}


def test_an_override_may_add_a_section_and_take_it_away(write):
    unpivot = {"columns": {"net": "NET", "tax": "TAX"}, "names_to": "kind", "values_to": "amount"}

    added, _ = resolve(write({"instances.north.transform.unpivot": unpivot}))
    folder = write({"transform.unpivot": unpivot, "instances.north.transform.unpivot": None})
    taken, _ = resolve(folder)

    assert added.transform.unpivot == Unpivot(**unpivot)
    assert taken.transform.unpivot is None


def test_a_pipeline_without_instances_has_one_named_main(write):
    file = loading.load_pipeline(write({"instances": ...}), "orders")

    assert loading.instances(file) == ["main"]
    assert loading.resolve(file, "main")[0].source.files.path == "main/orders_*.csv"


def test_dates_names_and_paths_stay_for_extract(write):
    folder = write(
        {
            "source.files": {
                "path": "{instance}/*/{date:%Y-%m-%d}.csv",
                "select": "name",
                "logical_name": "{pipeline}{path}",
                "ready": {"marker": "{instance}-{name}.done"},
            }
        }
    )

    files = resolve(folder)[0].source.files

    assert files.path == "north/*/{date:%Y-%m-%d}.csv"
    assert files.logical_name == "orders{path}"
    assert files.ready.marker == "north-{name}.done"


def test_loading_all_gives_every_file_by_name(write):
    write()
    folder = write({"pipeline": "returns"}, name="returns")
    (folder / "pipelines" / ".hidden.yaml").write_text("not: read")
    (folder / "pipelines" / "notes.txt").write_text("not read")

    assert list(loading.load_pipelines(folder)) == ["orders", "returns"]


def test_loading_all_names_the_problems_of_every_file(write):
    write({"load.mode": "upsrt"})
    folder = write({"pipeline": "returns", "shedule": "@daily", "schedule": ...}, name="returns")

    with pytest.raises(DefinitionError) as refused:
        loading.load_pipelines(folder)

    assert str(refused.value).splitlines() == [
        'pipelines/orders.yaml: load.mode: "upsrt" is not a mode; did you mean "upsert"?',
        'pipelines/returns.yaml: shedule is not a setting of a pipeline; did you mean "schedule"?',
    ]


def test_one_pipeline_is_loaded_without_opening_another(write):
    folder = write()
    (folder / "pipelines" / "broken.yaml").write_text("{")

    assert resolve(folder)[0].pipeline == "orders"


def test_an_instance_is_known_without_opening_the_contract(write):
    folder = write()
    (folder / "contracts" / "orders.odcs.yaml").unlink()

    assert loading.resolve_instance(loading.load_pipeline(folder, "orders"), "south").instance == "south"


STRUCTURE = [
    ({"load.mode": "upsrt"}, 'load.mode: "upsrt" is not a mode; did you mean "upsert"?'),
    (
        {"load.mode": "merge-it"},
        'load.mode: "merge-it" is not a mode; use "append", "replace", "scd2" or "upsert"',
    ),
    (
        {"source.csv.encodin": "utf-8"},
        'source.csv.encodin is not a setting of source.csv; did you mean "encoding"?',
    ),
    (
        {"source.files.ready": {"zzz": 1}},
        'source.files.ready.zzz is not a setting of source.files.ready; its settings are "quiet_seconds", '
        '"last_line", "marker" and "wait_minutes"',
    ),
    ({"sorce": {}}, 'sorce is not a setting of a pipeline; did you mean "source"?'),
    ({"schedul": "x", "schedule": ...}, 'schedul is not a setting of a pipeline; did you mean "schedule"?'),
    ({"source": ...}, "source is missing"),
    ({"source.files.path": ...}, "source.files.path is missing"),
    ({"source.files.path": ""}, 'source.files.path: "" is too short; at least 1 character'),
    ({"source.csv.delimiter": ";;"}, 'source.csv.delimiter: ";;" is too long; at most 1 character'),
    ({"source.csv": ["utf-8"]}, "source.csv: a list is not a mapping of settings"),
    ({"source.csv.preamble_rows": -1}, "source.csv.preamble_rows: -1 is out of range; 0 or more"),
    ({"source.csv.preamble_rows": "two"}, 'source.csv.preamble_rows: "two" is not a whole number'),
    ({"source.csv.preamble_rows": 1.5}, "source.csv.preamble_rows: 1.5 is not a whole number"),
    ({"source.csv.header_rows": 10}, "source.csv.header_rows: 10 is out of range; between 1 and 9"),
    ({"load.reject_threshold": 5}, "load.reject_threshold: 5 is out of range; between 0 and 1"),
    ({"load.reject_threshold": "5 %"}, 'load.reject_threshold: "5 %" is not a number'),
    ({"load": None}, "load has no value; a mapping of settings is needed, write {} for an empty one"),
    ({"catchup": "x"}, 'catchup: "x" is not true or false'),
    ({"start": "5 January"}, 'start: "5 January" is not a date such as 2026-01-05'),
    ({"start": "2026-02-30"}, 'start: "2026-02-30" is not a date such as 2026-01-05'),
    ({"tags": "a"}, 'tags: "a" is not a list'),
    ({"tags": [1.50]}, 'tags[0]: 1.5 is a number to YAML; write "1.5" in quotes'),
    ({"tags": [True]}, 'tags[0]: true is a truth value to YAML; write "true" in quotes'),
    ({"owner": None}, "owner has no value; text is needed, or leave the key out"),
    ({"transform.columns.A B": 3}, 'transform.columns."A B": 3 is a number to YAML; write "3" in quotes'),
    (
        {"instances.north": None},
        "instances.north has no value; a mapping of settings is needed, write {} for an empty one",
    ),
    (
        {"instances.north.load": {}},
        'instances.north.load is not a setting of instances.north; its settings are "description", "operators", '
        '"parameters", "source" and "transform"',
    ),
    ({"instances.north.sourc": {}}, 'sourc is not a setting of instances.north; did you mean "source"?'),
    (
        {"instances.north.source.csv": {"encodin": "x"}},
        "instances.north.source.csv.encodin is not a setting of",
    ),
    (
        {"instances.north.source.files.select": "nam"},
        'instances.north.source.files.select: "nam" is not a select; did you mean "name"?',
    ),
    ({"instances.north.transform.reshape": 1}, "instances.north.transform.reshape: 1 is not true or false"),
    ({"instances.north.source.files": {"path": None}}, "source.files.path is missing"),
]


@pytest.mark.parametrize(("changes", "message"), STRUCTURE, ids=lambda value: next(iter(value), "")[:40])
def test_a_wrong_key_or_value_is_named_with_the_way_out(write, changes, message):
    text = refusal(write(changes))

    assert text.startswith("pipelines/orders.yaml: ")
    assert message in text


def test_every_problem_is_named_at_once(write):
    text = refusal(write({"load.mode": "upsrt", "source.csv.encodin": "x", "start": "soon"}))

    assert len(text.splitlines()) == 3


def test_a_number_is_shown_as_it_stands_in_the_file(write):
    folder = write()
    file = folder / "pipelines" / "orders.yaml"
    file.write_text(file.read_text() + "owner: 1.50\n")

    assert refusal(folder) == (
        'pipelines/orders.yaml: owner: 1.50 is a number to YAML; write "1.50" in quotes'
    )


MEANING = [
    ({"pipeline": "Orders"}, 'pipeline: "Orders" must be the file\'s name, "orders"; rename one of the two'),
    ({"pipeline": "a/b"}, "pipeline: 'a/b' cannot be a name; use letters"),
    ({"instances": {"a b": {}, "north": {}}}, "instances.\"a b\": 'a b' cannot be a name; use letters"),
    ({"schedule": "@dayly"}, 'schedule: "@dayly" is not a schedule; did you mean "@daily"?'),
    (
        {"schedule": "0 4 * *"},
        'schedule: "0 4 * *" is not a schedule; use "@hourly", "@daily", "@weekly" or "@monthly", or a cron line',
    ),
    ({"schedule": "0 24 * * *"}, 'schedule: "24" in "0 24 * * *" is not a cron field from 0 to 23'),
    ({"schedule": "*/0 4 * * *"}, 'schedule: "*/0" in "*/0 4 * * *" is not a cron field from 0 to 59'),
    ({"schedule": "0 4 * 13,1 *"}, 'schedule: "13,1" in'),
    ({"schedule": "0 4 * * fri-mon"}, 'schedule: "fri-mon" in'),
    ({"instances.north.parameters.name": "x"}, "instances.north.parameters.name has a meaning already"),
    ({"instances.north.parameters.a-b": "x"}, "instances.north.parameters.a-b cannot be a placeholder"),
    (
        {"source.files.path": "{instanc}/*.csv"},
        'source.files.path: "{instanc}" is not a placeholder here; did you mean "{instance}"?',
    ),
    (
        {"source.files.path": "{folder}/*.csv"},
        'source.files.path: "{folder}" is not a placeholder here; use "{instance}", "{pipeline}" or "{date:%Y-%m-%d}"',
    ),
    ({"source.files.path": "{name}.csv"}, 'source.files.path: "{name}" is not a placeholder here'),
    (
        {"source.files.path": "{instance/*.csv"},
        'source.files.path: "{instance/*.csv" has a brace without its partner',
    ),
    (
        {"source.files.path": "{date}.csv", "source.files.select": "name"},
        "source.files.path: {date} needs a format, such as {date:%Y-%m-%d}",
    ),
    (
        {"source.files.path": "{date:%Y-%Q}.csv", "source.files.select": "name"},
        'source.files.path: {date:%Y-%Q}: "%Q" in "%Y-%Q" is not a directive; use %Y',
    ),
    (
        {"source.files.path": "{date:%Y-%m}.csv", "source.files.select": "name"},
        "source.files.path: {date:%Y-%m} does not name a whole day: year, month and day",
    ),
    (
        {"source.files.path": "{date:%Y}/{date:%Y-%m-%d}.csv", "source.files.select": "name"},
        'source.files.path: "{date:%Y}/{date:%Y-%m-%d}.csv" has more than one date; keep one, write * for the others',
    ),
    ({"source.files.path": "../in/*.csv"}, 'source.files.path: "../in/*.csv" leaves the source folder'),
    (
        {"source.files.select": "name"},
        'source.files.select: "name" needs a date in source.files.path ("{instance}/{pipeline}_*.csv"), such as '
        "{date:%Y-%m-%d}; or write select: modified",
    ),
    (
        {"source.files.path": "{date:%Y-%m-%d}.csv"},
        "source.files.path: {date:%Y-%m-%d} has no part in select: modified; write * in its place, or select: name",
    ),
    (
        {"source.files.logical_name": "{nam}"},
        'source.files.logical_name: "{nam}" is not a placeholder here; did you mean "{name}"?',
    ),
    ({"source.files.logical_name": "{date:%Y}"}, 'logical_name: "{date:%Y}" is not a placeholder here'),
    (
        {"source.files.ready": {"marker": "{path}.done"}},
        'source.files.ready.marker: "{path}" is not a placeholder',
    ),
    (
        {"source.csv.encoding": "cp1225"},
        'source.csv.encoding: "cp1225" is not an encoding; did you mean "cp1252"?',
    ),
    ({"source.csv.encoding": "qqqqqqqq"}, 'is not an encoding; such as "utf-8", "cp1252" or "latin-1" is'),
    ({"source.csv.encoding": "base64"}, 'source.csv.encoding: "base64" is no encoding of text files'),
    ({"source.csv.encoding": "idna"}, 'source.csv.encoding: "idna" is no encoding of text files'),
    ({"source.csv.delimiter": '"'}, 'source.csv.delimiter: "\\"" is the quote character as well'),
    (
        {"source.csv.delimiter": "§"},
        'source.csv.delimiter: "§" cannot separate columns; use one ASCII character',
    ),
    ({"source.csv.quote": "«"}, 'source.csv.quote: "«" cannot quote'),
    (
        {"source.csv.footer.pattern": "Total: (["},
        'source.csv.footer.pattern: "Total: ([" is not a regular expression: unterminated character set at character 9',
    ),
    (
        {"transform.time_zone": "Europe/Berln"},
        '"Europe/Berln" is not a time zone; did you mean "Europe/Berlin"?',
    ),
    (
        {"transform.time_zone": "../../etc/passwd"},
        '"../../etc/passwd" is not a time zone; use a name such as',
    ),
    ({"transform.functions": ["total"]}, 'transform.functions[0]: "total" is not module.function, such as'),
    ({"transform.functions": ["a.b.c"]}, 'transform.functions[0]: "a.b.c" is not module.function, such as'),
    (
        {"transform.reshape": True, "transform.functions": []},
        "transform.reshape: no function is named that could reshape",
    ),
    (
        {"transform.date_formats.placed": ["dd-MMM-yyyy"]},
        'transform.date_formats.placed[0]: "dd-MMM-yyyy" is not a strptime format such as "%d.%m.%Y", or "iso"; did you '
        'mean "%d-%b-%Y"?',
    ),
    ({"transform.date_formats.placed": ["%d.%Q.%Y"]}, '"%Q" in "%d.%Q.%Y" is not a directive; use %Y'),
    ({"transform.date_formats.placed": ["%d.%m"]}, '"%d.%m" does not say one full date'),
    ({"transform.date_formats.placed": ["%d.%d.%Y"]}, '"%d" is twice in "%d.%d.%Y"'),
    ({"transform.date_formats.placed": ["%d.%m.%Y %I:%M"]}, "%I and %p need each other"),
    ({"transform.date_formats.placed": []}, "transform.date_formats.placed names no format"),
    (
        {"transform.date_formats.plced": ["iso"]},
        'transform.date_formats.plced is not a column of contracts/orders.odcs.yaml; did you mean "placed"?',
    ),
    (
        {"transform.date_formats.amount": ["iso"]},
        "transform.date_formats.amount is a column of numeric; formats are for dates and times",
    ),
    (
        {"transform.columns.No": "numbr"},
        'transform.columns.No: "numbr" is not a column of contracts/orders.odcs.yaml; did you mean "number"?',
    ),
    (
        {"transform.columns.No": "total"},
        'transform.columns.No: "total" is derived (transformLogic in contracts/',
    ),
    (
        {"transform.functions": []},
        'transform.functions: "total" of contracts/orders.odcs.yaml is derived (transformLogic), so name the function',
    ),
    ({"contract": "../contracts/order.odcs.yaml"}, 'did you mean "../contracts/orders.odcs.yaml"?'),
    (
        {"contract": "contracts/orders.odcs.yaml"},
        'contract: there is no file "contracts/orders.odcs.yaml", seen from',
    ),
]


@pytest.mark.parametrize(("changes", "message"), MEANING, ids=lambda value: next(iter(value), "")[:40])
def test_a_value_without_a_meaning_is_named_with_the_way_out(write, changes, message):
    text = refusal(write(changes))

    assert text.startswith("pipelines/orders.yaml: ")
    assert message in text


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


def test_a_problem_written_in_an_override_is_named_there(write):
    folder = write({"instances.south.transform.time_zone": "Europe/Berln"})

    assert "pipelines/orders.yaml: instances.south.transform.time_zone: " in refusal(folder, "south")
    assert resolve(folder, "north")


def test_a_problem_written_in_the_pipeline_is_named_there_for_any_instance(write):
    folder = write({"transform.time_zone": "Europe/Berln"})

    assert "pipelines/orders.yaml: transform.time_zone: " in refusal(folder, "south")


def test_a_problem_of_the_contract_is_named_in_the_contract(write):
    text = refusal(write(contract={"schema.0.properties.1.requird": True}))

    assert text.startswith(
        "contracts/orders.odcs.yaml: schema[orders].properties[placed].requird is not a setting"
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("order", 'there is no pipeline "order" in {folder}/pipelines; did you mean "orders"?'),
        ("zzzzzz", 'there is no pipeline "zzzzzz" in {folder}/pipelines; there are "orders"'),
    ],
)
def test_an_unknown_pipeline_is_answered_with_the_known_ones(write, asked, message):
    folder = write()

    with pytest.raises(DefinitionError) as refused:
        loading.load_pipeline(folder, asked)

    assert str(refused.value) == message.format(folder=folder)


def test_an_unknown_instance_is_answered_with_the_known_ones(write):
    assert refusal(write(), "nort") == (
        'pipelines/orders.yaml: there is no instance "nort"; did you mean "north"?'
    )


def test_a_name_that_leaves_the_folder_is_refused(write):
    with pytest.raises(DefinitionError, match="cannot be a name"):
        loading.load_pipeline(write(), "../contracts/orders")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DefinitionError, match="is not a folder; HAULIER_DEFINITIONS names the one around"):
        loading.load_pipelines(tmp_path / "nowhere")


@pytest.mark.parametrize("ending", ["yml", "YAML"])
def test_a_file_that_would_silently_not_be_read_is_refused(write, ending):
    folder = write()
    (folder / "pipelines" / f"more.{ending}").write_text("")

    with pytest.raises(DefinitionError, match=rf"more\.{ending}: would not be read; rename it to more\.yaml"):
        loading.load_pipelines(folder)


def test_findings_name_every_problem_once(write):
    write({"transform.time_zone": "Europe/Berln", "instances.south.source.csv.encoding": "x-none"})
    folder = write({"pipeline": "returns"}, name="returns")
    (folder / "pipelines" / "broken.yaml").write_text("{")

    found = loading.findings(folder)

    assert [checked for checked, _ in found] == ["broken", "orders/north", "orders/south"]
    assert "instances.south.source.csv.encoding" in found[2][1]
    assert loading.findings(folder, "orders", "north") == found[1:2]
    assert loading.findings(folder, "returns") == []


def test_what_is_wrong_with_all_instances_is_found_once(write):
    found = loading.findings(write({"transform.time_zone": "Europe/Berln"}))

    assert [checked for checked, _ in found] == ["orders/north"]


def test_the_digest_is_the_same_in_every_process(write):
    folder = write()
    code = (
        "import sys; from pathlib import Path; from haulier import loading; from haulier.digests import definition_digest;"
        "print(definition_digest(*loading.resolve(loading.load_pipeline(Path(sys.argv[1]), 'orders'), 'south')))"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code, str(folder)],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert digests == {definition_digest(*resolve(folder, "south"))}


def test_the_digest_of_a_known_definition_never_changes():
    """Digests are in the ledger for ever: a release that changes this one changes what old runs were made of."""
    instance = Instance(
        pipeline="p",
        instance="i",
        start=date(2026, 1, 5),
        source=msgspec.convert({"files": {"path": "*.csv"}}, loading.Source),
        transform=Transform(columns={"b": "x", "a": "y"}, functions=("m.f",)),
    )
    contract = msgspec.convert(
        {
            "id": "c",
            "version": "1",
            "schema": "s",
            "table": "t",
            "columns": [{"name": "x", "logical_type": "number", "pg_type": "numeric", "minimum": "0.1"}],
        },
        loading.Contract,
    )

    assert (
        definition_digest(instance, contract)
        == "1951009e66f2a38adf21054df54443e0bba2e8bc3b54207034c971242232ba7a"
    )


def test_the_digest_follows_the_meaning_and_not_the_writing(write):
    def digest(pipeline=None, contract=None, instance="north"):
        return definition_digest(*resolve(write(pipeline, contract), instance))

    plain = digest()

    assert digest({"source.csv.encoding": "utf-8", "catchup": True}) == plain  # defaults, written out
    assert digest({"transform.columns": {"When": "placed", "No": "number"}}) == plain  # another order
    assert (
        digest({"instances.north.transform.columns": {"No": "number"}}) == plain
    )  # an override that says the same
    assert digest({"operators": ["north-desk"]}) == plain  # who may start it
    assert (
        digest(contract={"slaProperties": [{"property": "latency", "value": 1}]}) == plain
    )  # when it is late
    assert digest({"source.csv.encoding": "cp1252"}) != plain
    assert digest({"load.reject_threshold": 0.2}) != plain
    assert digest(contract={"schema.0.properties.3.required": True}) != plain
    assert digest(contract={"version": "1.0.1"}) != plain
    assert digest(instance="south") != plain


def test_an_instance_survives_the_manifest(write):
    instance, contract = resolve(write(), "south")

    for value in (instance, contract):
        assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


def test_loading_one_definition_takes_a_few_milliseconds(write):
    folder = write()
    resolve(folder)

    best = min(_timed(lambda: resolve(folder)) for _ in range(20))

    assert best < 0.010  # 1.5 ms measured; the margin is for a busy machine


def test_loading_imports_nothing_heavy():
    code = "import sys, haulier.loading; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    heavy = {
        "pydantic",
        "open_data_contract_standard",
        "jsonschema",
        "pyarrow",
        "pandas",
        "numpy",
        "difflib",
        "zoneinfo",
    }
    assert not heavy & set(loaded)


def _timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def test_a_file_has_one_format(write):
    assert refusal(write({"source.jsonl": {}})).startswith(
        "pipelines/orders.yaml: source.jsonl stands beside source.csv, and a file has one format"
    )
    assert refusal(write({"instances.north.source.jsonl": {}})).startswith(
        "pipelines/orders.yaml: instances.north.source.jsonl stands beside source.csv"
    )
    assert 'source.jsonl.encoding: "utf8x" is not an encoding' in refusal(
        write({"source.csv": ..., "source.jsonl.encoding": "utf8x"})
    )


def test_an_instance_may_have_another_format_than_its_pipeline(write):
    instance, _ = resolve(write({"instances.north.source": {"csv": None, "jsonl": {}}}))

    assert instance.source.format == JsonLines()


def test_no_format_and_an_empty_csv_section_mean_the_same(write):
    said, left_out = (resolve(write({"source.csv": value})) for value in ({}, ...))

    assert said[0].source.format == left_out[0].source.format == Csv()
    assert definition_digest(*said) == definition_digest(*left_out)


def test_a_path_elsewhere_names_a_store_that_is_known(write):
    def said(path):
        return refusal(write({"source.files.path": path, "source.files.select": "modified"}))

    assert 'source.files.path: "s4://bucket/x" is nowhere Haulier reads; did you mean "s3://"?' in said(
        "s4://bucket/x"
    )
    assert "names no place; write s3://bucket/prefix/*.csv" in said("s3:///x")
    assert "names no place" in said("s3://b*/x")
    assert "holds a user or a password" in said("https://me:secret@host/x.csv")
    assert "have no part in an address: a web server lists nothing" in said("https://host/*.csv")
    assert "names no place; write sftp://host/exports/*.csv" in said("sftp:///x")
    assert "holds a user or a password" in said("sftp://me@host/x.csv")
    for path in ("sftp://host", "sftp://host/", "sftp://host:port/x.csv", "sftp://host:0/x.csv"):
        assert "names no files of a server; write sftp://host/exports/*.csv" in said(path)
    waiting = {"source.files.path": "s3://b/x", "source.files.ready.wait_minutes": 5}
    assert "source.files.ready.wait_minutes is for files in a folder" in refusal(write(waiting))


def test_columns_of_fixed_width_follow_one_another(write):
    columns = [{"name": "a", "width": 3}, {"name": "b", "width": 2, "start": 3}]

    text = refusal(
        write({"source.csv": ..., "source.fixed": {"columns": columns}, "instances.south.source": ...})
    )

    assert 'source.fixed.columns[b].start: 3 lies inside "a", which ends at 3' in text
    assert "source.fixed.columns is missing" in refusal(write({"source.csv": ..., "source.fixed": {}}))
