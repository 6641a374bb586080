"""The real DAGs as pods of a real cluster: claims, a secret as files, limits, exit codes, and how a pod is ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from generator.trial import Trial
from support import cluster, servers
from support.airflow import RUN, Airflow
from support.databases import fresh_database
from support.engine import docker, images
from support.stack import wait_until
from support.steps import haul
from support.things import DEFINITIONS, START, Place, day, place

from haulier.interval import Interval
from haulier.settings import Settings

CLINICAL = Path(__file__).parents[2] / "examples" / "clinical"
FIRST = {"interval_start": "2026-01-05T00:00:00Z", "interval_end": "2026-01-06T00:00:00Z"}
QUARANTINED = {"interval_start": "2026-01-07T00:00:00Z", "interval_end": "2026-01-08T00:00:00Z"}
NOTHING = {"interval_start": "2026-03-01T00:00:00Z", "interval_end": "2026-03-02T00:00:00Z"}
DONE = ("extract", "transform", "load", "verify")


class Watcher(threading.Thread):
    """Keeps what the cluster and the engine showed of every step's pod."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.pods: dict[str, dict] = {}
        self.containers: dict[str, dict] = {}
        self.done = threading.Event()

    def run(self) -> None:
        label = f"label=io.kubernetes.pod.namespace={cluster.NAMESPACE}"
        while not self.done.wait(0.7):
            self.pods |= {pod["metadata"]["name"]: pod for pod in cluster.pods()}
            for container in docker("ps", "-q", "--filter", label, check=False).stdout.split():
                if container not in self.containers:
                    seen = json.loads(docker("inspect", container, check=False).stdout or "[]")
                    self.containers.update((container, one) for one in seen)

    def of(self, name: str) -> list[dict]:
        key = "io.kubernetes.container.name"
        return [one for one in self.containers.values() if one["Config"]["Labels"][key] == name]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """PostgreSQL, S3 and files as pods find them; definitions of the clinical sample and of one large file."""
    cluster.required()
    images()
    home = servers.make_home()
    # Below pytest's own folders nobody but root may look.
    folder = Path(tempfile.mkdtemp(prefix="haulier-pods-"))
    folder.chmod(0o755)
    try:
        tier = servers.containers(home, {"fsync": "off"})
        definitions, landing = folder / "definitions", folder / "landing"
        shutil.copytree(CLINICAL, definitions, ignore=shutil.ignore_patterns("generator", "__pycache__"))
        for name in ("pipelines/things.yaml", "contracts/things.odcs.yaml"):
            shutil.copyfile(DEFINITIONS / name, definitions / name)
        for number in range(3):
            Trial().deliver(number, landing)
        with fresh_database(tier) as database:
            Place(database=database, landing=landing, environment={}).write("one", 0, 100)
            yield prepared(tier, database, folder, tmp_path_factory.mktemp("airflow"))
    finally:
        cluster.removed()
        servers.remove_home(home)
        shutil.rmtree(folder)


def prepared(tier, database, folder, home):
    told = {**tier.environment, **database.environment}
    secrets = {
        "pg_password": told["PGPASSWORD"],
        "s3_access_key": told["AWS_ACCESS_KEY_ID"],
        "s3_secret_key": told["AWS_SECRET_ACCESS_KEY"],
    }
    cluster.prepared({name: folder / name for name in ("definitions", "landing")}, secrets)
    host = cluster.gateway()
    lines = {
        "HAULIER_EXCHANGE": f"s3://haulier/{folder.name}",
        "HAULIER_ACTOR": "airflow",
        **{name: told[name] for name in ("PGPORT", "PGUSER", "PGDATABASE", "PGSSLMODE", "AWS_REGION")},
        "PGHOST": host,
        "AWS_ENDPOINT_URL": told["AWS_ENDPOINT_URL"].replace("127.0.0.1", host),
        "PGPASSWORD_FILE": "/run/secrets/steps/pg_password",
        "AWS_ACCESS_KEY_ID_FILE": "/run/secrets/steps/s3_access_key",
        "AWS_SECRET_ACCESS_KEY_FILE": "/run/secrets/steps/s3_secret_key",
    }
    return Site(database=database, folder=folder, lines=lines, airflow=Airflow.at(home), secrets=secrets)


