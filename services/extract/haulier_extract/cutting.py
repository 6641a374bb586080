"""Where a large run is cut into shards, while its rows go by."""

from __future__ import annotations

from haulier.definitions import Split
from haulier.manifest import Shard

#: An orchestrator maps a task to each, and Airflow maps 1,024 at the most.
MOST = 256


class Cut:
    """The shards of one run so far."""

    def __init__(self, split: Split | None, deliveries: int) -> None:
        self._rows = split.rows if split else None
        self._accepted = [0] * deliveries
        self._shards: list[Shard] = []

    def filled(self, delivery: int, rows: int) -> bool:
        """Count rows of the delivery at this position; whether the shard has as many as it should."""
        self._accepted[delivery] += rows
        return self._rows is not None and sum(self._accepted) >= self._rows

    def end(self, parts: int) -> None:
        """The shard holds all parts before this one that no other shard holds."""
        first = self._shards[-1].end if self._shards else 0
        self._shards.append(Shard(first=first, end=parts, accepted=tuple(self._accepted)))
        self._accepted = [0] * len(self._accepted)

    def shards(self, parts: int) -> tuple[Shard, ...]:
        """All of them, once every row went by; none when there is only one."""
        if any(self._accepted):
            self.end(parts)
        while len(self._shards) > MOST:
            self._shards = [_both(self._shards[at : at + 2]) for at in range(0, len(self._shards), 2)]
        return tuple(self._shards) if len(self._shards) > 1 else ()


def _both(shards: list[Shard]) -> Shard:
    accepted = tuple(map(sum, zip(*(shard.accepted for shard in shards), strict=True)))
    return Shard(first=shards[0].first, end=shards[-1].end, accepted=accepted)
