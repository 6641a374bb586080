"""What a transform needs before it starts: rules that can be applied, functions that can be
imported, models that only select and go round in no circle."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from haulier.errors import HaulierError, Told
from haulier.loading import PipelineFile, instances, load_pipeline, load_pipelines, resolve, states
from haulier.settings import Settings


def check(pipeline: str | None, instance: str | None, settings: Settings) -> list[tuple[str, str]]:
    """(what was checked, what is wrong), for one instance, one pipeline or all."""
    try:
        files = (
            [load_pipeline(settings.definitions, pipeline)]
            if pipeline
            else list(load_pipelines(settings.definitions).values())
        )
    except HaulierError as exc:
        return [(pipeline or "pipelines", Told.of(exc))]
    return [finding for file in files for finding in _of_pipeline(file, instance, settings)]


def _of_pipeline(file: PipelineFile, instance: str | None, settings: Settings) -> Iterator[tuple[str, str]]:
    for name in [instance] if instance else instances(file):
        seen: set[str] = set()
        for at in states(file, name):
            try:
                _prepare(file, name, at, settings)
            except HaulierError as exc:
                if str(exc) not in seen:
                    seen.add(str(exc))
                    yield f"{file.name}/{name}", Told.of(exc)


def _prepare(file: PipelineFile, name: str, at: datetime | None, settings: Settings) -> None:
    from haulier_transform.canonical import Canonical

    definition, contract = resolve(file, name, at)
    functions = None
    if definition.transform.functions:
        from haulier_transform.functions import Functions

        functions = Functions.load(
            definition.transform.functions, settings.definitions / "functions", definition.references
        )
    Canonical(definition, contract, (), functions)
    if definition.models:
        from haulier_transform.models.parsing import in_order, read_model

        in_order(read_model(model) for model in definition.models)
