"""The header of a model's file, and what a definition may say of models."""

from __future__ import annotations

import pytest
from support.elt import MODELS, PIPELINE, RAW, THINGS

from haulier import loading
from haulier.errors import DefinitionError


@pytest.fixture
def folder(tmp_path):
    files = {
        "pipelines/things.yaml": PIPELINE,
        "contracts/raw.odcs.yaml": RAW,
        "contracts/things.odcs.yaml": THINGS,
    }
    for name, text in {**files, **{f"models/{name}.sql": text for name, text in MODELS.items()}}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def resolved(folder):
    return loading.resolve(loading.load_pipeline(folder, "things"), "a")[0]


def refusal(folder):
    with pytest.raises(DefinitionError) as caught:
        resolved(folder)
    return str(caught.value)


def test_a_model_is_its_header_and_its_sql(folder):
    dear, things, colours = resolved(folder).models

    assert (things.name, things.materialized, things.target) == ("things", "merge", "shop.things")
    assert things.contract.key == ("thing",)
    assert things.sql.startswith("SELECT r.thing")
    assert (colours.target, colours.description) == (
        "shop.colours",
        "How many things there are of each colour.",
    )
    assert (dear.materialized, dear.contract) == ("view", None)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("", "begins without a header"),
        ("-- materialised: merge", 'did you mean "materialized"'),
        ("-- materialized: merged", '"merged"'),
        ("-- materialized: merge", "contract: is missing"),
        ("-- materialized: merge\n-- target: shop.x", "a merge has a contract that names it"),
        ("-- materialized: merge\n-- contract: nowhere.yaml", 'there is no file "nowhere.yaml"'),
        ("-- materialized: merge\n-- contract: ../contracts/raw.odcs.yaml", "needs a primary key"),
        ("-- materialized: view", "target: is schema.name in lower case; here it is nothing"),
        ("-- materialized: view\n-- target: shop", 'here it is "shop"'),
        ("-- materialized: table\n-- target: shop.x\n-- contract: c", "contract: is for a merge"),
    ],
)
def test_a_header_that_says_too_little_or_too_much_is_refused(folder, header, says):
    (folder / "models/colours.sql").write_text(f"{header}\nSELECT 1 AS one\n")

    told = refusal(folder)

    assert says in told
    assert told.startswith("models/colours.sql")


def test_a_merge_cannot_keep_what_an_event_does_not_carry(folder):
    text = THINGS.replace("softMaximum, value: 1000", "unchangedValues, value: [-]").replace(
        "    properties:",
        "    customProperties: [{property: ordering, value: colour}]\n    properties:",
    )
    (folder / "contracts/things.odcs.yaml").write_text(
        text.replace("- name: colour", "- name: colour\n        required: true")
    )

    assert "has unchangedValues, which is for load" in refusal(folder)


def test_a_merge_marks_nothing_as_deleted(folder):
    (folder / "contracts/things.odcs.yaml").write_text(
        THINGS.replace(
            "    properties:",
            "    customProperties: [{property: deletedAt, value: deleted_at}]\n    properties:",
        )
    )

    assert "has deletedAt, which is for load" in refusal(folder)


def with_pattern(folder, pattern):
    colours = "enum: [{value: red}, {value: green}, {value: blue}]"
    text = THINGS.replace(colours, f"logicalTypeOptions: {{pattern: '{pattern}'}}")
    (folder / "contracts/things.odcs.yaml").write_text(text)


@pytest.mark.parametrize("pattern", [r"\bred", "(?i)red", r"(?P<x>red)", r"\\\bred"])
def test_a_pattern_that_postgresql_reads_differently_is_refused(folder, pattern):
    with_pattern(folder, pattern)

    assert "means something else to PostgreSQL" in refusal(folder)


@pytest.mark.parametrize("pattern", ["(?:red|blue)", r"\\bed", r"r\w+d"])
def test_other_patterns_are_taken(folder, pattern):
    with_pattern(folder, pattern)

    (things,) = (one for one in resolved(folder).models if one.name == "things")
    assert things.contract.columns[1].pattern == pattern


def test_a_merges_contract_says_nothing_of_cells(folder):
    (folder / "contracts/things.odcs.yaml").write_text(
        THINGS.replace("softMaximum, value: 1000", "nullValues, value: [ND]")
    )

    assert "column price has nullValues, which is for cells of files" in refusal(folder)


def test_a_model_that_is_nowhere_is_named_with_those_there_are(folder):
    (folder / "pipelines/things.yaml").write_text(PIPELINE.replace("colours]", "colors]"))

    assert 'did you mean "colours"' in refusal(folder)


def test_a_model_without_sql_is_refused(folder):
    (folder / "models/dear.sql").write_text("-- materialized: view\n-- target: shop.dear\n")

    assert "says nothing below its header" in refusal(folder)


def test_a_merge_reads_what_a_run_appended(folder):
    (folder / "pipelines/things.yaml").write_text(PIPELINE.replace("mode: append", "mode: upsert"))

    assert 'the merge things reads the rows of one; use "append"' in refusal(folder)


@pytest.mark.parametrize("mode", ["upsert", "replace"])
def test_tables_and_views_follow_a_load_of_any_mode(folder, mode):
    (folder / "pipelines/things.yaml").write_text(
        PIPELINE.replace("mode: append", f"mode: {mode}")
        .replace("things, ", "")
        .replace("raw.odcs", "things.odcs")
    )

    assert [model.name for model in resolved(folder).models] == ["dear", "colours"]


def test_two_models_of_one_target_are_refused(folder):
    text = MODELS["dear"].replace("shop.dear", "shop.colours")
    (folder / "models/dear.sql").write_text(text)

    assert "makes shop.colours, as does the model dear" in refusal(folder)
