"""What a step reads and writes, in OpenLineage's words: named as its specification says, counted by the account.

Airflow asks after a task, and only where a lineage backend is configured; imports of OpenLineage wait until then.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from haulier.definitions import Instance

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset

    from haulier.contracts import Contract

#: From which beginning of an interval on an instance is what; ``None``: from the first.
State = tuple[datetime | None, Instance]
#: Numbers and names of a result that a reader of lineage may want beside the datasets.
_RUN = ("outcome", "generation", "replay", "shards", "counts")


@dataclass(frozen=True, kw_only=True)
class Datasets:
    """Where an instance's rows come from, pass and go."""

    pipeline: str
    instance: str
    #: From which beginning of an interval on which (namespace, name), as OpenLineage names files, buckets and hosts.
    sources: tuple[tuple[datetime | None, tuple[str, str]], ...]
    target: str
    #: (name, type, description) of the contract's columns.
    columns: tuple[tuple[str, str, str], ...]
    #: The steps' own variables; Airflow's are asked for what is not among them.
    environment: Mapping[str, str]

    @classmethod
    def of(
        cls,
        instance: Instance,
        contract: Contract,
        states: Sequence[State],
        source_root: Path,
        environment: Mapping[str, str],
    ) -> Datasets:
        return cls(
            pipeline=instance.pipeline,
            instance=instance.instance,
            sources=tuple((since, _named(state.source.place, source_root)) for since, state in states),
            target=contract.target,
            columns=tuple((c.name, c.pg_type, c.description) for c in contract.columns),
            environment=environment,
        )

    def lineage(
        self, step: str, result: Mapping[str, Any] | None, begins: datetime | None = None
    ) -> OperatorLineage[Any, Any]:
        """What one step did of the run that begins then; without a result, what it would have."""
        from airflow.providers.openlineage.extractors import OperatorLineage

        counts = (result or {}).get("counts") or {}
        inputs: list[InputDataset | None] = []
        outputs: list[OutputDataset | None] = []
        if step == "extract":
            inputs.append(self._source(counts, begins))
            outputs.append(self._handed_on("extract", counts.get("accepted")))
        elif step == "transform":
            inputs.append(self._handed_over("extract"))
            outputs.append(self._handed_on("transform", counts.get("produced")))
        elif step == "models":
            models = (counts.get("models") or {}).values()
            inputs += [
                self._read(table) for table in sorted({one for told in models for one in told["reads"]})
            ]
            outputs += [self._built(told) for told in models]
        else:
            inputs.append(self._handed_over("transform"))
            outputs.append(self._table(counts))
        return OperatorLineage(
            inputs=[one for one in inputs if one],
            outputs=[one for one in outputs if one],
            run_facets=_run_facet(result),
        )

    def _source(self, counts: Mapping[str, Any], begins: datetime | None) -> InputDataset:
        from openlineage.client.event_v2 import InputDataset
        from openlineage.client.facet_v2 import input_statistics_input_dataset

        facets: dict[str, Any] = {}
        if "read" in counts:
            facets["inputStatistics"] = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
                rowCount=counts["read"], fileCount=counts.get("deliveries")
            )
        held = [named for since, named in self.sources if not since or not begins or since <= begins]
        namespace, name = held[-1]
        return InputDataset(namespace=namespace, name=name, inputFacets=facets)

    def _table(self, counts: Mapping[str, Any]) -> OutputDataset | None:
        from openlineage.client.event_v2 import OutputDataset
        from openlineage.client.facet_v2 import schema_dataset

        if (found := self._database(self.target)) is None:
            return None
        fields = [
            schema_dataset.SchemaDatasetFacetFields(
                name=name, type=pg_type, description=description or None, ordinal_position=n
            )
            for n, (name, pg_type, description) in enumerate(self.columns, 1)
        ]
        return OutputDataset(
            namespace=found[0],
            name=found[1],
            facets={"schema": schema_dataset.SchemaDatasetFacet(fields=fields)},
            outputFacets=_written(_changed(counts)),
        )

    def _read(self, table: str) -> InputDataset | None:
        from openlineage.client.event_v2 import InputDataset

        found = self._database(table)
        return InputDataset(namespace=found[0], name=found[1]) if found else None

    def _built(self, told: Mapping[str, Any]) -> OutputDataset | None:
        """What a model made; a table that was built anew has all its rows from this run."""
        from openlineage.client.event_v2 import OutputDataset

        found = self._database(told["target"])
        rows = _changed(told) if "inserted" in told else told.get("rows")
        return (
            OutputDataset(namespace=found[0], name=found[1], outputFacets=_written(rows)) if found else None
        )

    def _database(self, table: str) -> tuple[str, str] | None:
        host, database = self._told("PGHOST"), self._told("PGDATABASE")
        if not (host and database):
            return None  # reached by a service file or a socket's default: a name made up would mislead
        return f"postgres://{host}:{self._told('PGPORT') or 5432}", f"{database}.{table}"

    def _handed_over(self, step: str) -> InputDataset | None:
        from openlineage.client.event_v2 import InputDataset

        found = self._exchange(step)
        return InputDataset(namespace=found[0], name=found[1]) if found else None

    def _handed_on(self, step: str, rows: int | None) -> OutputDataset | None:
        from openlineage.client.event_v2 import OutputDataset

        found = self._exchange(step)
        return (
            OutputDataset(namespace=found[0], name=found[1], outputFacets=_written(rows)) if found else None
        )

    def _exchange(self, step: str) -> tuple[str, str] | None:
        """What a step handed to the next, of all runs: one dataset, so that steps join up."""
        url = urlsplit(self._told("HAULIER_EXCHANGE"))
        inside = f"{self.pipeline}/{self.instance}/{step}"
        if url.scheme == "s3":
            return f"s3://{url.netloc}", "/".join(part for part in (url.path.strip("/"), inside) if part)
        return ("file", f"{url.path}/{inside}") if url.scheme == "file" else None

    def _told(self, name: str) -> str:
        return self.environment.get(name) or os.environ.get(name) or ""


def _named(place: str, source_root: Path) -> tuple[str, str]:
    scheme, remote, rest = place.partition("://")
    if not remote:
        return "file", str(source_root / place)
    host, _, name = rest.partition("/")
    return f"{scheme}://{host}", name if scheme == "s3" else f"/{name}"


def _changed(counts: Mapping[str, Any]) -> int | None:
    return counts["inserted"] + counts["updated"] if "inserted" in counts else None


def _written(rows: int | None) -> dict[str, Any]:
    from openlineage.client.facet_v2 import output_statistics_output_dataset

    if rows is None:
        return {}
    facet = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
    return {"outputStatistics": facet}


def _run_facet(result: Mapping[str, Any] | None) -> dict[str, Any]:
    from openlineage.client.facet_v2 import RunFacet

    told = {name: result[name] for name in _RUN if result.get(name) is not None} if result else {}
    return {"haulier": RunFacet().with_additional_properties(**told)} if told else {}
