"""Which runs a person asked for: by interval, by a range that the schedule cuts, or all that are due."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING

from haulier.errors import DefinitionError
from haulier.interval import Interval, parse_instant
from haulier_command.hauling import Run
from haulier_command.words import day_or_instant

if TYPE_CHECKING:
    from haulier.definitions import Instance
    from haulier.settings import Settings


def add_instance_options(parser: ArgumentParser, *, required: bool = False) -> None:
    parser.add_argument(
        "--pipeline", metavar="P", required=required, help=None if required else "default: all"
    )
    parser.add_argument("--instance", metavar="I", help="default: all of the pipeline")


def add_interval_options(parser: ArgumentParser) -> None:
    parser.add_argument("--interval-start", metavar="TIME", help="one run: ISO 8601 with an offset or Z")
    parser.add_argument("--interval-end", metavar="TIME", help="its end, not included")


def add_range_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="range_start", metavar="DATE", help="a range, cut into runs by the schedule (UTC)"
    )
    parser.add_argument("--to", dest="range_end", metavar="DATE", help="the range's end, not included")
    parser.add_argument(
        "--due",
        action="store_true",
        help="all that the schedule asks for and the ledger does not show as done",
    )
    parser.add_argument("--now", metavar="TIME", help="with --due: judge as if it were this time")


def chosen_instances(settings: Settings, pipeline: str | None, instance: str | None) -> Iterator[Instance]:
    """The instances a person named, or all, in the order of the files. Raises `DefinitionError`."""
    from haulier import loading

    if instance and not pipeline:
        raise DefinitionError("--instance needs --pipeline: names of instances are a pipeline's own")
    folder = settings.definitions
    files = [loading.load_pipeline(folder, pipeline)] if pipeline else loading.load_pipelines(folder).values()
    for file in files:
        for name in [instance] if instance else loading.instances(file):
            yield loading.resolve_instance(file, name)


def chosen_runs(settings: Settings, asked: Namespace) -> list[Run]:
    """What to haul, oldest first within an instance. Raises `DefinitionError`."""
    instances = list(chosen_instances(settings, asked.pipeline, asked.instance))
    one = _interval(asked)
    ways = [one is not None, bool(asked.range_start or asked.range_end), asked.due]
    if sum(ways) != 1:
        raise DefinitionError(
            "say which runs, in one way: --interval-start and --interval-end, --from and --to, or --due"
        )
    if asked.now and not asked.due:
        raise DefinitionError("--now goes with --due")
    if one is not None:
        intervals = {_lane(i): [one] for i in instances}
    elif asked.due:
        if not any(i.schedule for i in instances):
            raise DefinitionError("none of these pipelines has a schedule; name an interval")
        intervals = due_intervals(settings, instances, _now(asked.now))
    else:
        intervals = {_lane(i): _cut(i, asked.range_start, asked.range_end) for i in instances}
    return list(
        chain.from_iterable(
            (Run(pipeline=p, instance=i, interval=interval, reprocess=asked.reprocess) for interval in found)
            for (p, i), found in intervals.items()
        )
    )


def due_intervals(
    settings: Settings, instances: list[Instance], now: datetime
) -> dict[tuple[str, str], list[Interval]]:
    """Per scheduled instance, the runs due by ``now`` that the ledger does not show as loaded or empty."""
    from haulier_command.ledger import completed_runs
    from haulier_command.schedule import due

    scheduled = [i for i in instances if i.schedule]
    completed = completed_runs(settings, [_lane(i) for i in scheduled])
    return {
        _lane(i): [
            interval
            for interval in due(i.schedule or "", i.start, i.catchup, now)
            if (i.pipeline, i.instance, interval) not in completed
        ]
        for i in scheduled
    }


def _interval(asked: Namespace) -> Interval | None:
    if not asked.interval_start and not asked.interval_end:
        return None
    if not (asked.interval_start and asked.interval_end):
        raise DefinitionError("--interval-start and --interval-end go together")
    return Interval.parse(asked.interval_start, asked.interval_end)


def one_interval(asked: Namespace) -> Interval:
    """The interval that must be named. Raises `DefinitionError`."""
    found = _interval(asked)
    if found is None:
        raise DefinitionError("name the interval: --interval-start and --interval-end")
    return found


def _cut(instance: Instance, start: str | None, end: str | None) -> list[Interval]:
    from haulier_command.schedule import cut

    if not (start and end):
        raise DefinitionError("--from and --to go together")
    if not instance.schedule:
        raise DefinitionError(
            f"{instance.pipeline} has no schedule to cut a range by; use --interval-start and --interval-end"
        )
    whole = Interval(start=day_or_instant(start, "--from"), end=day_or_instant(end, "--to"))
    found = list(cut(instance.schedule, whole.start, whole.end))
    if not found:
        raise DefinitionError(
            f"{instance.pipeline}: no whole run of {instance.schedule} lies in {whole}; --to is not included"
        )
    return found


def _now(text: str | None) -> datetime:
    return parse_instant(text, "--now") if text else datetime.now(UTC)


def _lane(instance: Instance) -> tuple[str, str]:
    return instance.pipeline, instance.instance


def positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or text.strip("0") == "":
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def natural(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)
