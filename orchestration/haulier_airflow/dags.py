"""One DAG per instance, made from its definition; nothing of it depends on when it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Literal

from airflow.sdk import DAG, Asset, BaseOperator, CronDataIntervalTimetable, Param, TriggerRule, chain
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import AirflowFailException

from haulier import loading
from haulier.contracts import Contract
from haulier.definitions import Instance
from haulier.errors import DefinitionError
from haulier_airflow import alerts
from haulier_airflow.arrival import Arrival
from haulier_airflow.lineage import Datasets, State
from haulier_airflow.orders import StepOf, StepTask
from haulier_airflow.settings import AirflowSettings
from haulier_command.schedule import NAMED
from haulier_command.steps import StepName

#: Loads of all instances side by side; `init` makes the pool, and its size bounds the database.
LOAD_POOL = "haulier_load"
#: Before any pipeline's first day: for one that names none and catches nothing up.
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_TRIES_AGAIN = 4
_FIRST_PAUSE = timedelta(seconds=15)
_LONGEST_PAUSE = timedelta(minutes=10)
#: Longer than a load transaction may take.
_LONGEST_STEP = timedelta(hours=3)
#: Of transform and load: load was tried, whatever came of it. Nothing new, a dry run: skipped.
_AFTER_LOAD = TriggerRule.ALL_DONE_MIN_ONE_SUCCESS
_MAY = {"DAGs": {"can_read", "can_edit"}, "DAG Runs": {"can_create", "can_read"}}


def all_dags(settings: AirflowSettings) -> Iterator[DAG]:
    """Every instance's DAG. What cannot be read becomes a DAG that says why, and harms no other."""
    try:
        names = loading.pipeline_names(settings.definitions)
    except DefinitionError as exc:
        yield broken_dag("haulier.definitions", str(exc))
        return
    for name in names:
        try:
            file = loading.load_pipeline(settings.definitions, name)
        except DefinitionError as exc:
            yield broken_dag(name, str(exc))
            continue
        for instance_name in loading.instances(file):
            dag_id = f"{name}.{instance_name}"
            try:
                instance, contract = loading.resolve(file, instance_name)
                states = [
                    (at, loading.resolve_instance(file, instance_name, at))
                    for at in loading.states(file, instance_name)
                ]
            except DefinitionError as exc:
                yield broken_dag(dag_id, str(exc))
            else:
                yield instance_dag(dag_id, instance, contract, states, settings)


def _paths(states: Sequence[State]) -> list[tuple[datetime | None, str, int]]:
    """From when on which path is waited for how many minutes, oldest first."""
    return [
        (since, files.path, files.ready.wait_minutes if files.select == "name" else 0)
        for since, instance in states
        if (files := instance.source.files)
    ]


def instance_dag(
    dag_id: str,
    instance: Instance,
    contract: Contract,
    states: Sequence[State],
    settings: AirflowSettings,
) -> DAG:
    """arrival → extract → transform → load → models → verify, models where there are some.

    Where runs may be split, transform and stage come once per shard.
    """
    start = datetime.combine(instance.start, time(), UTC) if instance.start else _LONG_AGO
    with DAG(
        dag_id,
        description=instance.description,
        doc_md=described(instance, contract, states),
        tags=[*instance.tags, instance.pipeline],
        schedule=timetable(instance.schedule),
        start_date=start,
        catchup=instance.catchup and instance.start is not None,
        max_active_runs=1,
        params=_params(),
        access_control=dict.fromkeys(instance.operators, _MAY) or None,
        deadline=_deadline(instance, contract),
        default_args=_default_arguments(instance.owner),
    ) as dag:
        tasks: list[BaseOperator] = []
        paths = _paths(states)
        if any(minutes for _, _, minutes in paths):
            tasks.append(
                Arrival(
                    task_id="arrival",
                    paths=paths,
                    source_root=settings.source_root,
                    schedule=instance.schedule,
                )
            )
        extract = step_operator(settings, "extract", instance, execution_timeout=_LONGEST_STEP)
        transform: StepTask | MappedOperator
        stage: MappedOperator | None = None
        if instance.split:
            transform = mapped_step(settings, "transform", instance, extract, execution_timeout=_LONGEST_STEP)
            stage = mapped_step(
                settings,
                "load",
                instance,
                extract,
                task_id="stage",
                execution_timeout=_LONGEST_STEP,
                pool=LOAD_POOL,
            )
            transform >> stage
        else:
            transform = step_operator(settings, "transform", instance, execution_timeout=_LONGEST_STEP)
        load = step_operator(
            settings,
            "load",
            instance,
            execution_timeout=_LONGEST_STEP,
            pool=LOAD_POOL,
            outlets=[Asset(contract.target, group="haulier")],
            # In a dry run nothing is staged.
            trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
            if instance.split
            else TriggerRule.ALL_SUCCESS,
        )
        loaded = [load]
        if instance.models:
            loaded.append(
                step_operator(
                    settings,
                    "models",
                    instance,
                    execution_timeout=_LONGEST_STEP,
                    pool=LOAD_POOL,
                    outlets=[Asset(model.target, group="haulier") for model in instance.models],
                )
            )
        verify = step_operator(
            settings, "load", instance, verb="verify", task_id="verify", trigger_rule=_AFTER_LOAD
        )
        datasets = Datasets.of(
            instance, contract, states, settings.source_root, settings.containers.environment or {}
        )
        for task in (extract, transform, *loaded):
            if isinstance(task, StepTask):
                task.datasets = datasets
        chain(*tasks, extract, transform, *loaded, verify)
        transform >> verify
        if stage is not None:
            stage >> load
    return dag


