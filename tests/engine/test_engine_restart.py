"""The Docker engine restarts while a load is at work: every container of the stack dies, and the run converges.

Whatever else runs on the engine dies, too, so this is asked for by name and runs alone, after all other tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.engine import docker, engine_answers, images
from support.stack import Stack, wait_until
from support.things import DEFINITIONS, Place, day

ROWS = 1_000_000


def engine() -> tuple[int, list[str]]:
    """(pid, command line) of the `dockerd` of this machine."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")[:-1]
        except OSError:
            continue
        if words and Path(words[0]).name == "dockerd":
            return int(folder.name), words
    raise LookupError("no dockerd runs here")


@pytest.fixture(scope="module", autouse=True)
def _allowed():
    if os.environ.get("HAULIER_TEST_ENGINE_RESTART") != "yes" or os.environ.get("PYTEST_XDIST_WORKER"):
        pytest.skip(
            "restarting the Docker engine ends every container on it, so it runs alone and when asked for: "
            "HAULIER_TEST_ENGINE_RESTART=yes make test"
        )
    if os.getuid() != 0 or not engine_answers():
        pytest.skip("only root can restart a Docker engine, and only where one runs")
    parent = Path(f"/proc/{engine()[0]}/stat").read_text().rpartition(")")[2].split()[1]
    if "systemd" in Path(f"/proc/{parent}/comm").read_text():
        pytest.skip("systemd runs this Docker engine, and a test does not meddle with services")


def restart() -> float:
    """End the engine and start it as it was started; seconds until it answers."""
    pid, command = engine()
    began = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 120, "dockerd to end")
    # Nobody's child: it outlives this session.
    detached = 'setsid nohup "$@" >>/var/log/dockerd.log 2>&1 </dev/null &'
    subprocess.run(["sh", "-c", detached, "sh", *command], check=True)
    wait_until(engine_answers, 120, "the engine to answer")
    return time.monotonic() - began


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    images()
    home = tmp_path_factory.mktemp("compose")
    made = Stack(home=home, project=f"haulier-restart-{os.getpid()}")
    made.make("prepare")
    definitions, landing = home / "definitions", home / "landing"
    for folder in ("pipelines", "contracts"):
        for file in (definitions / folder).iterdir():
            file.unlink()
    for name in ("pipelines/things.yaml", "contracts/things.odcs.yaml"):
        (definitions / name).write_text((DEFINITIONS / name).read_text())
    Place(database=None, landing=landing, environment={}).write("one", 0, ROWS)  # files alone
    try:
        made.make("up")
        yield made
    finally:
        made.make("down", "--data")
        left = docker("ps", "-aq", "--filter", "label=haulier.task").stdout.split()
        if left:
            docker("rm", "-f", *left)


def test_a_run_converges_over_a_restart_of_the_engine(stack):
    interval = {"interval_start": day(0).start.isoformat(), "interval_end": day(0).end.isoformat()}
    status, run = stack.trigger("things.one", **interval)
    assert status == 200, run
    name = run["dag_run_id"]
    key = f"label=haulier.task=things.one/{name}/load/-1"
    wait_until(lambda: docker("ps", "-q", "--filter", key).stdout, 240, "load to run")
    time.sleep(0.5)
    dead = docker("ps", "-q", "--filter", key).stdout.strip()

    restart()
    assert docker("inspect", "--format", "{{.State.Running}}", dead).stdout.strip() == "false"
    wait_until(lambda: _answers(stack), 180, "Airflow to answer again")

    assert stack.ended("things.one", name, 400) == "success"
    assert stack.tasks("things.one", name)["load"][1] > 1, "it was not broken in the middle"
    assert stack.handed_on("things.one", name, "verify")["ok"]
    done = json.loads(stack.compose("run", "--rm", "-T", "haulier", "verify", "--output", "json"))
    assert done["ok"], done
    loads = stack.rows("SELECT outcome, count(*) FROM haulier.load GROUP BY 1")
    assert loads == [("loaded", 1)]
    assert docker("ps", "-aq", "--filter", "label=haulier.task").stdout.split() == []


def _answers(stack) -> bool:
    try:
        return stack.call("/api/v2/version")[0] == 200
    except OSError:
        return False
