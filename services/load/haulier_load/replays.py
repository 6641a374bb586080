"""What a replay does to the rejects it was asked for: each is resolved once, or fails again."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from haulier.landing.rejects import Place, messages, places
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries

_SQL = queries("haulier.landing", "load.sql")


@dataclass(kw_only=True)
class Replayed:
    """The rejects of one replay by their place in the source."""

    open: dict[Place, int] = field(default_factory=dict)
    #: Resolved by someone else since the replay was asked for; their rows must not enter again.
    resolved: list[Place] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)

    @classmethod
    def find(cls, cursor: Cursor, replay_id: int | None) -> Replayed:
        replayed = cls()
        if replay_id is None:
            return replayed
        cursor.execute(_SQL["replay_rejects"], {"replay_id": replay_id})
        for reject_id, delivery, row, output, is_open in cursor.fetchall():
            if is_open:
                replayed.open[delivery, row, output] = reject_id
            else:
                replayed.resolved.append((delivery, row, output))
        return replayed

    def failing(self, table: pa.Table) -> pa.Table:
        """Note which rejects failed again; return the lines that are rejects of their own."""
        new = []
        resolved = set(self.resolved)
        for place, message in zip(places(table), messages(table).to_pylist(), strict=True):
            if place in self.open:
                self.failed[self.open[place]] = message
            new.append(place not in self.open and place not in resolved)
        return table.filter(pa.array(new, pa.bool_()))

    def record(self, cursor: Cursor, load_id: int) -> None:
        """One event per reject that was still open."""
        ids = sorted(self.open.values())
        if not ids:
            return
        cursor.execute(
            _SQL["insert_events"],
            {
                "load_id": load_id,
                "reject_ids": ids,
                "statuses": ["failed again" if i in self.failed else "replayed" for i in ids],
                "messages": [self.failed.get(i, "") for i in ids],
            },
        )
