"""What transform answers to, models being its own verb; what a verb needs is imported when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulier.run import Program

if TYPE_CHECKING:
    from haulier.settings import Settings
    from haulier.task import Outcome, Task


def _run(task: Task) -> Outcome:
    from haulier_transform.step import transform

    return transform(task)


def _plan(task: Task) -> Outcome:
    from haulier_transform.step import plan

    return plan(task)


def _check(pipeline: str | None, instance: str | None, settings: Settings) -> list[tuple[str, str]]:
    from haulier_transform.check import check

    return check(pipeline, instance, settings)


def _models(task: Task) -> Outcome:
    from haulier_transform.models.step import build, plan

    return plan(task) if task.verb == "plan" else build(task)


def _spec() -> dict[str, Any]:
    from haulier.schemas import spec

    return spec("transform")


TRANSFORM = Program(
    name="transform",
    summary="Make typed, canonical rows; reject the rest with a reason.",
    run=_run,
    plan=_plan,
    check=_check,
    spec=_spec,
    models=_models,
)
