"""The sealed list of what a task wrote: believed by the next step, and nothing else is."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from haulier.contracts import Contract
from haulier.definitions import Instance

Step = Literal["extract", "transform", "load"]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One immutable Parquet object."""

    key: str
    sha256: str
    bytes: int
    rows: int


class Position(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From where to where an increment of a source reaches; what the two are is the source's affair."""

    #: Of the ledger's state.
    name: str
    #: The state when it was read; none: there was no state yet.
    start: dict[str, Any] | None = None
    #: The state once it is loaded.
    end: dict[str, Any]


class Delivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file or increment as it arrived, reserved for this run."""

    delivery_id: int
    logical_name: str
    sequence: int
    sha256: str
    bytes: int
    uri: str
    modified_at: datetime
    #: Key of the kept original in the exchange.
    original: str
    #: In a replay: the rejected (row, output) pairs to haul again; ``None`` hauls the whole delivery.
    replayed: tuple[tuple[int, int | None], ...] | None = None
    #: Of an increment: from where to where it reaches.
    position: Position | None = None


class SourceAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``read = accepted + filtered + rejected + stripped`` for one delivery.

    ``accepted`` in extract's manifest means handed on to transform; transform's is the final word.
    """

    delivery_id: int
    read: int
    accepted: int
    filtered: int
    rejected: int
    stripped: int

    def __post_init__(self) -> None:
        if self.read != self.accepted + self.filtered + self.rejected + self.stripped:
            raise AssertionError(f"the source account does not close: {self}")


class Shard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Some of extract's parts, which one task transforms and copies: `haulier.shards` reads it."""

    #: The parts from this position to before ``end``.
    first: int
    end: int
    #: Their rows by delivery, in the order of the manifest's accounts.
    accepted: tuple[int, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one task wrote, for whom, from what; see `haulier.sealing` for how it is committed."""

    version: Literal[1] = 1
    step: Step
    run_id: int
    pipeline: str
    instance: str
    interval_start: datetime
    interval_end: datetime
    #: ``g3``: generation 3 of the run; ``r17``: replay 17; ``plan``: a dry run.
    content: str
    generation: int
    replay_id: int | None = None
    attempt: str
    created_at: datetime
    #: Digest of everything the content depends on; never of code version or part layout.
    input_digest: str
    parent_digest: str | None = None
    versions: dict[str, str] = {}
    definition: Instance
    contract: Contract
    deliveries: tuple[Delivery, ...] = ()
    accounts: tuple[SourceAccount, ...] = ()
    parts: tuple[Part, ...] = ()
    #: Extract's: the place of each delivery of which no row is in the parts, and the columns it has all the same.
    headers: tuple[tuple[int, tuple[str, ...]], ...] = ()
    #: Extract's: how its parts are shared out; empty: the run is not split.
    shards: tuple[Shard, ...] = ()
    #: Transform's: which shard this is, counted from 1; none: the whole run.
    shard: int | None = None
    rejects: tuple[Part, ...] = ()
    flags: tuple[Part, ...] = ()
    #: Rows in `parts` plus, under a declared reshape, outputs that transform rejected.
    produced: int = 0
    #: Outputs that transform rejected under a declared reshape (target rejects), inside `produced`.
    rejected_outputs: int = 0
    #: Rejects and flags by rule, for people; the rows themselves are in `rejects` and `flags`.
    rules: dict[str, int] = {}
    #: Rows that functions filtered out, by their reason.
    filtered: dict[str, int] = {}
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


def encode(manifest: Manifest) -> bytes:
    return msgspec.json.encode(manifest, order="deterministic")


def decode(data: bytes) -> Manifest:
    """Raises `msgspec.ValidationError` for anything that is not a manifest of this version."""
    return msgspec.json.decode(data, type=Manifest)


def facts(manifest: Manifest) -> dict[str, Any]:
    """What the result line and the log say of a manifest."""
    return {
        "content": manifest.content,
        "deliveries": len(manifest.deliveries),
        "parts": len(manifest.parts),
        "read": sum(a.read for a in manifest.accounts),
        "accepted": sum(a.accepted for a in manifest.accounts),
        "filtered": sum(a.filtered for a in manifest.accounts),
        "rejected": sum(a.rejected for a in manifest.accounts),
        "stripped": sum(a.stripped for a in manifest.accounts),
        "produced": manifest.produced,
        "rules": manifest.rules,
    }


def recorded_versions(manifest: Manifest, versions: dict[str, str] | None = None) -> dict[str, str]:
    """What hauled it, and who approved the definition: as a load's ledger row says it."""
    approval = manifest.definition.approval
    found = manifest.versions if versions is None else versions
    return {**found, "approval": approval.words} if approval else found
