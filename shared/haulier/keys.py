"""Where things live in the exchange. Everything is computed; nothing is ever found by listing.

    {pipeline}/{instance}/originals/{sha256}
    {pipeline}/{instance}/{interval}/{content}/{step}[/{shard}]/manifest.json
    {pipeline}/{instance}/{interval}/{content}/{step}[/{shard}]/{attempt}/part-{n}-{sha256}.parquet

``content`` says which rows a run hauls: ``g3`` its third generation, ``r17`` replay 17. Extract is never
split, so its keys have no shard.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from haulier.errors import DefinitionError
from haulier.interval import Interval

#: What may name a pipeline, an instance or a function: it becomes part of keys, DAG ids and labels.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def check_name(value: str, what: str) -> str:
    """The value itself. Raises `DefinitionError` when it cannot be part of a key."""
    if not NAME.fullmatch(value) or ".." in value:
        raise DefinitionError(
            f"{what}: {value!r} cannot be a name; use letters, digits, '-', '_' and '.', first a letter or digit"
        )
    return value


@dataclass(frozen=True, kw_only=True)
class RunKeys:
    """The keys of one run's content, or of one shard of it."""

    pipeline: str
    instance: str
    interval: Interval
    content: str
    shard: int | None = None

    def manifest(self, step: str) -> str:
        return f"{self._step(step)}/manifest.json"

    def part(self, step: str, attempt: str, number: int, sha256: str, kind: str = "part") -> str:
        return f"{self._step(step)}/{attempt}/{kind}-{number:05d}-{sha256}.parquet"

    @property
    def root(self) -> str:
        """What all keys of this content begin with."""
        return f"{self.pipeline}/{self.instance}/{self.interval.key}/{self.content}/"

    def _step(self, step: str) -> str:
        shard = "" if self.shard is None or step == "extract" else f"/{self.shard}"
        return f"{self.root}{step}{shard}"


def original(pipeline: str, instance: str, sha256: str) -> str:
    """Where a delivery's file is kept byte for byte."""
    return f"{pipeline}/{instance}/originals/{sha256}"
