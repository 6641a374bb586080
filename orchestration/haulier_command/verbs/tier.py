"""`haulier up` and `haulier down`: a real PostgreSQL and a real S3 as processes of this machine."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from pathlib import Path

from haulier_command.output import Lines, Screen
from haulier_command.surroundings import DEMO_ENVIRONMENT, Surroundings, me, near

#: What this command itself puts beside the tier: logs of steps, and the demo's files.
OURS = ("logs", "landing", "demo.json", DEMO_ENVIRONMENT)


def add_up_arguments(parser: ArgumentParser) -> None:
    add_home_option(parser)


def add_down_arguments(parser: ArgumentParser) -> None:
    add_home_option(parser)
    parser.add_argument("--keep", action="store_true", help="keep the data; the next up finds it again")


def add_home_option(parser: ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, metavar="FOLDER", help="default: $HAULIER_HOME, or .haulier")


def home_of(asked: Namespace, around: Surroundings) -> Path:
    return asked.home.absolute() if asked.home else around.home


def up(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    from haulier.ledger.migrate import upgrade
    from haulier_command.embedded import up as start

    home = home_of(asked, around)
    tier = start(home)
    upgrade(tier.environment)
    screen.show(
        {
            "home": home,
            "env": home / "env.sh",
            "psql": tier.psql,
            "host": tier.environment["PGHOST"],
            "port": tier.environment["PGPORT"],
        },
        Lines(lines=[f"PostgreSQL and S3 run under {near(home)}, the ledger is migrated."]),
        Lines(title="For psql, or a step by hand:", lines=[f". {near(home / 'env.sh')}"], commands=True),
    )
    return 0


def down(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    home = home_of(asked, around)
    if not (home / "tier.json").exists():
        text = f"nothing runs under {near(home)}"
    else:
        take_down(home, keep=asked.keep)
        what = f"the data is kept: {me()} up finds it again" if asked.keep else f"{near(home)} is removed"
        text = f"stopped; {what}"
    screen.show({"home": home, "kept": asked.keep}, Lines(lines=[text]))
    return 0


def take_down(home: Path, *, keep: bool = False) -> None:
    """Stop the tier; unless it is to be kept, remove it and what this command put beside it."""
    from haulier_command.embedded import down as stop

    if not keep:
        for name in OURS:
            path = home / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    stop(home, remove=not keep)
    with suppress(OSError):
        home.rmdir()
