"""The real DAGs, run without a scheduler: each step a process, real PostgreSQL and S3."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.airflow import DAY, lineage_in, lineage_to
from support.elt import RAW, Site
from support.steps import haul
from support.things import day as interval
from support.things import place, snapshot

TASKS = ("extract", "transform", "load", "verify")

#: What a person sees of a DAG file, without running it.
_PARSE = """
import json, os, sys, time
from airflow.sdk import DAG
began = time.perf_counter()
from haulier_airflow.dags import all_dags
from haulier_airflow.settings import AirflowSettings
dags = list(all_dags(AirflowSettings.from_env(os.environ)))
took = time.perf_counter() - began
from airflow.serialization.serialized_objects import DagSerialization
print("ANSWER" + json.dumps({
    "seconds": took,
    "modules": [name for name in ("pandas", "pyarrow", "psycopg2", "obstore", "numpy") if name in sys.modules],
    "dags": {dag.dag_id: DagSerialization.to_dict(dag) for dag in dags},
}, default=str))
"""


def parsed(airflow, environment, **more):
    done = airflow.run([sys.executable, "-c", _PARSE], {**environment, **more})
    answer = next(line for line in done.stdout.splitlines() if line.startswith("ANSWER"))
    return json.loads(answer.removeprefix("ANSWER"))


def test_a_run_hauls_and_a_rerun_changes_nothing(airflow, here, tier, tmp_path):
    here.write("one", 0, 500)
    with place(tier, tmp_path) as alone:
        alone.write("one", 0, 500)
        haul(alone.settings, "things", "one", interval(0))
        expected = snapshot(alone.database)

    ran, said = airflow.test("things.one", here.environment, conf=DAY)
    assert (ran["state"], ran["tasks"]) == ("success", dict.fromkeys(TASKS, "success"))
    assert snapshot(here.database) == expected
    assert "by hand: " in said
    assert re.search(r"things_2026-01-05.csv +1 +500 +487 +0 +13 +0", said)

    again, _ = airflow.test("things.one", here.environment, conf=DAY)
    assert again["state"] == "success"
    assert snapshot(here.database) == expected


@pytest.fixture
def split(here, tmp_path):
    """The same where runs come in shards of five hundred rows."""
    definitions = tmp_path / "definitions"
    shutil.copytree(here.environment["HAULIER_DEFINITIONS"], definitions)
    pipeline = definitions / "pipelines" / "things.yaml"
    pipeline.write_text(f"{pipeline.read_text()}split: {{rows: 500}}\n")
    environment = {**here.environment, "HAULIER_DEFINITIONS": str(definitions), "HAULIER_BATCH_ROWS": "250"}
    return replace(here, environment=environment)


def test_a_large_run_is_mapped_over_its_shards_and_leaves_the_same(airflow, split, tier, tmp_path):
    split.write("one", 0, 1_800)
    with place(tier, tmp_path) as alone:
        alone.write("one", 0, 1_800)
        haul(alone.settings, "things", "one", interval(0))
        expected = snapshot(alone.database)

    ran, said = airflow.test("things.one", split.environment, conf=DAY)
    assert ran["state"] == "success"
    assert set(ran["tasks"]) == {"extract", "transform", "stage", "load", "verify"}
    assert snapshot(split.database) == expected
    for step in ("transform", "load"):
        for shard in (1, 2, 3, 4):
            asked = rf"-m haulier_{step} run .* --generation 1 --shard {shard}\b"
            assert len(re.findall(asked, said, re.MULTILINE)) == 1
    assert split.database.rows("SELECT count(*) FROM haulier.attempt WHERE step = 'load'") == [(1,)]

    again, _ = airflow.test("things.one", split.environment, conf=DAY)
    assert again["state"] == "success"
    assert snapshot(split.database) == expected


def test_a_dry_run_of_shards_stages_nothing_and_counts(airflow, split):
    split.write("one", 0, 1_800)
    ran, said = airflow.test("things.one", split.environment, conf={**DAY, "dry_run": True})

    assert ran["tasks"] == {
        "extract": "success",
        "transform": "success",
        "stage": "skipped",
        "load": "skipped",
        "verify": "skipped",
    }
    assert '"produced": ' in said


def test_nothing_new_skips_every_shard(airflow, split):
    ran, _ = airflow.test("things.one", split.environment, conf=DAY)

    assert set(ran["tasks"].values()) == {"skipped"}


@pytest.mark.parametrize("runner", ["docker", "kubernetes", "process"])
def test_shards_are_mapped_with_every_runner(airflow, split, runner):
    found = parsed(airflow, split.environment, HAULIER_RUNNER=runner)["dags"]["things.one"]["dag"]["tasks"]
    mapped = {task["__var"]["task_id"] for task in found if task["__var"].get("_is_mapped")}

    assert mapped == {"transform", "stage"}


def test_a_dry_run_counts_and_writes_nothing(airflow, here):
    here.write("one", 0, 500)
    before = written(here)

    ran, said = airflow.test("things.one", here.environment, conf={**DAY, "dry_run": True})

    assert ran["tasks"] == {
        "extract": "success",
        "transform": "success",
        "load": "skipped",
        "verify": "skipped",
    }
    assert "dry run: nothing was written" in said
    assert '"produced": ' in said
    assert written(here) == before


def written(here):
    """The table does not exist before the first load."""
    return here.database.rows("SELECT to_regclass('shop.things')"), here.database.rows(
        "SELECT (SELECT count(*) FROM haulier.run), (SELECT count(*) FROM haulier.delivery)"
    )


def test_nothing_new_skips_what_follows(airflow, here):
    ran, said = airflow.test("things.one", here.environment, conf=DAY)

    assert ran["tasks"] == dict.fromkeys(TASKS, "skipped")
    assert "there was nothing new" in said


def test_a_quarantined_run_fails_once_and_is_reported(airflow, here):
    here.write("one", 0, 500)
    path = here.landing / "one" / "things_2026-01-05.csv"
    path.write_text(re.sub(r",[0-9.]+$", ",dear", path.read_text(), flags=re.MULTILINE))

    ran, said = airflow.test("things.one", here.environment, conf=DAY)

    states = {"extract": "success", "transform": "success", "load": "failed", "verify": "failed"}
    assert (ran["state"], ran["tasks"]) == ("failed", states)
    assert re.search(r"type +(\d+) +\1", said), "rejects by rule: how many, how many wait"
    assert "load ended as failed and its log says why" in said
    assert said.count('haulier alert: {"alert": "failed"') == 1
    report = ran["xcoms"]["verify"]
    assert (report["ok"], report["outcome"], report["source"]["rejected"]) == (True, "quarantined", 500)
    assert report["loads"][0]["held"] == report["loads"][0]["produced"]


def test_what_fell_off_after_a_load_fails_the_run(airflow, here):
    here.write("one", 0, 500)
    airflow.test("things.one", here.environment, conf=DAY)
    here.database.rows("DELETE FROM shop.things WHERE thing = 'one-1'")

    ran, said = airflow.test("things.one", here.environment, conf=DAY)

    assert ran["tasks"] == {
        "extract": "success",
        "transform": "success",
        "load": "success",
        "verify": "failed",
    }
    assert "exit code 65" in said
    assert "up_for_retry" not in said


def test_a_wrong_parameter_fails_at_once_and_is_told(airflow, here):
    ran, said = airflow.test("things.one", here.environment, conf={"interval_start": "2026-01-05T00:00:00Z"})

    assert ran["tasks"]["extract"] == "failed"
    assert said.count("go together")
    assert "up_for_retry" not in said
    assert 'haulier alert: {"alert": "failed"' in said


def test_a_broken_definition_says_so_and_harms_no_other(airflow, here, tmp_path):
    definitions = tmp_path / "definitions"
    for folder in ("pipelines", "contracts"):
        (definitions / folder).mkdir(parents=True)
    source = here.environment["HAULIER_DEFINITIONS"]
    for name in ("pipelines/things.yaml", "contracts/things.odcs.yaml"):
        (definitions / name).write_text((Path(source) / name).read_text())
    text = (definitions / "pipelines/things.yaml").read_text()
    (definitions / "pipelines/things.yaml").write_text(
        text.replace("two: {}", "two: {source: {csv: {encodin: x}}}")
    )
    (definitions / "pipelines/other.yaml").write_text("pipeline: [\n")

    found = parsed(airflow, here.environment, HAULIER_DEFINITIONS=str(definitions))["dags"]

    assert sorted(found) == ["other", "things.one", "things.two"]
    assert "encodin" in found["things.two"]["dag"]["doc_md"]
    assert "broken definition" in found["things.two"]["dag"]["tags"]
    assert [task["__var"]["task_id"] for task in found["things.one"]["dag"]["tasks"]] == [*TASKS]


def test_dags_are_light_and_the_same_each_time(airflow, here, tmp_path):
    definitions = tmp_path / "many"
    for folder in ("pipelines", "contracts"):
        (definitions / folder).mkdir(parents=True)
    source = Path(here.environment["HAULIER_DEFINITIONS"])
    (definitions / "contracts/things.odcs.yaml").write_text(
        (source / "contracts/things.odcs.yaml").read_text()
    )
    text = (
        (source / "pipelines/things.yaml").read_text().replace("instances:", "schedule: '@daily'\ninstances:")
    )
    sites = "".join(f"  site-{number:03}: {{}}\n" for number in range(300))
    (definitions / "pipelines/things.yaml").write_text(text.replace("  one: {}\n", sites))

    first = parsed(airflow, here.environment, HAULIER_DEFINITIONS=str(definitions), HAULIER_RUNNER="docker")
    second = parsed(airflow, here.environment, HAULIER_DEFINITIONS=str(definitions), HAULIER_RUNNER="docker")

    assert len(first["dags"]) == 301
    assert first["dags"] == second["dags"]
    assert first["modules"] == []


def test_verify_names_the_step_that_failed_and_not_the_models_that_waited_for_it(airflow, database, tmp_path):
    site = Site.made(database, tmp_path, HAULIER_RUNNER="process")
    site.define("contracts/raw.odcs.yaml", RAW.replace("name: price,", "name: price, required: true,"))
    site.send(0, "lamp,red,")

    ran, said = airflow.test("things.a", site.environment, conf=DAY)

    assert (ran["tasks"]["load"], ran["tasks"]["models"]) == ("failed", "upstream_failed")
    assert "load ended as failed and its log says why" in said


def test_models_are_a_task_between_load_and_verify(airflow, database, tmp_path):
    site = Site.made(database, tmp_path, HAULIER_RUNNER="process")
    site.send(0, "lamp,red,4", "chair,mauve,1")
    ran, _ = airflow.test("things.a", {**site.environment, **lineage_to(tmp_path)}, conf=DAY)

    assert (ran["state"], ran["tasks"]) == (
        "success",
        dict.fromkeys(("extract", "transform", "load", "models", "verify"), "success"),
    )
    assert [name for name, *_ in site.things()] == ["lamp"]
    (event,) = [
        e
        for e in lineage_in(tmp_path)
        if e["job"]["name"] == "things.a.models" and e["eventType"] == "COMPLETE"
    ]
    tables = [[one["name"].partition(".")[2] for one in event[side]] for side in ("inputs", "outputs")]
    assert tables == [
        ["shop.colours", "shop.things", "shop.things_raw"],
        ["shop.things", "shop.colours", "shop.dear"],
    ]
