"""From `models/*.sql` to models: the header read and checked; what the SQL says is judged where it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from haulier import documents
from haulier.contracts import Contract
from haulier.definitions.models import Model, ModelHeader
from haulier.errors import DefinitionError
from haulier.keys import check_name
from haulier.odcs.contract import load_contract
from haulier.problems import Problem, quoted, suggestion

_TARGET = re.compile(r"[a-z_][a-z0-9_]{0,62}\.[a-z_][a-z0-9_]{0,62}")
#: What PostgreSQL's regular expressions read differently from RE2, by which transform judges (PostgreSQL 9.7.3).
_UNLIKE = re.compile(r"(?<!\\)(?:\\\\)*(\(\?(?!:)|\\[bBpPAzQ])")


def load_models(folder: Path, names: Sequence[str]) -> tuple[Model, ...]:
    """``folder/models/{name}.sql`` of each name. Raises `DefinitionError` with the problems of all."""
    found, problems = [], []
    for name in names:
        try:
            found.append(_load_model(folder, name))
        except DefinitionError as exc:
            problems.append(str(exc))
    if problems:
        raise DefinitionError("\n".join(problems))
    return tuple(found)


def of_models(models: Sequence[Model], contract: Contract, mode: str) -> Iterator[Problem]:
    """What can be judged only of the models and the raw table side by side."""
    merges = [model.name for model in models if model.materialized == "merge"]
    if merges and mode != "append":
        yield Problem(
            ("load", "mode"),
            f'{quoted(mode)} moves rows from run to run, and the merge {merges[0]} reads the rows of one; use "append"',
        )
    made = {contract.target: "the pipeline's own contract"}
    for place, model in enumerate(models):
        if model.target in made:
            yield Problem(("models", place), f"makes {model.target}, as does {made[model.target]}", " ")
        made.setdefault(model.target, f"the model {model.name}")


def _load_model(folder: Path, name: str) -> Model:
    path = folder / "models" / f"{check_name(name, 'models')}.sql"
    if not path.is_file():
        hint = suggestion(name, sorted(other.stem for other in path.parent.glob("*.sql")), "there are")
        raise DefinitionError(f"models: there is no file {path.absolute()}{hint}")
    shown = f"models/{path.name}"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise DefinitionError(f"{shown}: cannot be read as UTF-8 text: {exc}") from exc
    count = next((n for n, line in enumerate(lines) if not line.startswith("--")), len(lines))
    header = _header("\n".join(line[2:].removeprefix(" ") for line in lines[:count]), shown)
    sql = "\n".join(lines[count:]).strip()
    if not sql:
        raise DefinitionError(f"{shown}: says nothing below its header; write one SELECT")
    contract = _contract(path, header, shown)
    return Model(
        name=name,
        materialized=header.materialized,
        target=contract.target if contract else header.target or "",
        contract=contract,
        description=header.description,
        sql=sql,
    )


def _header(text: str, shown: str) -> ModelHeader:
    if not text.strip():
        raise DefinitionError(f"{shown}: begins without a header; its first line is -- materialized: merge")
    document = documents.parse(text, shown)
    try:
        return msgspec.convert(document, ModelHeader)
    except msgspec.ValidationError as exc:
        from haulier.explaining import explain

        problems = explain(document, ModelHeader, "a model's header")
        said = [f"{shown}: {problem.words(document)}" for problem in problems] or [f"{shown}: {exc}"]
        raise DefinitionError("\n".join(said)) from exc


def _contract(path: Path, header: ModelHeader, shown: str) -> Contract | None:
    if header.materialized != "merge":
        if header.contract:
            raise DefinitionError(f"{shown}: contract: is for a merge; a {header.materialized} has a target")
        if not header.target or not _TARGET.fullmatch(header.target):
            given = quoted(header.target) if header.target else "nothing"
            raise DefinitionError(f"{shown}: target: is schema.name in lower case; here it is {given}")
        return None
    if header.target:
        raise DefinitionError(
            f"{shown}: target: is for a table or a view; a merge has a contract that names it"
        )
    if not header.contract:
        raise DefinitionError(f"{shown}: contract: is missing; a merge keeps one")
    file = path.parent / header.contract
    if not file.is_file():
        raise DefinitionError(
            f"{shown}: contract: there is no file {quoted(header.contract)}, seen from {path.parent}"
        )
    contract = load_contract(file, header.contract)
    if not contract.key:
        raise DefinitionError(f"{shown}: a merge needs a primary key and {header.contract} declares none")
    only_for_load = {
        "deletes": contract.marker,
        "deletedAt": contract.deleted_at,
        "validTo": contract.valid_to,
        "unchangedValues": contract.keeping,
    }
    if what := next((name for name, has in only_for_load.items() if has), None):
        raise DefinitionError(
            f"{shown}: {header.contract} has {what}, which is for load; a merge keeps the newest row"
        )
    for column in contract.columns:
        if unlike := _UNLIKE.search(column.pattern or ""):
            raise DefinitionError(
                f"{shown}: {header.contract}: column {column.name}: pattern: {quoted(unlike[1])} means something else to "
                "PostgreSQL, which judges a merge; write the pattern without it"
            )
        if column.null_values or column.formats != ("iso",):
            what = "nullValues" if column.null_values else "a format"
            raise DefinitionError(
                f"{shown}: {header.contract}: column {column.name} has {what}, which is for cells of files; let the model's "
                "SQL read them"
            )
    return contract
