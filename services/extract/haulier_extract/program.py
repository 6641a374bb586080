"""What extract answers to; what a verb needs is imported when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulier.run import Program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulier.settings import Settings
    from haulier.task import Outcome, Task


def _run(task: Task) -> Outcome:
    from haulier_extract.step import extract

    return extract(task)


def _plan(task: Task) -> Outcome:
    from haulier_extract.step import plan

    return plan(task)


def _check(pipeline: str | None, instance: str | None, settings: Settings) -> list[tuple[str, str]]:
    from haulier_extract.check import check

    return check(pipeline, instance, settings)


def _discover(wanted: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    from haulier_extract.discovery import Wanted, discover

    return discover(Wanted(**wanted), settings)


def _spec() -> dict[str, Any]:
    from haulier.schemas import spec

    return spec("extract")


EXTRACT = Program(
    name="extract",
    summary="Read a source as it is and hand it on as text.",
    run=_run,
    plan=_plan,
    check=_check,
    spec=_spec,
    discover=_discover,
)
