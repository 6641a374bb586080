"""A step in a pod. Where several machines are needed, Kubernetes is the engine; there is none of our own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import models as k8s
from kubernetes.client.exceptions import ApiException

from haulier.errors import DefinitionError
from haulier_airflow.codes import ByExitCode
from haulier_airflow.orders import StepOf, StepTask, told
from haulier_command.containers import RESULT_FILE, STOP_SECONDS, TMP_BYTES, Containers, Mount

#: The user of the images, by number, so that `runAsNonRoot` can be checked before a pod starts.
_USER = 10001
_STARTUP_SECONDS = 300
_GONE = 404
#: Deaf to SIGTERM, as the provider starts it, it would hold a deleted pod for its whole grace.
_KEEPER = ["sh", "-c", 'trap "exit 0" INT TERM; while true; do sleep 1; done']
#: Past a pod's grace: its node is lost, and waiting would not end; the ledger's fence keeps its step harmless.
_GONE_SECONDS = STOP_SECONDS + 10


class KubernetesStep(StepTask, KubernetesPodOperator):
    """One step of one instance. Mounts name claims, or `secret/NAME` and `configmap/NAME`."""

    template_fields = ()

    def __init__(
        self,
        *,
        of: StepOf,
        shard: Mapping[str, Any] | None = None,
        containers: Containers,
        **options: Any,
    ) -> None:
        environment = {**(containers.environment or {}), "HAULIER_RESULT_FILE": RESULT_FILE}
        volumes = [_volume(number, mount) for number, mount in enumerate(containers.mounts)]
        memory = _quantity(containers.memory)
        super().__init__(
            **{
                "name": f"haulier-{of.step if of.verb == 'run' else of.verb}",
                "image": containers.image(of.program),
                "image_pull_policy": "IfNotPresent",
                "env_vars": environment,
                "labels": {"app.kubernetes.io/part-of": "haulier", "app.kubernetes.io/component": of.step},
                "do_xcom_push": True,
                "startup_check_interval_seconds": 1,
                "startup_timeout_seconds": _STARTUP_SECONDS,
                "termination_grace_period": STOP_SECONDS,
                "automount_service_account_token": False,
                "on_finish_action": "delete_pod",
                # An earlier attempt's pod is ended, as a container is: ADR 5.
                "durable": False,
                "log_formatter": _line,
                "security_context": k8s.V1PodSecurityContext(
                    run_as_non_root=True,
                    run_as_user=_USER,
                    run_as_group=_USER,
                    fs_group=_USER,
                    seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
                ),
                "container_security_context": _hardened(),
                "xcom_sidecar_container_security_context": _hardened(),
                "container_resources": k8s.V1ResourceRequirements(
                    requests={"cpu": "250m", "memory": memory}, limits={"memory": memory}
                ),
                "volumes": [
                    k8s.V1Volume(
                        name="tmp", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit=_quantity(TMP_BYTES))
                    ),
                    *(volume for volume, _ in volumes),
                ],
                "volume_mounts": [
                    k8s.V1VolumeMount(name="tmp", mount_path="/tmp"),  # noqa: S108 - a folder of the pod
                    *(mounted for _, mounted in volumes),
                ],
                "retry_policy": ByExitCode(),
                **options,
            }
        )
        self.of, self.shard = of, shard

    def execute(self, context: Context) -> Any:
        order = self.order(context)
        if order.verb == "plan":
            raise DefinitionError(
                "dry_run needs a folder that the three steps share, which pods have not; "
                "plan where the definitions lie: haulier plan"
            )
        self.arguments = order.arguments
        self._end_twins(context)
        return self.answered(context, order, 0, super().execute(context))

    def build_pod_request_obj(self, context: Context | None = None, *, dry_run: bool = False) -> k8s.V1Pod:
        """As the provider does; the container that keeps the result readable is the step's image, too, and no third one."""
        pod = super().build_pod_request_obj(context, dry_run=dry_run)
        for container in pod.spec.containers[1:]:
            container.image, container.image_pull_policy = self.image, self.image_pull_policy
            container.command = _KEEPER
        return pod

    def _end_twins(self, context: Context) -> None:
        """Delete what an earlier attempt of this task left behind, and wait until nothing of it runs."""
        selector = self._build_find_pod_label_selector(context, exclude_checked=False)

        def left() -> list[k8s.V1Pod]:
            return list(self.client.list_namespaced_pod(self.namespace, label_selector=selector).items)

        for pod in left():
            if pod.metadata.deletion_timestamp is None:
                self.log.warning("ending pod %s of an earlier attempt", pod.metadata.name)
                self._delete(pod.metadata.name)
        waited = 0
        while (
            any(_exit_code(pod, self.base_container_name) is None for pod in left())
            and waited < _GONE_SECONDS
        ):
            time.sleep(1)
            waited += 1

    def _delete(self, name: str) -> None:
        try:
            self.client.delete_namespaced_pod(name, self.namespace, grace_period_seconds=STOP_SECONDS)
        except ApiException as exc:
            if exc.status != _GONE:
                raise

    def cleanup(
        self,
        pod: k8s.V1Pod,
        remote_pod: k8s.V1Pod,
        xcom_result: dict[str, Any] | None = None,
        context: Context | None = None,
    ) -> None:
        """As the provider does; a failure then carries the step's exit code."""
        try:
            # Without a context it hands on no result: what a failure hands on is ours to say.
            super().cleanup(pod, remote_pod, xcom_result, None)
        except AirflowException:
            code = _exit_code(remote_pod, self.base_container_name)
            if code and context:
                result = xcom_result if isinstance(xcom_result, dict) else None
                self.answered(context, self.order(context), code, result)
            raise


def _line(container: str, line: str) -> str:
    """A line of a step's log as people read it; the provider knows no level."""
    return told(line)[1]


def _hardened() -> k8s.V1SecurityContext:
    return k8s.V1SecurityContext(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        capabilities=k8s.V1Capabilities(drop=["ALL"]),
    )


def _exit_code(pod: k8s.V1Pod | None, container: str) -> int | None:
    statuses = (pod.status.container_statuses if pod and pod.status else None) or []
    for status in statuses:
        if status.name == container and status.state and status.state.terminated:
            code: int = status.state.terminated.exit_code
            return code
    return None


def _volume(number: int, mount: Mount) -> tuple[k8s.V1Volume, k8s.V1VolumeMount]:
    name = f"mount-{number}"
    kind, _, rest = mount.source.rpartition("/")
    if kind == "secret":
        volume = k8s.V1Volume(
            name=name, secret=k8s.V1SecretVolumeSource(secret_name=rest, default_mode=0o440)
        )
    elif kind == "configmap":
        volume = k8s.V1Volume(name=name, config_map=k8s.V1ConfigMapVolumeSource(name=rest))
    else:
        claim = k8s.V1PersistentVolumeClaimVolumeSource(claim_name=mount.source, read_only=not mount.writable)
        volume = k8s.V1Volume(name=name, persistent_volume_claim=claim)
    return volume, k8s.V1VolumeMount(name=name, mount_path=mount.target, read_only=not mount.writable)


def _quantity(size: str) -> str:
    """Docker's `512m` is Kubernetes' `512Mi`; its own `m` would be a thousandth of a byte."""
    return f"{size}i".replace("g", "G").replace("m", "M").replace("k", "K") if size[-1:] in "gmk" else size
