"""`haulier migrate`: the ledger's schema, brought to the newest version."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from haulier_command.output import Lines, Screen
from haulier_command.surroundings import Surroundings


def add_arguments(parser: ArgumentParser) -> None:
    parser.epilog = (
        "Run it with a role that may create the schema haulier.\nDone already, it changes nothing."
    )


def migrate(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    from haulier.ledger.connection import SCHEMA_VERSION
    from haulier.ledger.migrate import upgrade

    settings = around.settings
    upgrade(settings)
    screen.show({"version": SCHEMA_VERSION}, Lines(lines=[f"the ledger is at version {SCHEMA_VERSION}"]))
    return 0
