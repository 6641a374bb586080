"""One step of one run, as it was asked for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Literal

from haulier.errors import DefinitionError
from haulier.interval import Interval
from haulier.keys import RunKeys, check_name
from haulier.manifest import Manifest, Step
from haulier.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Task:
    """What to haul and how this process was set up.

    ``generation`` and ``replay`` say which content of the run; with neither, extract opens the
    next generation when there is something new, and the later steps ask the ledger.
    """

    step: Step
    verb: Literal["plan", "run"]
    pipeline: str
    instance: str
    interval: Interval
    generation: int | None = None
    replay: int | None = None
    #: Why a person wants a new generation of a run that needs none; extract only.
    reprocess: str | None = None
    #: Which shard of the run, counted from 1; transform and load only. None: all of it.
    shard: int | None = None
    settings: Settings
    attempt: str = field(default_factory=lambda: str(uuid.uuid4()))

    def __post_init__(self) -> None:
        check_name(self.pipeline, "--pipeline")
        check_name(self.instance, "--instance")
        if self.generation is not None and self.replay is not None:
            raise DefinitionError(
                "--generation and --replay exclude each other: a replay names its own generation"
            )
        if self.shard is not None and self.replay is not None:
            raise DefinitionError("--shard and --replay exclude each other: a replay is never split")

    @property
    def content(self) -> str | None:
        """The content this task was told to haul, as keys write it; ``None``: not told."""
        if self.verb == "plan":
            return "plan"
        if self.replay is not None:
            return f"r{self.replay}"
        return f"g{self.generation}" if self.generation is not None else None

    def keys(self, content: str) -> RunKeys:
        return RunKeys(
            pipeline=self.pipeline,
            instance=self.instance,
            interval=self.interval,
            content=content,
            shard=self.shard,
        )


#: How a step ended that has a result.
Ending = Literal["sealed", "staged", "loaded", "quarantined", "empty", "already done", "planned"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a step says of itself, as the one JSON line on stdout."""

    outcome: Ending
    exit_code: int = 0
    generation: int = 0
    replay: int | None = None
    content: str | None = None
    #: How many SQL models run after the load; load says it, where there are any.
    models: int | None = None
    #: Into how many shards extract split the run.
    shards: int = 1
    counts: dict[str, object] = field(default_factory=dict)
    manifest: str | None = None
    notes: tuple[str, ...] = ()


def content_of(manifest: Manifest) -> dict[str, object]:
    return {"generation": manifest.generation, "replay": manifest.replay_id, "content": manifest.content}
