"""Who is told when a task fails or a run is late: the log, and whoever listens at ``HAULIER_ALERT_URL``."""

from __future__ import annotations

import json
import logging
import os
import urllib.request
from typing import Any

from airflow.sdk import Context

from haulier_airflow.codes import FailedBefore

log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 10


def failed(context: Context) -> None:
    """A task failed for good."""
    ti, error = context["ti"], context.get("exception")
    if isinstance(error, FailedBefore):
        return
    _tell(
        "failed",
        dag=ti.dag_id,
        run=ti.run_id,
        task=ti.task_id,
        attempt=ti.try_number,
        exit_code=getattr(error, "exit_code", None),
        reason=str(error) if error else "",
    )


def late(context: dict[str, Any] | None = None, **facts: Any) -> None:
    """A run had not ended when the contract's latency was over."""
    run = (context or {}).get("dag_run") or {}
    run_id = (
        run.get("run_id") or run.get("dag_run_id") if isinstance(run, dict) else getattr(run, "run_id", None)
    )
    _tell("late", run=run_id, **facts)


def _tell(kind: str, **facts: Any) -> None:
    body = json.dumps({"alert": kind, **{k: v for k, v in facts.items() if v is not None}}, default=str)
    log.error("haulier alert: %s", body)
    url = os.environ.get("HAULIER_ALERT_URL")
    if not url:
        return
    request = urllib.request.Request(  # noqa: S310 - an address the operator of this Airflow chose
        url, data=body.encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS).close()  # noqa: S310 - the same address
    except OSError as exc:
        log.warning("%s could not be told: %s", url, exc)
