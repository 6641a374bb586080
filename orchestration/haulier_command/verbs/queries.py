"""`haulier queries`: rejects and flags as questions to somebody: how they stand, what is said of them, a list for the sender."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from haulier.errors import DefinitionError
from haulier.interval import Interval, parse_instant
from haulier.ledger.decisions import STATUSES, WAITING, Word, numbers, say
from haulier.ledger.queries import queries as statements
from haulier_command.choice import natural, positive
from haulier_command.ledger import Row, reading, refuse_unknown, rows
from haulier_command.output import Block, Facts, Lines, Screen, Table, add_output_option, columns
from haulier_command.surroundings import Surroundings, me, near
from haulier_command.words import counted, interval_name

_SQL = statements("haulier_command.verbs", "queries.sql")

#: What a person does -> the word the ledger keeps, and what it is for.
_WORDS: dict[str, tuple[Word, str]] = {
    "answer": ("answered", "say what is known of it; it waits for a decision"),
    "release": ("released", "accept it as it is: a flagged value stays, a rejected row stays out"),
    "close": ("closed", "end it: there is nothing to decide"),
    "reopen": ("reopened", "take an answer or a decision back"),
}
#: Shares of overdue queries from which on an instance is worth a look, and an alarm; in percent.
_ELEVATED, _HIGH = 5, 10
_BY_STATUS = ("status", "owner", "queries", "rejects", "flags", "oldest")
_BY_INSTANCE = (
    "pipeline",
    "instance",
    "open",
    "answered",
    "overdue",
    "overdue_percent",
    "alert",
    "oldest_days",
)
_ROWS = ("query", "status", "pipeline", "instance", "file", "row", "rule", "column", "age_days")


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    listed = verbs.add_parser(
        "list", help="counts by status and owner, shares overdue, and the queries", allow_abbrev=False
    )
    _add_filters(listed)
    listed.add_argument("--instance", metavar="I")
    listed.add_argument(
        "--limit", type=positive, default=20, metavar="N", help="how many queries to show; default: 20"
    )
    shown = verbs.add_parser(
        "show", help="all there is to know of one, and all that was said", allow_abbrev=False
    )
    shown.add_argument("query", metavar="QUERY", help="R12 (of a reject) or F7 (of a flag)")
    said = []
    for name, (_, purpose) in _WORDS.items():
        sub = verbs.add_parser(name, help=purpose, allow_abbrev=False)
        sub.add_argument("queries", nargs="+", metavar="QUERY", help="R12 (of a reject) or F7 (of a flag)")
        sub.add_argument(
            "--reason", required=True, metavar="TEXT", help="why; sealed in the ledger with who and when"
        )
        sub.epilog = "All of them, or none. It changes no row of any table, and cannot be changed or removed afterwards."
        said.append(sub)
    exported = verbs.add_parser(
        "export", help="a CSV or a workbook for whoever sent the files", allow_abbrev=False
    )
    _add_filters(exported)
    exported.add_argument(
        "--instance", required=True, metavar="I", help="whose queries: nobody gets those of others"
    )
    exported.add_argument("--to", required=True, type=Path, metavar="FILE", help="FILE.csv or FILE.xlsx")
    exported.epilog = (
        "A line for each query, with its row as it was sent. Cells of columns that the contract\n"
        "calls blinded, and of all that it does not know beside them, are marked [blinded]."
    )
    for sub in (listed, shown, *said, exported):
        add_output_option(sub, nested=True)


def _add_filters(parser: ArgumentParser) -> None:
    parser.add_argument("--pipeline", metavar="P")
    parser.add_argument("--rule", metavar="R")
    parser.add_argument("--kind", choices=("reject", "flag"), help="default: both")
    parser.add_argument("--status", choices=STATUSES, help="default: open and answered")
    parser.add_argument("--all", dest="every", action="store_true", help="settled ones, too")
    parser.add_argument("--owner", metavar="O", help="of pipelines whose definition says so")
    parser.add_argument("--older-than", type=natural, metavar="DAYS", help="opened longer ago")
    parser.add_argument(
        "--overdue-after", type=natural, default=7, metavar="DAYS", help="open longer is overdue; default: 7"
    )
    parser.add_argument("--now", metavar="TIME", help="judge ages as if it were this time")


def queries(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    if asked.what in _WORDS:
        return _say(asked, around, screen)
    return {"list": _list, "show": _show, "export": _export}[asked.what](asked, around, screen)


def _list(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    values = _filters(asked)
    with reading(around.settings, "queries") as cursor:
        by_status = rows(cursor, _chosen("by_status"), values)
        by_instance = rows(cursor, _chosen("by_instance"), values)
        found = rows(cursor, _chosen("rows"), {**values, "limit": asked.limit})
        if not found:
            refuse_unknown(cursor, around.settings, asked.pipeline, asked.instance)
    for row in by_instance:
        row["alert"] = _alert(row["overdue_percent"])
    total = sum(row["queries"] for row in by_status)
    document = {
        "queries": total,
        "overdue_after_days": asked.overdue_after,
        "by_status": by_status,
        "by_instance": by_instance,
        "rows": found,
    }
    if not found:
        screen.show(document, Lines(lines=["no query"]))
        return 0
    more = (
        f"{counted(total - len(found), 'more query', 'more queries')}: --limit shows them"
        if total > len(found)
        else ""
    )
    screen.show(
        document,
        Table(
            title=f"{counted(total, 'query', 'queries')} by status",
            columns=columns("status!", "owner", "queries#", "rejects#?", "flags#?", "oldest"),
            rows=[(*(row[n] for n in _BY_STATUS[:-1]), row["oldest"].date()) for row in by_status],
        ),
        *_instances(by_instance, asked.overdue_after),
        Table(
            title="Queries, the oldest first",
            columns=columns(
                "query", "status!", "pipeline", "instance", "file", "row#", "rule", "column", "days#"
            ),
            rows=[tuple(row[name] for name in _ROWS) for row in found],
            note=more,
        ),
        _next(found[0]),
    )
    return 0


def _instances(by_instance: Sequence[Row], days: int) -> list[Block]:
    if not by_instance:
        return []
    return [
        Table(
            title="Waiting, by instance",
            columns=columns(
                "pipeline",
                "instance",
                "open#",
                "answered#",
                "overdue#",
                "overdue %#",
                "alert!",
                "oldest, days#",
            ),
            rows=[tuple(row[name] for name in _BY_INSTANCE) for row in by_instance],
            note=f"overdue: open for more than {days} days; its share is of all that wait. "
            f"elevated: more than {_ELEVATED} %; high: more than {_HIGH} %",
        )
    ]


def _alert(percent: Any) -> str:
    return "high" if percent > _HIGH else "elevated" if percent > _ELEVATED else ""


def _next(row: Row) -> Lines:
    instance = shlex.quote(row["instance"])
    return Lines(
        title="Next:",
        lines=[
            f"{me()} queries show {row['query']}",
            f"{me()} queries export --instance {instance} --to queries-{instance}.xlsx",
        ],
        commands=True,
    )


def _show(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    named = numbers([asked.query])
    kind = "reject" if named["rejects"] else "flag"
    (first_id,) = named["rejects"] or named["flags"]
    values = {"kind": kind, "first_id": first_id, "now": datetime.now(UTC)}
    with reading(around.settings, "queries") as cursor:
        found = rows(cursor, _SQL["one"], values)
        story = rows(cursor, _SQL["story"], values)
    if not found:
        raise DefinitionError(f"there is no query {asked.query}; {me()} queries list has their numbers")
    row = found[0]
    problems = row["problems"] or [row]
    run = interval_name(Interval(start=row["interval_start"], end=row["interval_end"]))
    screen.show(
        {**row, "story": story},
        Facts(
            title=f"Query {row['query']}: {row['status']}",
            facts=[
                ("file", row["file"]),
                ("row", f"{row['row']}" + (f", output {row['output']}" if row["output"] is not None else "")),
                ("is", "rejected" if kind == "reject" else f"in {row['target']}, flagged"),
                ("owner", row["owner"]),
                ("opened", row["opened_at"]),
                ("age", f"{row['age_days']} d" if row["status"] in WAITING else None),
                (
                    "pipeline",
                    f"{row['pipeline']}/{row['instance']}, run {run}, generation {row['generation']}",
                ),
            ],
        ),
        Table(
            title="Why",
            columns=columns("rule", "column", "what is wrong and how to fix it"),
            rows=[(one["rule"], one.get("column"), one["message"]) for one in problems],
        ),
        Table(
            title="What happened",
            columns=columns("at", "what!", "actor", "why"),
            rows=[(one["at"], one["what"], one["actor"], one["reason"]) for one in story],
        ),
        Lines(title="Next:", lines=_next_of(row), commands=True),
    )
    return 0


def _next_of(row: Row) -> list[str]:
    where = f"--pipeline {row['pipeline']} --instance {shlex.quote(row['instance'])}"
    lines = [f"{me()} trace --file {shlex.quote(row['file'])} --row {row['row']} {where}"]
    if row["kind"] == "reject":
        lines.append(f"{me()} rejects show {row['raised_id']}")
    if row["status"] in WAITING:
        lines.append(f"{me()} queries release {row['query']} --reason 'why it stays as it is'")
    elif row["settled_by"] is None:
        lines.append(f"{me()} queries reopen {row['query']} --reason 'why it is not settled'")
    return lines


def _say(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    from haulier.ledger.connection import connect, driver_errors

    word, _ = _WORDS[asked.what]
    with driver_errors(), connect(around.settings, f"haulier queries {asked.what}") as connection:
        said = say(connection, around.settings, asked.queries, word, asked.reason)
    screen.show(
        {"said": said},
        Lines(
            lines=[
                f"{row['query']}: {row['before']} -> {row['status']}, by {row['actor']} at {_at(row['at'])}"
                for row in said
            ]
        ),
    )
    return 0


def _at(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def _export(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    from haulier_command.listing import LISTING, WIDTHS, listing
    from haulier_command.sealed import Sealed
    from haulier_command.spreadsheet import csv_text
    from haulier_command.workbook import write_workbook

    kind = asked.to.suffix.lower()
    if kind not in (".csv", ".xlsx"):
        raise DefinitionError(
            f"--to {asked.to}: it ends with {kind or 'nothing'}, and must end with .csv or .xlsx"
        )
    values = _filters(asked)
    with reading(around.settings, "queries") as cursor:
        found = rows(cursor, _chosen("listing"), values)
        if not found:
            refuse_unknown(cursor, around.settings, asked.pipeline, asked.instance)
    lines = list(listing(found, Sealed(around.settings)))
    if kind == ".csv":
        # With a mark: without one Excel takes UTF-8 for the code page of the machine.
        asked.to.write_text(csv_text(LISTING, lines), encoding="utf-8-sig", newline="")
    else:
        title = f"Queries of {asked.instance}"
        write_workbook(asked.to, title, LISTING, lines, widths=WIDTHS, created=values["now"])
    screen.show(
        {
            "to": asked.to,
            "queries": len(found),
            "lines": [dict(zip(LISTING, line, strict=True)) for line in lines],
        },
        Lines(lines=[f"{near(asked.to.absolute())}: {counted(len(found), 'query', 'queries')}"]),
    )
    return 0


def _chosen(name: str) -> str:
    return f"WITH chosen AS (\n{_SQL['chosen']}\n)\n{_SQL[name]}"


def _filters(asked: Namespace) -> dict[str, Any]:
    if asked.status and asked.every:
        raise DefinitionError("--status and --all: name one of them")
    now = parse_instant(asked.now, "--now") if asked.now else datetime.now(UTC)
    return {
        "pipeline": asked.pipeline,
        "instance": asked.instance,
        "rule": asked.rule,
        "kind": asked.kind,
        "statuses": None if asked.every else [asked.status] if asked.status else list(WAITING),
        "owner": asked.owner,
        "opened_before": None if asked.older_than is None else now - timedelta(days=asked.older_than),
        "overdue_before": now - timedelta(days=asked.overdue_after),
        "now": now,
    }
