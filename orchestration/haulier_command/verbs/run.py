"""`haulier run`: runs hauled here as Airflow would haul them, each step a process of its own."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from haulier.errors import HaulierError, worst
from haulier_command.choice import (
    add_instance_options,
    add_interval_options,
    add_range_options,
    chosen_runs,
    natural,
    positive,
)
from haulier_command.codes import meaning
from haulier_command.hauling import Hauled, Hauling, Run, by_lane
from haulier_command.output import Block, Lines, Screen
from haulier_command.steps import Here, Processes, Start
from haulier_command.surroundings import Surroundings, near
from haulier_command.words import counted

if TYPE_CHECKING:
    from haulier_command.containers import Containers

EPILOG = """\
Exit code: the worst of all runs, in this order: 1 bug, 143 cancelled,
2 definition, 65 data, 77 fenced, 75 unavailable; 0 when everything was done
or there was nothing new. A quarantined or fenced run is its own affair; after
any other failure the instance's later runs are left out.
docs/exit-codes.md has the table.
"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_instance_options(parser)
    add_interval_options(parser)
    add_range_options(parser)
    parser.add_argument("--reprocess", metavar="REASON", help="open a new generation though nothing changed")
    add_hauling_options(parser)
    parser.add_argument(
        "--print", dest="only_print", action="store_true", help="print each step's command line; run nothing"
    )


def add_hauling_options(parser: ArgumentParser, what: str = "instances") -> None:
    parser.add_argument(
        "--jobs", type=positive, metavar="N", help=f"{what} side by side; default: processors, at most 4"
    )
    parser.add_argument(
        "--retries", type=natural, default=2, metavar="N", help="tries again where that can help; default: 2"
    )
    parser.add_argument(
        "--with",
        dest="runner",
        choices=("process", "docker"),
        default="process",
        help="what each step runs in; docker: the images of `make images`",
    )
    parser.add_argument("--in-process", action="store_true", help="no process per step, to debug with")


def run(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    runs = chosen_runs(around.settings, asked)
    if asked.only_print:
        from haulier_command.by_hand import by_hand

        lines, commands = by_hand(runs, around, _containers(asked, around))
        screen.show(
            {"environment": lines, "commands": commands}, Lines(lines=[*lines, "", *commands], commands=True)
        )
        return 0
    if not runs:
        screen.show({"exit_code": 0, "runs": [], "summary": []}, Lines(lines=["nothing is due"]))
        return 0
    hauled = haul(runs, asked, around, screen)
    return report(hauled, around, screen)


def haul(
    runs: Sequence[Run], asked: Namespace, around: Surroundings, screen: Screen, *, side_by_side: bool = False
) -> list[Hauled]:
    """All of them, watched by whoever sits at the terminal."""
    from haulier_command.ledger import recorded_status
    from haulier_command.progress import watching

    logs = log_folder(around)
    start: Start = (
        Here(around.environ)
        if asked.in_process
        else Processes(around.environ, containers=_containers(asked, around))
    )
    with watching(runs, screen) as watch:
        recorded = partial(recorded_status, around.settings)
        hauling = Hauling(start=start, logs=logs, retries=asked.retries, watch=watch, recorded=recorded)
        return hauling.all(runs, jobs(asked), side_by_side=side_by_side)


def _containers(asked: Namespace, around: Surroundings) -> Containers | None:
    if asked.runner != "docker":
        return None
    from haulier_command.containers import here

    return here(around.environ)


def report(hauled: Sequence[Hauled], around: Surroundings, screen: Screen, *more: Block) -> int:
    """Show the summary; return the command's exit code."""
    from haulier_command import ledger
    from haulier_command.summary import summary, tables

    code = worst(one.code for one in hauled)
    try:
        accounts = ledger.accounts(around.settings, [one.run for one in hauled])
    except HaulierError as exc:
        screen.tell(f"haulier: the ledger cannot be read, so there are no accounts: {exc}")
        accounts = []
    lines = summary(hauled, accounts)
    screen.show(
        {"exit_code": code, "runs": [one.as_json() for one in hauled], "summary": lines},
        *(tables(lines) if accounts else [without_accounts(hauled)]),
        *more,
        *waiting(hauled),
        *failures(hauled),
    )
    return code


def log_folder(around: Surroundings) -> Path:
    """Where the steps of this command log."""
    return around.home / "logs" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"


def jobs(asked: Namespace) -> int:
    return asked.jobs or min(os.cpu_count() or 1, 4)


def without_accounts(hauled: Sequence[Hauled]) -> Lines:
    """How each instance's runs ended where nothing was loaded, and why some were not begun, each reason once."""
    from haulier_command.progress import outcomes

    lanes = by_lane(one.run for one in hauled)
    ended = [outcomes([one for one in hauled if one.run.lane == lane]) for lane in lanes]
    why = dict.fromkeys(one.error for one in hauled if one.outcome == "not run" and one.error)
    return Lines(lines=[*ended, *(f"not run: {reason}" for reason in why)])


def waiting(hauled: Sequence[Hauled]) -> list[Block]:
    """Files that no run has taken: whoever only sees `empty` would never look for them."""
    files = list(dict.fromkeys(line for one in hauled for line in one.waits))
    if not files:
        return []
    return [
        Lines(title=f"{counted(len(files), 'file')} {'waits' if len(files) == 1 else 'wait'}", lines=files)
    ]


def failures(hauled: Sequence[Hauled]) -> list[Block]:
    """Why runs did not load, said once for all that failed alike."""
    failed = [one for one in hauled if one.error and one.outcome != "not run"]
    if not failed:
        return []
    alike: dict[tuple[str, int, str], list[Hauled]] = {}
    for one in failed:
        alike.setdefault((one.step, one.code, one.error), []).append(one)
    lines = []
    for (step, code, error), those in alike.items():
        others = f" and {counted(len(those) - 1, 'other')}" if len(those) > 1 else ""
        lines += [f"{those[0].run}{others}, {step}, exit {code} ({meaning(code)}):", f"    {error}"]
        lines += [f"    log: {near(log)}" for log in [those[0].log] if log]
    return [Lines(title=f"{counted(len(failed), 'run')} did not load", lines=lines, commands=True)]
