"""Transform: extract's text, one bounded batch at a time, to canonical rows under a sealed manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

import haulier
from haulier.exchange import Exchange, ObjectMissing, open_exchange
from haulier.keys import RunKeys
from haulier.manifest import Manifest, facts
from haulier.parts import row_groups
from haulier.sealing import manifest_digest, read_manifest, seal
from haulier.shards import of_shard, transform_digest
from haulier.task import Ending, Outcome, Task
from haulier_transform.canonical import Canonical
from haulier_transform.pivot import Pivoting
from haulier_transform.writing import Record, Written

if TYPE_CHECKING:
    from haulier.originals import VerbatimRows
    from haulier_transform.functions import Functions


def transform(task: Task) -> Outcome:
    """Make the canonical rows of one run, or of one shard of it.

    Rows that break the contract are rejected, which is no failure.

    Raises `ObjectMissing` when extract has not sealed yet, `DataError` when what it sealed is not
    there as sealed, `DefinitionError` for what in the definition or its functions cannot work.
    """
    return _hauled(task, "sealed")


def plan(task: Task) -> Outcome:
    """The same, in the folder that the task's settings name, from what extract's plan left there."""
    return _hauled(task, "planned")


def _hauled(task: Task, outcome: Ending) -> Outcome:
    exchange = open_exchange(task.settings)
    keys = task.keys(task.content or _current_content(task))
    parent = read_manifest(exchange, keys, "extract")
    input_digest = transform_digest(parent, task.shard)
    sealed = _already_sealed(exchange, keys, input_digest)
    if sealed is not None:
        return _outcome("already done", sealed, keys)
    manifest = _written(task, exchange, keys, parent, input_digest)
    return _outcome(outcome, seal(exchange, keys, manifest), keys)


def _current_content(task: Task) -> str:
    from haulier.ledger.runs import current_generation

    _, generation = current_generation(task.settings, task.pipeline, task.instance, task.interval)
    return f"g{generation}"


def _already_sealed(exchange: Exchange, keys: RunKeys, input_digest: str) -> Manifest | None:
    """What an earlier attempt sealed of the same input; of another input, sealing will refuse."""
    try:
        sealed = read_manifest(exchange, keys, "transform")
    except ObjectMissing:
        return None
    return sealed if sealed.input_digest == input_digest else None


def _written(task: Task, exchange: Exchange, keys: RunKeys, parent: Manifest, input_digest: str) -> Manifest:
    parent_digest = manifest_digest(parent)
    if task.shard is not None:
        parent = of_shard(parent, task.shard)
    functions = _functions(task, parent)
    canonical = Canonical(parent.definition, parent.contract, parent.deliveries, functions)
    written = Written(exchange, keys, parent, task.attempt, _Originals(exchange, parent))
    for place, columns in parent.headers:
        written.note(canonical.header(place, columns))
    for table in _batches(parent, row_groups(exchange, parent.parts), task.settings.batch_rows):
        written.add(canonical.batch(table))
    parts, rejects, flags = written.close()
    return Manifest(
        step="transform",
        run_id=parent.run_id,
        pipeline=parent.pipeline,
        instance=parent.instance,
        interval_start=parent.interval_start,
        interval_end=parent.interval_end,
        content=parent.content,
        generation=parent.generation,
        replay_id=parent.replay_id,
        attempt=task.attempt,
        created_at=datetime.now(UTC),
        input_digest=input_digest,
        parent_digest=parent_digest,
        versions=_versions(parent, functions),
        definition=parent.definition,
        contract=parent.contract,
        deliveries=parent.deliveries,
        accounts=written.accounts(),
        parts=parts,
        shard=task.shard,
        rejects=(*parent.rejects, *rejects),
        flags=(*parent.flags, *flags),
        produced=sum(part.rows for part in parts) + written.rejected_outputs,
        rejected_outputs=written.rejected_outputs,
        rules=written.rules,
        filtered=written.filtered,
        notes=written.notes,
    )


def _functions(task: Task, parent: Manifest) -> Functions | None:
    names = parent.definition.transform.functions
    if not names:
        return None
    # pandas takes longer to import than ten thousand rows take to transform.
    from haulier_transform.functions import Functions

    return Functions.load(names, task.settings.definitions / "functions", parent.definition.references)


def _versions(parent: Manifest, functions: Functions | None) -> dict[str, str]:
    versions = {**parent.versions, "haulier": haulier.__version__, "pyarrow": pa.__version__}
    if functions is not None:
        import pandas as pd

        versions |= {"functions": functions.digest, "pandas": pd.__version__}
    return versions


def _batches(parent: Manifest, tables: Iterator[pa.Table], most_rows: int) -> Iterator[pa.Table]:
    if parent.definition.transform.pivot:
        from haulier_transform.groups import whole_groups

        yield from whole_groups(tables, parent.rows, most_rows, Pivoting(parent.definition.transform.pivot))
        return
    for table in tables:
        for start in range(0, table.num_rows, most_rows):
            yield table.slice(start, most_rows)


class _Originals:
    """Rejected rows as the files have them, read forward as batches come by, and again from the beginning where
    batches do not come in the files' order."""

    def __init__(self, exchange: Exchange, parent: Manifest) -> None:
        self._exchange, self._parent = exchange, parent
        self._open: dict[int, VerbatimRows] = {}
        self._last = 0

    def __call__(self, place: int, numbers: Sequence[int]) -> list[Record]:
        from haulier.originals import VerbatimRows

        if place not in self._open or numbers[0] < self._last:
            # One at a time: deliveries come one after another, unless groups are brought together.
            self._open = {
                place: VerbatimRows(
                    self._exchange, self._parent.deliveries[place], self._parent.definition.source.format
                )
            }
        self._last = numbers[-1]
        return self._open[place].take_with_place(numbers)


def _outcome(outcome: Ending, manifest: Manifest, keys: RunKeys) -> Outcome:
    return Outcome(
        outcome=outcome,
        generation=manifest.generation,
        replay=manifest.replay_id,
        content=manifest.content,
        counts=facts(manifest),
        manifest=keys.manifest("transform"),
        notes=(
            *manifest.notes,
            *(f"{count} rows filtered: {reason}" for reason, count in manifest.filtered.items()),
        ),
    )
