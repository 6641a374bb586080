"""Target tables as trace reads them: columns from the catalogue, rows by what a person knows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg2
from psycopg2 import sql

from haulier.errors import DefinitionError
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier_command.ledger import Row, rows

_SQL = queries("haulier_command.verbs", "trace.sql")

#: Columns of ours, in every target.
SYSTEM = "_haulier_"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A table this ledger loads."""

    name: str
    types: Mapping[str, str]
    key: Sequence[str]

    @classmethod
    def find(cls, cursor: Cursor, table: str) -> Target:
        """The one table a person means. Raises `DefinitionError` when there is none, or more than one."""
        found = [row["target"] for row in rows(cursor, _SQL["targets"], {"table": table})]
        if len(found) != 1:
            known = found or [row["target"] for row in rows(cursor, _SQL["all_targets"])]
            what = "could be" if found else "is not loaded by this ledger, which knows"
            raise DefinitionError(f"{table} {what} {', '.join(known) or 'no table yet'}")
        return cls.of(cursor, found[0])

    @classmethod
    def of(cls, cursor: Cursor, name: str) -> Target:
        schema, table = name.split(".", 1)
        # to_regclass folds what is not quoted.
        quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, table))
        columns = rows(cursor, _SQL["columns"], {"table": quoted})
        if not columns:
            raise DefinitionError(
                f"table {name} does not exist, though the ledger loaded it; restore it, or haul its runs again with --reprocess"
            )
        key = sorted((c for c in columns if c["key_position"]), key=lambda c: c["key_position"])
        return cls(name=name, types={c["name"]: c["type"] for c in columns}, key=[c["name"] for c in key])

    @property
    def columns(self) -> list[str]:
        """Those the contract promises."""
        return [name for name in self.types if not name.startswith(SYSTEM)]

    def described(self, pairs: Sequence[str]) -> dict[str, str]:
        """``COLUMN=VALUE`` as a dictionary. Raises `DefinitionError` for what is no column of the table."""
        found = {}
        folded = {name.casefold(): name for name in self.types}
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if not equals:
                raise DefinitionError(f"{pair!r} is not COLUMN=VALUE")
            if name.casefold() not in folded:
                from haulier.problems import suggestion

                raise DefinitionError(
                    f"{self.name} has no column {name!r}{suggestion(name, self.columns, 'it has')}"
                )
            found[folded[name.casefold()]] = value
        return found

    def matching(self, cursor: Cursor, described: Mapping[str, str | None], limit: int) -> list[Row]:
        """Rows with these values, each under ``row``, their key under ``key``. Raises `DefinitionError`."""
        conditions = [self._condition(name, value) for name, value in described.items()]
        order = [sql.Identifier("t", name) for name in self.key or self.columns]
        statement = sql.SQL(_SQL["matching_rows"]).format(
            key=self._key(),
            table=self._identifier(),
            conditions=sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true"),
            order=sql.SQL(", ").join(order),
            limit=sql.Literal(limit),
        )
        try:
            return rows(cursor, statement)
        except psycopg2.DataError as exc:
            said = " ".join(f"{name}={value}" for name, value in described.items())
            raise DefinitionError(
                f"{said}: these are not values of these columns ({exc.diag.message_primary}); write them as the table has them"
            ) from None

    def rows_from(self, cursor: Cursor, delivery: int, row: int) -> list[Row]:
        """Rows whose present version came from one line of a delivery."""
        statement = sql.SQL(_SQL["rows_from"]).format(key=self._key(), table=self._identifier())
        return rows(cursor, statement, {"delivery": delivery, "row": row})

    def gone(self, cursor: Cursor, described: Mapping[str, str], limit: int) -> list[Row]:
        """Keys with these values that only the history knows."""
        # Typed, for a number is no text in the history's JSON.
        pairs = [
            sql.SQL("{}, {}::{}").format(sql.Literal(name), sql.Literal(value), sql.SQL(self.types[name]))
            for name, value in described.items()
            if name in self.key
        ]
        if not pairs:
            return []
        statement = sql.SQL(_SQL["gone_keys"]).format(
            described=sql.SQL(", ").join(pairs), limit=sql.Literal(limit)
        )
        return rows(cursor, statement, {"target": self.name})

    @property
    def key_of_row(self) -> sql.Composable:
        """As the history has it: null where rows have no key."""
        return self._key() if self.key else sql.SQL("NULL::jsonb")

    def _condition(self, name: str, value: str | None) -> sql.Composable:
        column = sql.Identifier("t", name)
        if value is None:
            return sql.SQL("{} IS NULL").format(column)
        return sql.SQL("{} = {}::{}").format(column, sql.Literal(value), sql.SQL(self.types[name]))

    def _key(self) -> sql.Composable:
        """As load writes it into the history."""
        names = self.key or self.columns
        pairs = [sql.SQL("{}, {}").format(sql.Literal(name), sql.Identifier("t", name)) for name in names]
        return sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(pairs))

    def _identifier(self) -> sql.Identifier:
        return sql.Identifier(*self.name.split(".", 1))


def named(key: Mapping[str, object]) -> str:
    """A key as people say it."""
    return ", ".join(f"{name} {value}" for name, value in key.items())
