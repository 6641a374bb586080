"""`haulier audit`: what an inspector asks of a table: who changed what, when and why; and the table as it was."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from haulier.errors import DataError, DefinitionError
from haulier_command.ledger import Row, reading
from haulier_command.output import Lines, Screen, Table, columns
from haulier_command.surroundings import Surroundings
from haulier_command.words import counted, day_or_instant, short

if TYPE_CHECKING:
    from haulier_command.auditing.reading import Past
    from haulier_command.auditing.writing import Folder

#: Columns of trail.csv: a line for each value that an event set.
TRAIL = (
    *(
        "event",
        "at (UTC)",
        "actor",
        "action",
        "table",
        "key",
        "column",
        "old",
        "new",
        "file",
        "sequence",
        "line",
        "sha256",
    ),
    *("reason", "run", "generation", "load", "definition", "approved", "link", "hash"),
)
LOADS = (
    *(
        "link",
        "load",
        "at (UTC)",
        "actor",
        "run",
        "kind",
        "outcome",
        "mode",
        "produced",
        "inserted",
        "updated",
        "unchanged",
    ),
    *(
        "superseded",
        "duplicate",
        "deleted",
        "removed",
        "rejected",
        "held",
        "generation",
        "replay",
        "reason",
        "asked by",
    ),
    *("definition", "versions", "previous", "hash"),
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="a target table, as schema.name or name")
    parser.add_argument("values", nargs="*", metavar="COLUMN=VALUE", help="only rows with these values")
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help="a new folder for the files of the export"
    )
    parser.add_argument(
        "--from", dest="start", metavar="TIME", help="events from then on; a date, or a time with its offset"
    )
    parser.add_argument(
        "--to", dest="end", metavar="TIME", help="events before then, and the data as of then"
    )
    parser.add_argument(
        "--as-of", metavar="TIME", help="the table alone, as it was then; load:N: as load N left it"
    )
    parser.epilog = (
        "--into writes trail.html to read, trail.csv for a spreadsheet, trail.jsonl\n"
        "for programs, loads.csv with the chain, the data at the end, and manifest.json\n"
        "with the SHA-256 of each. --as-of alone prints CSV. What the ledger does not\n"
        "know for certain ends with 65; nothing is guessed. SELECT is all it needs."
    )


def audit(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    if asked.as_of and (asked.start or asked.end):
        raise DefinitionError("--as-of is one moment; --from and --to are a trail's: say one or the other")
    if not asked.as_of and not asked.into:
        raise DefinitionError("say --into FOLDER for the trail, or --as-of TIME for the table as it was")
    from haulier_command.auditing.reading import Past

    with reading(around.settings, "audit") as cursor:
        past = Past.of(cursor, asked.table, asked.values)
        if asked.as_of:
            return _as_it_was(asked, past, screen)
        return _export(asked, around, past, screen)


def _as_it_was(asked: Namespace, past: Past, screen: Screen) -> int:
    link = _point(asked.as_of, past)
    facts = {**_facts(past), "as of": asked.as_of, **_stand(past, link)}
    if asked.into:
        from haulier_command.auditing.writing import Folder

        folder = Folder(asked.into)
        _data(folder, past, link)
        return _finish(folder, facts, past, screen)
    if screen.form == "json":
        screen.show({**facts, "rows": list(past.rows_at(link))})
        return 0
    import csv

    from haulier_command.auditing.writing import text_of

    writer = csv.writer(sys.stdout, lineterminator="\n")
    rows = past.rows_at(link)
    first = next(rows, None)
    # A table without a row has columns, too.
    writer.writerow(past.target.columns)
    for row in chain([first] if first else [], rows):
        writer.writerow([text_of(value) for value in row.values()])
    if not link:
        screen.tell(
            f"nothing had been loaded into {past.target.name} by {asked.as_of}; times are those of loads"
        )
    elif not first:
        screen.tell("no such row stood then")
    return 0


def _point(text: str, past: Past) -> int:
    if text.startswith("load:") and text[5:].isdecimal():
        return past.link_of(int(text[5:]))
    return past.link_at(day_or_instant(text, "--as-of"))


def _export(asked: Namespace, around: Surroundings, past: Past, screen: Screen) -> int:
    from haulier_command.auditing.page import Page
    from haulier_command.auditing.trail import entries
    from haulier_command.auditing.writing import Csv, Folder, json_line

    start = day_or_instant(asked.start, "--from") if asked.start else None
    end = day_or_instant(asked.end, "--to") if asked.end else None
    first, last = (
        (past.link_at(_before(start)) if start else 0) + 1,
        past.link_at(_before(end) if end else None),
    )
    violations = past.violations()
    links = [one for one in past.links if first <= one["link"] <= last]
    facts = {
        **_facts(past),
        "from": asked.start or "the beginning",
        "to": asked.end or "now",
        **_stand(past, last),
        "exported by": around.settings.actor,
        "chain": "holds" if not violations else f"broken at {counted(len(violations), 'link')}",
    }
    folder = Folder(asked.into)
    with folder.file("loads.csv") as file:
        loads = Csv(file, LOADS)
        for one in links:
            loads.row(list(_load(one).values()))
    with (
        folder.file("trail.html") as html,
        folder.file("trail.csv") as spreadsheet,
        folder.file("trail.jsonl") as lines,
    ):
        page, table = Page(html, facts, links, violations), Csv(spreadsheet, TRAIL)
        for entry in entries(past, first, last):
            told = entry.told(past.target.name)
            json_line(lines, told)
            page.event(entry)
            for row in _spread(told):
                table.row(row)
        page.end()
    _data(folder, past, last)
    return _finish(folder, facts, past, screen, violations)


def _before(moment: datetime) -> datetime:
    from datetime import timedelta

    return moment - timedelta(microseconds=1)


def _spread(told: Mapping[str, object]) -> Iterator[list[object]]:
    """An event as one line for each of its values."""
    values = told["values"]
    assert isinstance(values, dict)
    for column, both in values.items() or [("", {"old": None, "new": None})]:
        yield [
            *(told[name] for name in ("event", "at", "actor", "action", "table", "key")),
            *(column, both["old"], both["new"]),
            *(
                told[name]
                for name in ("file", "sequence", "line", "sha256", "reason", "run", "generation", "load")
            ),
            *(told[name] for name in ("definition", "approved", "link", "hash")),
        ]


def _load(one: Row) -> dict[str, object]:
    from haulier_command.origins import run_name

    given = {"load": one["load_id"], "at (UTC)": one["loaded_at"].isoformat(), "run": run_name(one)}
    renamed = {
        "replay": one["replay_id"],
        "asked by": one["asked_by"],
        "definition": one["definition_digest"],
    }
    return {name: {**one, **given, **renamed}[name] for name in LOADS}


def _data(folder: Folder, past: Past, link: int) -> None:
    from haulier_command.auditing.writing import Csv, json_line

    with folder.file("data.csv") as spreadsheet, folder.file("data.jsonl") as lines:
        table = Csv(spreadsheet, past.target.columns)
        for row in past.rows_at(link):
            table.row(list(row.values()))
            json_line(lines, row)


def _facts(past: Past) -> dict[str, object]:
    from haulier import __version__

    rows = ", ".join(f"{name} {value}" for name, value in past.described.items())
    return {
        "table": past.target.name,
        **({"rows with": rows} if rows else {}),
        "exported at": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z",
        "haulier": __version__,
    }


def _stand(past: Past, link: int) -> dict[str, object]:
    """Which load is the last one of what is told."""
    last = next((one for one in past.links if one["link"] == link), None)
    if last is None:
        return {"last load": "none: nothing had been loaded by then"}
    return {
        "last load": f"{last['load_id']} of {last['loaded_at']:%Y-%m-%d %H:%M:%S}Z",
        "last link": f"{link}: {last['hash']}",
    }


def _finish(
    folder: Folder,
    facts: Mapping[str, object],
    past: Past,
    screen: Screen,
    violations: list[str] | None = None,
) -> int:
    """The manifest last, so that a folder without one is no export."""
    import json

    document = {**facts, "violations": violations or [], "files": folder.facts()}
    (folder.path / "manifest.json").write_text(
        json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n", "utf-8"
    )
    code = DataError.exit_code if violations else 0
    screen.show(
        {**document, "into": folder.path, "exit_code": code},
        Table(
            title=f"{past.target.name} in {folder.path}",
            columns=columns("file", "rows#", "bytes#", "sha-256"),
            rows=[
                (name, one["rows"], one["bytes"], short(str(one["sha256"])))
                for name, one in folder.facts().items()
            ],
            note=f"Last load: {facts['last load']}. manifest.json has the digests whole.",
        ),
        *([Lines(title="The chain does not hold:", lines=violations)] if violations else []),
    )
    return code
