"""Airflow without a scheduler: a metadata database of one's own, and DAGs run by `dag.test()`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: What a run of the first day is asked with.
DAY = {"interval_start": "2026-01-05T00:00:00Z", "interval_end": "2026-01-06T00:00:00Z"}
DAGS = Path(__file__).parents[2] / "orchestration" / "dags"

#: Runs in a process of its own: Airflow reads its settings when it is imported.
RUN = """
import json, os, sys
from datetime import datetime
asked = json.loads(sys.argv[1])
from airflow.sdk import DAG
from haulier_airflow.dags import all_dags
from haulier_airflow.settings import AirflowSettings
dags = {dag.dag_id: dag for dag in all_dags(AirflowSettings.from_env(os.environ))}
when = datetime.fromisoformat(asked["logical_date"]) if asked["logical_date"] else None
dags[asked["dag"]].deadline = None  # `dag.test()` knows none
for task in dags[asked["dag"]].tasks:
    task.retries = task.retries if asked["retries"] is None else asked["retries"]
run = dags[asked["dag"]].test(logical_date=when, run_after=when, run_conf=asked["conf"])
tasks = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
with create_session() as session:
    found = session.query(XComModel).filter_by(dag_id=asked["dag"], run_id=run.run_id, key="return_value")
    xcoms = {one.task_id: XComModel.deserialize_value(one) for one in found}
print("ANSWER" + json.dumps({"state": str(run.state), "tasks": tasks, "xcoms": xcoms}))
"""


def lineage_to(folder: Path) -> dict[str, str]:
    """Settings by which OpenLineage writes its events into a folder, each into a file of its own.

    Events are sent by processes of their own, so two of them may write at once; one file that all
    append to has lines that run into each other.
    """
    return {
        "OPENLINEAGE__TRANSPORT__TYPE": "file",
        "OPENLINEAGE__TRANSPORT__LOG_FILE_PATH": f"{folder}/event",
        "OPENLINEAGE__TRANSPORT__DEBUG_MODE": "true",
        "AIRFLOW__OPENLINEAGE__EXECUTE_IN_THREAD": "True",
    }


def lineage_in(folder: Path) -> list[Any]:
    """The events that `lineage_to` had written, in the order of their time."""
    return [json.loads(file.read_text()) for file in sorted(folder.glob("event-*.json"))]


@dataclass(frozen=True, kw_only=True)
class Airflow:
    """A home with a migrated SQLite database."""

    home: Path
    environment: Mapping[str, str] = field(repr=False)

    @classmethod
    def at(cls, home: Path) -> Airflow:
        environment = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        }
        made = cls(home=home, environment=environment)
        made.run([sys.executable, "-m", "airflow", "db", "migrate"], {})
        return made

    def run(
        self, command: list[str], environment: Mapping[str, str], *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def test(
        self,
        dag: str,
        environment: Mapping[str, str],
        logical_date: str | None = None,
        conf: Mapping[str, Any] | None = None,
        retries: int | None = None,
    ) -> tuple[dict[str, Any], str]:
        """(state of the run and of its tasks, what each handed on; everything that was said)."""
        asked = {"dag": dag, "logical_date": logical_date, "conf": dict(conf or {}), "retries": retries}
        done = self.run([sys.executable, "-c", RUN, json.dumps(asked)], environment)
        said = done.stdout + done.stderr
        answers = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")]
        assert len(answers) == 1, said[-3000:]
        return json.loads(answers[0].removeprefix("ANSWER")), said
