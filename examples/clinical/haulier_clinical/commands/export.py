"""``export``: the SDTM domains of one study as files, whole or not at all, with a manifest of what they are."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from haulier.contracts import Contract
from haulier.errors import DefinitionError, HaulierError
from haulier.ledger.connection import Connection, Cursor, transaction
from haulier.settings import Settings
from haulier_clinical import __version__
from haulier_clinical.commands.server import connected
from haulier_clinical.exporting.blinding import blinded_columns, contracts_behind
from haulier_clinical.exporting.datasets import LABELS, Dataset, variables
from haulier_clinical.exporting.pseudonyms import VARIABLES, Key, under_pseudonyms
from haulier_clinical.exporting.reading import (
    Asked,
    Position,
    Relation,
    columns,
    measure,
    positions,
    relations,
    require_sites,
    stream,
    subjects,
    the_study,
)
from haulier_clinical.exporting.writers import ENDINGS, open_writer

MANIFEST = "export.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "PostgreSQL is found by PG*, the contracts in HAULIER_DEFINITIONS. Blinded columns are left empty unless "
        "--unblind says why. Exit codes: 0 done, 2 something to set right first, 75 try again."
    )
    parser.add_argument(
        "--to", type=Path, required=True, metavar="FOLDER", help="a folder that is new or empty"
    )
    parser.add_argument("--format", choices=(*ENDINGS, "all"), default="all", help="default: all")
    parser.add_argument("--schema", default="sdtm", help="where the views are; default: sdtm")
    parser.add_argument("--study", help="needed where there is more than one")
    parser.add_argument("--site", nargs="+", default=[], metavar="S", help="only these sites")
    parser.add_argument(
        "--leave-out",
        nargs="+",
        default=[],
        metavar="VARIABLE",
        help="permissible variables that nobody wants",
    )
    parser.add_argument(
        "--pseudonymise",
        metavar="NAME",
        help="replace USUBJID and SUBJID by HMAC-SHA256 under the secret HAULIER_SECRET_NAME",
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--blinded", action="store_true", help="leave blinded columns empty; what happens anyway"
    )
    shown.add_argument("--unblind", metavar="REASON", help="export them; the reason goes into the manifest")
    parser.add_argument(
        "--output", choices=("text", "json"), default="text", help="json: the manifest on stdout"
    )


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one export is asked to be."""

    to: Path
    schema: str
    study: str | None
    sites: tuple[str, ...]
    forms: tuple[str, ...]
    left_out: frozenset[str]
    key: Key | None
    #: Why blinded columns are not left empty; None: they are.
    unblind: str | None


def run(asked: argparse.Namespace) -> int:
    try:
        settings = Settings.from_env(os.environ)
        manifest = export(_request(asked, settings), settings)
    except HaulierError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    sys.stdout.write(json.dumps(manifest, indent=1) if asked.output == "json" else _told(manifest, asked.to))
    sys.stdout.write("\n")
    return 0


def _request(asked: argparse.Namespace, settings: Settings) -> Request:
    if asked.unblind is not None and not asked.unblind.strip():
        raise DefinitionError(
            "--unblind: the reason is empty; it goes into the manifest, for whoever asks later"
        )
    return Request(
        to=asked.to,
        schema=asked.schema,
        study=asked.study,
        sites=tuple(asked.site),
        forms=tuple(ENDINGS) if asked.format == "all" else (asked.format,),
        left_out=_permissible(asked.leave_out),
        key=Key.of(settings, asked.pseudonymise) if asked.pseudonymise else None,
        unblind=asked.unblind,
    )


def _permissible(names: Sequence[str]) -> frozenset[str]:
    known = {variable.name: variable for domain in LABELS for variable in variables(domain)}
    for name in names:
        if name not in known:
            raise DefinitionError(
                f"--leave-out {name}: SDTMIG 3.4 has no such variable in {', '.join(LABELS)}"
            )
        if known[name].core != "Perm":
            raise DefinitionError(
                f"--leave-out {name}: it is {known[name].core}, and only Perm ones may be left out"
            )
    return frozenset(names)


def export(request: Request, settings: Settings) -> dict[str, Any]:
    """Write the folder and return its manifest. Raises `HaulierError`; then there is no folder."""
    _require_new(request.to)
    created = datetime.now(UTC).replace(microsecond=0)
    with connected(settings, "haulier-clinical export") as connection, _partial(request.to) as folder:
        # One snapshot for all domains and for what the ledger says of them.
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with transaction(connection, settings, may_idle=True) as cursor:
            found = relations(cursor, request.schema)
            contracts = contracts_behind(settings.definitions, found)
            asked = Asked(study=the_study(cursor, found, request.study), sites=request.sites)
            require_sites(cursor, found, asked)
            reached = positions(cursor, found)
            changed = max((position.loaded_at for position in reached.values()), default=None)
            datasets = _measured(cursor, found, contracts, asked, request)
            order = _order(cursor, found, asked, request.key)
            for relation, dataset in datasets:
                paths = [folder / f"{relation.name}{ENDINGS[form]}" for form in request.forms]
                writers = [
                    open_writer(form, path, dataset, created, changed, settings.actor)
                    for form, path in zip(request.forms, paths, strict=True)
                ]
                for rows in _rows(connection, relation, dataset, asked, order, request.key):
                    for writer in writers:
                        writer.write(rows)
                for writer in writers:
                    writer.close()
        manifest = _manifest(request, settings, created, asked, datasets, contracts, reached, folder)
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def _require_new(to: Path) -> None:
    if to.is_dir() and not any(to.iterdir()):
        return
    if to.exists():
        raise DefinitionError(
            f"--to {to}: is there already; an export is never written over, name a new folder"
        )
    if not to.absolute().parent.is_dir():
        raise DefinitionError(f"--to {to}: there is no folder {to.absolute().parent} to make it in")


