"""The three images: what they may do, how they end, and that they haul what the processes haul."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.engine import STEPS, docker, images, inspected, run
from support.steps import haul
from support.things import day, place, snapshot

from haulier.exchange import open_exchange
from haulier.ledger.connection import connect
from haulier.ledger.verify import verify
from haulier_command.containers import here as containers_here
from haulier_command.steps import Order

MEGABYTE = 1_000_000


@pytest.fixture(scope="module", autouse=True)
def built():
    images()


@pytest.fixture
def here(tier, tmp_path):
    with place(tier, tmp_path) as made:
        yield made


def order(step, number=0, **more):
    return Order(step=step, verb="run", pipeline="things", instance="one", interval=day(number), **more)


def started(place_, step, **changes):
    """`haulier run --with docker`, one step of it."""
    setup = replace(containers_here(place_.environment), **changes)
    return setup.by_hand(step, order(step).arguments)


def test_three_containers_haul_what_three_processes_haul(here, tier, tmp_path):
    here.write("one", 0, 2_000)
    with place(tier, tmp_path) as alone:
        alone.write("one", 0, 2_000)
        haul(alone.settings, "things", "one", day(0))
        expected = snapshot(alone.database)

    for _ in range(2):
        for step in STEPS:
            done = run(started(here, step), here.environment)
            assert done.returncode == 0, done.stderr
            assert len(done.stdout.splitlines()) == 1
            assert json.loads(done.stdout)["step"] == step

        assert snapshot(here.database) == expected
    with connect(here.settings, "test") as connection:
        assert verify(connection, here.settings, exchange=open_exchange(here.settings), deep=True) == []


@pytest.mark.parametrize("step", STEPS)
def test_an_image_is_labelled_and_runs_as_a_number(step):
    found = inspected(f"haulier/{step}:latest")["Config"]

    assert found["User"] == "10001:10001"
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in found["Labels"].items()}
    assert labels["licenses"] == "Apache-2.0"
    assert labels["version"] == "0.1.0"
    assert len(labels["revision"]) in (40, len("unknown"))


def test_the_load_image_stays_under_250_megabytes():
    assert inspected("haulier/load:latest")["Size"] < 250 * MEGABYTE


_LOOK = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
refused = []
for path in ("/x", "/opt/haulier/x", "/definitions/x"):
    try: open(path, "w")
    except OSError as exc: refused.append(exc.errno)
open("/tmp/x", "w").write("works")
print(json.dumps({"uid": os.getuid(), "gid": os.getgid(), "refused": refused,
    "capabilities": int(status["CapEff"], 16), "bounding": int(status["CapBnd"], 16),
    "no_new_privileges": int(status["NoNewPrivs"]), "parent": os.getppid()}))
"""


@pytest.mark.parametrize("step", STEPS)
def test_a_container_may_write_nowhere_and_become_nobody(step, here):
    command = started(here, step, user=None)
    image = command.index(f"haulier/{step}:latest")
    command[image : image + 1] = ["--entrypoint=python", f"haulier/{step}:latest", "-c", _LOOK]

    found = json.loads(run(command[: image + 4], here.environment).stdout)

    assert (found["uid"], found["gid"]) == (10001, 10001)
    assert len(found["refused"]) == 3
    assert (found["capabilities"], found["bounding"], found["no_new_privileges"]) == (0, 0, 1)


@pytest.mark.parametrize("step", STEPS)
def test_a_wrong_setting_ends_2(step, here):
    setup = containers_here(here.environment)
    wrong = replace(setup, environment={**setup.environment, "HAULIER_BATCH_ROWS": "many"})

    done = run(wrong.by_hand(step, order(step).arguments), here.environment)

    assert done.returncode == 2, done.stderr
    assert "HAULIER_BATCH_ROWS: 'many' is not a whole number" in done.stderr


@pytest.mark.parametrize(
    ("step", "code"),
    # Only extract reads definitions; the others ask the ledger for a run that may yet come.
    [("extract", 2), ("transform", 75), ("load", 75)],
)
def test_a_pipeline_that_is_not_defined_ends_as_its_step_can_know(step, code, here):
    asked = replace(order(step), pipeline="thing")

    done = run(containers_here(here.environment).by_hand(step, asked.arguments), here.environment)

    assert done.returncode == code, done.stderr


def test_an_unreachable_database_ends_75(here):
    here.write("one", 0, 10)
    environment = {**here.environment, "PGPORT": "1"}
    setup = containers_here(environment)

    done = run(setup.by_hand("extract", order("extract").arguments), environment)

    assert done.returncode == 75, done.stderr


@pytest.mark.parametrize("with_init", [True, False], ids=["init", "as PID 1"])
def test_sigterm_ends_a_step_within_a_second(here, with_init):
    here.write("one", 0, 600_000)
    command = started(here, "extract")
    name = f"haulier-test-{os.getpid()}-{with_init}".lower()
    at = command.index("--rm") + 1
    command[at:at] = ["--name", name]
    if not with_init:
        command.remove("--init")
    with subprocess.Popen(command, env={**os.environ, **here.environment}, stdout=-3, stderr=-3) as process:
        deadline = time.monotonic() + 30
        while not docker("top", name, check=False).stdout.count("haulier_extract"):
            assert time.monotonic() < deadline
        time.sleep(0.8)
        began = time.monotonic()
        docker("kill", "--signal=TERM", name)
        code = process.wait(timeout=15)
        took = time.monotonic() - began

    assert code == 143
    # A second for the step, the rest for an engine on a busy machine.
    assert took < 3


def test_a_step_over_its_memory_ends_137(here):
    here.write("one", 0, 300_000)

    done = run(started(here, "extract", memory="64m"), here.environment)

    assert done.returncode == 137


def test_no_secret_stands_on_the_printed_line(here):
    command = " ".join(started(here, "load"))

    for name in ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"):
        assert here.environment[name] not in command
        assert f"--env={name} " in command
    assert Path(here.environment["HAULIER_DEFINITIONS"]).is_dir()
