"""What the demo says at its end: the accounts, what stayed outside and why, and what to try next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg2 import sql

from haulier.interval import Interval
from haulier.ledger.queries import queries
from haulier_command.by_hand import environment_lines
from haulier_command.hauling import Hauled
from haulier_command.ledger import Row, accounts, reading, rows
from haulier_command.output import Block, Lines, Screen, Table, columns
from haulier_command.summary import summary, tables
from haulier_command.surroundings import Surroundings, home_of, me, near
from haulier_command.tables import Target
from haulier_command.verbs.run import failures
from haulier_command.words import counted, interval_name, short

if TYPE_CHECKING:
    from haulier.settings import Settings
    from haulier_command.embedded import Tier

_SQL = queries("haulier_command.verbs", "demo.sql")
_REJECTS = queries("haulier_command.verbs", "rejects.sql")
_TRACE = queries("haulier_command.verbs", "trace.sql")


@dataclass(frozen=True, kw_only=True)
class Digest:
    """A table's promised columns, all rows of them, in one number."""

    rows: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What happened."""

    hauled: Sequence[Hauled]
    again: bool
    before: Mapping[str, Digest]
    after: Mapping[str, Digest]
    seconds: float
    home: Path
    code: int
    #: Quarantined, as their files deserve.
    meant: Sequence[Hauled]


def digests(settings: Settings) -> dict[str, Digest]:
    """Of every table the ledger loaded."""
    found = {}
    with reading(settings, "demo") as cursor:
        for row in rows(cursor, _TRACE["all_targets"]):
            target = Target.of(cursor, row["target"])
            statement = sql.SQL(_SQL["table_digest"]).format(
                columns=sql.SQL(", ").join(sql.Identifier(name) for name in target.columns),
                table=sql.Identifier(*target.name.split(".", 1)),
            )
            found[target.name] = Digest(**rows(cursor, statement)[0])
    return found


def report(demo: Demo, tier: Tier, around: Surroundings, screen: Screen) -> None:
    settings = around.settings
    held = accounts(settings, [one.run for one in demo.hauled])
    lines = summary(demo.hauled, held)
    filters = {"pipeline": None, "instance": None, "rule": None, "since": None, "every": True}
    with reading(settings, "demo") as cursor:
        by_rule = rows(cursor, _REJECTS["by_rule"], filters)
        quarantined = rows(cursor, _SQL["quarantined"])
        traced = rows(cursor, _SQL["row_with_history"])
        replayable = rows(cursor, _SQL["replayable"])
    commands = _commands(around, demo, traced, replayable)
    unmeant = [one for one in demo.hauled if one not in demo.meant]
    screen.show(
        {
            "exit_code": demo.code,
            "again": demo.again,
            "seconds": round(demo.seconds, 1),
            "runs": [one.as_json() for one in demo.hauled],
            "summary": lines,
            "rejects_by_rule": by_rule,
            "quarantined": quarantined,
            "tables": {
                name: {
                    "rows": after.rows,
                    "sha256": after.sha256,
                    "sha256_before": demo.before[name].sha256 if name in demo.before else None,
                }
                for name, after in demo.after.items()
            },
            "next": commands,
        },
        *tables(lines, instance_word="site"),
        *_outside(by_rule, quarantined),
        *failures(unmeant),
        _tables_block(demo),
        Lines(title="Try next:", lines=commands, commands=True),
    )


def _outside(by_rule: Sequence[Row], quarantined: Sequence[Row]) -> list[Block]:
    """Why rows, and whole runs, did not enter."""
    blocks: list[Block] = [
        Table(
            title="Rows that did not enter, by rule",
            columns=columns("pipeline", "rule", "column", "rows#", "example"),
            rows=[
                tuple(row[n] for n in ("pipeline", "rule", "column", "rejects", "example"))
                for row in by_rule[:8]
            ],
            note=_more_rules(by_rule[8:]),
        )
    ]
    for row in quarantined:
        blocks.append(Lines(title=f"Quarantined, as it should be: {_run_name(row)}", lines=explained(row)))
    return blocks


def _more_rules(left: Sequence[Row]) -> str:
    if not left:
        return ""
    others = counted(sum(row["rejects"] for row in left), "row")
    return f"{others} of {counted(len(left), 'more rule')}: {me()} rejects list --all"


def explained(row: Row) -> list[str]:
    """Why a run is kept out; every row it read is named, so that the numbers close."""
    others = row["rejects"] - row["rows"]
    left = [
        f"{row[name]} {'was' if row[name] == 1 else 'were'} {name}"
        for name in ("filtered", "stripped")
        if row[name]
    ]
    fates = [f"{row['rejects']} are in the dead letter", *left, f"{row['held']} good ones are held"]
    lines = [
        f"{row['rows']} of its {row['read']} rows break the rule {row['rule']}{f', {others} others' if others else ''}: "
        f"more than the pipeline lets in, so none entered. {', '.join(fates)}."
    ]
    if row["message"]:
        lines.append(f"For example: {row['message']}")
    if row["file"]:
        lines.append(
            f"The site sent {row['file']} again, corrected; the run of {row['at']:%Y-%m-%d} loaded it."
        )
    return lines


def _tables_block(demo: Demo) -> Block:
    def state(name: str) -> str:
        if name not in demo.before:
            return "new"
        return "unchanged" if demo.before[name] == demo.after[name] else "changed"

    same = demo.again and demo.code == 0 and all(state(name) == "unchanged" for name in demo.after)
    runs = counted(len(demo.hauled), "run")
    said = (
        f"All {runs} were done once more, and nothing changed: every row is what it was before."
        if same
        else f"{runs} in {demo.seconds:.0f} s. Do it again, and nothing will change: {me()} demo"
        if demo.code == 0
        else f"{runs} in {demo.seconds:.0f} s, not all of them well."
    )
    was = ["before"] if demo.again else []
    return Table(
        title="The tables",
        columns=columns(
            "table",
            "rows#",
            *(f"sha-256 {when}".strip() for when in [*was, "after" if was else ""]),
            "state!",
        ),
        rows=[
            (
                name,
                digest.rows,
                *([short(demo.before[name].sha256)] if was and name in demo.before else [""] * len(was)),
                short(digest.sha256),
                state(name),
            )
            for name, digest in demo.after.items()
        ],
        note=said,
    )


def _commands(
    around: Surroundings, demo: Demo, traced: Sequence[Row], replayable: Sequence[Row]
) -> list[str]:
    """Commands that work as they stand."""
    elsewhere = demo.home != home_of(around.environ)
    prefix = f"HAULIER_HOME={shlex.quote(near(demo.home))} " if elsewhere else ""
    mine = f"{prefix}{me()}"
    newest = max((one.run.interval.end for one in demo.hauled), default=None)
    now = f" --now {newest:%Y-%m-%dT%H:%M:%SZ}" if newest else ""
    target = next(iter(demo.after), None)
    commands = [f"{mine} status{now}", f"{mine} rejects list", f"{mine} verify --deep"]
    if replayable:
        first = replayable[0]
        commands.insert(
            2, f"{mine} rejects export --instance {first['instance']} --to rejects-{first['instance']}.csv"
        )
        commands.append(
            f"{mine} replay --pipeline {first['pipeline']} --instance {first['instance']} --rule {first['rule']} "
            "--reason 'to see what happens'"
        )
    if traced:
        key = " ".join(shlex.quote(f"{name}={value}") for name, value in traced[0]["key"].items())
        commands.append(f"{mine} trace {traced[0]['target']} {key}")
    if target:
        sources = " && ".join(line for line in environment_lines(around) if line.startswith(". "))
        query = shlex.quote(f"TABLE {target} LIMIT 5")
        commands.append(f"({sources} && psql -c {query})")
    commands.append(f"{mine} demo --down")
    return commands


def _run_name(row: Row) -> str:
    interval = Interval(start=row["interval_start"], end=row["interval_end"])
    return f"{row['pipeline']}/{row['instance']} {interval_name(interval)}"
