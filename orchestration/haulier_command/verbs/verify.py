"""`haulier verify`: the promises of the ledger and the tables, proved or refuted one by one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from haulier.errors import DataError
from haulier_command.output import Block, Lines, Screen, Table, columns
from haulier_command.surroundings import Surroundings
from haulier_command.words import counted

SHOWN_AT_MOST = 20


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--deep", action="store_true", help="read every part and every target row again")
    parser.add_argument("--target", metavar="TABLE", help="only what concerns this table, schema.name")


def verify(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    from haulier.exchange import open_exchange
    from haulier.ledger import verify as judge
    from haulier.ledger.connection import connect, driver_errors

    settings = around.settings
    with driver_errors(), connect(settings, "haulier verify") as connection:
        exchange = open_exchange(settings)
        found = judge.verify(connection, settings, exchange=exchange, deep=asked.deep, target=asked.target)
    by_name = {name: [one for one in found if one.invariant == name] for name in judge.INVARIANTS}
    code = DataError.exit_code if found else 0
    blocks: list[Block] = [
        Table(
            title="Invariants",
            columns=columns("", "promise", "state!"),
            rows=[
                (name, judge.INVARIANTS[name], f"wrong: {len(mine)}" if mine else "ok")
                for name, mine in by_name.items()
            ],
        )
    ]
    if found:
        blocks.append(
            Table(
                title=counted(len(found), "violation"),
                columns=columns("", "what", "problem"),
                rows=[(one.invariant, one.subject, one.problem) for one in found[:SHOWN_AT_MOST]],
                note=f"and {len(found) - SHOWN_AT_MOST} more: --output json has all"
                if len(found) > SHOWN_AT_MOST
                else "",
            )
        )
    else:
        blocks.append(Lines(lines=["Nothing fell off."]))
    screen.show(
        {
            "ok": not found,
            "exit_code": code,
            "deep": asked.deep,
            "invariants": {name: len(mine) for name, mine in by_name.items()},
            "findings": [
                {"invariant": one.invariant, "subject": one.subject, "problem": one.problem} for one in found
            ],
        },
        *blocks,
    )
    return code
