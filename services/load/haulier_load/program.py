"""What load answers to; what a verb needs is imported when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulier.run import Program

if TYPE_CHECKING:
    from haulier.run import RunName
    from haulier.settings import Settings
    from haulier.task import Outcome, Task


def _run(task: Task) -> Outcome:
    from haulier_load.step import load

    return load(task)


def _plan(task: Task) -> Outcome:
    from haulier_load.step import plan

    return plan(task)


def _check(pipeline: str | None, instance: str | None, settings: Settings) -> list[tuple[str, str]]:
    from haulier_load.check import check

    return check(pipeline, instance, settings)


def _spec() -> dict[str, Any]:
    from haulier.schemas import spec

    return spec("load")


def _verify(
    deep: bool, run: RunName | None, settings: Settings
) -> tuple[list[tuple[str, str, str]], dict[str, Any]]:
    from haulier.errors import DefinitionError
    from haulier.exchange import open_exchange
    from haulier.ledger.connection import connect, driver_errors
    from haulier.ledger.reports import report
    from haulier.ledger.verify import verify

    with driver_errors(), connect(settings, "haulier verify") as connection:
        told = report(connection, settings, *run) if run else {}
        if told is None:
            named = " ".join(map(str, run or ()))
            raise DefinitionError(f"the ledger knows no run {named}; haulier status lists those there are")
        exchange = open_exchange(settings)
        found = verify(connection, settings, exchange=exchange, deep=deep, run_id=told.get("run"))
    return [(one.invariant, one.subject, one.problem) for one in found], told


LOAD = Program(
    name="load",
    summary="Put canonical rows into PostgreSQL by COPY, in one transaction with the ledger.",
    run=_run,
    plan=_plan,
    check=_check,
    spec=_spec,
    verify=_verify,
)
