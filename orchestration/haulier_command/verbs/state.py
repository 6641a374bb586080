"""`haulier state`: how far each source was read, and moving that by hand."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from haulier.definitions import Instance
from haulier.errors import DefinitionError
from haulier.interval import Interval
from haulier.ledger.queries import queries
from haulier_command.choice import add_instance_options, chosen_instances
from haulier_command.ledger import Row, reading, rows
from haulier_command.output import Block, Lines, Screen, Table, add_output_option, columns
from haulier_command.surroundings import Surroundings
from haulier_command.words import interval_name

_SQL = queries("haulier_command.verbs", "state.sql")


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    shown = verbs.add_parser("show", help="where each source stands, and who moved it", allow_abbrev=False)
    add_instance_options(shown)
    moved = verbs.add_parser("set", help="let the next run begin at a value", allow_abbrev=False)
    reset = verbs.add_parser("reset", help="let the next run read everything", allow_abbrev=False)
    for sub in (moved, reset):
        add_instance_options(sub, required=True)
        sub.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded in the ledger")
        sub.epilog = (
            "Runs that read and have not loaded, or are quarantined, are left behind: they no longer hold up the next "
            "one, and what they read is read again only from the new position on."
        )
    moved.add_argument("--value", required=True, metavar="V", help="of the watermark's column")
    for sub in (shown, moved, reset):
        add_output_option(sub, nested=True)


def state(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    if asked.what == "show":
        return _show(asked, around, screen)
    instance = _one(asked, around)
    name = instance.source.position
    if name is None:
        raise DefinitionError(
            f"{instance.pipeline}/{instance.instance} has no position: what its source holds does not depend on the last run"
        )
    from haulier.ledger.connection import connect, driver_errors
    from haulier.ledger.states import move

    after = instance.source.position_of(asked.value) if asked.what == "set" else None
    values = {"pipeline": instance.pipeline, "instance": instance.instance}
    with driver_errors(), connect(around.settings, "haulier state") as connection:
        change_id, before = move(
            connection, around.settings, **values, name=name, after=after, reason=asked.reason
        )
    with reading(around.settings, "state") as cursor:
        behind = rows(cursor, _SQL["unloaded"], values)
    document = {
        "change": change_id,
        **values,
        "name": name,
        "before": before,
        "after": after,
        "left_behind": behind,
    }
    lines = [f"{name} of {instance.pipeline}/{instance.instance}: {_shown(before)} -> {_shown(after)}"]
    lines += [f"left behind: {_name(row)}, {row['status']}" for row in behind]
    screen.show(document, Lines(lines=lines))
    return 0


def _one(asked: Namespace, around: Surroundings) -> Instance:
    found = list(chosen_instances(around.settings, asked.pipeline, asked.instance))
    if len(found) != 1:
        raise DefinitionError(
            f"{asked.pipeline} has {len(found)} instances, each with a position of its own; name one with --instance"
        )
    return found[0]


def _show(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    values = {"pipeline": asked.pipeline, "instance": asked.instance}
    with reading(around.settings, "state") as cursor:
        states = rows(cursor, _SQL["states"], values)
        changes = rows(cursor, _SQL["changes"], values)
    blocks: list[Block] = [
        Table(
            title="Positions",
            columns=columns("pipeline", "instance", "name", "position", "moved by", "at"),
            rows=[
                (
                    *(row["pipeline"], row["instance"], row["name"], _shown(row["value"])),
                    *(f"run {_name(row)}" if row["load_id"] else row["actor"], row["at"]),
                )
                for row in states
            ],
            nothing="no source was read by a position yet",
        )
    ]
    if changes:
        blocks.append(
            Table(
                title="Moved by hand",
                columns=columns(
                    "change#", "pipeline", "instance", "name", "before", "after", "actor", "at", "reason"
                ),
                rows=[
                    (
                        *(row["change_id"], row["pipeline"], row["instance"], row["name"]),
                        *(
                            _shown(row["before"]),
                            _shown(row["after"]),
                            row["actor"],
                            row["at"],
                            row["reason"],
                        ),
                    )
                    for row in changes
                ],
            )
        )
    screen.show({"states": states, "changes": changes}, *blocks)
    return 0


def _shown(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "the beginning"
    return f"{value['column']} {value['value']}" if set(value) == {"column", "value"} else str(dict(value))


def _name(row: Row) -> str:
    return interval_name(Interval(start=row["interval_start"], end=row["interval_end"]))
