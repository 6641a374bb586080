"""`haulier archive` and `haulier restore`: partitions into cold storage, and back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING

from haulier.errors import DefinitionError
from haulier_command.output import Screen, Table, columns
from haulier_command.surroundings import Surroundings

if TYPE_CHECKING:
    from haulier.cold.archive import Done


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--target", required=True, metavar="TABLE", help="schema.name")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--partition", metavar="P", help="this one, by its name")
    which.add_argument("--before", metavar="DATE", help="all whose last day is before this one (UTC)")
    parser.epilog = (
        "A partition is detached, copied to HAULIER_ARCHIVE, read back, and only then\n"
        "dropped. Killed anywhere, the same command finishes it. Until it is restored,\n"
        "rows of it are rejected (archived)."
    )


def add_restore_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--target", required=True, metavar="TABLE", help="schema.name")
    parser.add_argument("--partition", required=True, metavar="P", help="its name")


def archive(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    from haulier.cold.archive import archive as put_away

    before = _day(asked.before) if asked.before else None
    done = put_away(around.settings, asked.target, partition=asked.partition, before=before)
    return _show(screen, "Archived", done, f"no partition of {asked.target} ends before {asked.before}")


def restore(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    from haulier.cold.restore import restore as bring_back

    return _show(screen, "Restored", [bring_back(around.settings, asked.target, asked.partition)], "none")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise DefinitionError(f"--before: {text!r} is not a date; write 2026-01-01") from exc


def _show(screen: Screen, title: str, done: Sequence[Done], nothing: str) -> int:
    screen.show(
        {"exit_code": 0, "partitions": [asdict(one) for one in done]},
        Table(
            title=title,
            columns=columns("partition", "rows#", "outcome!"),
            rows=[(one.partition, one.rows, one.outcome) for one in done],
            nothing=nothing,
        ),
    )
    return 0
