"""`haulier backfill`: a range of the past, side by side, as often as it takes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from haulier.errors import DefinitionError
from haulier.interval import Interval
from haulier.ledger.queries import queries
from haulier_command.choice import add_instance_options, chosen_instances, chosen_runs
from haulier_command.hauling import Run
from haulier_command.ledger import reading, rows
from haulier_command.output import Lines, Screen
from haulier_command.surroundings import Surroundings
from haulier_command.verbs.run import add_hauling_options, haul, report
from haulier_command.words import counted

_SQL = queries("haulier_command.verbs", "backfill.sql")


def add_arguments(parser: ArgumentParser) -> None:
    add_instance_options(parser, required=True)
    parser.add_argument(
        "--from",
        dest="range_start",
        required=True,
        metavar="DATE",
        help="cut into runs by the schedule (UTC)",
    )
    parser.add_argument("--to", dest="range_end", required=True, metavar="DATE", help="the end, not included")
    parser.add_argument(
        "--reprocess", metavar="REASON", help="loaded runs, too; those loaded again for this reason are done"
    )
    add_hauling_options(parser, "runs")
    parser.set_defaults(interval_start=None, interval_end=None, due=False, now=None)
    parser.epilog = (
        "The newest runs come first, and --jobs of them go on side by side, of one\n"
        "instance, too: a row's version decides what stays in the table, not the order\n"
        "of loading. Called again it goes on with what is not loaded."
    )


def backfill(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    for instance in chosen_instances(around.settings, asked.pipeline, asked.instance):
        if instance.source.as_it_stands:
            raise DefinitionError(
                f"{instance.pipeline}/{instance.instance} reads what is there now, whichever interval is named, so its past "
                "cannot be run again: "
                + (
                    "haulier state set or reset lets its next run begin earlier"
                    if instance.source.position
                    else "its next run reads everything"
                )
            )
    wanted = chosen_runs(around.settings, asked)
    loaded = _loaded(around, wanted, asked.reprocess)
    left = sorted((run for run in wanted if run not in loaded), key=_end, reverse=True)
    done = f"{counted(len(loaded), 'run')} of {len(wanted)} {'was' if len(loaded) == 1 else 'were'} loaded before"
    if not left:
        screen.show(
            {"exit_code": 0, "runs": [], "summary": [], "loaded_before": len(loaded)}, Lines(lines=[done])
        )
        return 0
    hauled = haul(left, asked, around, screen, side_by_side=True)
    return report(hauled, around, screen, *([Lines(lines=[done])] if loaded else []))


def _end(run: Run) -> Interval:
    return run.interval


def _loaded(around: Surroundings, wanted: Sequence[Run], reason: str | None) -> list[Run]:
    """Those that need no further attempt."""
    lanes = sorted({run.lane for run in wanted})
    values = {"pipelines": [p for p, _ in lanes], "instances": [i for _, i in lanes], "reason": reason}
    with reading(around.settings, "backfill") as cursor:
        found = {
            (row["pipeline"], row["instance"], Interval(start=row["interval_start"], end=row["interval_end"]))
            for row in rows(cursor, _SQL["loaded_runs"], values)
        }
    return [run for run in wanted if (*run.lane, run.interval) in found]
