"""`haulier replay`: open rejects hauled again through all three steps, after a fix."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from functools import partial

from haulier.definitions import Instance
from haulier.errors import DefinitionError, worst
from haulier.interval import Interval
from haulier.ledger.queries import queries
from haulier.loading import PipelineFile
from haulier_command.choice import add_instance_options, positive
from haulier_command.hauling import Hauled, Run
from haulier_command.ledger import Row, reading, rows
from haulier_command.output import Lines, Screen, Table, columns
from haulier_command.surroundings import Surroundings, me
from haulier_command.verbs.run import add_hauling_options, failures, haul
from haulier_command.words import counted, interval_name

_SQL = queries("haulier_command.verbs", "replay.sql")


def add_arguments(parser: ArgumentParser) -> None:
    add_instance_options(parser, required=True)
    parser.add_argument("--rule", metavar="R", help="only rejects that break this rule first")
    parser.add_argument(
        "--reject", type=positive, action="append", metavar="ID", help="only this one; may be given again"
    )
    parser.add_argument(
        "--reason", required=True, metavar="TEXT", help="what was fixed; recorded in the ledger"
    )
    add_hauling_options(parser)
    parser.epilog = (
        "Rejects keep the version of their row: a newer row in the table stays.\n"
        "Rejects of a quarantined run are not replayed, none of its rows is in the\n"
        "table: haulier run --reprocess."
    )


def replay(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    runs, asked_for = _request(asked, around)
    if not runs:
        screen.show(
            {"exit_code": 0, "replays": []},
            Lines(lines=[f"no open reject to replay; see {me()} rejects list --pipeline {asked.pipeline}"]),
        )
        return 0
    hauled = haul(runs, asked, around, screen)
    with reading(around.settings, "replay") as cursor:
        outcomes = rows(cursor, _SQL["outcomes"], {"replays": [run.replay for run in runs]})
    by_replay = {row["replay_id"]: row for row in outcomes}
    lines = [_line(one, asked_for[one.run.replay or 0], by_replay.get(one.run.replay)) for one in hauled]
    code = worst(one.code for one in hauled)
    screen.show(
        {"exit_code": code, "replays": lines}, _table(lines), *failures(hauled), *_still(lines, asked)
    )
    return code


def _request(asked: Namespace, around: Surroundings) -> tuple[list[Run], dict[int, int]]:
    """The replays, written down; and how many rejects each is for. Raises `DefinitionError`."""
    from haulier import loading
    from haulier.ledger.connection import connect, driver_errors
    from haulier.ledger.replays import request_replays

    settings = around.settings
    if not asked.reason.strip():
        raise DefinitionError("--reason is empty; the ledger wants to know what was fixed")
    file = loading.load_pipeline(settings.definitions, asked.pipeline)
    names = [asked.instance] if asked.instance else loading.instances(file)
    for name in names:
        # Where no day's rows can be hauled singly, that is the answer, whatever is open.
        if all(_needs_all(loading.resolve(file, name, at)[0]) for at in loading.states(file, name)):
            _refuse(loading.resolve(file, name)[0])
    with driver_errors(), connect(settings, "haulier replay") as connection:
        found = request_replays(
            connection,
            settings,
            asked.pipeline,
            {name: partial(_digest, file, name) for name in names},
            rule=asked.rule,
            reject_ids=asked.reject,
            reason=asked.reason,
        )
    runs = [
        Run(pipeline=asked.pipeline, instance=one.instance, interval=one.interval, replay=one.replay_id)
        for one in found
    ]
    return runs, {one.replay_id: one.rejects for one in found}


def _digest(file: PipelineFile, instance: str, interval: Interval) -> str:
    """Of what a run of the interval obeys now. Raises `DefinitionError` where that cannot haul single rows."""
    from haulier import loading
    from haulier.digests import definition_digest

    definition, contract = loading.resolve(file, instance, interval.start)
    _refuse(definition)
    return definition_digest(definition, contract)


def _refuse(definition: Instance) -> None:
    """Raises `DefinitionError` for what needs all rows of a run."""
    if needs := _needs_all(definition):
        pipeline, instance = definition.pipeline, definition.instance
        raise DefinitionError(
            f"{pipeline}/{instance} {needs}, and a replay brings single ones; haul the run again: "
            f"{me()} run --pipeline {pipeline} --instance {instance} … --reprocess REASON"
        )


def _needs_all(definition: Instance) -> str | None:
    """Why single rows of a run are of no use to it."""
    if definition.transform.pivot:
        return "makes one row of each group (transform.pivot), which takes all rows of the group"
    if any(model.contract for model in definition.models):
        return "merges by models, which read all rows of a run together"
    return None


def _line(hauled: Hauled, rejects: int, row: Row | None) -> dict[str, object]:
    return {
        **hauled.as_json(),
        "interval": interval_name(hauled.run.interval),
        "rejects": rejects,
        "replayed": row["replayed"] if row else 0,
        "failed_again": row["failed_again"] if row else 0,
        "new_rejects": row["new_rejects"] if row else 0,
    }


def _table(lines: Sequence[dict[str, object]]) -> Table:
    names = (
        "replay",
        "pipeline",
        "instance",
        "interval",
        "rejects",
        "replayed",
        "failed_again",
        "new_rejects",
        "outcome",
    )
    return Table(
        title="Replayed",
        columns=columns(
            *(
                "replay#",
                "pipeline",
                "instance",
                "run",
                "rejects#",
                "replayed#",
                "failed again#",
                "new rejects#?",
                "outcome!",
            )
        ),
        rows=[tuple(line.get(name) for name in names) for line in lines],
        note="failed again: the row still breaks a rule, and its reject stays open.",
    )


def _still(lines: Sequence[dict[str, object]], asked: Namespace) -> list[Lines]:
    left = sum(line["failed_again"] for line in lines if isinstance(line["failed_again"], int))
    if not left:
        return []
    command = f"{me()} rejects list --pipeline {asked.pipeline}"
    return [Lines(title=f"{counted(left, 'reject')} failed again", lines=[command], commands=True)]
