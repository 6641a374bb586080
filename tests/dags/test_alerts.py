"""What whoever is on duty is sent: where it failed and what that means, and nothing of the rows."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from haulier_airflow import alerts
from haulier_airflow.codes import StepFailed


@pytest.mark.requirement("R-16")
def test_an_alert_names_the_task_and_what_its_exit_code_means(caplog: pytest.LogCaptureFixture) -> None:
    task = SimpleNamespace(dag_id="things.one", run_id="manual", task_id="load", try_number=2)
    context: Any = {
        "ti": task,
        "exception": StepFailed("load", 65),
        "log": "thing one-1: 'a lot' is no number",
    }

    with caplog.at_level(logging.ERROR):
        alerts.failed(cast(Any, context))
        alerts.late(dag="things.one", target="shop.things", latency_seconds=60.0)

    failed, late = (json.loads(record.getMessage().partition(": ")[2]) for record in caplog.records)
    reason = failed.pop("reason")
    assert failed == {
        **{"alert": "failed", "dag": "things.one", "run": "manual", "task": "load", "attempt": 2},
        "exit_code": 65,
    }
    assert reason == str(StepFailed("load", 65))
    assert late == {"alert": "late", "dag": "things.one", "target": "shop.things", "latency_seconds": 60.0}
