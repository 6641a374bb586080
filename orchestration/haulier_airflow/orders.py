"""What an Airflow run asks of a step, and what becomes of its answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from haulier.errors import DefinitionError
from haulier.interval import Interval
from haulier_airflow.codes import FailedBefore, judged
from haulier_command.schedule import latest
from haulier_command.steps import Order, StepName

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from haulier_airflow.lineage import Datasets

#: Where the steps of a dry run hand over; nothing else is written.
PLAN_FOLDER = "/plan"
#: What a person may say of a run.
PARAMETERS = frozenset({"interval_start", "interval_end", "reprocess", "dry_run"})
#: A run without schedule, interval or logical date is about the last whole day.
_UNSCHEDULED = "@daily"
#: What an orchestrator may know of a result: numbers and names, no values.
_PASSED_ON = ("outcome", "generation", "replay", "content", "shards", "counts", "manifest", "attempt")
_REPORTED = (
    "ok",
    "findings",
    "run",
    "generation",
    "outcome",
    "source",
    "deliveries",
    "loads",
    "rejects",
    "flags",
)
#: In their order; of a run in shards there are several `transform` and `stage`.
_BEFORE_VERIFY = ("transform", "stage", "load", "models")
_LEVELS = {"debug": logging.DEBUG, "warning": logging.WARNING, "error": logging.ERROR}


def interval_of(context: Context, schedule: str | None) -> Interval:
    """The run's interval: as its parameters say, as it was scheduled, or the last one that had ended.

    Runs that a person or an asset starts have no logical date in Airflow 3, and thus no interval.
    """
    params, run = context.get("params") or {}, context["dag_run"]
    # Airflow takes a misspelt parameter for one more, and the run would be about another day.
    for name in set(run.conf or {}) - PARAMETERS:
        raise DefinitionError(f"{name} is not a parameter; there are {', '.join(sorted(PARAMETERS))}")
    start, end = params.get("interval_start"), params.get("interval_end")
    if (start, end) != (None, None):
        if not (start and end):
            raise DefinitionError("the parameters interval_start and interval_end go together")
        return Interval.parse(start, end)
    if run.data_interval_start and run.data_interval_end and run.data_interval_start < run.data_interval_end:
        return Interval(start=run.data_interval_start, end=run.data_interval_end)
    return latest(schedule or _UNSCHEDULED, run.run_after)


@dataclass(frozen=True, kw_only=True)
class StepOf:
    """Which step of which instance a task is."""

    step: StepName
    verb: Literal["run", "verify"] = "run"
    pipeline: str
    instance: str
    schedule: str | None
    #: Whether SQL models run after the load.
    models: bool = False
    #: Whether the run may come in shards: extract then hands on one line for each, which tasks are mapped over.
    split: bool = False

    @property
    def program(self) -> str:
        """Whose image does it."""
        return "transform" if self.step == "models" else self.step


class StepTask(BaseOperator):
    """What operators of all runners share: how their step is asked, and what its answer means."""

    of: StepOf
    #: What lineage says of it; ``None``: nothing.
    datasets: Datasets | None = None
    #: Of a mapped task: the line that extract handed on for its shard.
    shard: Mapping[str, Any] | None = None
    _told: Mapping[str, Any] | None = None
    _begins: datetime | None = None

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any] | None:
        """Asked by Airflow's OpenLineage provider, where one is told to, once the task is done or has failed."""
        if self.datasets is None or self.of.verb != "run" or (self._told or {}).get("outcome") == "planned":
            return None
        return self.datasets.lineage(self.of.step, self._told, self._begins)

    get_openlineage_facets_on_failure = get_openlineage_facets_on_complete

    def order(self, context: Context, into: str = PLAN_FOLDER) -> Order:
        params = context.get("params") or {}
        plan = bool(params.get("dry_run"))
        if self.of.verb == "verify":
            return Order(
                step=self.of.step,
                verb="verify",
                pipeline=self.of.pipeline,
                instance=self.of.instance,
                interval=interval_of(context, self.of.schedule),
            )
        if plan and self.shard and self.of.step == "load":
            raise AirflowSkipException("dry run: there is nothing to stage")
        extracted = self.shard or self._extracted(context)
        return Order(
            step=self.of.step,
            verb="plan" if plan else "run",
            pipeline=self.of.pipeline,
            instance=self.of.instance,
            interval=interval_of(context, self.of.schedule),
            generation=None if plan else extracted.get("generation"),
            reprocess=params.get("reprocess") if self.of.step == "extract" else None,
            shard=None if plan else (self.shard or {}).get("shard"),
            into=Path(into) if plan else None,
        )

    def _extracted(self, context: Context) -> Mapping[str, Any]:
        """What extract handed on; of a run in shards the first line, since all name the same generation."""
        if self.of.step == "extract":
            return {}
        found = context["ti"].xcom_pull(task_ids="extract") or {}
        return found[0] if self.of.split else found

    def answered(
        self, context: Context, order: Order, code: int, result: Mapping[str, Any] | None
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """The XCom, or the exception that an exit code deserves."""
        self._told, self._begins = result, order.interval.start
        if order.verb == "verify":
            return self._verified(context, order, code, result or {})
        waits = (result or {}).get("counts", {}).get("waiting", 0)
        judged(f"{self.of.step} {order.pipeline}/{order.instance}", code, waits)
        if result is None:
            raise AirflowException(f"{self.of.step} ended with exit code 0 and left no result")
        if order.verb == "plan" and result.get("outcome") == "already done":
            raise AirflowSkipException("dry run: this run is done already; a run would find that and stop")
        if order.verb == "plan" and self.of.step == "load":
            counts = json.dumps(result.get("counts", {}), indent=2, default=str)
            raise AirflowSkipException(f"dry run: nothing was written. A run would count:\n{counts}")
        passed_on = {name: result[name] for name in _PASSED_ON if result.get(name) is not None}
        if self.of.step == "extract" and self.of.split:
            shards = 1 if order.verb == "plan" else result.get("shards", 1)
            return [{**passed_on, "shard": number} for number in range(1, shards + 1)]
        return passed_on

    def _verified(
        self, context: Context, order: Order, code: int, result: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The run's report, told and handed on however the run ended."""
        from haulier_command.figures import figures
        from haulier_command.output import plain

        report = {name: result[name] for name in _REPORTED if name in result}
        if "run" in report:
            for block in figures(report):
                for line in plain(block).splitlines():
                    self.log.info("%s", line)
        ti = context["ti"]
        if report:
            # A task that fails hands on nothing by itself.
            ti.xcom_push("return_value", report)
        judged(f"verify {order.pipeline}/{order.instance}", code)
        last = "models" if self.of.models else "load"
        found = ti.get_task_states(dag_id=ti.dag_id, task_ids=list(_BEFORE_VERIFY), run_ids=[ti.run_id])
        states = found.get(ti.run_id, {})
        if states.get(last) != "success":
            # What only waited for the step that failed has no log of its own.
            step = min((name for name, one in states.items() if one == "failed"), key=_place, default=last)
            raise FailedBefore(
                f"{step} ended as {states.get(step)} and its log says why; of what is in the ledger nothing is wrong"
            )
        return report

    def tell(self, line: str) -> None:
        """One line of a step's stderr, at the level it says."""
        self.log.log(*told(line))


def _place(task: str) -> tuple[int, str]:
    """Where a task stands before verify; Airflow calls one of a mapped step `stage_0`."""
    return _BEFORE_VERIFY.index(task.partition("_")[0]), task


def told(line: str) -> tuple[int, str]:
    """(level, text) of one line of a step's stderr."""
    try:
        entry = json.loads(line)
        event, level = str(entry.pop("event")), str(entry.pop("level", "info"))
    except (ValueError, KeyError, AttributeError, TypeError):
        return logging.INFO, line
    known = ("time", "timestamp", "step", "pipeline", "instance", "interval_start", "interval_end")
    facts = " ".join(f"{name}={value}" for name, value in entry.items() if name not in known)
    return _LEVELS.get(level, logging.INFO), f"{event}  {facts}".rstrip()


def task_key(context: Context) -> str:
    """Names a task across its attempts."""
    ti = context["ti"]
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"
