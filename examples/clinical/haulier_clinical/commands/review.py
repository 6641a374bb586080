"""``review``: what a data manager looks at every day, as one page or as figures for programs."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from haulier.errors import DefinitionError, HaulierError
from haulier.interval import parse_instant
from haulier.ledger.connection import transaction
from haulier.settings import Settings
from haulier_clinical.commands.server import connected
from haulier_clinical.reviewing.drawing.html import visible
from haulier_clinical.reviewing.drawing.page import page
from haulier_clinical.reviewing.figures import figures
from haulier_clinical.reviewing.reading import Asked, Trial


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "PostgreSQL is found by PG*, the trial in HAULIER_DEFINITIONS. Blinded columns are never read. Exit codes: 0 done, "
        "2 something to set right first, 75 try again."
    )
    parser.add_argument("--to", type=Path, metavar="FILE", help="the page; one that is there is replaced")
    parser.add_argument(
        "--output", choices=("text", "json"), default="text", help="json: the figures on stdout"
    )
    parser.add_argument(
        "--as-of", metavar="TIME", help="judge what is due, overdue or in the future as if it were this time"
    )
    parser.add_argument("--schema", default="sdtm", help="where the views are; default: sdtm")
    parser.add_argument("--study", help="needed where there is more than one")
    for name, default, what in (
        ("days", 30, "of the site board"),
        ("late-after", 3, "a row is in time when it is loaded so many days after its collection"),
        ("visit-window", 7, "a visit is overdue so many days after the planned one"),
        ("overdue-after", 7, "a query is overdue when it is open for longer"),
    ):
        parser.add_argument(
            f"--{name}", type=_days, default=default, metavar="DAYS", help=f"{what}; default: {default}"
        )
    parser.add_argument(
        "--visits",
        type=Path,
        metavar="FILE",
        help="the planned visits; default: references/visits.csv of the definitions",
    )


#: A board of more days is no page any more.
_MOST_DAYS = 92
#: Ten years: no other number of days asks a question about a trial.
_LONGEST = 3650
#: Between these years every day that a review counts from its clock is one.
_YEARS = range(1900, 9900)


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(_LONGEST)) or int(text) > _LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days from 0 to {_LONGEST}")
    return int(text)


def _moment(text: str) -> datetime:
    said = f"--as-of {text}: is no time of the years {_YEARS[0]} to {_YEARS[-1]}"
    try:
        moment = parse_instant(text, "--as-of")
    except OverflowError as exc:
        raise DefinitionError(said) from exc
    if moment.year not in _YEARS:
        raise DefinitionError(said)
    return moment


def run(asked: argparse.Namespace) -> int:
    try:
        if asked.to is None and asked.output == "text":
            raise DefinitionError("--to: name the page's file, or ask for --output json")
        if asked.to is not None:
            _require_place(asked.to)
        found = review(_asked(asked), Settings.from_env(os.environ))
        if asked.to is not None:
            _write(asked.to, page(found))
    except HaulierError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    sys.stdout.write(
        f"{json.dumps(found, default=_plain) if asked.output == 'json' else _told(found, asked.to)}\n"
    )
    return 0


def _asked(asked: argparse.Namespace) -> Asked:
    if not 1 <= asked.days <= _MOST_DAYS:
        raise DefinitionError(f"--days {asked.days}: a board has 1 to {_MOST_DAYS} days")
    return Asked(
        as_of=_moment(asked.as_of) if asked.as_of else datetime.now(UTC).replace(microsecond=0),
        schema=asked.schema,
        study=asked.study,
        days=asked.days,
        within_days=asked.late_after,
        window_days=asked.visit_window,
        overdue_after_days=asked.overdue_after,
        visits=asked.visits,
    )


def review(asked: Asked, settings: Settings) -> dict[str, Any]:
    """The figures, all of one snapshot. Raises `HaulierError`."""
    with connected(settings, "haulier-clinical review") as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with transaction(connection, settings, may_idle=True) as cursor:
            return figures(Trial(cursor=cursor, settings=settings, asked=asked))


def _require_place(to: Path) -> None:
    folder = to.absolute().parent
    if not folder.is_dir():
        raise DefinitionError(f"--to {to}: there is no folder {folder} to write it in")
    if to.is_dir():
        raise DefinitionError(f"--to {to}: is a folder; name the page's file")


def _write(to: Path, text: str) -> None:
    """Whole or as it was."""
    partial = to.absolute().parent / f".{to.name}.{secrets.token_hex(4)}.partial"
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} is no figure")


def _told(found: dict[str, Any], to: Path) -> str:
    lines = [
        f"{to}: {visible(found['study'] or 'no SDTM rows yet')}, as of {found['as_of']:%Y-%m-%d %H:%M} UTC"
    ]
    lines += [f"  {one['count']:>7} {one['what']}" for one in found["attention"]]
    return "\n".join(lines)
