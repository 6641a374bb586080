"""`haulier discover`: a contract proposed from a sample; and what it is asked of extract with."""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from haulier.errors import DataError, DefinitionError, HaulierError, TransientError
from haulier_command.choice import positive
from haulier_command.drafts import contract_text
from haulier_command.output import Screen
from haulier_command.pointing import pointed_at
from haulier_command.surroundings import Surroundings

EPILOG = """\
haulier discover --from inbox/orders_2026-01-05.csv > contracts/orders.odcs.yaml
haulier discover --pipeline orders --instance shop1

It reads the newest file that is there: its first rows, and some drawn from the
rest. Nothing is written. haulier new writes a pipeline as well.
"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument(
        "--pipeline", metavar="P", help="the source of this definition; it needs no contract yet"
    )
    parser.add_argument("--instance", metavar="I", help="with --pipeline; default: main")
    parser.add_argument("--from", dest="place", metavar="WHERE", help="a file, a pattern or an address")
    add_sample_options(parser)
    parser.add_argument(
        "--interval-start", metavar="TIME", help="what an API is asked about; default: the last day"
    )
    parser.add_argument("--interval-end", metavar="TIME", help="its end, not included")


def add_sample_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--table", metavar="SCHEMA.NAME", help="the table; default: landing. and the pipeline's name"
    )
    parser.add_argument("--rows", type=positive, metavar="N", help="rows from the beginning; default: 1000")


def discover(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    if (asked.pipeline is None) == (asked.place is None):
        raise DefinitionError(
            "say what to look at: --pipeline, or --from with a file, a pattern or an address"
        )
    options = {
        "pipeline": asked.pipeline,
        "instance": asked.instance,
        "table": asked.table,
        "rows": asked.rows,
        "interval-start": asked.interval_start,
        "interval-end": asked.interval_end,
    }
    if asked.place is not None:
        options["from"] = pointed_at(asked.place, around.settings.source_root).place
    elif not asked.table:
        options["table"] = table_for(asked.pipeline)
    proposed = proposal(around, options)
    if screen.form == "json":
        screen.show(proposed)
    else:
        screen.show_file(contract_text(proposed))
    return 0


def table_for(pipeline: str) -> str:
    return f"landing.{pipeline.replace('-', '_').lower()}"


def proposal(around: Surroundings, options: dict[str, Any]) -> dict[str, Any]:
    """What extract proposes. Raises as it does."""
    import sys

    from haulier_command.steps import Processes

    words = [f"--{name}={value}" for name, value in options.items() if value is not None]
    with tempfile.TemporaryDirectory(prefix="haulier-discover-") as folder:
        command = [sys.executable, "-m", "haulier_extract", "discover", *words]
        answer = Processes(around.environ).call(command, Path(folder) / "extract.log")
    if answer.code:
        errors: dict[int, type[HaulierError]] = {
            one.exit_code: one for one in (DefinitionError, DataError, TransientError)
        }
        kind = errors.get(answer.code)
        if kind is None:
            raise RuntimeError(f"extract ended with {answer.code}: {answer.error}")
        raise kind(answer.error)
    return dict(answer.result)
