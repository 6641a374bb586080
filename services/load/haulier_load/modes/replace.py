"""`replace`: a run's content becomes its instance's whole share of the table, in place.

Nothing is dropped or truncated: what is no longer sent is deleted row by row, so views, grants,
constraints and readers notice nothing. A run without rows and one older than what is there change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from psycopg2 import sql

from haulier.landing.fragments import newer_by_interval, same_key
from haulier.landing.merge import Merge
from haulier.landing.names import MATCHED
from haulier.ledger.queries import queries

_OTHERS = "another pipeline or instance has the key {key} in this table; let the key say whose row it is"


@dataclass(kw_only=True)
class Replace(Merge):
    statements: ClassVar[Mapping[str, str]] = {
        **Merge.statements,
        **queries("haulier.landing", "upsert.sql"),
        **queries("haulier_load.modes", "replace.sql"),
    }

    #: Loads that wrote the instance's share.
    _share: list[int] = field(default_factory=list, init=False)
    #: Matched rows that get a new stamp: changed ones and equal ones.
    _newer: int = field(default=0, init=False)
    #: A replay adds single rows to a content that is there, and a delivery that another run loaded brings none.
    _is_whole: bool = field(default=True, init=False)

    def judge(self, leave_out: list[int]) -> None:
        adds = self.content.replay_id is not None and self._count("brought")
        self._is_whole = not (adds or leave_out)
        super().judge(leave_out)

    def apply(self, load_id: int) -> None:
        values = {"load_id": load_id}
        if self.account.removed:
            self._execute("remove_missing", values)
            self._expect("remove", self.account.removed)
        if self.account.updated:
            self._execute("keep_history", values)
            self._expect("keep the history of", self.account.updated)
        if self._newer:
            self._execute("update", values)
            self._expect("update", self._newer)
        if self.account.inserted:
            self._execute("insert", values)
            self._expect("insert", self.account.inserted)

    def count_vanished(self) -> None:
        """Nothing vanishes unnoticed: it is removed."""

    def _judge_against_target(self) -> None:
        if self._count("newer_content"):
            self.account.superseded += self._count("count")
            return
        self._execute("share")
        self._share = [load_id for (load_id,) in self.cursor.fetchall()]
        self._execute("match_share")
        self._execute("reject_others")
        self._reject("key-taken", None, _OTHERS.format(key=self._key))
        self._judge_unique(self._match_anew)
        staged = self._count("count")
        self._execute("count_matched")
        self.account.updated, self.account.unchanged, superseded, matched = self._row()
        self.account.superseded += superseded
        self._newer = self._count("count_newer")
        self.account.inserted = staged - matched
        if staged and self._is_whole:
            self.account.removed = self._count("count_missing")
        if self.account.removed and self.removal_threshold is not None:
            self.going, self.standing = self.account.removed, self._count("count_share")

    def _match_anew(self) -> None:
        self._execute("forget_matched")
        self._execute("match_share")

    def _parts(self, column: str | None = None) -> dict[str, sql.Composable]:
        # What a run sends is newer than what its share holds; among the rows of one run, versions decide.
        gives_way = sql.SQL("true") if self._is_whole else newer_by_interval(self.contract, "s", "t")
        return {**super()._parts(column), "gives_way": gives_way}

    @property
    def _values(self) -> dict[str, object]:
        return {**super()._values, "share": self._share}

    @property
    def _staying(self) -> sql.Composable:
        if not self._is_whole:
            return super()._staying
        return sql.SQL("(t._haulier_load <> ALL(%(share)s) OR EXISTS (SELECT FROM {} g WHERE {}))").format(
            self.stage, same_key(self.contract, "g", "t")
        )

    @property
    def _settled(self) -> sql.Composable:
        return sql.SQL(
            "NOT EXISTS (SELECT FROM {} m WHERE m.part = t.tableoid AND m.tid = t.ctid AND m.newer)"
        ).format(MATCHED)

    def _applied(self, alias: str) -> sql.Composable:
        row = sql.Identifier(alias, "ctid")
        return sql.SQL("NOT EXISTS (SELECT FROM {} m WHERE m.id = {} AND NOT m.newer)").format(MATCHED, row)

    @property
    def _comes_back(self) -> bool:
        # Of a whole content a rejected row is no part, and neither is what it was to replace.
        return not self._is_whole

    @property
    def _entering(self) -> sql.Composable:
        return sql.SQL("NOT EXISTS (SELECT FROM {} m WHERE m.id = s.ctid)").format(MATCHED)
