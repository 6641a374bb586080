"""Airflow's scheduler, its REST API and every container, as `make up` starts them."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.engine import docker, images
from support.stack import Stack, wait_until
from support.steps import haul
from support.things import DEFINITIONS, Place, day, place

from haulier import loading
from haulier.settings import Settings
from haulier_command.schedule import due

DAY = {"interval_start": "2026-01-05T00:00:00Z", "interval_end": "2026-01-06T00:00:00Z"}
TABLES = {
    "clinical.labs": "contracts/labs.odcs.yaml",
    "clinical.vitals": "contracts/vitals.odcs.yaml",
}
# A few seconds of work for every step, so that there is a middle to break.
ROWS = 1_000_000
# Three shards: one ends with the batch that reaches its rows.
SPLIT_ROWS, SHARD_ROWS = 600_000, 250_000


class Watcher(threading.Thread):
    """Keeps what `docker inspect` showed of every step's container."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, str] = {}
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.2):
            for container in docker("ps", "-q", "--filter", "label=haulier.task", check=False).stdout.split():
                if container not in self.seen:
                    self.seen[container] = docker("inspect", container, check=False).stdout


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    images()
    home = tmp_path_factory.mktemp("compose")
    made = Stack(home=home, project=f"haulier-test-{os.getpid()}")
    made.make("prepare")
    definitions, landing = home / "definitions", home / "landing"
    for name in ("pipelines/things.yaml", "contracts/things.odcs.yaml"):
        shutil.copyfile(DEFINITIONS / name, definitions / name)
    _edit(
        definitions / "pipelines/labs.yaml",
        "    description: Dublin\n",
        "    description: Dublin\n    operators: [dublin-desk]\n",
    )
    # A site whose definition is wrong, and a promise no run can keep.
    _edit(
        definitions / "pipelines/vitals.yaml",
        "instances:\n",
        'instances:\n  "704": {source: {csv: {encodin: latin}}}\n',
    )
    _edit(definitions / "contracts/vitals.odcs.yaml", "value: 6, unit: h", "value: 1, unit: s")
    things = (definitions / "pipelines/things.yaml").read_text()
    split = f"split: {{rows: {SHARD_ROWS}}}\n"
    (definitions / "pipelines/pieces.yaml").write_text(
        things.replace("things\ncontract", "pieces\ncontract") + split
    )
    files = Place(database=None, landing=landing, environment={})  # files alone
    for number in (0, 1, 2):
        files.write("one", number, ROWS)
    files.write("two", 3, SPLIT_ROWS)
    watcher = Watcher()
    watcher.start()
    try:
        began = time.monotonic()
        made.make("up")
        made.seconds = time.monotonic() - began  # for these tests
        made.watcher = watcher  # for these tests
        yield made
    finally:
        watcher.done.set()
        made.make("down", "--data")
        left = docker("ps", "-aq", "--filter", "label=haulier.task").stdout.split()
        if left:
            docker("rm", "-f", *left)


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def expected(stack, tier, tmp_path_factory):
    """What the embedded tier makes of the same files and definitions."""
    return _embedded(stack, tier, tmp_path_factory.mktemp("embedded"))


def _embedded(stack, tier, folder):
    found = {}
    definitions = stack.home / "definitions"
    with place(tier, folder) as here:
        told = {"HAULIER_DEFINITIONS": str(definitions), "HAULIER_SOURCE_ROOT": str(stack.home / "landing")}
        settings = Settings.from_env({**here.environment, **told})
        for name in ("labs", "vitals"):
            file = loading.load_pipeline(definitions, name)
            for site in ("701", "702", "703"):
                instance = loading.resolve_instance(file, site)
                for interval in due(instance.schedule, instance.start, instance.catchup, datetime.now(UTC)):
                    haul(settings, name, site, interval)
        for table in TABLES:
            found[table] = here.database.rows(_hash(table, here.database.rows))
    return found


def _hash(table: str, rows) -> str:
    """The contract's columns of every row, whatever order they lie in."""
    schema, name = table.split(".")
    columns = rows(
        f"SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) FROM information_schema.columns"
        f" WHERE table_schema = '{schema}' AND table_name = '{name}' AND column_name NOT LIKE '\\_haulier%'"
    )[0][0]
    return f"SELECT count(*), md5(string_agg(md5(ROW({columns})::text), '' ORDER BY md5(ROW({columns})::text))) FROM {table}"