class Site:
    def __init__(self, *, database, folder, lines, airflow, secrets):
        self.database, self.folder, self.lines = database, folder, lines
        self.airflow, self.secrets = airflow, secrets

    def environment(self, **changes):
        file = self.folder / "steps.env"
        file.write_text("".join(f"{name}={value}\n" for name, value in {**self.lines, **changes}.items()))
        return {
            "HAULIER_RUNNER": "kubernetes",
            "HAULIER_NAMESPACE": cluster.NAMESPACE,
            "HAULIER_DEFINITIONS": str(self.folder / "definitions"),
            "HAULIER_STEP_ENVIRONMENT": str(file),
            "HAULIER_STEP_MOUNTS": "definitions:/definitions,landing:/landing,secret/steps:/run/secrets/steps",
            "HAULIER_STEP_MEMORY": "512m",
        }

    def run(self, dag, conf, **changes):
        return self.airflow.test(dag, self.environment(**changes), conf=conf, retries=0)

    def started(self, dag, when, conf):
        """A run in a process of its own, to be broken."""
        asked = {"dag": dag, "logical_date": when, "conf": conf, "retries": 0}
        return subprocess.Popen(
            [sys.executable, "-c", RUN, json.dumps(asked)],
            env={**os.environ, **self.airflow.environment, **self.environment()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def content(database, table):
    names = "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) FROM information_schema.columns"
    schema, _, name = table.partition(".")
    where = (
        f" WHERE table_schema = '{schema}' AND table_name = '{name}' AND column_name NOT LIKE '\\_haulier%%'"
    )
    columns = database.rows(names + where.replace("%%", "%"))[0][0]
    return database.rows(f"SELECT {columns} FROM {table} ORDER BY {columns}")


def test_a_sites_day_as_pods_makes_the_table_of_the_embedded_tier(site, tier, tmp_path):
    with place(tier, tmp_path) as here:
        told = {
            "HAULIER_DEFINITIONS": str(site.folder / "definitions"),
            "HAULIER_SOURCE_ROOT": str(site.folder / "landing"),
        }
        settings = Settings.from_env({**here.environment, **told})
        haul(settings, "labs", "701", Interval.parse(*FIRST.values()))
        expected = content(here.database, "clinical.labs")
    watcher = Watcher()
    watcher.start()

    ran, said = site.run("labs.701", FIRST)
    watcher.done.set()

    assert ran["tasks"] == dict.fromkeys(DONE, "success"), said[-4000:]
    assert ran["xcoms"]["verify"]["outcome"] == "loaded"
    assert content(site.database, "clinical.labs") == expected
    assert remaining() == []
    hardened(watcher)
    shown = said + json.dumps(watcher.pods) + json.dumps(watcher.containers)
    assert [name for name, text in site.secrets.items() if text in shown] == []
    assert "step sealed  exit_code=0" in said, "a step's lines are told as people read them"


def hardened(watcher):
    """What a pod asked for, and what the engine made of it."""
    pods = watcher.pods.values()
    assert {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods} >= {
        "extract",
        "transform",
        "load",
    }
    for pod in pods:
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsUser"] == 10001
        assert {one["image"] for one in spec["containers"]} == {spec["containers"][0]["image"]}
    bases, sidecars = watcher.of("base"), watcher.of("airflow-xcom-sidecar")
    assert len(bases) >= 3
    for one in [*bases, *sidecars]:
        host = one["HostConfig"]
        assert one["Config"]["User"] == "10001:10001"
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges" in host["SecurityOpt"]
        assert not host["Privileged"]
        assert [m for m in one["Mounts"] if "serviceaccount" in m["Destination"]] == []
    for one in bases:
        assert one["HostConfig"]["Memory"] == 512 * 1024 * 1024
        writable = {m["Destination"] for m in one["Mounts"] if m["RW"]}
        assert writable == {"/tmp", "/airflow/xcom", "/dev/termination-log", "/etc/hosts"} & writable | {
            "/tmp",
            "/airflow/xcom",
        }


def test_nothing_new_skips(site):
    ran, said = site.run("labs.702", NOTHING)

    assert ran["tasks"] == dict.fromkeys(DONE, "skipped"), said[-4000:]
    assert "there was nothing new" in said


def test_a_quarantined_day_fails_with_65_and_is_reported(site):
    ran, said = site.run("labs.703", QUARANTINED)

    assert ran["tasks"] == {
        "extract": "success",
        "transform": "success",
        "load": "failed",
        "verify": "failed",
    }, said[-4000:]
    assert ran["xcoms"]["verify"]["outcome"] == "quarantined"
    assert "exit code 65" in said
    assert "load ended as failed and its log says why" in said


@pytest.mark.parametrize(
    ("changes", "code"), [({"HAULIER_BATCH_ROWS": "many"}, 2), ({"PGPORT": "1"}, 75)], ids=["2", "75"]
)
def test_a_failure_carries_the_steps_exit_code(site, changes, code):
    ran, said = site.run("labs.701", FIRST, **changes)

    assert ran["tasks"]["extract"] == "failed"
    assert f"exit code {code}" in said


def remaining():
    """Pods that nobody has deleted; the kubelet takes half a minute to forget those."""
    return [pod["metadata"]["name"] for pod in cluster.pods() if "deletionTimestamp" not in pod["metadata"]]


def base_runs():
    return [
        pod["metadata"]["name"]
        for pod in cluster.pods()
        if any(
            s["name"] == "base" and "running" in s["state"]
            for s in pod.get("status", {}).get("containerStatuses", [])
        )
        and "deletionTimestamp" not in pod["metadata"]
    ]


@contextmanager
def held(database):
    """Steps wait for the ledger's deliveries, so that there is a middle to break, however fast or busy the machine is."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE haulier.delivery")
        yield


def waits(database):
    """Whether a step waits for a lock."""
    return database.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )


def test_a_task_that_is_ended_ends_its_pod_and_the_step_hears_of_it(site):
    conf = {"interval_start": day(0).start.isoformat(), "interval_end": day(0).end.isoformat()}
    ended = cluster.Ended.watch()
    with held(site.database):
        process = site.started("things.one", None, conf)
        try:
            wait_until(lambda: waits(site.database), 240, "extract to be at work")
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=240)
            wait_until(lambda: cluster.pods() == [], 120, "its pod to go")
        finally:
            process.kill()
            codes = ended.codes()

    assert codes == [143], said[-3000:]


def test_a_new_attempt_ends_the_pod_that_a_dead_worker_left(site):
    conf = {"interval_start": day(0).start.isoformat(), "interval_end": day(0).end.isoformat()}
    when = START.isoformat()
    with ThreadPoolExecutor(1) as pool:
        with held(site.database):
            first = site.started("things.one", when, conf)
            try:
                wait_until(lambda: waits(site.database), 240, "extract to be at work")
                # A step is at work before the kubelet says that its container runs.
                wait_until(base_runs, 60, "the cluster to say so")
                (twin,) = base_runs()
            finally:
                first.kill()
                first.communicate()
            assert base_runs() == [twin], "nobody ended it"
            again = pool.submit(
                site.airflow.test,
                "things.one",
                site.environment(),
                logical_date=when,
                conf=conf,
                retries=0,
            )
            wait_until(lambda: twin not in base_runs(), 240, "the new attempt to end the twin's pod")
        ran, said = again.result()

    assert f"ending pod {twin} of an earlier attempt" in said
    assert ran["tasks"] == dict.fromkeys(DONE, "success"), said[-4000:]
    assert remaining() == []
