"""What Airflow's own environment says about how steps are run. Nothing of it is secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from haulier.errors import DefinitionError
from haulier.settings import Variable
from haulier_command.containers import Containers, Mount, read_environment

Runner = Literal["docker", "kubernetes", "process"]

VARIABLES: tuple[Variable, ...] = (
    Variable(
        name="HAULIER_RUNNER",
        default="docker",
        meaning="What runs a step: `docker`, `kubernetes`, or `process` for machines without an engine.",
    ),
    Variable(
        name="HAULIER_DEFINITIONS",
        default="/definitions",
        meaning="Folder with `pipelines/` and `contracts/`, as Airflow's DAG processor sees it.",
    ),
    Variable(
        name="HAULIER_SOURCE_ROOT",
        default="/landing",
        meaning="Folder that arrival sensors look below, as Airflow's triggerer and workers see it.",
    ),
    Variable(
        name="HAULIER_STEP_ENVIRONMENT",
        default="",
        meaning="File of `NAME=value` lines, the environment of every step. Secrets: `NAME_FILE` only.",
    ),
    Variable(
        name="HAULIER_STEP_MOUNTS",
        default="",
        meaning="What steps see of the host, `source:target[:rw]`, separated by commas.",
    ),
    Variable(name="HAULIER_STEP_NETWORK", default="", meaning="Docker network of the steps' containers."),
    Variable(name="HAULIER_STEP_MEMORY", default="1g", meaning="Memory a step's container may take."),
    Variable(
        name="HAULIER_IMAGE_PREFIX", default="haulier/", meaning="Goes before `extract`, `transform`, `load`."
    ),
    Variable(name="HAULIER_IMAGE_TAG", default="latest", meaning="Which release of the images runs."),
    Variable(name="HAULIER_NAMESPACE", default="haulier", meaning="Kubernetes namespace of the steps' pods."),
    Variable(
        name="HAULIER_ALERT_URL",
        default="",
        meaning="Receives failures and missed deadlines as JSON by POST.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class AirflowSettings:
    """The table above, read."""

    runner: Runner = "docker"
    definitions: Path = Path("/definitions")
    source_root: Path = Path("/landing")
    namespace: str = "haulier"
    alert_url: str | None = None
    containers: Containers = field(default_factory=Containers)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> AirflowSettings:
        """Raises `DefinitionError` naming the variable and its value."""
        told = {variable.name: environ.get(variable.name) or variable.default for variable in VARIABLES}
        runner = told["HAULIER_RUNNER"]
        if runner not in get_args(Runner):
            raise DefinitionError(f"HAULIER_RUNNER: {runner!r} is not one of {', '.join(get_args(Runner))}")
        file = told["HAULIER_STEP_ENVIRONMENT"]
        mounts = [text for text in told["HAULIER_STEP_MOUNTS"].split(",") if text.strip()]
        return cls(
            runner=cast(Runner, runner),
            definitions=Path(told["HAULIER_DEFINITIONS"]),
            source_root=Path(told["HAULIER_SOURCE_ROOT"]),
            namespace=told["HAULIER_NAMESPACE"],
            alert_url=told["HAULIER_ALERT_URL"] or None,
            containers=Containers(
                prefix=told["HAULIER_IMAGE_PREFIX"],
                tag=told["HAULIER_IMAGE_TAG"],
                network=told["HAULIER_STEP_NETWORK"] or None,
                memory=told["HAULIER_STEP_MEMORY"],
                mounts=tuple(Mount.parse(text.strip()) for text in mounts),
                environment=read_environment(Path(file)) if file else {},
            ),
        )
