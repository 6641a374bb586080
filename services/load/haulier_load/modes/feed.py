"""`upsert` of events: one may say that all rows are gone, or not carry a value because it did not change.

Whatever comes in one file or many, in order or not, a column has the newest value that any event carries. A
row remembers of when a value is that its own event did not carry (`_haulier_kept`), so that an event which
arrives late is heard where it knows more, and only there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from psycopg2 import sql

from haulier.cold.ledger import away
from haulier.contracts import Column, Contract
from haulier.landing.fragments import (
    listed,
    marks,
    newer,
    newer_version,
    same_columns,
    stored_value,
    version_of,
    versioned,
)
from haulier.landing.merge import archived
from haulier.landing.names import KNOWN, LATE, TRUNCATION, columns, version_columns
from haulier.landing.upsert import Upsert
from haulier.ledger.queries import queries

_OTHERS = (
    "another pipeline or instance has the key {key} in this table, and a truncation of one would not know whose row it "
    "is; let the key say it"
)
_UNRESOLVED = (
    "the row says that a value did not change, and the table has no row with its key {key} to keep it from; once the rows "
    "before it are loaded, replay it"
)


@dataclass(kw_only=True)
class Feed(Upsert):
    statements: ClassVar[Mapping[str, str]] = {
        **Upsert.statements,
        **queries("haulier_load.modes", "feed.sql"),
    }

    #: Staged rows older than the table's that know a newer value of a column, and how many of them change one.
    _late: int = field(default=0, init=False)
    _changing: int = field(default=0, init=False)
    #: Whether a staged truncation is the newest.
    _truncates: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._mortal = True

    def apply(self, load_id: int) -> None:
        values = {"load_id": load_id}
        if self._truncates:
            self._execute("keep_former_truncation")
            self._execute("bury_all", values)
        if self.account.removed:
            self._execute("remove_truncated", values)
            self._expect("remove", self.account.removed)
        super().apply(load_id)
        if self._changing:
            self._execute("keep_late", values)
            self._expect("keep the history of", self._changing)
        if self._late:
            self._execute("fill_late", values)
            self._expect("fill", self._late)

    def _leave_out(self, deliveries: list[int]) -> None:
        super()._leave_out(deliveries)
        self._judge_archived_truncations()
        self._execute("find_truncation")
        self._execute("count_truncations")
        staged, newest = self._row()
        self._truncates = bool(newest)
        # As a deletion of what is not there: the rows that it takes away stand beside the account.
        self.account.unchanged += newest
        self.account.superseded += staged - newest
        if staged:
            self._execute("leave_out_truncations")
        self._execute("leave_out_truncated")
        self.account.superseded += self.cursor.rowcount

    def _judge_archived_truncations(self) -> None:
        """Rows in an archive cannot leave the table, and would come back when it is restored."""
        gone = away(self.cursor, self.contract.target) if self.contract.truncates else []
        if gone:
            self._execute("reject_truncations")
            self._reject("archived", None, archived(gone[0].shown, self.contract.target))

    def _rank(self) -> None:
        super()._rank()
        if self.contract.keeping:
            self._execute("find_known")
            self._execute("leave_unresolved")
            self._execute("unresolved_rows")
            self._reject("unchanged", None, _UNRESOLVED.format(key=self._key))

    def _keep_winners(self) -> None:
        if self.contract.keeping:
            self._execute("fill")
        super()._keep_winners()

    def _judge_against_target(self) -> None:
        if self.contract.truncates:
            self._execute("reject_others")
            self._reject("key-taken", None, _OTHERS.format(key=self._key))
        if self.contract.keeping:
            self._execute("complete")
        super()._judge_against_target()
        if self.contract.keeping:
            self._execute("judge_late")
            self._execute("count_late")
            self._changing, self._late = self._row()
            self.account.updated += self._changing
            self.account.superseded -= self._changing
        if self._truncates:
            self.account.removed = self._count("count_truncated")

    def _is_mortal(self) -> bool:
        return True

    @property
    def _staying(self) -> sql.Composable:
        return sql.SQL("({} AND NOT {})").format(super()._staying, truncated(self.contract))

    @property
    def _values(self) -> dict[str, object]:
        marker = self.contract.marker
        return {
            **super()._values,
            "truncates": list(marker.truncates) if marker else [],
            "everything": self.content.everything,
        }

    def _parts(self, column: str | None = None) -> dict[str, sql.Composable]:
        parts = {**super()._parts(column), **of_truncations(self.contract)}
        return {**parts, **of_unchanged(self.contract, self.stage)} if self.contract.keeping else parts


def truncated(contract: Contract) -> sql.Composable:
    """Whether the staged truncation takes a row ``t`` of the target away: an older one of the same instance."""
    return sql.SQL(
        "EXISTS (SELECT FROM {} x JOIN haulier.delivery d ON d.delivery_id = t._haulier_delivery"
        " WHERE x.staged AND d.pipeline = %(pipeline)s AND d.instance = %(instance)s AND {})"
    ).format(TRUNCATION, newer(contract, "x", "t"))


def of_truncations(contract: Contract) -> dict[str, sql.Composable]:
    """What statements about truncations say beside `fragments` and `of_deletions`; ``x`` is the newest."""
    names = [*version_columns(contract), "_haulier_ordered", "_haulier_delivery"]
    return {
        "truncation": TRUNCATION,
        "truncation_name": sql.Identifier(TRUNCATION.strings[-1]),
        "truncated": truncated(contract),
        "s_truncates": marks(contract, "s", "truncates"),
        "s_version_columns": columns(names, "s"),
        "k_version_columns": columns(names, "k"),
        "x_version_desc": listed(
            sql.SQL("{} DESC").format(sql.Identifier("x", name)) for name in version_columns(contract)
        ),
        "x_newer_than_s": newer(contract, "x", "s"),
        "x_ordering": sql.SQL("x.{}::text").format(sql.Identifier(contract.ordering or "")),
    }


def of_unchanged(contract: Contract, stage: sql.Composable) -> dict[str, sql.Composable]:
    """What statements about values that did not change say beside the others.

    ``u`` is a key whose newest staged row does not carry all its values, ``w`` a row of the stage to write to,
    ``_haulier_r0``, ``_haulier_r1``, … are the staged rows that carry the columns that may be kept, in the contract's order.
    """
    kept = [_Cells(contract, column, f"_haulier_r{at}") for at, column in enumerate(contract.keeping)]
    return {
        "known": KNOWN,
        "known_name": sql.Identifier(KNOWN.strings[-1]),
        "late": LATE,
        "late_name": sql.Identifier(LATE.strings[-1]),
        "e_key": columns(contract.key, "e"),
        "u_key_is_t": same_columns(contract.key, "u", "t"),
        "s_key_is_u": same_columns(contract.key, "s", "u"),
        "g_newer_than_t": newer(contract, "g", "t"),
        "k_newer_than_s": newer(contract, "k", "s"),
        "sources": listed(one.source for one in kept),
        "any_source_missing": _any(sql.SQL("u.{} IS NULL").format(one.row) for one in kept),
        "source_rows": sql.SQL(" ").join(
            sql.SQL("LEFT JOIN {} {row} ON {row}.ctid = u.{row}").format(versioned(stage), row=one.row)
            for one in kept
        ),
        "filled": listed(one.filled for one in kept),
        "filled_at": listed(one.at(one.filled_at) for one in kept),
        "completed": listed(one.completed for one in kept),
        "completed_at": listed(one.at(one.completed_at) for one in kept),
        "late_columns": listed(sql.SQL("{} AS {}").format(one.is_late, one.row) for one in kept),
        "late_changes": _any(one.late_changes for one in kept),
        "late_any": _any(sql.SQL("m.{}").format(one.row) for one in kept),
        "late_filled": listed(one.late_filled for one in kept),
        "late_at": listed(one.at(one.late_at) for one in kept),
    }


class _Cells:
    """One column whose value an event may not carry: its cells in the stage and in the target."""

    def __init__(self, contract: Contract, column: Column, row: str) -> None:
        self._contract, self._name, self.row = contract, column.name, sql.Identifier(row)
        self._row = row

    @property
    def source(self) -> sql.Composable:
        """The newest row of a life that carries it."""
        return sql.SQL(
            "(array_agg(e._haulier_id ORDER BY e._haulier_place) FILTER (WHERE e._haulier_place"
            " < coalesce(e._haulier_ended, e._haulier_place + 1) AND {}))[1] AS {}"
        ).format(self._carried("e"), self.row)

    @property
    def filled(self) -> sql.Composable:
        """The cell of a row that may take it from another."""
        return self._set(
            "CASE WHEN {} THEN {} ELSE {} END", self._carried("w"), self._cell("w"), self._cell(self._row)
        )

    @property
    def filled_at(self) -> sql.Composable:
        """Of when it then is; null: the row's own."""
        return sql.SQL("CASE WHEN NOT {} AND u.{} IS NOT NULL THEN {} END").format(
            self._carried("w"), self.row, version_of(self._contract, self._row)
        )

    @property
    def completed(self) -> sql.Composable:
        """The cell of a staged row beside the table's."""
        cells = (self._from_table, self._cell("t"), self._cell("s"))
        return self._set("CASE WHEN {} THEN {} ELSE {} END", *cells)

    @property
    def completed_at(self) -> sql.Composable:
        return sql.SQL("CASE WHEN {} THEN {} WHEN NOT {} THEN {} END").format(
            self._from_table, self._at_table, self._carried("s"), self._at_stage
        )

    @property
    def is_late(self) -> sql.Composable:
        """Whether an older staged row knows a newer value than a row of the table that did not carry it."""
        noted = sql.SQL("t._haulier_kept -> {}").format(self._key)
        return sql.SQL("coalesce({}, false)").format(newer_version(self._contract, self._at_stage, noted))

    @property
    def late_changes(self) -> sql.Composable:
        return sql.SQL("({} AND {} IS DISTINCT FROM {})").format(
            self.is_late, self._cell("s"), self._cell("t")
        )

    @property
    def late_filled(self) -> sql.Composable:
        value = stored_value(self._contract, self._name)
        return self._set("CASE WHEN m.{} THEN {} ELSE {} END", self.row, value, self._cell("t"))

    @property
    def late_at(self) -> sql.Composable:
        return sql.SQL("CASE WHEN m.{} THEN {} END").format(self.row, self._at_stage)

    def at(self, version: sql.Composable) -> sql.Composable:
        """A pair of a JSON object: the column and a version."""
        return sql.SQL("{}, {}").format(self._key, version)

    @property
    def _key(self) -> sql.Composable:
        return sql.SQL("{}::text").format(sql.Literal(self._name))

    def _cell(self, alias: str) -> sql.Composable:
        return sql.Identifier(alias, self._name)

    def _carried(self, alias: str) -> sql.Composable:
        """Whether a staged row has it itself."""
        return sql.SQL("NOT coalesce({}._haulier_unchanged ? {}, false)").format(
            sql.Identifier(alias), self._key
        )

    @property
    def _at_stage(self) -> sql.Composable:
        """Of when the cell of a staged row is; null: it has none."""
        return sql.SQL("coalesce(s._haulier_kept -> {}, CASE WHEN {} THEN {} END)").format(
            self._key, self._carried("s"), version_of(self._contract, "s")
        )

    @property
    def _at_table(self) -> sql.Composable:
        return sql.SQL("coalesce(t._haulier_kept -> {}, {})").format(
            self._key, version_of(self._contract, "t")
        )

    @property
    def _from_table(self) -> sql.Composable:
        """Whether a newer staged row takes it from the table: it has none, or an older one."""
        return sql.SQL("(NOT {} AND coalesce({}, true))").format(
            self._carried("s"), newer_version(self._contract, self._at_table, self._at_stage)
        )

    def _set(self, expression: str, *parts: sql.Composable) -> sql.Composable:
        return sql.SQL("{} = {}").format(sql.Identifier(self._name), sql.SQL(expression).format(*parts))


def _any(conditions: Iterable[sql.Composable]) -> sql.Composable:
    return sql.SQL(" OR ").join(conditions)
