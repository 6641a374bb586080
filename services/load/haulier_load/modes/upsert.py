"""`upsert`: the newest version of each key; an older one never changes a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from psycopg2 import sql

from haulier.ledger.queries import queries
from haulier_load.merge import Merge
from haulier_load.names import MATCHED


@dataclass(kw_only=True)
class Upsert(Merge):
    statements: ClassVar[Mapping[str, str]] = {
        **Merge.statements,
        **queries("haulier_load.modes", "upsert.sql"),
    }

    _matched: int = field(default=0, init=False)
    #: Matched rows that get a new stamp: changed ones and equal ones.
    _newer: int = field(default=0, init=False)

    def apply(self, load_id: int) -> None:
        values = {"load_id": load_id}
        if self.account.updated:
            self._execute("keep_history", values)
            self._expect("keep the history of", self.account.updated)
        if self._newer:
            self._execute("update", values)
            self._expect("update", self._newer)
        if self.account.inserted:
            self._execute("insert", values)
            self._expect("insert", self.account.inserted)

    def _judge_against_target(self) -> None:
        self._judge_unique()
        staged = self._count("count")
        self._execute("match")
        self._execute("count_matched")
        self.account.updated, self.account.unchanged, superseded, self._matched = self._row()
        self.account.superseded += superseded
        self._newer = self._count("count_newer")
        self.account.inserted = staged - self._matched

    @property
    def _entering(self) -> sql.Composable:
        if not self._matched:
            return sql.SQL("true")
        return sql.SQL("NOT EXISTS (SELECT FROM {} m WHERE m.id = s.ctid)").format(MATCHED)
