"""`scd2`: every version of a row stays, each with the time it holds: slowly changing dimensions, type 2.

A version is a row of its own under its key and its ordering column, from which it holds; the next version or
deletion of the key ends it. So versions are upserted like rows, and only their ends are worked out anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec
from psycopg2 import sql

from haulier.contracts import Contract
from haulier.landing.fragments import pairs, same_columns
from haulier.landing.names import columns
from haulier.landing.upsert import Upsert
from haulier.ledger.queries import queries

_BOUNDS = sql.Identifier("pg_temp", "haulier_bounds")


@dataclass(kw_only=True)
class Scd2(Upsert):
    statements: ClassVar[Mapping[str, str]] = {
        **Upsert.statements,
        **queries("haulier_load.modes", "scd2.sql"),
    }

    #: The contract's own key and the column from which a version holds.
    _versioned: tuple[str, ...] = field(default=(), init=False)
    _valid_from: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._versioned, self._valid_from = self.contract.key, self.contract.ordering or ""
        self.contract = of_versions(self.contract)

    def apply(self, load_id: int) -> None:
        values = {"load_id": load_id}
        self._execute("bound")
        self._bury(values)
        if self.account.deleted:
            self._execute("remove_deleted", values)
            self._expect("delete", self.account.deleted)
        self._update(values)
        # Ended before the next one begins: a key has one current version at any moment.
        self._execute("rebound")
        if self.account.inserted:
            self._execute("insert_versions", values)
            self._expect("insert", self.account.inserted)

    def count_vanished(self) -> None:
        """Its files say versions, and a version that is over need not be sent again."""

    def _judge_against_target(self) -> None:
        self._mortal = True
        self._execute("judge_fates")
        self._count_fates()

    def _parts(self, column: str | None = None) -> dict[str, sql.Composable]:
        key, valid_from = self._versioned, self._valid_from
        return {
            **super()._parts(column),
            "bounds": _BOUNDS,
            "bounds_name": sql.Identifier(_BOUNDS.strings[-1]),
            "valid_from": sql.Identifier(valid_from),
            "valid_from_type": sql.SQL(self.contract.column(valid_from).pg_type),
            "valid_to": sql.Identifier(self.contract.valid_to or ""),
            "versioned_key": columns(key),
            "s_versioned_key": columns(key, "s"),
            "t_versioned_key": columns(key, "t"),
            "keys_versioned_key": columns(key, "keys"),
            "keys_pairs": pairs(key, "keys"),
            "t_is_b": same_columns(key, "t", "b"),
        }

    @property
    def _values(self) -> dict[str, object]:
        return {**super()._values, "valid_from": self._valid_from}


def of_versions(contract: Contract) -> Contract:
    """The contract as one of versions: what it orders rows by tells them apart."""
    place = len(contract.key) + 1
    versions = tuple(
        msgspec.structs.replace(one, key_position=place) if one.name == contract.ordering else one
        for one in contract.columns
    )
    return msgspec.structs.replace(contract, columns=versions, ordering=None)
