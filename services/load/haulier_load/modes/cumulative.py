"""`upsert` of files that hold everything so far, where rows may go that they no longer have.

A content without a gap speaks of every key of its instance: of those it has, and that all others are gone. So, as in
`replace`, the later interval is newer whatever its rows say of themselves, and a tombstone of all keys keeps what an
earlier content, loaded late, may not bring back. A content with a gap speaks of the keys it has and of no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from psycopg2 import sql

from haulier.landing.fragments import live, newer_by_interval, same_key
from haulier.landing.upsert import Upsert
from haulier.ledger.queries import queries

_FEED = queries("haulier_load.modes", "feed.sql")
_OTHERS = (
    "another pipeline or instance has the key {key} in this table, and files without it would not know whose row to "
    "take away; let the key say it"
)
_OWN = sql.SQL(
    "EXISTS (SELECT FROM haulier.load l JOIN haulier.run r USING (run_id) WHERE l.load_id = t._haulier_load"
    " AND r.pipeline = %(pipeline)s AND r.instance = %(instance)s{})"
)
_EARLIER = sql.SQL(
    " AND ROW(r.interval_end, l.run_id, l.generation) < ROW(%(ordered)s, %(run_id)s, %(generation)s)"
)


@dataclass(kw_only=True)
class Cumulative(Upsert):
    statements: ClassVar[Mapping[str, str]] = {
        **Upsert.statements,
        **{name: _FEED[name] for name in ("reject_others", "keep_former_truncation")},
        **queries("haulier_load.modes", "cumulative.sql"),
    }

    #: A replay brings single rows, and a delivery that another run loaded brings none.
    _is_whole: bool = field(default=True, init=False)
    #: Whether what this content does not have is gone.
    _speaks_of_all: bool = field(default=False, init=False)
    _is_empty: bool = field(default=False, init=False)
    #: Whether rows that leave give up their values of unique columns.
    _frees: bool = field(default=False, init=False)

    def judge(self, leave_out: list[int]) -> None:
        content = self.content
        self._is_whole = content.is_delivered and content.replay_id is None and not leave_out
        super().judge(leave_out)

    @property
    def takes_too_much(self) -> bool:
        # An empty file is never taken for a removal, however much may go.
        return super().takes_too_much or (self._is_empty and self.going > 0)

    def apply(self, load_id: int) -> None:
        values = {"load_id": load_id}
        if self.account.removed and self.contract.deleted_at:
            self._execute("keep_vanished", values)
            self._expect("keep the history of", self.account.removed)
            self._execute("mark_vanished", values)
            self._expect("mark", self.account.removed)
        elif self.account.removed:
            self._execute("remove_vanished", values)
            self._expect("remove", self.account.removed)
        super().apply(load_id)
        if self._speaks_of_all:
            self._execute("keep_former_truncation")
            self._execute("bury_vanished", values)

    def count_vanished(self) -> None:
        """It is judged already."""

    def _judge_against_target(self) -> None:
        self._execute("reject_others")
        self._reject("key-taken", None, _OTHERS.format(key=self._key))
        if self._count("is_late"):
            self._execute("leave_out_gone")
            self.account.superseded += self.cursor.rowcount
        elif self._is_whole:
            staged = self._count("count")
            self._speaks_of_all = bool(staged) and not self._missing
            self._is_empty = not staged and not self._missing
            self.account.vanished = self._count("count_vanished")
        super()._judge_against_target()
        # A row that was rejected may be the very one that is missing.
        self.going = max(0, self.account.vanished - self._missing)
        if self.going:
            self.standing = self._count("count_standing")
        if self._speaks_of_all and not self.takes_too_much:
            self.account.removed = self.going

    def _judge_unique(self, anew: Callable[[], None] = lambda: None) -> None:
        self._frees = self._speaks_of_all and self.contract.deleted_at is None
        super()._judge_unique(anew)
        if self._missing and self._frees:
            # With a row rejected none leaves, and each keeps its values.
            self._frees = False
            super()._judge_unique(anew)
        self._speaks_of_all = self._speaks_of_all and not self._missing

    def _is_mortal(self) -> bool:
        return self.contract.deleted_at is not None or super()._is_mortal()

    @property
    def _missing(self) -> int:
        """Rows that were read and whose key is not known; one in the archive has no row in the table."""
        archived = sum(rule == "archived" for _, _, _, rule, _, _ in self.rejected)
        return self.unread + self.account.rejected - archived

    @property
    def _vanished(self) -> sql.Composable:
        """Whether a row ``t`` is one that an earlier content left and this one does not have."""
        absent = sql.SQL("NOT EXISTS (SELECT FROM {} g WHERE {})").format(
            self.stage, same_key(self.contract, "g", "t")
        )
        return sql.SQL(" AND ").join([live(self.contract, "t"), _OWN.format(_EARLIER), absent])

    @property
    def _staying(self) -> sql.Composable:
        if not self._frees:
            return super()._staying
        return sql.SQL("({} AND NOT ({}))").format(super()._staying, self._vanished)

    @property
    def _values(self) -> dict[str, object]:
        return {**super()._values, "everything": self.content.everything}

    def _parts(self, column: str | None = None) -> dict[str, sql.Composable]:
        return {
            **super()._parts(column),
            "s_newer_than_t": newer_by_interval(self.contract, "s", "t"),
            "own": _OWN.format(sql.SQL("")),
            "vanished": self._vanished,
            "deleted_at": sql.Identifier(self.contract.deleted_at or ""),
        }
