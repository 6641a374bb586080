"""`haulier new`: a pipeline and its contract, written from a sample, ready to be edited."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from haulier.errors import DefinitionError
from haulier.keys import check_name
from haulier.placeholders import date_formats
from haulier_command.drafts import contract_text, pipeline_text
from haulier_command.output import Block, Lines, Screen
from haulier_command.pointing import pointed_at
from haulier_command.surroundings import Surroundings, me, near
from haulier_command.verbs.discover import add_sample_options, proposal, table_for

EPILOG = """\
haulier new orders --from inbox/orders_2026-01-05.csv

It writes pipelines/NAME.yaml and contracts/NAME.odcs.yaml into
HAULIER_DEFINITIONS and never over a file that is there.
"""
#: Days that a run of dated files also looks back, for those that come late or again.
_LOOK_BACK_DAYS = 3


def add_arguments(parser: ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("name", metavar="NAME", help="the pipeline's name")
    parser.add_argument(
        "--from", dest="place", metavar="WHERE", required=True, help="a file, a pattern or an address"
    )
    add_sample_options(parser)


def new(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    name, folder = check_name(asked.name, "NAME"), around.settings.definitions
    pipeline, contract = folder / "pipelines" / f"{name}.yaml", folder / "contracts" / f"{name}.odcs.yaml"
    _refuse_existing(pipeline, contract)
    pointed = pointed_at(asked.place, around.settings.source_root)
    table = asked.table or table_for(name)
    proposed = proposal(around, {"from": pointed.place, "table": table, "rows": asked.rows})
    source = _source(proposed["source"], pointed.path)
    day = pointed.date or datetime.fromisoformat(proposed["sample"]["modified_at"]).astimezone(UTC).date()
    if "http" in source:
        day -= timedelta(days=1)
    _write(contract, contract_text(proposed))
    _write(pipeline, pipeline_text(name, source, day, proposed))
    screen.show(
        {"pipeline": pipeline, "contract": contract, "sample": proposed["sample"], "key": proposed["key"]},
        *_told(name, day, proposed, pipeline, contract),
    )
    return 0


def _refuse_existing(*paths: Path) -> None:
    for path in paths:
        if path.exists() or path.is_symlink():
            raise DefinitionError(
                f"{near(path)} is there already and stays as it is; choose another name, or move it away"
            )


def _write(path: Path, text: str) -> None:
    """A new file. Raises `DefinitionError` when there is one, or no way to make one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        raise DefinitionError(f"{near(path)} cannot be written: {exc.strerror}") from exc


def _source(given: Mapping[str, Any], path: str) -> dict[str, Any]:
    source = dict(given)
    if "files" in source:
        dated = {"select": "name", "look_back_days": _LOOK_BACK_DAYS} if date_formats(path) else {}
        source["files"] = {**source["files"], "path": path, **dated}
    return source


def _told(name: str, day: date, proposed: Mapping[str, Any], pipeline: Path, contract: Path) -> list[Block]:
    sample = proposed["sample"]
    remarks = [f"{column}: {one}" for column, found in proposed["remarks"].items() for one in found]
    blocks: list[Block] = [
        Lines(
            title=f"Written, guessed from {sample['rows']:,} rows of {sample['name']}",
            lines=[near(contract), near(pipeline)],
        )
    ]
    if looks := [*proposed["notes"], *remarks]:
        blocks.append(Lines(title="Look at", lines=looks))
    run = f"{me()} run --pipeline {name} --from {day} --to {day + timedelta(days=1)}"
    blocks.append(Lines(title="Next:", lines=[f"{me()} check --pipeline {name}", run], commands=True))
    return blocks
