"""How a step is asked, and what its exit code and its output become."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowException, AirflowSkipException
from kubernetes.client import ApiClient
from kubernetes_validate import validate
from support.definitions import writer

from haulier.errors import EXIT_CODES, DefinitionError
from haulier_airflow.arrival import Arrival, arrived
from haulier_airflow.codes import ByExitCode, judged
from haulier_airflow.dags import all_dags
from haulier_airflow.docker import DockerStep, _lines
from haulier_airflow.kubernetes import KubernetesStep, _exit_code, _quantity
from haulier_airflow.orders import StepOf, interval_of
from haulier_airflow.settings import AirflowSettings
from haulier_command.containers import Containers, Mount, read_environment
from haulier_command.words import utc


def a_run(start=None, end=None, run_after=datetime(2026, 1, 9, 10, tzinfo=UTC), **params):
    run = SimpleNamespace(data_interval_start=start, data_interval_end=end, run_after=run_after, conf=params)
    return {
        "params": params,
        "dag_run": run,
        "ti": SimpleNamespace(xcom_pull=lambda task_ids: {"generation": 3}, dag_id="d", run_id="r"),
    }


def at(day, hour=0):
    return datetime(2026, 1, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("context", "schedule", "expected"),
    [
        (a_run(at(5), at(6)), "@daily", (at(5), at(6))),
        (a_run(), "@daily", (at(8), at(9))),
        (a_run(at(9), at(9)), "@daily", (at(8), at(9))),
        (a_run(), "0 6 * * *", (at(8, 6), at(9, 6))),
        (a_run(), None, (at(8), at(9))),
        (
            a_run(at(5), at(6), interval_start="2026-01-01T00:00:00Z", interval_end="2026-01-02T00:00:00Z"),
            "@daily",
            (at(1), at(2)),
        ),
    ],
)
def test_a_run_has_an_interval_however_it_was_started(context, schedule, expected):
    interval = interval_of(context, schedule)

    assert (interval.start, interval.end) == expected


@pytest.mark.parametrize(
    "params",
    [
        {"interval_start": "2026-01-01T00:00:00Z"},
        {"interval_end": "2026-01-01"},
        {"interval_start": "", "interval_end": ""},
    ],
)
def test_half_an_interval_is_refused(params):
    with pytest.raises(DefinitionError, match="go together"):
        interval_of(a_run(**params), "@daily")


def test_a_parameter_nobody_knows_is_refused_with_those_there_are():
    with pytest.raises(
        DefinitionError, match="intervalstart is not a parameter; there are dry_run, interval_end"
    ):
        interval_of(a_run(at(5), at(6), intervalstart="2026-01-01T00:00:00Z"), "@daily")


def test_nothing_new_tells_of_files_that_wait():
    with pytest.raises(AirflowSkipException, match="but 2 not complete yet"):
        judged("extract", 99, 2)


@pytest.mark.parametrize("code", [*EXIT_CODES, 137, 139])
def test_every_exit_code_is_acted_on_as_the_table_says(code):
    action = EXIT_CODES.get(code, ("", "", "retry"))[2]
    if action == "success":
        judged("load", code)
        return
    with pytest.raises(AirflowException) as raised:
        judged("load", code)
    if action == "skip":
        assert isinstance(raised.value, AirflowSkipException)
        return
    decision = ByExitCode().evaluate(raised.value, 1, 4)

    assert f"exit code {code}" in str(raised.value)
    assert decision.action == (RetryAction.FAIL if action == "fail at once" else RetryAction.DEFAULT)


def test_an_error_that_is_no_exit_code_is_tried_again():
    assert ByExitCode().evaluate(ConnectionError("engine"), 1, 4).action == RetryAction.DEFAULT
    assert ByExitCode.deserialize(ByExitCode().serialize()) is not None


def step(kind, name="load", **more):
    of = StepOf(step=name, pipeline="labs", instance="701", schedule="@daily")
    return kind(task_id=name, of=of, containers=CONTAINERS, **more)


CONTAINERS = Containers(
    memory="512m",
    mounts=(
        Mount.parse("definitions-claim:/definitions"),
        Mount.parse("secret/haulier:/run/secrets/steps"),
        Mount.parse("configmap/more:/more"),
        Mount.parse("state:/state:rw"),
    ),
    environment={"PGHOST": "db"},
)


def test_a_step_is_asked_for_the_generation_that_extract_opened():
    order = step(DockerStep).order(a_run(at(5), at(6)))

    assert (order.generation, order.verb, order.into) == (3, "run", None)
    assert step(DockerStep, "extract").order(a_run(at(5), at(6), reprocess="why")).reprocess == "why"


def test_a_dry_run_is_a_plan_of_hauling_anew_too():
    order = step(DockerStep, "extract").order(a_run(at(5), at(6), dry_run=True, reprocess="why"))

    assert (order.verb, order.reprocess, str(order.into)) == ("plan", "why", "/plan")


def test_success_without_a_result_is_a_failure():
    operator = step(DockerStep)

    with pytest.raises(AirflowException, match="left no result"):
        operator.answered({}, operator.order(a_run(at(5), at(6))), 0, None)


def test_what_is_passed_on_holds_no_text_of_the_data():
    operator = step(DockerStep)
    result = {
        "generation": 3,
        "counts": {"read": 1},
        "notes": ["Ada"],
        "outcome": "loaded",
        "interval_start": "x",
    }

    passed = operator.answered({}, operator.order(a_run(at(5), at(6))), 0, result)

    assert passed == {"generation": 3, "counts": {"read": 1}, "outcome": "loaded"}


def test_lines_are_whole_however_they_arrive():
    assert list(_lines(iter([b"a\nb", None, b"c\n", b"\xff", b"d"]))) == ["a", "bc", "\ufffdd"]


def test_a_pod_is_valid_and_hardened():
    operator = step(KubernetesStep, namespace="haulier", config_file=None)
    operator.arguments = ["run"]
    operator.__dict__["hook"] = SimpleNamespace(
        is_in_cluster=False,
        get_xcom_sidecar_container_image=lambda: None,
        get_xcom_sidecar_container_resources=lambda: None,
    )
    pod = ApiClient().sanitize_for_serialization(operator.build_pod_request_obj())
    pod |= {"apiVersion": "v1", "kind": "Pod"}
    base = pod["spec"]["containers"][0]

    validate(pod, "1.37", strict=True)
    with pytest.raises(Exception, match="unknownField"):
        validate({**pod, "spec": {**pod["spec"], "unknownField": 1}}, "1.37", strict=True)
    assert base["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert pod["spec"]["containers"][1]["securityContext"] == base["securityContext"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert base["resources"]["limits"] == {"memory": "512Mi"}
    assert {mount["mountPath"] for mount in base["volumeMounts"]} >= {
        "/definitions",
        "/run/secrets/steps",
        "/tmp",
    }


def test_a_pods_exit_code_is_the_steps():
    terminated = SimpleNamespace(exit_code=65)
    status = SimpleNamespace(name="base", state=SimpleNamespace(terminated=terminated))
    pod = SimpleNamespace(status=SimpleNamespace(container_statuses=[status]))

    assert _exit_code(pod, "base") == 65
    assert _exit_code(pod, "other") is None
    assert _exit_code(None, "base") is None


@pytest.mark.parametrize(
    ("docker", "kubernetes"), [("512m", "512Mi"), ("2g", "2Gi"), ("1Gi", "1Gi"), ("1000", "1000")]
)
def test_memory_means_the_same_in_a_pod(docker, kubernetes):
    assert _quantity(docker) == kubernetes


def test_a_dry_run_in_pods_is_refused_with_the_way_out():
    with pytest.raises(DefinitionError, match="haulier plan"):
        step(KubernetesStep, namespace="haulier").execute(a_run(at(5), at(6), dry_run=True))


def test_arrival_looks_for_the_runs_own_day(tmp_path):
    path = "701/labs_{date:%Y-%m-%d}.csv"
    (tmp_path / "701").mkdir()
    (tmp_path / "701/labs_2026-01-05.csv").write_text("a\n")
    interval = interval_of(a_run(at(5), at(6)), "@daily")
    later = interval_of(a_run(at(6), at(7)), "@daily")

    assert arrived(str(tmp_path), path, interval)
    assert not arrived(str(tmp_path), path, later)


def test_arrival_defers_only_while_nothing_is_there(tmp_path):
    from airflow.sdk.exceptions import TaskDeferred

    operator = Arrival(
        task_id="arrival",
        paths=[
            (None, "x_{date:%Y-%m-%d}.csv", 7),
            (at(6), "y_{date:%Y-%m-%d}.csv", 5),
            (at(7), "z_{date:%Y-%m-%d}.csv", 0),
        ],
        source_root=tmp_path,
        schedule="@daily",
    )
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(a_run(at(5), at(6)))
    _, told = deferred.value.trigger.serialize()
    assert told == {
        "root": str(tmp_path),
        "path": "x_{date:%Y-%m-%d}.csv",
        "start": utc(at(5)),
        "end": utc(at(6)),
        "seconds": 420,
    }
    assert operator.retries >= 1

    (tmp_path / "x_2026-01-05.csv").write_text("a\n")
    operator.execute(a_run(at(5), at(6)))
    # From the sixth on files go by another name.
    (tmp_path / "x_2026-01-06.csv").write_text("a\n")
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(a_run(at(6), at(7)))
    assert deferred.value.trigger.serialize()[1]["seconds"] == 300
    (tmp_path / "y_2026-01-06.csv").write_text("a\n")
    operator.execute(a_run(at(6), at(7)))
    # From the seventh on nothing is waited for.
    operator.execute(a_run(at(7), at(8)))


def test_a_dag_knows_each_state_of_its_instance(tmp_path):
    waits = {"path": "a_{date:%Y-%m-%d}.csv", "select": "name", "ready": {"wait_minutes": 7}}
    changes = [
        {"since": "2026-01-20", "source": {"files": {"ready": {"wait_minutes": 0}}}},
        {"since": "2026-02-01", "source": {"files": {"path": "b_*.csv", "select": "modified"}}},
    ]
    folder = writer(tmp_path)(
        {"instances.south.source": {"files": waits}, "instances.south.changes": changes}
    )
    settings = AirflowSettings.from_env(
        {
            "HAULIER_DEFINITIONS": str(folder),
            "HAULIER_SOURCE_ROOT": str(tmp_path),
            "HAULIER_RUNNER": "process",
        }
    )
    north, south = all_dags(settings)

    assert "arrival" not in north.task_ids
    assert [(path, minutes) for _, path, minutes in south.get_task("arrival").paths] == [
        ("a_{date:%Y-%m-%d}.csv", 7),
        ("a_{date:%Y-%m-%d}.csv", 0),
        ("b_*.csv", 0),
    ]
    assert "`a_{date:%Y-%m-%d}.csv` → `sales.orders`\n; from 2026-02-01 on `b_*.csv`" in south.doc_md
    for begins, name in (
        (None, "b_*.csv"),
        (at(5), "a_{date:%Y-%m-%d}.csv"),
        (datetime(2026, 2, 1, tzinfo=UTC), "b_*.csv"),
    ):
        (source,) = south.get_task("extract").datasets.lineage("extract", None, begins).inputs
        assert source.name == f"{tmp_path}/{name}"


@pytest.mark.parametrize("found", [True, False])
def test_the_trigger_ends_with_a_file_or_with_the_time(tmp_path, found):
    import asyncio

    from haulier_airflow.arrival import ArrivalTrigger

    if found:
        (tmp_path / "x_2026-01-05.csv").write_text("a\n")
    trigger = ArrivalTrigger(
        root=str(tmp_path), path="x_{date:%Y-%m-%d}.csv", start=utc(at(5)), end=utc(at(6)), seconds=0.01
    )

    async def first():
        return await anext(trigger.run())

    assert asyncio.run(first()).payload == {"arrived": found}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("PGPASSWORD=secret\n", "a.env:1: PGPASSWORD is a secret"),
        ("# fine\n\nnothing\n", "a.env:3: is not NAME=value; write a variable and its value on each line"),
    ],
)
def test_an_environment_file_holds_names_and_no_secret(tmp_path, text, message):
    file = tmp_path / "a.env"
    file.write_text(text)

    with pytest.raises(DefinitionError, match=message) as refused:
        read_environment(file)
    assert "=secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["nowhere", ":/a", "/a:b", "/a:/b:rx"])
def test_a_mount_that_is_none_is_refused(text):
    with pytest.raises(DefinitionError, match="HAULIER_STEP_MOUNTS"):
        AirflowSettings.from_env({"HAULIER_STEP_MOUNTS": text})


def test_an_unknown_runner_is_refused():
    with pytest.raises(DefinitionError, match="'podman' is not one of docker, kubernetes, process"):
        AirflowSettings.from_env({"HAULIER_RUNNER": "podman"})


def test_the_line_for_a_person_says_what_the_operator_does():
    line = CONTAINERS.by_hand("load", ["run"])

    assert line[:3] == ["docker", "run", "--rm"]
    assert line[-2:] == ["haulier/load:latest", "run"]
    assert "--mount=type=volume,source=state,target=/state" in line
    assert "--mount=type=volume,source=definitions-claim,target=/definitions,readonly" in line
    assert json.dumps(line).count("PGPASSWORD") == 0
