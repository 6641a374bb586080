"""What a lineage backend is told of a run: every event of a real one."""

from __future__ import annotations

import json

from support.airflow import DAY, lineage_in, lineage_to


def of(events, task, state):
    (found,) = [
        event
        for event in events
        if event["job"]["name"] == f"things.one.{task}" and event["eventType"] == state
    ]
    return found


def test_a_runs_events_name_what_it_read_and_wrote_and_count_it(airflow, here, tmp_path):
    here.write("one", 0, 500)
    ran, _ = airflow.test("things.one", {**here.environment, **lineage_to(tmp_path)}, conf=DAY)

    assert ran["state"] == "success"
    events = lineage_in(tmp_path)
    text = json.dumps(events)
    extract, transform, load = (of(events, task, "COMPLETE") for task in ("extract", "transform", "load"))
    landing = here.environment["HAULIER_SOURCE_ROOT"]
    (source,) = extract["inputs"]
    assert source["namespace"] == "file"
    assert source["name"] == f"{landing}/one/things_{{date:%Y-%m-%d}}.csv"
    assert source["inputFacets"]["inputStatistics"]["rowCount"] == 500

    (table,) = load["outputs"]
    database = here.environment
    assert table["namespace"] == f"postgres://{database['PGHOST']}:{database['PGPORT']}"
    assert table["name"] == f"{database['PGDATABASE']}.shop.things"
    fields = [(field["name"], field["type"]) for field in table["facets"]["schema"]["fields"]]
    assert fields == [("thing", "text"), ("colour", "text"), ("price", "numeric")]
    ((rows,),) = here.database.rows("SELECT count(*) FROM shop.things")
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == rows
    assert load["run"]["facets"]["haulier"]["generation"] == 1

    for before, after in ((extract, transform), (transform, load)):
        assert [_name(one) for one in before["outputs"]] == [_name(one) for one in after["inputs"]]
    assert "columnLineage" not in text

    secrets = ("PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    assert [name for name in secrets if here.environment[name] in text] == []
    assert "colour 7 of" not in text
    assert "one-7" not in text


def _name(dataset):
    return dataset["namespace"], dataset["name"]


def test_a_dead_backend_breaks_nothing(airflow, here):
    here.write("one", 0, 50)
    told = {
        "OPENLINEAGE__TRANSPORT__TYPE": "http",
        "OPENLINEAGE__TRANSPORT__URL": "http://127.0.0.1:9",
        "OPENLINEAGE__TRANSPORT__TIMEOUT": "2",
        "OPENLINEAGE__TRANSPORT__RETRY__TOTAL": "0",
        "AIRFLOW__OPENLINEAGE__EXECUTE_IN_THREAD": "True",
    }
    ran, said = airflow.test("things.one", {**here.environment, **told}, conf=DAY)

    assert ran["state"] == "success"
    assert "Failed to emit OpenLineage `COMPLETE` event" in said
