"""From definition files to instances: read, merged, filled in and checked, or refused with every reason.

`load_pipeline` reads one file; `resolve` makes one instance of it and reads its contract. A run of one
pipeline reads no other's file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from haulier import checks, documents
from haulier.contracts import Contract, with_extra
from haulier.definitions import Instance, Pipeline, Transform
from haulier.definitions.sources import Source, Sql
from haulier.errors import DefinitionError
from haulier.filling import filled_source, filled_transform
from haulier.keys import check_name
from haulier.models import load_models, of_models
from haulier.odcs.contract import load_contract
from haulier.overrides import Origin
from haulier.problems import Problem, quoted, refuse, suggestion
from haulier.references import load_references

T = TypeVar("T")

#: The one instance of a pipeline that declares none.
ONLY_INSTANCE = "main"
#: After the last change of every instance.
LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class PipelineFile:
    """A definition file that was read, and where it lies."""

    folder: Path
    path: Path
    pipeline: Pipeline
    #: As written: overrides are merged into this, not into defaults.
    document: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return self.pipeline.pipeline

    @property
    def shown(self) -> str:
        return _shown(self.path, self.folder)

    @property
    def contract_path(self) -> Path:
        return self.path.parent / self.pipeline.contract

    @cached_property
    def contract(self) -> Contract:
        """Read when first asked for. Raises `DefinitionError`."""
        if not self.contract_path.is_file():
            raise DefinitionError(f"{self.shown}: {Problem(('contract',), self._contract_hint()).words()}")
        return load_contract(self.contract_path, _shown(self.contract_path, self.folder))

    def _contract_hint(self) -> str:
        given = self.pipeline.contract
        contracts = sorted((self.folder / "contracts").glob("*.y*ml"))
        known = [f"../contracts/{path.name}" for path in contracts]
        return f"there is no file {quoted(given)}, seen from {self.path.parent}{suggestion(given, known)}"


def load_pipelines(folder: Path) -> dict[str, PipelineFile]:
    """All of ``folder/pipelines/*.yaml`` by name. Raises `DefinitionError` with the problems of all."""
    found, problems = {}, []
    for name in pipeline_names(folder):
        try:
            found[name] = load_pipeline(folder, name)
        except DefinitionError as exc:
            problems.append(str(exc))
    if problems:
        raise DefinitionError("\n".join(problems))
    return found


def pipeline_names(folder: Path) -> list[str]:
    """The names of the definition files, unopened. Raises `DefinitionError` for a folder without any."""
    pipelines = folder / "pipelines"
    if not pipelines.is_dir():
        raise DefinitionError(
            f"{pipelines.absolute()} is not a folder; HAULIER_DEFINITIONS names the one around `pipelines/`"
        )
    files = [path for path in sorted(pipelines.iterdir()) if not path.name.startswith(".")]
    for path in files:
        if path.suffix.lower() in (".yml", ".yaml") and path.suffix != ".yaml":
            raise DefinitionError(f"{_shown(path, folder)}: would not be read; rename it to {path.stem}.yaml")
    return [path.stem for path in files if path.suffix == ".yaml" and path.is_file()]


def load_pipeline(folder: Path, name: str) -> PipelineFile:
    """Read ``folder/pipelines/{name}.yaml`` and nothing else. Raises `DefinitionError` with all problems."""
    path = folder / "pipelines" / f"{check_name(name, 'pipeline')}.yaml"
    if not path.is_file():
        hint = suggestion(name, pipeline_names(folder), "there are")
        raise DefinitionError(f"there is no pipeline {quoted(name)} in {path.parent.absolute()}{hint}")
    shown = _shown(path, folder)
    document = documents.read(path, shown)
    pipeline = _converted(document, Pipeline, path, shown, "a pipeline")
    refuse(checks.of_pipeline(pipeline, path.stem), shown, document)
    return PipelineFile(folder=folder, path=path, pipeline=pipeline, document=document)


def instances(pipeline_file: PipelineFile) -> list[str]:
    """The names of its instances, in the file's order."""
    return list(pipeline_file.pipeline.instances) or [ONLY_INSTANCE]


def states(pipeline_file: PipelineFile, instance_name: str) -> list[datetime | None]:
    """From when on an instance is what, oldest first: from the beginning (``None``), and from each of its changes."""
    override = pipeline_file.pipeline.instances.get(instance_name)
    return [None, *(change.begins for change in (override.changes if override else ()))]


def resolve(
    pipeline_file: PipelineFile, instance_name: str, at: datetime | None = LATEST
) -> tuple[Instance, Contract]:
    """One instance as it is for a run whose interval begins then, merged, filled in, and checked against its contract,
    which has a column more where the instance keeps what its source has beside it.

    Without a time, as it is after its last change. Raises `DefinitionError`.
    """
    return _dated(_resolve, pipeline_file, instance_name, at)


def resolve_instance(
    pipeline_file: PipelineFile, instance_name: str, at: datetime | None = LATEST
) -> Instance:
    """As `resolve`, without opening the contract, a model or a reference: what a schedule needs to know."""
    return _dated(_resolve_instance, pipeline_file, instance_name, at)


def _dated(
    how: Callable[[PipelineFile, str, datetime | None], T],
    file: PipelineFile,
    instance: str,
    at: datetime | None,
) -> T:
    """Its answer, or a refusal that tells what a change makes wrong elsewhere from what was wrong before it."""
    try:
        return how(file, instance, at)
    except DefinitionError as exc:
        earlier = [since for since in states(file, instance) if since is None or (at and since <= at)]
        if len(earlier) < 2:
            raise
        # The earliest that says a line comes last, and stays.
        found = {
            line: since
            for since in reversed(earlier)
            for line in _lines_of(partial(how, file, instance, since))
        }
        raise DefinitionError(
            "\n".join(
                f"{line} (from {since:%Y-%m-%d} on)"
                if (since := found.get(line)) and f"instances.{instance}.changes[" not in line
                else line
                for line in str(exc).splitlines()
            )
        ) from exc


def _lines_of(asked: Callable[[], object]) -> list[str]:
    """What it is refused with."""
    try:
        asked()
    except DefinitionError as exc:
        return str(exc).splitlines()
    return []


def _resolve(
    pipeline_file: PipelineFile, instance_name: str, at: datetime | None
) -> tuple[Instance, Contract]:
    instance = _resolve_instance(pipeline_file, instance_name, at)
    models = load_models(pipeline_file.folder, pipeline_file.pipeline.models)
    references, unread = load_references(
        pipeline_file.folder, pipeline_file.path.parent, instance.transform.references
    )
    instance = msgspec.structs.replace(instance, models=models, references=references)
    contract = pipeline_file.contract
    contract_shown = _shown(pipeline_file.contract_path, pipeline_file.folder)
    problems = [
        *unread,
        *checks.of_target(instance, contract, contract_shown),
        *of_models(models, contract, instance.load.mode),
    ]
    _origin(pipeline_file, instance_name, at).refuse(problems)
    keeps = instance.transform.drift.new_column == "keep"
    return instance, with_extra(contract) if keeps else contract


def _resolve_instance(pipeline_file: PipelineFile, instance_name: str, at: datetime | None) -> Instance:
    known = instances(pipeline_file)
    if instance_name not in known:
        hint = suggestion(instance_name, known, "there are")
        raise DefinitionError(f"{pipeline_file.shown}: there is no instance {quoted(instance_name)}{hint}")
    pipeline = pipeline_file.pipeline
    override = pipeline.instances.get(instance_name)
    origin = _origin(pipeline_file, instance_name, at)
    parameters = origin.parameters()
    source, transform = _sections(pipeline_file, origin)
    origin.refuse(checks.of_instance(source, transform, parameters))
    own = {"instance": instance_name, "pipeline": pipeline.pipeline}
    values = {**own, **parameters}
    if origin.changes:
        first = _origin(pipeline_file, instance_name, None)
        asked = first.parameters()
        before = filled_source(_sections(pipeline_file, first)[0], {**own, **asked})
        origin.refuse(list(checks.of_change(filled_source(source, values), before, parameters, asked)))
    return Instance(
        pipeline=pipeline.pipeline,
        instance=instance_name,
        description=(override and override.description) or pipeline.description,
        owner=pipeline.owner,
        tags=pipeline.tags,
        operators=tuple(dict.fromkeys((*pipeline.operators, *(override.operators if override else ())))),
        schedule=pipeline.schedule,
        start=pipeline.start,
        catchup=pipeline.catchup,
        parameters=parameters,
        source=filled_source(source, values),
        transform=filled_transform(transform, values),
        load=pipeline.load,
        split=pipeline.split,
    )


def findings(folder: Path, pipeline: str | None = None, instance: str | None = None) -> list[tuple[str, str]]:
    """Every problem of all that is asked about, as (what was checked, what is wrong); nothing is raised."""
    return list(_findings(folder, pipeline, instance))


def _findings(folder: Path, pipeline: str | None, instance: str | None) -> Iterator[tuple[str, str]]:
    try:
        names = [pipeline] if pipeline else pipeline_names(folder)
    except DefinitionError as exc:
        yield str(folder), str(exc)
        return
    for name in names:
        seen: set[str] = set()
        try:
            pipeline_file = load_pipeline(folder, name)
        except DefinitionError as exc:
            yield name, str(exc)
            continue
        for chosen in [instance] if instance else instances(pipeline_file):
            for at in states(pipeline_file, chosen):
                said = _lines_of(partial(resolve, pipeline_file, chosen, at))
                # What is wrong with the pipeline or its contract is wrong with every instance: said once.
                if new := [line for line in said if line not in seen]:
                    seen.update(new)
                    yield f"{name}/{chosen}", "\n".join(new)


def _origin(file: PipelineFile, instance: str, at: datetime | None) -> Origin:
    changes = [since for since in states(file, instance) if since and at and since <= at]
    return Origin(
        path=file.path, shown=file.shown, document=file.document, instance=instance, changes=len(changes)
    )


def _sections(file: PipelineFile, origin: Origin) -> tuple[Source, Transform]:
    """As they are merged, with the statement that a query names. Raises `DefinitionError`."""
    source, transform = origin.sections()
    if source.sql and source.sql.statement:
        origin.refuse(
            [Problem(("source", "sql", "statement"), "is never written; name its file as query", " ")]
        )
    if source.sql and source.sql.query:
        source = msgspec.structs.replace(source, sql=_with_statement(file, origin, source.sql))
    return source, transform


def _with_statement(file: PipelineFile, origin: Origin, sql: Sql) -> Sql:
    """The section with what its query's file holds. Raises `DefinitionError`."""
    path = file.path.parent / (sql.query or "")
    if not path.resolve().is_relative_to(file.folder.resolve()):
        problem = f"{quoted(sql.query)} lies outside the definitions folder; move it inside"
    elif not path.is_file():
        known = sorted(file.folder.glob("*/*.sql"))
        near = suggestion(sql.query or "", [f"../{one.parent.name}/{one.name}" for one in known])
        problem = f"there is no file {quoted(sql.query)}, seen from {file.path.parent}{near}"
    else:
        try:
            return msgspec.structs.replace(sql, statement=path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            problem = f"{quoted(sql.query)} cannot be read ({type(exc).__name__}); it must be text in UTF-8"
    origin.refuse([Problem(("source", "sql", "query"), problem)])
    raise AssertionError(f"{file.shown}: refused without a reason")


def _converted(document: object, kind: type[T], path: Path, shown: str, noun: str) -> T:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as exc:
        from haulier.explaining import explain

        problems = explain(document, kind, noun, documents.original_texts(path, shown))
        refuse(problems, shown, document)
        raise AssertionError(f"{shown}: refused without a reason: {exc}") from exc


def _shown(path: Path, folder: Path) -> str:
    """The path as people know it: from the definitions folder, or as it is when it lies elsewhere."""
    resolved, root = path.resolve(), folder.resolve()
    return resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else str(path)
