"""`haulier verify`: the promises of the ledger and the tables, proved or refuted one by one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from haulier.errors import DataError, DefinitionError
from haulier_command.choice import add_instance_options, add_interval_options, chosen_runs
from haulier_command.output import Block, Lines, Screen, Table, columns
from haulier_command.surroundings import Surroundings
from haulier_command.words import counted

if TYPE_CHECKING:
    from haulier.ledger.connection import Connection
    from haulier.ledger.verify import Finding
    from haulier_command.hauling import Run

SHOWN_AT_MOST = 20

EPILOG = """\
Without an interval it judges all there is. With one (--interval-start and
--interval-end, or --from and --to) it judges those runs alone, at a cost that
does not grow with the ledger, and counts what became of each.
I3 (any order of runs) and I6 (reruns) are no state of a ledger that a query
could judge: tests hold them. docs/guarantees.md has all ten.
"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("--deep", action="store_true", help="read every part and target row again")
    parser.add_argument("--target", metavar="TABLE", help="only what concerns this table, schema.name")
    add_instance_options(parser)
    add_interval_options(parser)
    parser.add_argument("--from", dest="range_start", metavar="DATE", help="runs of a range (UTC)")
    parser.add_argument("--to", dest="range_end", metavar="DATE", help="the range's end, not included")


def verify(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    from haulier.exchange import open_exchange
    from haulier.ledger import verify as judge
    from haulier.ledger.connection import connect, driver_errors

    settings = around.settings
    runs = _runs(asked, around)
    with driver_errors(), connect(settings, "haulier verify") as connection:
        exchange = open_exchange(settings)
        reports = _reports(connection, around, runs)
        found: list[Finding] = []
        for run_id in [report["run"] for report in reports.values()] if runs else [None]:
            found += judge.verify(
                connection,
                settings,
                exchange=exchange,
                deep=asked.deep,
                target=asked.target,
                run_id=run_id,
            )
    by_name = {name: [one for one in found if one.invariant == name] for name in judge.INVARIANTS}
    code = DataError.exit_code if found else 0
    screen.show(
        {
            "ok": not found,
            "exit_code": code,
            "deep": asked.deep,
            "invariants": {name: len(mine) for name, mine in by_name.items()},
            "findings": [
                {"invariant": one.invariant, "subject": one.subject, "problem": one.problem} for one in found
            ],
            "runs": [{"name": str(run), **report} for run, report in reports.items()],
        },
        *_counted(reports),
        Table(
            title="Invariants",
            columns=columns("", "promise", "state!"),
            rows=[
                (name, judge.INVARIANTS[name], f"wrong: {len(mine)}" if mine else "ok")
                for name, mine in by_name.items()
            ],
            note="held by tests, as no query sees it: "
            + "; ".join(f"{name} {promise}" for name, promise in judge.HELD_BY_TESTS.items()),
        ),
        _told(found),
    )
    return code


def _runs(asked: Namespace, around: Surroundings) -> list[Run]:
    """The runs a person named; none: everything is judged. Raises `DefinitionError`."""
    intervals = (asked.interval_start, asked.interval_end, asked.range_start, asked.range_end)
    if not any(intervals):
        if asked.pipeline or asked.instance:
            raise DefinitionError(
                "name the runs, too: --interval-start and --interval-end, or --from and --to"
            )
        return []
    named = Namespace(**vars(asked), due=False, now=None, reprocess=None)
    return chosen_runs(around.settings, named)


def _reports(
    connection: Connection, around: Surroundings, runs: Sequence[Run]
) -> dict[Run, Mapping[str, Any]]:
    """Those the ledger knows. Raises `DefinitionError` when it knows none of them."""
    from haulier.ledger.reports import report

    found = {
        run: report(connection, around.settings, run.pipeline, run.instance, run.interval) for run in runs
    }
    known: dict[Run, Mapping[str, Any]] = {run: told for run, told in found.items() if told is not None}
    if runs and not known:
        raise DefinitionError(f"the ledger knows no run {runs[0]}; haulier status lists those there are")
    return known


def _counted(reports: Mapping[Run, Mapping[str, Any]]) -> list[Block]:
    from haulier_command.figures import figures

    if len(reports) == 1:
        return [block for report in reports.values() for block in figures(report)]
    if not reports:
        return []
    source = ("deliveries", "read", "accepted", "filtered", "rejected", "stripped")
    rows = [
        (run, report["outcome"], report["generation"], *(report["source"][name] for name in source))
        for run, report in reports.items()
    ]
    named = columns("run", "outcome!", "generation#", *(f"{name}#" for name in source))
    return [Table(title=counted(len(reports), "run"), columns=named, rows=rows)]


def _told(found: Sequence[Finding]) -> Block:
    if not found:
        return Lines(lines=["Nothing fell off."])
    return Table(
        title=counted(len(found), "violation"),
        columns=columns("", "what", "problem"),
        rows=[(one.invariant, one.subject, one.problem) for one in found[:SHOWN_AT_MOST]],
        note=f"and {len(found) - SHOWN_AT_MOST} more: --output json has all"
        if len(found) > SHOWN_AT_MOST
        else "",
    )
