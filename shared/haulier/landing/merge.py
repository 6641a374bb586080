"""Staged rows into the target: who wins within the stage, and the account of every row.

Every row of the stage meets exactly one fate. Judging only reads the target, so that a plan can stop
after it; applying writes what was judged and nothing else. What a row means to the table is the mode's
own: `haulier.landing.upsert`, and load's `modes`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

import msgspec
from psycopg2 import sql

from haulier.cold.ledger import away
from haulier.contracts import Contract
from haulier.landing.drift import Difference, fits
from haulier.landing.fragments import fragments, same_key
from haulier.landing.names import target_name
from haulier.landing.partitions import Piece, pieces, places
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier.manifest import Manifest
from haulier.partitions import within

#: (delivery, row, output) of a row that load rejects, with the rule, the column and the reason.
Rejected = tuple[int, int, int | None, str, str | None, str]

_CONFLICT = (
    "this file gives the key {key} more than one value; send each key once, or with a newer {ordering}"
)
_ARCHIVED = "its partition {partition} is archived; haulier restore --target {target} --partition {partition}, then replay"
_NOT_UNIQUE = "another row already has this {column}, which must be unique; correct one of the two"
#: Kind of drift -> rule and reason of a row whose value the table has no place for.
_UNFIT = {
    "new_column": ("new-column", "the table has no column {column} yet; add it and replay, or send no value"),
    "renamed": (
        "renamed-column",
        "the table has {column} under its other name {alias}; rename it and replay, or send no value",
    ),
    "widened": (
        "too-wide",
        "the value does not fit into {column}, which is {live} in the table; widen it and replay",
    ),
}


def archived(partition: str, target: str) -> str:
    """Why a row is rejected for which a partition has to be restored."""
    return _ARCHIVED.format(partition=partition, target=target)


@dataclass(kw_only=True)
class Account:
    """``produced = inserted + updated + unchanged + superseded + duplicate + deleted + rejected + held``."""

    produced: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    duplicate: int = 0
    deleted: int = 0
    rejected: int = 0
    held: int = 0
    #: Beside the account: rows that left the target, or were marked as deleted, though no row was read for them.
    removed: int = 0
    #: Rows of the instance that a content of everything no longer has, whether or not they were removed.
    vanished: int = 0

    def close(self) -> None:
        """Raises `AssertionError` when a row has no fate or two: nothing may be committed then."""
        fates = self.inserted + self.updated + self.unchanged + self.superseded + self.duplicate
        if self.produced != fates + self.deleted + self.rejected + self.held:
            raise AssertionError(f"the target account does not close: {self}")


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a load brings: which content of which run."""

    run_id: int
    pipeline: str
    instance: str
    generation: int
    replay_id: int | None
    #: End of the run's interval: the version of rows without an ordering column.
    ordered: datetime
    #: Whether there was anything to read, be it without rows.
    is_delivered: bool = True

    @classmethod
    def of(cls, manifest: Manifest) -> Content:
        """The content that a manifest is of."""
        return cls(
            run_id=manifest.run_id,
            pipeline=manifest.pipeline,
            instance=manifest.instance,
            generation=manifest.generation,
            replay_id=manifest.replay_id,
            ordered=manifest.interval_end,
            is_delivered=bool(manifest.deliveries),
        )

    @property
    def everything(self) -> str:
        """The key of a tombstone that is of all rows of this instance: as no column may be called."""
        return json.dumps({"_haulier_pipeline": self.pipeline, "_haulier_instance": self.instance})


