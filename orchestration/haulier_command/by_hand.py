"""The command lines that do by hand what a run does, with the environment they need and no secret in it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from haulier.settings import SECRET_PREFIX, VARIABLES
from haulier_command.containers import Containers
from haulier_command.hauling import Run
from haulier_command.steps import STEPS, StepName
from haulier_command.surroundings import Surroundings, exported, near

_SECRET_WORDS = ("PASSWORD", "SECRET", "TOKEN", "ACCESS_KEY")


def by_hand(
    runs: Sequence[Run], around: Surroundings, containers: Containers | None = None
) -> tuple[list[str], list[str]]:
    """(lines that set the environment, command lines): pasted into a shell, they do the runs.

    With ``containers`` the command lines are `docker run`, and need of the environment its secrets only.
    """
    orders = [run.order(step, None) for run in runs for step in _steps(around, run)]
    if containers is None:
        return environment_lines(around), [str(order) for order in orders]
    commands = [shlex.join(containers.by_hand(order.program, order.arguments)) for order in orders]
    return environment_lines(around), commands


def _steps(around: Surroundings, run: Run) -> tuple[StepName, ...]:
    from haulier.loading import load_pipeline

    models = load_pipeline(around.settings.definitions, run.pipeline).pipeline.models
    return (*STEPS, "models") if models else STEPS


def environment_lines(around: Surroundings) -> list[str]:
    """Files to source first, then what the environment says beyond them; of a secret only its name."""
    lines = [f". {shlex.quote(near(file))}" for file in around.sourced]
    known = {name for file in around.sourced for name in exported(file)}
    for name, value in sorted(relevant(around.environ).items()):
        if name in known:
            continue
        if is_secret(name):
            lines.append(f"# {name}: a secret; set it, or {name}_FILE")
        else:
            lines.append(f"export {name}={shlex.quote(value)}")
    return lines


def relevant(environ: Mapping[str, str]) -> dict[str, str]:
    """What a step reads of an environment."""
    ours = (
        {variable.name for variable in VARIABLES}
        | {f"{v.name}_FILE" for v in VARIABLES if v.secret}
        | {"AWS_DEFAULT_REGION"}
    )
    return {
        name: value
        for name, value in environ.items()
        if value and (name in ours or name.startswith(("PG", SECRET_PREFIX)))
    }


def is_secret(name: str) -> bool:
    declared = {variable.name for variable in VARIABLES if variable.secret}
    return name in declared or (not name.endswith("_FILE") and any(word in name for word in _SECRET_WORDS))