def step_operator(
    settings: AirflowSettings,
    step: StepName,
    instance: Instance,
    verb: Literal["run", "verify"] = "run",
    **options: Any,
) -> StepTask:
    """A step as this Airflow runs it."""
    runner, given = _runner(settings)
    made: StepTask = runner(**{**given, **_told(step, instance, verb), **options})
    return made


def mapped_step(
    settings: AirflowSettings, step: StepName, instance: Instance, extract: StepTask, **options: Any
) -> MappedOperator:
    """A step once for each shard that extract hands on."""
    runner, given = _runner(settings)
    told = {**given, **_told(step, instance, "run"), **options}
    made: MappedOperator = runner.partial(**told).expand(shard=extract.output)
    return made


def _told(step: StepName, instance: Instance, verb: Literal["run", "verify"]) -> dict[str, Any]:
    return {
        "task_id": step,
        "of": StepOf(
            step=step,
            verb=verb,
            pipeline=instance.pipeline,
            instance=instance.instance,
            schedule=instance.schedule,
            models=bool(instance.models),
            split=instance.split is not None,
        ),
    }


def _runner(settings: AirflowSettings) -> tuple[Any, dict[str, Any]]:
    """The operator of this Airflow's runner and what it wants to know: the one place that knows the runners."""
    if settings.runner == "process":
        from haulier_airflow.process import ProcessStep

        return ProcessStep, {"environment": dict(settings.containers.environment or {})}
    if settings.runner == "kubernetes":
        from haulier_airflow.kubernetes import KubernetesStep

        return KubernetesStep, {"namespace": settings.namespace, "containers": settings.containers}
    from haulier_airflow.docker import DockerStep

    return DockerStep, {"containers": settings.containers}


def broken_dag(dag_id: str, reason: str) -> DAG:
    """Stands where a DAG would, says what is wrong with its definition, and fails when it is started."""
    with DAG(
        dag_id,
        description="This definition cannot be used.",
        doc_md=f"**This definition cannot be used.**\n\n```\n{reason}\n```\n",
        tags=["broken definition"],
        schedule=None,
    ) as dag:
        _Broken(task_id="definition", reason=reason)
    return dag


class _Broken(BaseOperator):
    def __init__(self, *, reason: str, **options: Any) -> None:
        super().__init__(**options)
        self.reason = reason

    def execute(self, context: Any) -> None:
        raise AirflowFailException(self.reason)


def timetable(schedule: str | None) -> CronDataIntervalTimetable | None:
    """Runs with an interval each, in UTC; a bare cron line would give Airflow 3's runs none."""
    if schedule is None:
        return None
    return CronDataIntervalTimetable(NAMED.get(schedule, schedule), timezone="UTC")


def described(instance: Instance, contract: Contract, states: Sequence[State]) -> str:
    """What the UI shows of a DAG: where its rows come from, and since when, and what its table promises."""
    places = [(since, state.source.place) for since, state in states]
    moved = [new for old, new in pairwise(places) if new[1] != old[1]]
    lines = [
        f"**{instance.description or instance.pipeline}** `{places[0][1]}` → `{contract.target}`",
        *(f"; from {since:%Y-%m-%d} on `{place}`" for since, place in moved),
        "",
        contract.description,
        "",
        f"Contract `{contract.id}` {contract.version}; owner: {instance.owner or 'nobody named'}.",
        "",
        "| column | type | must | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for column in contract.columns:
        must = "key" if column.key_position else "yes" if column.required else ""
        meaning = column.description.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {column.name} | {column.pg_type} | {must} | {meaning} |")
    return "\n".join(lines)


def _params() -> dict[str, Param]:
    return {
        "interval_start": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="One run: ISO 8601 with an offset or Z.",
        ),
        "interval_end": Param(
            None, type=["null", "string"], format="date-time", description="Its end, not included."
        ),
        "reprocess": Param(
            None, type=["null", "string"], description="Why to haul it anew though nothing changed."
        ),
        "dry_run": Param(
            False,
            type="boolean",
            description="Say what a run would do; write nothing. Of a run that is done it says that, "
            "without a reason to haul it anew.",
        ),
    }


def _default_arguments(owner: str) -> dict[str, Any]:
    return {
        "owner": owner or "haulier",
        "retries": _TRIES_AGAIN,
        "retry_delay": _FIRST_PAUSE,
        "retry_exponential_backoff": True,
        "max_retry_delay": _LONGEST_PAUSE,
        "on_failure_callback": alerts.failed,
    }


def _deadline(instance: Instance, contract: Contract) -> DeadlineAlert | None:
    if contract.latency_seconds is None:
        return None
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(seconds=contract.latency_seconds),
        callback=SyncCallback(
            alerts.late,
            kwargs={
                "dag": f"{instance.pipeline}.{instance.instance}",
                "target": contract.target,
                "latency_seconds": contract.latency_seconds,
            },
        ),
    )