@contextmanager
def _partial(to: Path) -> Iterator[Path]:
    """A folder beside the one asked for, which takes its name once everything is in it and on the disk."""
    folder = to.absolute().parent / f".{to.name}.{secrets.token_hex(4)}.partial"
    folder.mkdir()
    try:
        yield folder
        for path in (*folder.iterdir(), folder):
            _sync(path)
        folder.rename(to.absolute())
        _sync(to.absolute().parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _measured(
    cursor: Cursor,
    found: Sequence[Relation],
    contracts: dict[str, Contract],
    asked: Asked,
    request: Request,
) -> list[tuple[Relation, Dataset]]:
    datasets = []
    for relation in found:
        blinded = frozenset() if request.unblind else blinded_columns(contracts, relation)
        made = columns(relation, blinded, request.left_out)
        dataset = without_empty(measure(cursor, relation, asked, made))
        datasets.append((relation, under_pseudonyms(dataset) if request.key else dataset))
    if not any(dataset.rows for _, dataset in datasets):
        what = f"sites {', '.join(asked.sites)}" if asked.sites else "it"
        raise DefinitionError(
            f"study {asked.study}: there are no rows of {what}, so there is nothing to export"
        )
    return datasets


def without_empty(dataset: Dataset) -> Dataset:
    """A permissible variable that no record has a value for is no variable of this trial."""
    kept = tuple(
        column for column in dataset.columns if column.variable.core != "Perm" or not column.is_empty
    )
    return replace(dataset, columns=kept)


def _order(cursor: Cursor, found: Sequence[Relation], asked: Asked, key: Key | None) -> list[str] | None:
    if key is None:
        return None
    return sorted(subjects(cursor, found, asked), key=lambda subject: key.pseudonym("USUBJID", subject))


def _rows(
    connection: Connection,
    relation: Relation,
    dataset: Dataset,
    asked: Asked,
    order: Sequence[str] | None,
    key: Key | None,
) -> Iterator[list[tuple[Any, ...]]]:
    batches = stream(connection, relation, asked, dataset.columns, order)
    if key is None:
        yield from batches
        return
    places = {place: column.name for place, column in enumerate(dataset.columns) if column.name in VARIABLES}
    for rows in batches:
        yield [
            tuple(
                key.pseudonym(places[place], value) if place in places and value is not None else value
                for place, value in enumerate(row)
            )
            for row in rows
        ]


def _manifest(
    request: Request,
    settings: Settings,
    created: datetime,
    asked: Asked,
    datasets: Sequence[tuple[Relation, Dataset]],
    contracts: Mapping[str, Contract],
    reached: Mapping[str, Position],
    folder: Path,
) -> dict[str, Any]:
    """What was written, of what, by whom: enough to prove later that these are those files."""
    key = request.key
    return {
        "export": 1,
        "created": created.isoformat(),
        "actor": settings.actor,
        "package": {"name": "haulier-clinical", "version": __version__},
        "standard": "SDTMIG 3.4",
        "study": asked.study,
        "sites": list(asked.sites) or "all",
        "left_out": sorted(request.left_out),
        "unblinded": {"reason": request.unblind} if request.unblind else None,
        "pseudonyms": {"secret": key.name, "key_version": key.version, "variables": list(VARIABLES)}
        if key
        else None,
        "datasets": {
            dataset.domain: {
                "relation": relation.shown,
                "rows": dataset.rows,
                "columns": [column.name for column in dataset.columns],
                "blinded": [column.name for column in dataset.columns if column.is_blinded],
                "files": {
                    form: _digest(folder / f"{relation.name}{ENDINGS[form]}") for form in request.forms
                },
            }
            for relation, dataset in datasets
        },
        "contracts": {
            table: {"id": contract.id, "version": contract.version} for table, contract in contracts.items()
        },
        "ledger": {
            target: {
                "load_id": position.load_id,
                "loaded_at": position.loaded_at.isoformat(),
                "chain": position.chain,
            }
            for target, position in reached.items()
        },
    }


def _digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256}


def _told(manifest: Mapping[str, Any], to: Path) -> str:
    lines = [f"{to}: study {manifest['study']}"]
    for domain, dataset in manifest["datasets"].items():
        files = ", ".join(file["name"] for file in dataset["files"].values())
        empty = f"; blinded: {', '.join(dataset['blinded'])}" if dataset["blinded"] else ""
        lines.append(f"  {domain}  {dataset['rows']:>7} rows  {files}{empty}")
    if manifest["pseudonyms"]:
        lines.append(f"  subjects by pseudonym, key version {manifest['pseudonyms']['key_version']}")
    return "\n".join(lines)
