"""`python -m generator LANDING`: write a trial's files, or one day of them, and a record of what was done."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from generator.definitions import write_definitions
from generator.mess import RATES, Mess
from generator.record import Delivered, Missing
from generator.trial import Trial, large_trial

SETTING_IS_WRONG = 2  # as everywhere in Haulier
_OF_TRIAL = ("days", "subjects", "seed", "start")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 where an argument is wrong."""
    arguments = _parser().parse_args(argv)
    try:
        trial = _trial(arguments)
        days = range(trial.days) if arguments.day is None else [arguments.day]
        records: list[Delivered | Missing] = []
        for day in days:
            records += trial.deliver(day, arguments.landing)
            records += trial.missing(day)
    except (ValueError, IndexError) as exc:
        sys.stderr.write(f"generator: {exc}\n")
        return SETTING_IS_WRONG
    if arguments.record is not None:
        lines = [json.dumps(record.as_json(), ensure_ascii=False) + "\n" for record in records]
        arguments.record.write_text("".join(lines), encoding="utf-8", newline="\n")
    if arguments.definitions is not None:
        write_definitions(trial, arguments.definitions)
    files = [record for record in records if isinstance(record, Delivered)]
    rows = sum(file.rows.read for file in files)
    sys.stdout.write(
        f"{arguments.landing}: {len(files)} files, {rows} rows, "
        f"{sum(bool(file.kinds) for file in files)} files with something to notice\n"
    )
    return 0


def _trial(arguments: Namespace) -> Trial:
    if arguments.sites is not None and arguments.sites < 1:
        raise ValueError(f"--sites {arguments.sites} is not a number of sites from 1 on")
    rates: dict[str, Any] = {}
    for given in arguments.rate:
        kind, _, chance = given.partition("=")
        if kind not in RATES:
            raise ValueError(f"--rate {given}: {kind!r} is not one of {', '.join(RATES)}")
        try:
            rates[kind] = float(chance)
        except ValueError:
            raise ValueError(f"--rate {given}: {chance!r} is not a chance between 0 and 1") from None
    kind = large_trial() if arguments.trial == "large" else Trial()
    given = {name: value for name in _OF_TRIAL if (value := getattr(arguments, name)) is not None}
    if arguments.sites is not None:
        first = int(kind.sites[0])
        given["sites"] = tuple(str(first + number) for number in range(arguments.sites))
    return replace(
        kind,
        **given,
        mess=replace(Mess.none() if arguments.clean else kind.mess, **rates),
    )


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m generator", description=__doc__)
    parser.add_argument(
        "landing", type=Path, metavar="LANDING", help="folder to write into, below it one a site"
    )
    parser.add_argument(
        "--trial",
        choices=("demo", "large"),
        default="demo",
        help="large: 50 sites from 801 on, 30 days, every kind of mess there is",
    )
    parser.add_argument("--days", type=int)
    parser.add_argument("--sites", type=int, help="how many")
    parser.add_argument("--subjects", type=int, help="a site; half of them come each day")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--start", type=date.fromisoformat, metavar="YYYY-MM-DD")
    parser.add_argument("--day", type=int, metavar="INDEX", help="deliver this one day (from 0) and no other")
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write what was done here, one JSON object a line"
    )
    parser.add_argument(
        "--rate",
        action="append",
        default=[],
        metavar="KIND=CHANCE",
        help=f"chance that a daily file has this, beyond the arranged files; of {', '.join(RATES)}",
    )
    parser.add_argument(
        "--definitions", type=Path, metavar="FOLDER", help="write definitions for these sites here"
    )
    parser.add_argument("--clean", action="store_true", help="nothing goes wrong, except what --rate says")
    return parser


if __name__ == "__main__":
    sys.exit(main())