def _tables(stack):
    return {table: stack.rows(_hash(table, stack.rows)) for table in TABLES}


def _scheduled(stack):
    sites = [f"{pipeline}.{site}" for pipeline in ("labs", "vitals") for site in ("701", "702", "703")]
    return {
        (dag, run["dag_run_id"]): run["state"]
        for dag in sites
        for run in stack.get(f"/api/v2/dags/{dag}/dagRuns?limit=50")["dag_runs"]
        if run["run_type"] == "scheduled"
    }


def test_the_dags_run_by_themselves_to_the_tables_of_the_embedded_tier(stack, expected):
    wait_until(
        lambda: len(found := _scheduled(stack)) >= 30 and set(found.values()) <= {"success", "failed"},
        600,
        "30 scheduled runs to end",
    )

    runs = _scheduled(stack)
    failed = {dag: stack.tasks(dag, run)["load"] for (dag, run), state in runs.items() if state == "failed"}
    # One site's day has too many bad rows: quarantined at the first attempt, never tried again.
    assert failed == {"labs.703": ("failed", 1)}
    assert _tables(stack) == expected
    reports = [
        stack.handed_on(dag, run, "verify")
        for dag, run in runs
        if stack.tasks(dag, run)["verify"][0] != "skipped"
    ]
    assert len(reports) > 20
    assert all(report["ok"] for report in reports)


def test_a_rerun_changes_nothing(stack, expected):
    last = (datetime.now(UTC) - timedelta(days=2)).date()
    interval = {
        "interval_start": f"{last}T00:00:00Z",
        "interval_end": f"{last + timedelta(days=1)}T00:00:00Z",
    }
    for dag in ("labs.701", "labs.702", "vitals.701"):
        status, run = stack.trigger(dag, **interval)
        assert status == 200, run
        assert stack.ended(dag, run["dag_run_id"]) == "success"

    assert _tables(stack) == expected


def test_a_broken_definition_harms_no_other(stack):
    assert stack.get("/api/v2/importErrors")["import_errors"] == []
    broken = stack.get("/api/v2/dags/vitals.704/details")

    assert "encodin is not a setting" in broken["doc_md"]
    assert [tag["name"] for tag in broken["tags"]] == ["broken definition"]


def test_a_late_run_is_told(stack):
    """Every vitals run takes longer than the second its contract promises."""
    wait_until(
        lambda: '"alert": "late"' in stack.compose("logs", "--no-color").replace('\\"', '"'),
        120,
        "the alert of a missed deadline",
    )


def test_operators_see_and_start_their_own_dags_only(stack):
    names = ("--firstname", "D", "--lastname", "D", "--email", "d@localhost", "--username", "dublin")
    stack.compose(
        "exec",
        "-T",
        "scheduler",
        "airflow",
        "users",
        "create",
        *names,
        "--role",
        "dublin-desk",
        "--password",
        "dublin",
    )

    assert [one["dag_id"] for one in stack.get("/api/v2/dags", user="dublin")["dags"]] == ["labs.701"]
    assert stack.trigger("labs.702", user="dublin")[0] == 403
    status, run = stack.trigger("labs.701", user="dublin")
    assert status == 200, run
    assert stack.ended("labs.701", run["dag_run_id"]) == "success"


def _mid_run(stack, number, task):
    """A run of a large file with that task's container at work: (run id, container)."""
    interval = {"interval_start": day(number).start.isoformat(), "interval_end": day(number).end.isoformat()}
    status, run = stack.trigger("things.one", **interval)
    assert status == 200, run
    key = f"label=haulier.task=things.one/{run['dag_run_id']}/{task}/-1"
    found: list[str] = []

    def running():
        found[:] = docker("ps", "-q", "--filter", key).stdout.split()
        return found

    wait_until(running, 120, f"{task} to run")
    time.sleep(0.5)
    return run["dag_run_id"], found[0]


