"""The `haulier` command: one verb, its options, one answer, one exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from haulier.errors import HaulierError
from haulier.run import cancel_on_signals
from haulier_command.output import Screen, add_output_option


@dataclass(frozen=True, kw_only=True)
class Verb:
    """Where a verb is found, and what it is for in a line. ``bare``: it looks for no embedded tier."""

    module: str
    summary: str
    arguments: str = "add_arguments"
    bare: bool = False


VERBS: Mapping[str, Verb] = {
    "demo": Verb(module="demo", summary="see it all at work on this machine, with sample data", bare=True),
    "up": Verb(
        module="tier",
        summary="start the embedded tier: PostgreSQL and an S3, without Docker",
        arguments="add_up_arguments",
        bare=True,
    ),
    "down": Verb(
        module="tier",
        summary="stop the embedded tier and remove what it wrote",
        arguments="add_down_arguments",
        bare=True,
    ),
    "migrate": Verb(module="migrate", summary="bring the ledger's schema to the newest version"),
    "discover": Verb(module="discover", summary="propose a contract from a sample of a source"),
    "new": Verb(module="new", summary="write a pipeline and a contract from a sample, ready to edit"),
    "doctor": Verb(module="doctor", summary="look at everything a run needs, and say what to do"),
    "check": Verb(module="check", summary="check definitions, connections and permissions"),
    "plan": Verb(module="plan", summary="say what a run would do, and do nothing"),
    "run": Verb(module="run", summary="haul: one run, a range, or all that is due"),
    "backfill": Verb(
        module="backfill", summary="haul a range of the past, side by side, and go on where it stopped"
    ),
    "status": Verb(module="status", summary="how every instance stands: last run, rejects, lateness"),
    "rejects": Verb(module="rejects", summary="the rows that did not enter: list, show, export"),
    "queries": Verb(
        module="queries",
        summary="rejects and flags until they are settled: list, show, answer, export",
    ),
    "replay": Verb(module="replay", summary="haul rejects again after a fix"),
    "state": Verb(module="state", summary="how far each source was read: show, set, reset"),
    "trace": Verb(module="trace", summary="from a table row to its line in a file, and back"),
    "audit": Verb(
        module="audit", summary="the trail of a table for an inspector, and the table as it was at any time"
    ),
    "archive": Verb(
        module="archive", summary="old partitions into cold storage, proved before they are dropped"
    ),
    "restore": Verb(
        module="archive",
        summary="an archived partition back into its table, as it was",
        arguments="add_restore_arguments",
    ),
    "verify": Verb(module="verify", summary="prove that nothing fell off: run the invariants"),
}


def cli() -> int:
    return main(sys.argv[1:], os.environ)


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Do what the arguments ask; return the process exit code."""
    asked = _parser(argv).parse_args(argv)
    cancel_on_signals()
    screen = Screen(asked.output, environ)
    try:
        return _dispatch(asked, environ, screen)
    except HaulierError as exc:
        screen.fail(exc)
        return exc.exit_code
    except BrokenPipeError:
        # Whoever read our answer has seen enough; Python would complain once more while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(asked: argparse.Namespace, environ: Mapping[str, str], screen: Screen) -> int:
    from haulier_command.surroundings import Surroundings, home_of, surroundings

    verb = VERBS[asked.verb]
    module = import_module(f"haulier_command.verbs.{verb.module}")
    around = (
        Surroundings(environ=environ, home=home_of(environ)) if verb.bare else surroundings(environ, screen)
    )
    code: int = getattr(module, asked.verb)(asked, around, screen)
    return code


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """All verbs by name; only the one that is called is imported to say what it takes."""
    parser = argparse.ArgumentParser(
        prog="haulier",
        description="Haul data into PostgreSQL, and prove that nothing fell off on the way.",
        epilog="haulier VERB --help says more. Settings come from the environment (docs/environment.md), or "
        "from the embedded tier when it runs here. Exit codes: docs/exit-codes.md.",
        allow_abbrev=False,
    )
    from haulier import __version__

    parser.add_argument("--version", action="version", version=f"haulier {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", title="verbs")
    called = next((word for word in argv if not word.startswith("-")), None)
    for name, verb in VERBS.items():
        added = verbs.add_parser(
            name,
            help=verb.summary,
            description=f"{verb.summary[0].upper()}{verb.summary[1:]}.",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == called:
            module = import_module(f"haulier_command.verbs.{verb.module}")
            getattr(module, verb.arguments)(added)
        add_output_option(added)
    return parser


if __name__ == "__main__":
    sys.exit(cli())
