"""`append`: every row is a new one; a new generation of a run that has a row takes the place of the older one's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from psycopg2 import sql

from haulier.cold.ledger import away
from haulier.errors import DataError, TransientError
from haulier.landing.merge import Merge
from haulier.landing.names import MATCHED
from haulier.ledger.queries import queries

_TAKEN = "the table already holds the key {key} with other values and this pipeline only appends"


@dataclass(kw_only=True)
class Append(Merge):
    statements: ClassVar[Mapping[str, str]] = {
        **Merge.statements,
        **queries("haulier_load.modes", "append.sql"),
    }

    #: Loads of the run's older generations.
    _older: list[int] = field(default_factory=list, init=False)
    _matched: int = field(default=0, init=False)

    def apply(self, load_id: int) -> None:
        values = {"load_id": load_id}
        if self.account.removed:
            self._execute("remove_replaced", values)
            self._expect("remove", self.account.removed)
        if self.account.inserted:
            self._execute("insert", values)
            self._expect("insert", self.account.inserted)

    def _judge_against_target(self) -> None:
        self._execute("older_loads")
        self._older = [load_id for (load_id,) in self.cursor.fetchall()]
        self._judge_unique()
        staged, taken = self._count("count"), 0
        if self.contract.key:
            self._execute("match")
            self._matched = self.cursor.rowcount
            self._execute("taken_keys")
            taken = self._reject("key-taken", None, _TAKEN.format(key=self._key))
            self.account.duplicate += self._matched - taken
        self.account.inserted = staged - self._matched
        # What has no row takes none away; the first that a replay brings of it then does.
        if self._older and staged > taken:
            self._replace_older()

    def _replace_older(self) -> None:
        # Whose rows a partition on its way holds is not written down yet.
        if on_way := [one for one in away(self.cursor, self.contract.target) if one.detached]:
            raise TransientError(
                f"this run was loaded before, and {on_way[0].shown}, which may hold rows that it replaces, is on its way "
                "to the archive; try again once haulier archive has finished it, or restore it"
            )
        self._execute("archived_replaced")
        if archived := self.cursor.fetchall():
            raise DataError(
                f"this run was loaded before and some of those rows, which it replaces, are archived in {archived[0][0]}; "
                f"haulier restore --target {self.contract.target} --partition {archived[0][0]}, then try again"
            )
        self.account.removed = self._count("count_replaced")

    @property
    def _staying(self) -> sql.Composable:
        return sql.SQL("t._haulier_load <> ALL(%(older)s)" if self._older else "true")

    @property
    def _entering(self) -> sql.Composable:
        if not self._matched:
            return sql.SQL("true")
        return sql.SQL("NOT EXISTS (SELECT FROM {} m WHERE m.id = s.ctid)").format(MATCHED)

    @property
    def _values(self) -> dict[str, object]:
        return {**super()._values, "older": self._older}
