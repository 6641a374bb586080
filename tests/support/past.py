"""What a table was after each load, as it was seen then, against what the ledger tells of it afterwards."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from support.databases import Database

from haulier.settings import Settings
from haulier_command.auditing.reading import Past
from haulier_command.ledger import reading

TABLE = "shop.things"
#: What `scd2` moves without a version of its own.
_ENDS = ("valid_to", "is_current")


class Snapshots:
    """Taken after loads; a table without a load yet has no rows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._taken: dict[int, Counter[str]] = {}

    def take(self) -> None:
        """The rows as they are, under the last link of the chain."""
        link = self._link()
        if link:
            rows = self._database.rows(f"SELECT to_jsonb(t) FROM {TABLE} t")
            self._taken[link] = Counter(_plain(row) for (row,) in rows)

    def check(self, settings: Settings) -> None:
        """Each of them is told as it was, and the events add up to it."""
        versioned = self._database.rows("SELECT count(*) FROM haulier.load WHERE mode = 'scd2'") != [(0,)]
        with reading(settings, "test") as cursor:
            if not self._taken:
                return
            past = Past.of(cursor, TABLE, [])
            for link, seen in self._taken.items():
                if not versioned or link == self._link():
                    assert Counter(map(_plain, past.rows_at(link))) == seen, link
            table: Counter[str] = Counter()
            events = iter([*past.events(1, self._link()), {"link": self._link() + 1}])
            event = next(events)
            for link in range(1, self._link() + 1):
                while event["link"] == link:
                    for side, sign in (("old", -1), ("new", 1)):
                        if event[side] is not None:
                            table[_plain(event[side], without=_ENDS)] += sign
                    event = next(events)
                assert not -table, link
                if link in self._taken and not _moved(past):
                    assert +table == _without_ends(self._taken[link]), link

    def _link(self) -> int:
        found = self._database.rows("SELECT max(link) FROM haulier.chain WHERE target = %s", [TABLE])
        return int(found[0][0] or 0)


def _moved(past: Past) -> bool:
    """Whether marks of deleted rows may have moved, which is no event."""
    return "deleted_at" in past.target.types


def _without_ends(rows: Counter[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for row, count in rows.items():
        found[_plain(json.loads(row), without=_ENDS)] += count
    return found


def _plain(row: dict[str, Any], without: tuple[str, ...] = ()) -> str:
    columns = {n: v for n, v in row.items() if not n.startswith("_haulier_") and n not in without}
    return json.dumps(columns, sort_keys=True, default=str)
