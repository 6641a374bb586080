"""A step in a hardened container of the Docker engine.

The provider's operator gives the connection to the engine. How a container is made, watched and ended is
our own: it knows no `read_only`, `init`, `cap_drop` or `pids_limit`, takes a trailing warning for the
result, and leaves a container that timed out running beside its retry.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any

from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk import Context
from docker import types
from docker.errors import APIError, ImageNotFound, NotFound

from haulier_airflow.codes import ByExitCode
from haulier_airflow.orders import PLAN_FOLDER, StepOf, StepTask, task_key
from haulier_command.containers import PIDS, RESULT_FILE, STOP_SECONDS, TMP_BYTES, Containers, Mount, shown
from haulier_command.steps import Order

_LABEL = "haulier.task"


class DockerStep(StepTask, DockerOperator):
    """One step of one instance. Pushes the step's result, which it reads from a file, as XCom."""

    template_fields = ()

    def __init__(
        self,
        *,
        of: StepOf,
        shard: Mapping[str, Any] | None = None,
        containers: Containers,
        **options: Any,
    ) -> None:
        options = {"retry_policy": ByExitCode(), **options}
        super().__init__(
            image=containers.image(of.program), auto_remove="never", mount_tmp_dir=False, **options
        )
        self.of, self.shard = of, shard
        self.containers = containers

    def execute(self, context: Context) -> Any:
        order = self.order(context)
        key = task_key(context)
        # A worker that died left its container behind: the fence makes it harmless, ending it makes room.
        for twin in self.cli.containers(all=True, filters={"label": f"{_LABEL}={key}"}):
            self.log.warning("ending container %s of an earlier attempt", twin["Id"][:12])
            self._end(twin["Id"])
        volume = _plan_volume(context["ti"].dag_id, context["ti"].run_id) if order.verb == "plan" else None
        try:
            code, result = self._run(order, key, volume)
            return self.answered(context, order, code, result)
        except BaseException:
            self._remove_volume(volume)
            raise

    def on_kill(self) -> None:
        """End the container as whoever ended the task would: SIGTERM, and SIGKILL when that is not heard."""
        if self.container:
            container, self.container = self.container["Id"], None  # type: ignore[assignment]  # its own default
            self._end(container)

    def _run(self, order: Order, key: str, volume: str | None) -> tuple[int, dict[str, Any] | None]:
        self.log.info("by hand: %s", shown(self.containers.by_hand(order.program, order.arguments)))
        try:
            self.container = self._created(order, key, volume)
            container = self.container["Id"]
            output = self.cli.attach(container, stdout=True, stderr=True, stream=True, demux=True)
            self.cli.start(container)
            for line in _lines(error for _, error in output):
                self.tell(line)
            code = int(self.cli.wait(container)["StatusCode"])
            return code, self._result(container)
        finally:
            self.on_kill()

    def _created(self, order: Order, key: str, volume: str | None) -> dict[str, Any]:
        mounts = [_mount(mount) for mount in self.containers.mounts]
        # Outlives the container's process, which a tmpfs does not; removed with it.
        mounts.append(types.Mount(RESULT_FILE.rpartition("/")[0], None, type="volume"))
        if volume:
            mounts.append(types.Mount(PLAN_FOLDER, volume, type="volume"))
        host = self.cli.create_host_config(
            init=True,
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            pids_limit=PIDS,
            tmpfs={"/tmp": f"size={TMP_BYTES}"},  # noqa: S108 - a folder of the container
            mem_limit=self.containers.memory,
            network_mode=self.containers.network,
            mounts=mounts,
        )

        def create() -> dict[str, Any]:
            made: dict[str, Any] = self.cli.create_container(
                self.image,
                command=order.arguments,
                environment={**(self.containers.environment or {}), "HAULIER_RESULT_FILE": RESULT_FILE},
                labels={_LABEL: key},
                user=self.containers.user,
                host_config=host,
            )
            return made

        try:
            return create()
        except ImageNotFound:
            self.log.info("pulling %s", self.image)
            self.cli.pull(self.image)
            return create()

    def _result(self, container: str) -> dict[str, Any] | None:
        try:
            pieces, _ = self.cli.get_archive(container, RESULT_FILE)
        except NotFound:
            return None
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
            file = archive.extractfile(RESULT_FILE.rpartition("/")[2])
            found: dict[str, Any] | None = json.load(file) if file else None
        return found

    def _end(self, container: str) -> None:
        try:
            self.cli.stop(container, timeout=STOP_SECONDS)
            self.cli.remove_container(container, force=True, v=True)
        except NotFound:
            return
        except APIError as exc:
            self.log.warning("container %s could not be removed: %s", container[:12], exc)

    def _remove_volume(self, volume: str | None) -> None:
        """The last step of a dry run always ends here: it is skipped."""
        if volume:
            try:
                self.cli.remove_volume(volume)
            except APIError as exc:
                self.log.warning("volume %s could not be removed: %s", volume, exc)


def _mount(mount: Mount) -> types.Mount:
    return types.Mount(mount.target, mount.source, type=mount.kind, read_only=not mount.writable)


def _plan_volume(dag_id: str, run_id: str) -> str:
    return "haulier-plan-" + hashlib.sha256(f"{dag_id}/{run_id}".encode()).hexdigest()[:16]


def _lines(chunks: Iterator[bytes | None]) -> Iterator[str]:
    """Whole lines of what arrives in pieces."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + (chunk or b"")).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in lines)
    if rest:
        yield rest.decode("utf-8", "replace")
