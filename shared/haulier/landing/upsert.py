"""`upsert`: the newest version of each key; an older one never changes a row nor brings back a deleted one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from psycopg2 import sql

from haulier.landing.fragments import of_deletions
from haulier.landing.merge import Merge
from haulier.landing.names import FATE, MATCHED
from haulier.ledger.queries import queries


@dataclass(kw_only=True)
class Upsert(Merge):
    statements: ClassVar[Mapping[str, str]] = {
        **Merge.statements,
        **queries("haulier.landing", "upsert.sql"),
        **queries("haulier.landing", "deletions.sql"),
    }

    #: Whether deletions have to be thought of: staged ones, or tombstones of earlier ones.
    _mortal: bool = field(default=False, init=False)
    _matched: int = field(default=0, init=False)
    #: Matched rows that get other values.
    _changed: int = field(default=0, init=False)
    #: Matched rows that get a new stamp: changed ones and equal ones.
    _newer: int = field(default=0, init=False)

    def apply(self, load_id: int) -> None:
        values = {"load_id": load_id}
        stays = self.contract.deleted_at is not None
        if self._mortal:
            self._bury(values)
        if self.account.deleted and not stays:
            self._execute("remove_deleted", values)
            self._expect("delete", self.account.deleted)
        self._update(values)
        if self.account.inserted:
            self._execute("insert_fated" if self._mortal else "insert", values)
            self._expect("insert", self.account.inserted)
        if self._mortal and stays:
            self._execute("keep_marked", values)
            self._expect("mark", self.account.deleted)
            self._execute("mark", values)

    def _bury(self, values: Mapping[str, object]) -> None:
        self._execute("keep_former_tombstones")
        self._execute("bury", values)

    def _update(self, values: Mapping[str, object]) -> None:
        if self._changed:
            self._execute("keep_history", values)
            self._expect("keep the history of", self._changed)
        if self._newer:
            self._execute("update", values)
            self._expect("update", self._newer)

    def _judge_against_target(self) -> None:
        self._mortal = self._is_mortal()
        if self._mortal:
            self._execute("judge_fates")
            self._judge_unique(self._judge_fates_anew)
            self._count_fates()
            return
        self._execute("match")
        self._judge_unique(self._match_anew)
        staged = self._count("count")
        self._execute("count_matched")
        self.account.updated, self.account.unchanged, superseded, self._matched = self._row()
        self._changed = self.account.updated
        self.account.superseded += superseded
        self._newer = self._count("count_newer")
        self.account.inserted = staged - self._matched

    def _is_mortal(self) -> bool:
        return self.contract.marker is not None or bool(self._count("any_tombstone"))

    def _match_anew(self) -> None:
        self._execute("forget_matched")
        self._execute("match")

    def _judge_fates_anew(self) -> None:
        self._execute("forget_fates")
        self._execute("judge_fates")

    def _count_fates(self) -> None:
        self._execute("count_fates")
        fates = dict(self.cursor.fetchall())
        self.account.inserted = fates.get("inserted", 0)
        self.account.updated = self._changed = fates.get("updated", 0)
        self.account.unchanged += fates.get("unchanged", 0)
        self.account.deleted = fates.get("deleted", 0)
        self.account.superseded += fates.get("superseded", 0)
        self._newer = self._count("count_newer")

    def _parts(self, column: str | None = None) -> dict[str, sql.Composable]:
        parts = super()._parts(column)
        return {**parts, **of_deletions(self.contract)} if self._mortal else parts

    @property
    def _staying(self) -> sql.Composable:
        if not self._mortal or self.contract.deleted_at:
            return super()._staying
        return sql.SQL(
            "NOT EXISTS (SELECT FROM {} f WHERE f.part = t.tableoid AND f.tid = t.ctid AND f.fate = 'deleted')"
        ).format(FATE)

    @property
    def _settled(self) -> sql.Composable:
        if self._mortal:
            return sql.SQL(
                "NOT EXISTS (SELECT FROM {} f WHERE f.part = t.tableoid AND f.tid = t.ctid AND f.fate = 'updated')"
            ).format(FATE)
        return sql.SQL(
            "NOT EXISTS (SELECT FROM {} m WHERE m.part = t.tableoid AND m.tid = t.ctid AND m.newer)"
        ).format(MATCHED)

    def _applied(self, alias: str) -> sql.Composable:
        row = sql.Identifier(alias, "ctid")
        if self._mortal:
            return sql.SQL("NOT EXISTS (SELECT FROM {} f WHERE f.id = {} AND f.fate = 'superseded')").format(
                FATE, row
            )
        return sql.SQL("NOT EXISTS (SELECT FROM {} m WHERE m.id = {} AND NOT m.newer)").format(MATCHED, row)

    @property
    def _comes_back(self) -> bool:
        return True

    @property
    def _entering(self) -> sql.Composable:
        if not self._matched:
            return sql.SQL("true")
        return sql.SQL("NOT EXISTS (SELECT FROM {} m WHERE m.id = s.ctid)").format(MATCHED)