@dataclass(kw_only=True)
class Merge(ABC):
    """One load's rows against one target; a mode says what becomes of the rows that are left in the stage."""

    #: By name; a mode adds its own.
    statements: ClassVar[Mapping[str, str]] = queries("haulier.landing", "merge.sql")

    cursor: Cursor
    contract: Contract
    content: Content
    #: The rows to merge: a TEMP table, or the stage of a run in shards.
    stage: sql.Identifier
    #: What stands in for the target in a plan that is made before the table is there or has all its columns.
    stand_in: sql.Composable | None = None
    #: column -> why the table has no place for some of its values.
    unfit: Mapping[str, Difference] = field(default_factory=dict)
    account: Account = field(default_factory=Account)
    rejected: list[Rejected] = field(default_factory=list)
    #: Share of its instance's rows that this content may take away by not sending them; None: the mode decides.
    removal_threshold: float | None = None
    #: Rows that earlier steps read and rejected.
    unread: int = 0
    #: Rows that go because this content does not send them, of how many that its instance has.
    going: int = field(default=0, init=False)
    standing: int = field(default=0, init=False)
    #: What is true of the rows ``t`` of every partition that staged rows belong to.
    _within: sql.Composable = field(default_factory=lambda: sql.SQL("true"), init=False)
    #: What is true of the rows ``s`` of the stage that belong to an archived partition.
    _archived: sql.Composable = field(default_factory=lambda: sql.SQL("false"), init=False)
    #: Unique columns whose index, somebody else's, looks at each row by itself: no value changes hands there.
    _at_once: set[str] = field(default_factory=set, init=False)

    def judge(self, leave_out: list[int]) -> None:
        """Decide every staged row's fate; afterwards the stage holds the rows that go to the target."""
        self._execute("analyze")
        self._leave_out(leave_out)
        if self.contract.partitions:
            staged = pieces(self.contract, places(self.cursor, self.contract, self.stage))
            self._judge_archived(staged)
            self._within = within(self.contract, staged, "t")
        self._judge_unfit()
        if self.contract.key:
            self._judge_repeated()
        self._judge_against_target()

    def leave_out_rows(self, places: list[tuple[int, int, int | None]]) -> None:
        """Rows that somebody else resolved in the meantime: duplicates."""
        if places:
            deliveries, rows, outputs = (list(column) for column in zip(*places, strict=True))
            self._execute("leave_out_rows", {"deliveries": deliveries, "rows": rows, "outputs": outputs})
            self.account.duplicate += self.cursor.rowcount

    @abstractmethod
    def apply(self, load_id: int) -> None:
        """Write what was judged. Raises `AssertionError` if the table moved in between."""

    @property
    def takes_too_much(self) -> bool:
        """Whether more rows would go than the definition lets go."""
        limit = self.removal_threshold
        return limit is not None and self.going > 0 and self.going / self.standing > limit

    def quarantine(self) -> None:
        """Commit no target row: whatever is not rejected is held."""
        produced, rejected, vanished = self.account.produced, self.account.rejected, self.account.vanished
        if self.takes_too_much:
            vanished = max(vanished, self.going)
        self.account = Account(
            produced=produced, rejected=rejected, held=produced - rejected, vanished=vanished
        )

    def count_vanished(self) -> None:
        """Cumulative deliveries: how many keys of this instance are no longer sent."""
        if self.contract.key:
            self.account.vanished = self._count("vanished")

    @abstractmethod
    def _judge_against_target(self) -> None:
        """Decide what becomes of the rows that won within the stage."""

    def _leave_out(self, deliveries: list[int]) -> None:
        """Take out of the stage what is not compared with any other row."""
        if deliveries:
            self._execute("leave_out", {"deliveries": deliveries})
            self.account.duplicate += self.cursor.rowcount

    def _judge_archived(self, staged: list[Piece]) -> None:
        for one in away(self.cursor, self.contract.target):
            if not any(one.meets(piece) for piece in staged):
                continue
            conditions = [bound.of("s", self.contract.column(bound.column).pg_type) for bound in one.bounds]
            self._archived = sql.SQL(" AND ").join(conditions)
            self._execute("leave_out_archived")
            self._reject("archived", one.bounds[-1].column, archived(one.shown, self.contract.target))

    def _judge_unfit(self) -> None:
        """Reject what the table has no place for; what is left says nothing in columns that it does not have."""
        for name, difference in self.unfit.items():
            self._execute("unfit", column=name)
            rule, reason = _UNFIT[difference.kind]
            self._reject(rule, name, reason.format(column=name, alias=difference.alias, live=difference.live))
        absent = {name for name, difference in self.unfit.items() if difference.live is None}
        stays = tuple(column for column in self.contract.columns if column.name not in absent)
        self.contract = msgspec.structs.replace(self.contract, columns=stays)

    def _judge_repeated(self) -> None:
        self._execute("any_repeated")
        if not self._row()[0]:
            return
        self._rank()
        self._execute("fates")
        fates = dict(self.cursor.fetchall())
        self.account.duplicate += fates.get("duplicate", 0)
        self.account.superseded += fates.get("superseded", 0)
        if fates.get("conflict"):
            self._execute("conflicting_rows")
            ordering = self.contract.ordering or "date of export"
            self._reject("key-conflict", None, _CONFLICT.format(key=self._key, ordering=ordering))
        self._keep_winners()

    def _rank(self) -> None:
        self._execute("judge")

    def _keep_winners(self) -> None:
        self._execute("keep_winners")

    def _judge_unique(self, anew: Callable[[], None] = lambda: None) -> None:
        """Reject rows that would share a value which must be unique, in the content as this load leaves it.

        ``anew`` judges again what is left after some were rejected, since a rejected row may leave in the
        target what it was to replace.
        """
        unique = [c.name for c in self.contract.stored if c.unique and self.contract.key != (c.name,)]
        where = {"schema": self.contract.schema, "table": self.contract.table}
        self._at_once = {c for c in unique if self._count("checked_at_once", {**where, "column": c})}
        rejected = True
        while rejected:
            rejected = False
            for column in unique:
                self._execute("not_unique", column=column)
                if self._reject("unique", column, _NOT_UNIQUE.format(column=column)):
                    rejected = True
                    anew()

    @property
    def _key(self) -> str:
        return "(" + ", ".join(self.contract.key) + ")"

    def _reject(self, rule: str, column: str | None, reason: str) -> int:
        """The rows the last statement returned; how many they are."""
        rows = sorted(self.cursor.fetchall(), key=str)
        self.account.rejected += len(rows)
        self.rejected += [(*row, rule, column, reason) for row in rows]
        return len(rows)

    def _expect(self, what: str, rows: int) -> None:
        if self.cursor.rowcount != rows:
            raise AssertionError(
                f"load meant to {what} {rows} rows of {self.contract.target} and found {self.cursor.rowcount}"
            )

    def _row(self) -> tuple[int, ...]:
        row = self.cursor.fetchone()
        assert row is not None
        return row

    def _count(self, name: str, values: Mapping[str, object] | None = None) -> int:
        self._execute(name, values)
        return self._row()[0]

    def _execute(
        self, name: str, values: Mapping[str, object] | None = None, column: str | None = None
    ) -> None:
        statement = sql.SQL(self.statements[name]).format(**self._parts(column))
        self.cursor.execute(statement, {**self._values, **(values or {})})

    @property
    def _values(self) -> dict[str, object]:
        content, marker = self.content, self.contract.marker
        return {
            "target": self.contract.target,
            "run_id": content.run_id,
            "pipeline": content.pipeline,
            "instance": content.instance,
            "generation": content.generation,
            "ordered": content.ordered,
            "deletes": list(marker.deletes or ()) if marker else [],
        }

    def _parts(self, column: str | None = None) -> dict[str, sql.Composable]:
        return {
            **fragments(self.contract, self.stage, self._within),
            "target": self.stand_in or target_name(self.contract),
            "column": sql.Identifier(column or ""),
            "fits": self._fits(column),
            "staying": self._staying,
            "settled": sql.SQL("true") if column in self._at_once else self._settled,
            "s_applied": self._applied("s"),
            "o_applied": self._applied("o"),
            "g_is_t": same_key(self.contract, "g", "t"),
            "comes_back": sql.SQL("true" if self._comes_back else "false"),
            "entering": self._entering,
            "archived": self._archived,
        }

    def _fits(self, column: str | None) -> sql.Composable:
        """Whether the table has a place for what a row ``s`` of the stage says in a column."""
        difference = self.unfit.get(column or "")
        return fits(sql.Identifier("s", column or ""), difference.live) if difference else sql.SQL("true")

    @property
    def _staying(self) -> sql.Composable:
        """What is true of the rows ``t`` of the target that this load leaves there."""
        return sql.SQL("true")

    @property
    def _settled(self) -> sql.Composable:
        """What is true of those rows ``t`` whose values this load leaves as they are."""
        return sql.SQL("true")

    def _applied(self, alias: str) -> sql.Composable:
        """What is true of the staged rows that this load writes."""
        return sql.SQL("true")

    @property
    def _comes_back(self) -> bool:
        """Whether the target keeps the row that a rejected one was to replace."""
        return False

    @property
    def _entering(self) -> sql.Composable:
        """What is true of the rows ``s`` of the stage that are new to the target."""
        return sql.SQL("true")
