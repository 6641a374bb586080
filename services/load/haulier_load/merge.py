"""Staged rows into the target: who wins within the stage, who wins against the table, and the account of it.

Every row of the stage meets exactly one fate. Judging only reads the target, so that a plan can stop
after it; applying writes what was judged and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from psycopg2 import sql

from haulier.contracts import Contract
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier_load.names import MATCHED, VERDICT, columns, target_name, version

_SQL = queries("haulier_load", "merge.sql")

#: (delivery, row, output) of a row that load rejects, with the rule, the column and the reason.
Rejected = tuple[int, int, int | None, str, str | None, str]

_CONFLICT = (
    "this file gives the key {key} more than one value; send each key once, or with a newer {ordering}"
)
_TAKEN = "the table already holds the key {key} with other values and this pipeline only appends"
_NOT_UNIQUE = "another row already has this {column}, which must be unique; correct one of the two"


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
    #: Beside the account: rows that left the target though no row was read for them.
    removed: int = 0
    vanished: int = 0

    def close(self) -> None:
        """Raises `AssertionError` when a row has no fate or two: nothing may be committed then."""
        fates = self.inserted + self.updated + self.unchanged + self.superseded + self.duplicate
        if self.produced != fates + self.deleted + self.rejected + self.held:
            raise AssertionError(f"the target account does not close: {self}")


@dataclass(kw_only=True)
class Merge:
    """One load's rows against one target."""

    cursor: Cursor
    contract: Contract
    mode: str
    #: The rows to merge: a TEMP table, or the stage of a run in shards.
    stage: sql.Identifier
    generation: int
    #: End of the run's interval: the version of rows without an ordering column.
    ordered: datetime
    #: Loads whose rows this one replaces (append mode, older generations of the run).
    older: list[int] = field(default_factory=list)
    #: Whether the target exists; a plan may run before it does.
    exists: bool = True
    account: Account = field(default_factory=Account)
    rejected: list[Rejected] = field(default_factory=list)

    def judge(self, leave_out: list[int]) -> None:
        """Decide every staged row's fate; afterwards the stage holds the rows that go to the target."""
        self._execute("analyze")
        if leave_out:
            self._execute("leave_out", {"deliveries": leave_out})
            self.account.duplicate += self.cursor.rowcount
        if self.contract.key:
            self._judge_repeated()
        for column in self.contract.columns:
            if column.unique and self.contract.key != (column.name,):
                self._judge_unique(column.name)
        self._judge_against_target()

    def leave_out_rows(self, places: list[tuple[int, int, int | None]]) -> None:
        """Rows that somebody else resolved in the meantime: duplicates."""
        if places:
            deliveries, rows, outputs = (list(column) for column in zip(*places, strict=True))
            self._execute("leave_out_rows", {"deliveries": deliveries, "rows": rows, "outputs": outputs})
            self.account.duplicate += self.cursor.rowcount

    def apply(self, load_id: int, target: str) -> None:
        """Write what was judged. Raises `AssertionError` if the table moved in between."""
        values = {
            "load_id": load_id,
            "target": target,
            "generation": self.generation,
            "ordered": self.ordered,
        }
        if self.account.removed:
            self._execute("remove_replaced", values)
            self._expect("remove", self.account.removed)
        if self.account.updated and self.mode == "upsert":
            self._execute("keep_history", values)
            self._expect("keep the history of", self.account.updated)
        if self._newer and self.mode == "upsert":
            self._execute("update", values)
            self._expect("update", self._newer)
        if self.account.inserted:
            self._execute("insert", values)
            self._expect("insert", self.account.inserted)

    def quarantine(self) -> None:
        """Commit no target row: whatever is not rejected is held."""
        produced, rejected = self.account.produced, self.account.rejected
        self.account = Account(produced=produced, rejected=rejected, held=produced - rejected)

    _matched: int = 0
    _newer: int = 0

    def _judge_repeated(self) -> None:
        self._execute("any_repeated")
        if not _first(self.cursor)[0]:
            return
        self._execute("judge")
        self._execute("fates")
        fates = dict(self.cursor.fetchall())
        self.account.duplicate += fates.get("duplicate", 0)
        self.account.superseded += fates.get("superseded", 0)
        if fates.get("conflict"):
            self._execute("conflicting_rows")
            reason = _CONFLICT.format(
                key=_join(self.contract.key), ordering=self.contract.ordering or "date of export"
            )
            self._reject(self.cursor.fetchall(), "key-conflict", None, reason)
        self._execute("keep_winners")

    def _judge_unique(self, column: str) -> None:
        self._execute("not_unique" if self.exists else "not_unique_in_stage", column=column)
        self._reject(
            sorted(self.cursor.fetchall(), key=str), "unique", column, _NOT_UNIQUE.format(column=column)
        )

    def _judge_against_target(self) -> None:
        staged = self._count_stage()
        if not self.exists:
            self.account.inserted = staged
            return
        if self.older:
            self._execute("count_replaced")
            self.account.removed = _first(self.cursor)[0]
        if not self.contract.key:
            self.account.inserted = staged
            return
        self._execute("match")
        self._execute("count_matched")
        updated, unchanged, superseded, self._matched = _first(self.cursor)
        if self.mode == "upsert":
            self.account.updated, self.account.unchanged = updated, unchanged
            self.account.superseded += superseded
            self.cursor.execute(sql.SQL("SELECT count(*) FROM {} WHERE newer").format(MATCHED))
            self._newer = _first(self.cursor)[0]
        else:
            self._execute("taken_keys")
            taken = self.cursor.fetchall()
            self._reject(taken, "key-taken", None, _TAKEN.format(key=_join(self.contract.key)))
            self.account.duplicate += self._matched - len(taken)
        self.account.inserted = staged - self._matched

    def count_vanished(self, pipeline: str, instance: str) -> None:
        """Cumulative deliveries: how many keys of this instance are no longer sent."""
        if self.exists and self.contract.key:
            self._execute("vanished", {"pipeline": pipeline, "instance": instance})
            self.account.vanished = _first(self.cursor)[0]

    def _count_stage(self) -> int:
        self.cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(self.stage))
        return int(_first(self.cursor)[0])

    def _reject(
        self, rows: list[tuple[int, int, int | None]], rule: str, column: str | None, reason: str
    ) -> None:
        self.account.rejected += len(rows)
        self.rejected += [(*row, rule, column, reason) for row in rows]

    def _expect(self, what: str, rows: int) -> None:
        if self.cursor.rowcount != rows:
            raise AssertionError(
                f"load meant to {what} {rows} rows of {self.contract.target} and found {self.cursor.rowcount}"
            )

    def _execute(
        self, name: str, values: Mapping[str, object] | None = None, column: str | None = None
    ) -> None:
        statement = sql.SQL(_SQL[name]).format(**self._parts(column))
        mine = {"generation": self.generation, "ordered": self.ordered, "older": self.older}
        self.cursor.execute(statement, {**mine, **(values or {})})

    def _parts(self, column: str | None) -> dict[str, sql.Composable]:
        contract = self.contract
        names = [c.name for c in contract.columns]
        key = contract.key or names
        ordering = contract.ordering
        same_key = sql.SQL(" AND ").join(_equal(name) for name in key)
        versions = [*([ordering] if ordering else []), "_haulier_sequence", "_haulier_row"]
        # Within one load generation and interval end are the same for every row.
        version_in_stage = columns([n for n in versions if n not in key], "s")
        trimmed = {c.name for c in contract.columns if c.pg_type == "numeric"}

        def value(name: str) -> sql.Composable:
            # Arrow's decimals have one scale; a plain numeric keeps the digits its value has.
            cell = sql.Identifier("s", name)
            return sql.SQL("trim_scale({})").format(cell) if name in trimmed else cell

        return {
            "stage": self.stage,
            "verdict": VERDICT,
            "matched": MATCHED,
            "verdict_name": sql.Identifier("haulier_verdict"),
            "matched_name": sql.Identifier("haulier_matched"),
            "target": target_name(contract),
            "column": sql.Identifier(column or ""),
            "key": columns(key),
            "s_key": columns(key, "s"),
            "t_key": columns(key, "t"),
            "r_key": columns(key, "r"),
            "same_key": same_key,
            "other_key": sql.SQL("NOT ({})").format(same_key) if contract.key else sql.SQL("true"),
            "not_replaced": (sql.SQL("AND t._haulier_load <> ALL(%(older)s)") if self.older else sql.SQL("")),
            "s_content": columns(names, "s"),
            "t_content": columns(names, "t"),
            "s_version": version(contract, "s"),
            "t_version": version(contract, "t"),
            "s_version_list": version_in_stage,
            "r_version_desc": sql.SQL(", ").join(
                sql.SQL("{} DESC").format(sql.Identifier("r", name)) for name in versions
            ),
            "top_in_delivery": (
                sql.SQL("s.{} = max(s.{}) OVER (PARTITION BY {}, s._haulier_delivery)").format(
                    sql.Identifier(ordering), sql.Identifier(ordering), columns(key, "s")
                )
                if ordering
                else sql.SQL("true")
            ),
            "stage_versioned": sql.SQL(
                "(SELECT st.*, st.ctid, %(generation)s::integer AS _haulier_generation,"
                " %(ordered)s::timestamptz AS _haulier_ordered FROM {} st)"
            ).format(self.stage),
            "key_pairs": sql.SQL(", ").join(
                sql.SQL("{}, {}").format(sql.Literal(name), sql.Identifier("t", name)) for name in key
            ),
            "assignments": sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), value(name)) for name in names
            ),
            "columns": columns(names),
            "values": sql.SQL(", ").join(value(name) for name in names),
            "unmatched": (
                sql.SQL("WHERE NOT EXISTS (SELECT FROM {} m WHERE m.id = s.ctid)").format(MATCHED)
                if self._matched
                else sql.SQL("")
            ),
        }


def _equal(name: str) -> sql.Composable:
    return sql.SQL("s.{} = t.{}").format(sql.Identifier(name), sql.Identifier(name))


def _join(names: tuple[str, ...]) -> str:
    return "(" + ", ".join(names) + ")"


def _first(cursor: Cursor) -> tuple[int, ...]:
    row = cursor.fetchone()
    assert row is not None
    return row
