"""Definition files: loaded, merged, filled in, looked for and judged."""

import subprocess
import sys
import time
from datetime import date

import msgspec
import pytest
from support.definitions import refusal, resolve, writer

from haulier import loading
from haulier.definitions import Unpivot
from haulier.definitions.formats import Csv, JsonLines
from haulier.digests import definition_digest
from haulier.errors import DefinitionError


@pytest.fixture
def write(tmp_path):
    return writer(tmp_path)


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


def test_an_instance_may_have_another_format_than_its_pipeline(write):
    instance, _ = resolve(write({"instances.north.source": {"csv": None, "jsonl": {}}}))

    assert instance.source.format == JsonLines()


def test_no_format_and_an_empty_csv_section_mean_the_same(write):
    said, left_out = (resolve(write({"source.csv": value})) for value in ({}, ...))

    assert said[0].source.format == left_out[0].source.format == Csv()
    assert definition_digest(*said) == definition_digest(*left_out)
