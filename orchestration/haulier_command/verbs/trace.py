"""`haulier trace`: from a table row back to its line in a file; from a line forward to what became of it."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from haulier.errors import DefinitionError
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier_command.ledger import Row, reading, rows
from haulier_command.origins import Version, run_name, trace_origins
from haulier_command.output import Block, Facts, Lines, Screen, Table, columns
from haulier_command.sealed import Sealed
from haulier_command.surroundings import Surroundings, me
from haulier_command.tables import SYSTEM, Target, named
from haulier_command.words import short

_SQL = queries("haulier_command.verbs", "trace.sql")
_LISTED_AT_MOST = 20


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "table", nargs="?", metavar="TABLE", help="back: a target table, as schema.name or name"
    )
    parser.add_argument(
        "values", nargs="*", metavar="COLUMN=VALUE", help="which row; the columns of its key, or others"
    )
    parser.add_argument("--file", metavar="NAME", help="forward: a file's name, as it was delivered")
    parser.add_argument("--row", type=int, metavar="N", help="its row, as a spreadsheet numbers it")
    parser.add_argument("--pipeline", metavar="P", help="with --file: only of this pipeline")
    parser.add_argument("--instance", metavar="I", help="with --file: only of this instance")


def trace(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    if bool(asked.table) == bool(asked.file):
        raise DefinitionError("name a TABLE and COLUMN=VALUE to go back, or --file and --row to go forward")
    if asked.file:
        if asked.row is None or asked.row < 1:
            raise DefinitionError(
                "--row is missing or below 1; say which row of the file, as a spreadsheet numbers it"
            )
        from haulier_command.verbs.trace_forward import forward

        return forward(asked, around, screen)
    return _back(asked, around, screen)


def _back(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    sealed = Sealed(around.settings)
    with reading(around.settings, "trace") as cursor:
        target = Target.find(cursor, asked.table)
        described = target.described(asked.values)
        found = target.matching(cursor, described, _LISTED_AT_MOST + 1)
        if not found:
            found = target.gone(cursor, described, _LISTED_AT_MOST + 1)
        if not found:
            said = " ".join(asked.values)
            raise DefinitionError(f"{target.name} has no row with {said}, and never had one under such a key")
        if len(found) > 1:
            screen.show(
                {"table": target.name, "rows": [row["key"] for row in found]}, *_choose(target, found)
            )
            return 0
        versions = _versions(cursor, target, found[0])
        trace_origins(cursor, sealed, versions)
    history = [version.as_json() for version in versions]
    document = {"table": target.name, "key": found[0]["key"], "versions": history}
    screen.show(document, *_blocks(target, found[0]["key"], versions))
    return 0


def _versions(cursor: Cursor, target: Target, found: Row) -> list[Version]:
    """The present version, unless the row is gone, then the former ones, the newest first."""
    history = rows(cursor, _SQL["history"], {"target": target.name, "key": found["key_text"]})
    present = [Version(row=found["row"])] if "row" in found else []
    return present + [
        Version(
            row=row["before"],
            operation=row["operation"],
            replaced_by=row["replaced_by"],
            replaced_at=row["replaced_at"],
        )
        for row in history
    ]


def _choose(target: Target, found: Sequence[Row]) -> list[Block]:
    names = target.key or target.columns
    example = " ".join(shlex.quote(f"{name}={found[0]['key'][name]}") for name in names)
    number = f"More than {_LISTED_AT_MOST}" if len(found) > _LISTED_AT_MOST else len(found)
    return [
        Table(
            title=f"{number} rows of {target.name}; which one?",
            columns=columns(*names),
            rows=[tuple(row["key"][name] for name in names) for row in found[:_LISTED_AT_MOST]],
        ),
        Lines(title="For example:", lines=[f"{me()} trace {target.name} {example}"], commands=True),
    ]


def _blocks(target: Target, key: Mapping[str, Any], versions: Sequence[Version]) -> list[Block]:
    newest = versions[0]
    state = "" if not newest.operation else " (no longer in the table)"
    blocks: list[Block] = [
        Facts(
            title=f"{target.name}: {named(key)}{state}",
            facts=[(name, newest.row.get(name)) for name in target.columns if name not in key],
        ),
        Facts(title="came from", facts=_origin_facts(newest)),
        Lines(title=_line_title(newest), lines=[newest.line or newest.line_is], commands=True),
    ]
    if len(versions) > 1:
        blocks.append(
            Table(
                title=f"Its {len(versions)} versions, the newest first",
                columns=columns("what changed", "file", "sequence#", "row#", "load#", "until"),
                rows=[
                    (
                        _changes(target, version, versions[place + 1] if place + 1 < len(versions) else None),
                        version.origin["file"],
                        version.origin["sequence"],
                        version.number,
                        version.row["_haulier_load"],
                        version.replaced_at or "now",
                    )
                    for place, version in enumerate(versions)
                ],
                note="sequence: which delivery under that file name it was.",
            )
        )
        blocks += [
            Lines(title=_line_title(version), lines=[version.line or version.line_is], commands=True)
            for version in versions[1:]
        ]
    else:
        blocks.append(Lines(lines=["It has had no other version."]))
    return blocks


def _origin_facts(version: Version) -> list[tuple[str, object]]:
    origin = version.origin
    replay = f", replay {origin['replay_id']}" if origin["replay_id"] else ""
    return [
        ("file", f"{origin['file']} sequence {origin['sequence']}"),
        ("row", version.number),
        ("from", origin["uri"]),
        ("sha-256", short(origin["sha256"])),
        ("delivery", origin["delivery_id"]),
        ("run", f"{run_name(origin)} (run {origin['run_id']})"),
        ("definition", origin["approval"]),
        ("generation", f"{origin['generation']}: {origin['generation_reason']}"),
        (
            "load",
            f"{origin['load_id']}{replay}, at {origin['loaded_at']:%Y-%m-%d %H:%M:%SZ} by {origin['actor']}",
        ),
    ]


def _line_title(version: Version) -> str:
    odd = f" ({version.line_is})" if version.line and version.line_is else ""
    return f"{version.origin['file']} sequence {version.origin['sequence']}, row {version.number}{odd}"


def _changes(target: Target, version: Version, former: Version | None) -> str:
    if former is None:
        return "first"
    if former.operation in ("delete", "remove"):
        return "entered again"
    changed = [
        n for n in target.columns if version.row.get(n) != former.row.get(n) and not n.startswith(SYSTEM)
    ]
    shown = ", ".join(f"{n}: {_value(former.row.get(n))} to {_value(version.row.get(n))}" for n in changed)
    return shown or "nothing"


def _value(value: object) -> str:
    return "nothing" if value is None else str(value)
