"""What Airflow adds: our operator beside `docker run`, and a site's run through the scheduler.

    make up && PYTHONPATH=tests .venv/bin/python tests/bench/airflow_overhead.py

Prints; judges nothing. The goals: under 0.3 s a task over `docker run`, under 10 s a site's run of a small file.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from support.engine import ROOT
from support.stack import Stack

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="haulier-airflow-")

ROUNDS = 9
RUNS = 5


def main() -> int:
    home = ROOT / ".haulier" / "compose"
    told = dict(line.split("=", 1) for line in (home / "compose.env").read_text().splitlines())
    stack = Stack(
        home=home, project="haulier", ports={"HAULIER_WEB_PORT": int(told.get("HAULIER_WEB_PORT", 8080))}
    )
    day = datetime.now(UTC).date() - timedelta(days=2)
    interval = {"interval_start": f"{day}T00:00:00Z", "interval_end": f"{day + timedelta(days=1)}T00:00:00Z"}
    operator_beside_docker(home, told, interval)
    site_runs(stack, interval)
    return 0


def operator_beside_docker(home: Path, told: dict[str, str], interval: dict[str, str]) -> None:
    from haulier_airflow.docker import DockerStep
    from haulier_airflow.orders import StepOf
    from haulier_command.containers import Containers, Mount, read_environment

    containers = Containers(
        network="haulier_steps",
        mounts=(
            Mount(source=told["HAULIER_DEFINITIONS"], target="/definitions"),
            Mount(source=told["HAULIER_LANDING"], target="/landing"),
            Mount(source=str(home / "secrets/steps"), target="/run/secrets/steps"),
        ),
        environment=read_environment(home / "steps.env"),
    )
    of = StepOf(step="extract", pipeline="labs", instance="701", schedule="@daily")
    step = DockerStep(task_id="extract", of=of, containers=containers)
    context: Any = {
        "params": interval,
        "dag_run": SimpleNamespace(conf={}),
        "ti": SimpleNamespace(
            dag_id="bench", run_id="bench", task_id="extract", map_index=-1, xcom_pull=dict
        ),
    }
    command = containers.by_hand("extract", step.order(context).arguments)
    taken: dict[str, list[float]] = {"docker run": [], "DockerStep": []}
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken["docker run"].append(time.perf_counter() - began)
        began = time.perf_counter()
        step.execute(context)
        taken["DockerStep"].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    for name, value in medians.items():
        print(f"{name:12} {value:5.2f} s")
    print(f"over docker run: {medians['DockerStep'] - medians['docker run']:+.2f} s")


def site_runs(stack: Stack, interval: dict[str, str]) -> None:
    took = []
    for _ in range(RUNS):
        _, run = stack.trigger("labs.701", **interval)
        stack.ended("labs.701", run["dag_run_id"])
        ended = stack.get(f"/api/v2/dags/labs.701/dagRuns/{run['dag_run_id']}")
        took.append(_instant(ended["end_date"]) - _instant(ended["queued_at"]))
    shown = ", ".join(f"{one:.1f}" for one in sorted(took))
    print(f"three steps and verify through the scheduler, queued to done: {shown} s")


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    sys.exit(main())