def _right(stack, number):
    """Nothing fell off, and every row of the day is there once."""
    done = stack.compose("run", "--rm", "-T", "haulier", "verify", "--output", "json")
    assert json.loads(done)["ok"], done
    start = day(number).start
    loads = stack.rows(
        f"SELECT l.outcome, count(*) FROM haulier.load l JOIN haulier.run USING (run_id)"
        f" WHERE pipeline = 'things' AND interval_start = '{start}' GROUP BY 1"
    )
    assert loads == [("loaded", 1)]


def test_a_killed_container_is_started_again(stack):
    run, container = _mid_run(stack, 0, "transform")
    docker("kill", "--signal=KILL", container)

    assert stack.ended("things.one", run) == "success"
    assert stack.tasks("things.one", run)["transform"] == ("success", 2)
    assert "exit code 137" in stack.log("things.one", run, "transform", 1)
    _right(stack, 0)


def test_a_restarted_database_only_delays(stack):
    run, _ = _mid_run(stack, 1, "load")
    stack.compose("restart", "--timeout", "5", "postgres")

    assert stack.ended("things.one", run) == "success"
    assert stack.tasks("things.one", run)["load"] == ("success", 2)
    _right(stack, 1)


def test_a_killed_scheduler_leaves_a_container_that_its_successor_ends(stack):
    run, container = _mid_run(stack, 2, "load")
    stack.compose("kill", "--signal", "KILL", "scheduler")
    assert docker("inspect", "--format", "{{.State.Running}}", container).stdout.strip() == "true"
    stack.compose("start", "scheduler")

    assert stack.ended("things.one", run) == "success"
    assert docker("ps", "-aq", "--filter", "label=haulier.task").stdout.split() == []
    _right(stack, 2)


def test_a_split_run_is_mapped_containers_and_the_same_table(stack, tier, tmp_path):
    interval = {"interval_start": day(3).start.isoformat(), "interval_end": day(3).end.isoformat()}
    status, run = stack.trigger("pieces.two", **interval)
    assert status == 200, run
    assert stack.ended("pieces.two", run["dag_run_id"]) == "success"

    mapped = stack.get(f"/api/v2/dags/pieces.two/dagRuns/{run['dag_run_id']}/taskInstances")["task_instances"]
    assert Counter(one["task_id"] for one in mapped)["transform"] == 3
    assert stack.handed_on("pieces.two", run["dag_run_id"], "verify")["ok"]
    query = f"{_hash('shop.things', stack.rows)} WHERE thing LIKE 'two-%'"
    with place(tier, tmp_path) as here:
        told = {
            "HAULIER_DEFINITIONS": str(stack.home / "definitions"),
            "HAULIER_SOURCE_ROOT": str(stack.home / "landing"),
        }
        haul(Settings.from_env({**here.environment, **told}), "things", "two", day(3))
        assert stack.rows(query) == here.database.rows(query)


def test_no_secret_shows_anywhere(stack):
    secrets = [stack.secret(f"steps/{name}") for name in ("pg_password", "s3_access_key", "s3_secret_key")]
    assert len(stack.watcher.seen) > 20
    shown = [
        "".join(stack.watcher.seen.values()),
        stack.compose("logs", "--no-color"),
        stack.compose("config"),
    ]
    for dag, run in [(dag, run) for (dag, run) in _scheduled(stack) if dag == "labs.701"]:
        for task in ("extract", "transform", "load", "verify"):
            at = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}"
            instance = stack.get(at)
            shown += [
                json.dumps(stack.get(f"{at}/xcomEntries/return_value")),
                json.dumps(instance),
                # The last attempt is there for certain: a busy machine's scheduler may start a task twice.
                stack.log(dag, run, task, instance["try_number"]),
            ]

    assert [secret for secret in secrets if any(secret in text for text in shown)] == []


def test_interval_of_a_manual_run_is_the_last_whole_day(stack):
    status, run = stack.trigger("labs.702")
    assert status == 200
    assert stack.ended("labs.702", run["dag_run_id"]) == "success"
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()

    assert f"--interval-start {yesterday}T00:00:00Z" in stack.log("labs.702", run["dag_run_id"], "extract", 1)
