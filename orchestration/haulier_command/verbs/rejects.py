"""`haulier rejects`: the rows that did not enter, why, and what their sender can do about it."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from haulier.errors import DefinitionError
from haulier.interval import Interval
from haulier.ledger.queries import queries
from haulier_command.blinding import Blinding
from haulier_command.choice import positive
from haulier_command.ledger import Row, reading, refuse_unknown, rows
from haulier_command.output import Facts, Lines, Screen, Table, add_output_option, columns
from haulier_command.sealed import Sealed, text_of
from haulier_command.spreadsheet import csv_text
from haulier_command.surroundings import Surroundings, me, near
from haulier_command.words import counted, day_or_instant, interval_name, short

_SQL = queries("haulier_command.verbs", "rejects.sql")

EXPORT = (
    *(
        "pipeline",
        "instance",
        "file",
        "row",
        "original line",
        "column",
        "rule",
        "what is wrong and how to fix it",
    ),
    *("reject", "since", "original line is"),
)
_BY_RULE = ("pipeline", "rule", "column", "rejects", "quarantined", "instances", "example")


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    listed = verbs.add_parser("list", help="counts by rule, and the rows", allow_abbrev=False)
    _add_filters(listed)
    listed.add_argument(
        "--limit", type=positive, default=20, metavar="N", help="how many rows to show; default: 20"
    )
    shown = verbs.add_parser("show", help="all there is to know of one, its row verbatim", allow_abbrev=False)
    shown.add_argument("reject", type=positive, metavar="ID")
    exported = verbs.add_parser("export", help="a CSV for whoever sent the files", allow_abbrev=False)
    _add_filters(exported)
    exported.add_argument("--to", type=Path, metavar="FILE", help="default: stdout")
    exported.epilog = (
        "A line for each problem. Cells that a spreadsheet would compute are prefixed with an apostrophe; "
        "the kept original and `rejects show` have the row as it was. Cells of columns that the contract calls blinded, and "
        "of all that it does not know beside them, are marked [blinded]."
    )
    refused = verbs.add_parser(
        "refused",
        help="files with direct identifiers (source.identifiers), of which nothing was kept",
        allow_abbrev=False,
    )
    _add_whose(refused)
    for sub in (listed, shown, exported, refused):
        add_output_option(sub, nested=True)


def _add_whose(parser: ArgumentParser) -> None:
    parser.add_argument("--pipeline", metavar="P")
    parser.add_argument("--instance", metavar="I")
    parser.add_argument("--since", metavar="DATE", help="since then")


def _add_filters(parser: ArgumentParser) -> None:
    _add_whose(parser)
    parser.add_argument("--rule", metavar="R")
    parser.add_argument(
        "--all", dest="every", action="store_true", help="resolved ones, too; default: open ones"
    )


def rejects(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    shows = {"list": _list, "show": _show, "export": _export, "refused": _refused}
    return shows[asked.what](asked, around, screen)


def _list(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    values = _filters(asked)
    with reading(around.settings, "rejects") as cursor:
        by_rule = rows(cursor, _SQL["by_rule"], values)
        found = rows(cursor, _SQL["rejects"], {**values, "limit": asked.limit})
        if not found:
            refuse_unknown(cursor, around.settings, asked.pipeline, asked.instance)
    total = sum(row["rejects"] for row in by_rule)
    first = found[0]["instance"] if found else ""
    kind = "reject" if asked.every else "open reject"
    document = {
        "rejects": total,
        "by_rule": by_rule,
        "rows": [{k: v for k, v in row.items() if k not in ("verbatim",)} for row in found],
    }
    if not found:
        screen.show(document, Lines(lines=[f"no {kind}"]))
        return 0
    more = f"{counted(total - len(found), 'more row')}: --limit shows them" if total > len(found) else ""
    screen.show(
        document,
        Table(
            title=f"{counted(total, kind)} by rule",
            columns=columns(
                *("pipeline", "rule", "column", "rejects#", "quarantined#?", "instances#", "example")
            ),
            rows=[tuple(row[name] for name in _BY_RULE) for row in by_rule],
            note="quarantined: of runs that were kept out whole"
            if any(row["quarantined"] for row in by_rule)
            else "",
        ),
        _rows_table(found, asked.every, more),
        Lines(
            title="Next:",
            lines=[
                f"{me()} rejects show {found[0]['reject_id']}",
                f"{me()} rejects export --instance {first} --to rejects-{first}.csv",
            ],
            commands=True,
        ),
    )
    return 0


def _rows_table(found: Sequence[Row], every: bool, more: str) -> Table:
    names = ("reject_id", "pipeline", "instance", "file", "row", "rule", "column")
    state = ("status!",) if every else ()
    return Table(
        title="Rows",
        columns=columns("id#", "pipeline", "instance", "file", "row#", "rule", "column", *state, "since"),
        rows=[
            (*(row[name] for name in names), *([row["status"]] if every else []), row["since"].date())
            for row in found
        ],
        note=more,
    )


def _show(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    with reading(around.settings, "rejects") as cursor:
        found = rows(cursor, _SQL["one"], {"reject_id": asked.reject})
        events = rows(cursor, _SQL["events"], {"reject_id": asked.reject})
    if not found:
        raise DefinitionError(f"there is no reject {asked.reject}; {me()} rejects list has their numbers")
    row = found[0]
    resolved = [event["status"] for event in events if event["status"] != "failed again"]
    said = row.pop("said")
    status = resolved[0] if resolved else said or ("failed again" if events else "open")
    text, whole = _text(row, Sealed(around.settings))
    verbatim = bytes(row.pop("verbatim"))
    row |= {"status": status, "verbatim": text, "verbatim_hex": verbatim.hex(), "verbatim_is": whole}
    run = interval_name(Interval(start=row["interval_start"], end=row["interval_end"]))
    screen.show(
        {**row, "events": events},
        Facts(
            title=f"Reject {asked.reject}: {status}",
            facts=[
                ("file", row["file"]),
                ("row", f"{row['row']}" + (f", output {row['output']}" if row["output"] is not None else "")),
                ("rejected by", f"{row['step']}, at {row['since']:%Y-%m-%d %H:%M:%SZ}"),
                (
                    "pipeline",
                    f"{row['pipeline']}/{row['instance']}, run {run}, generation {row['generation']}",
                ),
                ("load", f"{row['load_id']} into {row['target']}, {row['load_outcome']}"),
                ("delivery", f"{row['delivery_id']}, sequence {row['sequence']} of its name"),
                ("modified", row["modified_at"]),
                ("from", row["uri"]),
                ("sha-256", short(row["sha256"])),
            ],
        ),
        Table(
            title="Why",
            columns=columns("rule", "column", "what is wrong and how to fix it"),
            rows=[(one["rule"], one.get("column"), one["message"]) for one in problems(row)],
        ),
        Lines(title=f"The row{f' ({whole})' if whole else ''}", lines=[text], commands=True),
        *(
            [
                Table(
                    title="What became of it",
                    columns=columns("at", "status!", "load#", "note"),
                    rows=[(e["at"], e["status"], e["load_id"], e["message"]) for e in events],
                )
            ]
            if events
            else []
        ),
        Lines(title="Next:", lines=_next(row, status), commands=True),
    )
    return 0


def _next(row: Row, status: str) -> list[str]:
    lane = f"--pipeline {row['pipeline']} --instance {row['instance']}"
    forward = f"{me()} trace --file {shlex.quote(row['file'])} --row {row['row']} {lane}"
    if status in ("released", "closed"):
        return [forward, f"{me()} queries reopen R{row['reject_id']} --reason WHY"]
    if status not in ("open", "failed again"):
        return [forward]
    # A merge reads all rows of a run together: what it needs is the whole run.
    if row["load_outcome"] == "quarantined" or row["has_merges"]:
        return [
            forward,
            f"a corrected file; or, after a fix here: {me()} run {lane} … --reprocess REASON",
        ]
    return [
        forward,
        f"{me()} replay {lane} --reject {row['reject_id']} --reason 'what was fixed'",
    ]


def _export(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    with reading(around.settings, "rejects") as cursor:
        found = rows(cursor, _SQL["rejects"], {**_filters(asked), "limit": None})
        if not found:
            refuse_unknown(cursor, around.settings, asked.pipeline, asked.instance)
    lines = list(_export_lines(found, Sealed(around.settings)))
    count = f"{counted(len(found), 'reject')}, {counted(len(lines), 'line')}"
    if asked.to:
        # With a mark: without one Excel takes UTF-8 for the code page of the machine.
        asked.to.write_text(csv_text(EXPORT, lines), encoding="utf-8-sig", newline="")
    if screen.form == "json":
        screen.show(
            {
                "to": asked.to,
                "rejects": len(found),
                "lines": [dict(zip(EXPORT, line, strict=True)) for line in lines],
            }
        )
    elif asked.to:
        screen.show(
            {},
            Lines(lines=[f"{near(asked.to.absolute())}: {count}"]),
        )
    else:
        screen.show_file(csv_text(EXPORT, lines))
    return 0


def _export_lines(found: Sequence[Row], sealed: Sealed) -> Iterator[tuple[object, ...]]:
    blinding = Blinding(sealed)
    for row in found:
        shown = blinding.shown(row, bytes(row["verbatim"]), row["verbatim_bytes"])
        text, whole = (shown.text, shown.note) if shown.blinded else _text(row, sealed)
        for problem in problems(row):
            column = problem.get("column")
            yield (
                *(row["pipeline"], row["instance"], row["file"], row["row"], text),
                *(column, problem["rule"], shown.message(problem, blinding.how_to_fix(row, column))),
                *(row["reject_id"], f"{row['since']:%Y-%m-%d %H:%M}Z", whole or "as sent"),
            )


def _refused(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    with reading(around.settings, "rejects") as cursor:
        found = rows(cursor, _SQL["refused"], _whose(asked))
        if not found:
            refuse_unknown(cursor, around.settings, asked.pipeline, asked.instance)
    screen.show(
        {"refused": found},
        Table(
            title=counted(len(found), "refused file"),
            columns=columns("at", "pipeline", "instance", "run", "file", "what is where"),
            rows=[
                (
                    *(row["refused_at"], row["pipeline"], row["instance"]),
                    interval_name(Interval(start=row["interval_start"], end=row["interval_end"])),
                    row["uri"] or f"SHA-256 {row['sha256']}",
                    "; ".join(_place(one) for one in row["findings"]),
                )
                for row in found
            ],
            note="its run waits for a file without that; or exempt the column, if it is none",
        )
        if found
        else Lines(lines=["no refused file"]),
    )
    return 0


def _place(finding: Row) -> str:
    count = f", {counted(finding['rows'], 'row')}" if finding["rows"] else ""
    return f"{finding['pattern']} in {finding['place']}{count}"


def problems(row: Row) -> list[Row]:
    """All that is wrong with a row, the first of them what it was rejected for."""
    return row["problems"] or [row]


def _text(row: Row, sealed: Sealed) -> tuple[str, str]:
    """A reject's row as text, and what is not as it was sent."""
    encoding = sealed.format(row).encoding
    text, decoded = text_of(bytes(row["verbatim"]), encoding)
    notes = [] if decoded else [f"not all {encoding}: the replaced bytes are marked"]
    if row["verbatim_bytes"] > len(row["verbatim"]):
        first = problems(row)[0]
        where = (
            f", {first['start']} to {first['stop']} of the unpacked file, SHA-256 {first['sha256']}"
            if "sha256" in first
            else ""
        )
        notes.append(f"cut: it has {row['verbatim_bytes']} bytes{where}")
    return text, "; ".join(notes)


def _whose(asked: Namespace) -> dict[str, object]:
    since = day_or_instant(asked.since, "--since") if asked.since else None
    return {"pipeline": asked.pipeline, "instance": asked.instance, "since": since}


def _filters(asked: Namespace) -> dict[str, object]:
    return {**_whose(asked), "rule": asked.rule, "every": asked.every}
