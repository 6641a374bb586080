"""`haulier demo`: a trial's files arrive day by day and are hauled, on this machine, without Docker."""

from __future__ import annotations

import os
import shlex
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from haulier.errors import DefinitionError, HaulierError, worst
from haulier_command.codes import stops_instance
from haulier_command.hauling import Hauled, Hauling, Run
from haulier_command.output import Lines, Screen
from haulier_command.steps import Processes
from haulier_command.surroundings import DEMO_ENVIRONMENT, Surroundings, me, near
from haulier_command.trial import Landing, example
from haulier_command.verbs.run import log_folder
from haulier_command.verbs.tier import add_home_option, home_of, take_down
from haulier_command.words import counted

if TYPE_CHECKING:
    from haulier.settings import Settings
    from haulier_command.embedded import Tier
    from haulier_command.verbs.demo_report import Digest

JOBS = 2
#: What the demo hauls.
OURS = frozenset({"labs", "vitals"})


def add_arguments(parser: ArgumentParser) -> None:
    add_home_option(parser)
    parser.add_argument(
        "--down", action="store_true", help="stop what the demo started and remove what it wrote"
    )
    parser.epilog = (
        "Run it a second time: the same files are hauled again, and nothing changes.\n"
        "It needs the example files of a checkout, and neither Docker nor root."
    )


def demo(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    home = home_of(asked, around)
    if asked.down:
        if others := _not_ours(home):
            raise DefinitionError(
                f"{near(home)} also holds what {', '.join(others)} hauled; {me()} down removes that with all the rest, "
                f"{me()} down --keep only stops it"
            )
        take_down(home)
        screen.show(
            {"home": home, "removed": True}, Lines(lines=[f"the demo is stopped, {near(home)} is removed"])
        )
        return 0
    began = time.monotonic()
    tier, around = _set_up(home, around, screen)
    landing = Landing(home=home)
    again = landing.complete
    settings = around.settings
    before = _digests(settings)
    hauled = _haul_days(landing, around, screen, again)
    after = _digests(settings)
    meant = [one for one in hauled if one.outcome == "quarantined" and landing.meant_to_fail(one.run)]
    code = worst(one.code for one in hauled if one not in meant)
    from haulier_command.verbs.demo_report import Demo, report

    told = Demo(
        hauled=hauled,
        again=again,
        before=before,
        after=after,
        seconds=time.monotonic() - began,
        home=home,
        code=code,
        meant=meant,
    )
    report(told, tier, around, screen)
    return code


def _not_ours(home: Path) -> list[str]:
    """Pipelines of somebody else that were hauled here, where a ledger answers or can be made to."""
    from haulier.settings import Settings
    from haulier_command.embedded import running, up
    from haulier_command.ledger import hauled_lanes, reading

    if not (home / "tier.json").exists():
        return []
    # What no longer starts holds nothing that anybody could still use.
    with suppress(HaulierError):
        tier = running(home) or up(home)
        with reading(Settings.from_env(tier.environment), "demo") as cursor:
            return sorted({pipeline for pipeline, _ in hauled_lanes(cursor)} - OURS)
    return []


def _set_up(home: Path, around: Surroundings, screen: Screen) -> tuple[Tier, Surroundings]:
    """Both servers, the ledger, and the environment that the steps and the next commands need."""
    from haulier.ledger.migrate import upgrade
    from haulier_command.embedded import running, up

    definitions = example()
    if running(home) is None:
        screen.tell(f"starting PostgreSQL and an S3 under {near(home)} ...")
    tier = up(home)
    upgrade(tier.environment)
    ours = {"HAULIER_DEFINITIONS": str(definitions), "HAULIER_SOURCE_ROOT": str(Landing(home=home).folder)}
    lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in ours.items())
    (home / DEMO_ENVIRONMENT).write_text(f"# The demo's definitions and files.\n{lines}", encoding="utf-8")
    environ = {**tier.environment_over(around.environ), **ours}
    return tier, Surroundings(environ=environ, home=home, sourced=(home / "env.sh", home / DEMO_ENVIRONMENT))


def _digests(settings: Settings) -> Mapping[str, Digest]:
    from haulier_command.verbs.demo_report import digests

    return digests(settings)


def _haul_days(landing: Landing, around: Surroundings, screen: Screen, again: bool) -> list[Hauled]:
    """Each day's files arrive, then every site and pipeline hauls that day."""
    from haulier_command.board import watching
    from haulier_command.choice import chosen_instances
    from haulier_command.ledger import recorded_status

    lanes = [(i.pipeline, i.instance) for i in chosen_instances(around.settings, None, None)]
    days = landing.days
    sites = counted(len({instance for _, instance in lanes}), "site")
    what = "once more, no new file" if again else "each day its files arrive, then vitals and labs are hauled"
    screen.tell(f"{counted(len(days), 'day')} of a trial at {sites}: {what}")
    start = Processes(around.environ)
    hauled: list[Hauled] = []
    with watching(lanes, days, screen) as watch:
        recorded = partial(recorded_status, around.settings)
        hauling = Hauling(start=start, logs=log_folder(around), retries=2, watch=watch, recorded=recorded)
        for number, day in enumerate(days):
            landing.deliver(number)
            runs = [Run(pipeline=pipeline, instance=instance, interval=day) for pipeline, instance in lanes]
            done = hauling.all(runs, min(JOBS, os.cpu_count() or 1))
            hauled += done
            if start.stopped.is_set() or any(stops_instance(one.code) for one in done):
                break
    return hauled
