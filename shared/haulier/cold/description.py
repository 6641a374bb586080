"""All that makes a table what it is beside its rows, and the statements that make it again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg2.errors
from psycopg2 import sql

from haulier.errors import DefinitionError
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries

_SQL = queries("haulier.cold", "description.sql")


class ColumnText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One column."""

    name: str
    pg_type: str
    #: PostgreSQL computes it, so it is not copied.
    computed: bool
    #: As CREATE TABLE has it.
    text: str
    storage: str | None = None


class Grant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One right on the table, or on one of its columns. Names are quoted as SQL needs them."""

    column: str | None
    grantee: str
    privilege: str
    grantable: bool


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table without its rows; equal for two tables that nobody could tell apart."""

    schema: str
    name: str
    owner: str
    options: tuple[str, ...] = ()
    tablespace: str | None = None
    #: ``LIST (site)`` where it is partitioned itself.
    divided: str | None = None
    columns: tuple[ColumnText, ...]
    #: (name, whether it is a NOT NULL with a name, its text)
    constraints: tuple[tuple[str, bool, str], ...] = ()
    indexes: tuple[str, ...] = ()
    #: Statements for extended statistics and triggers.
    more: tuple[str, ...] = ()
    #: What it is on, as ``COLUMN shop.things.price``, and its text.
    comments: tuple[tuple[str, str], ...] = ()
    grants: tuple[Grant, ...] = ()

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    @property
    def copied(self) -> list[tuple[str, str]]:
        """(name, type) of the columns whose values are copied."""
        return [(one.name, one.pg_type) for one in self.columns if not one.computed]


def describe(cursor: Cursor, oid: int) -> Description:
    """Raises `DefinitionError` for what could not be made again."""
    cursor.execute(_SQL["table"], {"oid": oid})
    row = cursor.fetchone()
    assert row is not None
    schema, name, owner, options, tablespace, divided, problems = row
    if problems:
        raise DefinitionError(
            f"{schema}.{name} {' and '.join(problems)}, which a restore could not bring back; take that away first"
        )
    if dependents := _rows(cursor, "dependents", oid):
        raise DefinitionError(
            f"{dependents[0][0]} stands on {schema}.{name} itself and would go with it; let it read the whole table, or drop it"
        )
    return Description(
        schema=schema,
        name=name,
        owner=owner,
        options=tuple(options or ()),
        tablespace=tablespace,
        divided=divided,
        columns=tuple(
            ColumnText(name=column, pg_type=pg_type, computed=computed, text=text, storage=storage)
            for column, pg_type, computed, text, storage in _rows(cursor, "columns", oid)
        ),
        constraints=tuple(
            (n, is_not_null, text) for n, is_not_null, text in _rows(cursor, "constraints", oid)
        ),
        indexes=tuple(text for (text,) in _rows(cursor, "indexes", oid)),
        more=tuple(text for (text,) in _rows(cursor, "more", oid)),
        comments=tuple((on, text) for on, text in _rows(cursor, "comments", oid)),
        grants=_grants(cursor, oid),
    )


def create(cursor: Cursor, one: Description) -> None:
    """The empty table; `finish` makes what is quicker made, or only can be, once its rows are there."""
    parts = [sql.SQL(column.text) for column in one.columns] + [
        sql.SQL("CONSTRAINT {} {}").format(sql.Identifier(name), sql.SQL(text))
        for name, is_not_null, text in one.constraints
        if is_not_null
    ]
    statement = sql.SQL("CREATE TABLE {} ({})").format(one.identifier, sql.SQL(", ").join(parts))
    if one.divided:
        statement += sql.SQL(" PARTITION BY ") + sql.SQL(one.divided)
    if one.options:
        statement += sql.SQL(" WITH ({})").format(sql.SQL(", ".join(one.options)))
    if one.tablespace:
        statement += sql.SQL(" TABLESPACE {}").format(sql.Identifier(one.tablespace))
    try:
        cursor.execute(statement)
    except psycopg2.errors.DuplicateTable as exc:
        raise DefinitionError(
            f"{one.schema}.{one.name} is there already, and is not what was archived; rename it, and restore again"
        ) from exc
    for column in one.columns:
        if column.storage:
            cursor.execute(
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET STORAGE {}").format(
                    one.identifier, sql.Identifier(column.name), sql.SQL(column.storage)
                )
            )


def finish(cursor: Cursor, one: Description) -> None:
    """Constraints, indexes, statistics, triggers, comments, owner and rights."""
    try:
        for name, is_not_null, text in one.constraints:
            if not is_not_null:
                cursor.execute(
                    sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                        one.identifier, sql.Identifier(name), sql.SQL(text)
                    )
                )
        for text in one.indexes:
            # Of a partitioned one: those of its partitions are there and become parts of it.
            cursor.execute(text.replace(" ON ONLY ", " ON ", 1))
        for text in one.more:
            cursor.execute(text)
        for on, text in one.comments:
            cursor.execute(sql.SQL("COMMENT ON {} IS {}").format(sql.SQL(on), sql.Literal(text)))
        cursor.execute(
            sql.SQL("ALTER TABLE {} OWNER TO {}").format(one.identifier, sql.Identifier(one.owner))
        )
        for statement in _rights(cursor, one):
            cursor.execute(statement)
    except psycopg2.errors.UndefinedObject as exc:
        raise DefinitionError(
            f"{one.schema}.{one.name} cannot be as it was: {exc.diag.message_primary}; create it, and restore again"
        ) from exc


def _rights(cursor: Cursor, one: Description) -> Iterator[sql.Composable]:
    """From what a new table's rights are to what they were."""
    cursor.execute(
        "SELECT to_regclass(format('%%I.%%I', %s::text, %s::text))::oid::bigint", [one.schema, one.name]
    )
    (oid,) = cursor.fetchone() or (0,)
    have, want = set(_grants(cursor, oid)), set(one.grants)
    for grant in sorted(have - want, key=str):
        yield sql.SQL("REVOKE {} ON {} FROM {}").format(_right(grant), one.identifier, sql.SQL(grant.grantee))
    for grant in sorted(want - have, key=str):
        statement = sql.SQL("GRANT {} ON {} TO {}").format(
            _right(grant), one.identifier, sql.SQL(grant.grantee)
        )
        yield statement + sql.SQL(" WITH GRANT OPTION" if grant.grantable else "")


def _right(grant: Grant) -> sql.Composable:
    return sql.SQL(f"{grant.privilege} ({grant.column})" if grant.column else grant.privilege)


def _grants(cursor: Cursor, oid: int) -> tuple[Grant, ...]:
    return tuple(
        Grant(column=column, grantee=grantee, privilege=privilege, grantable=grantable)
        for column, grantee, privilege, grantable in _rows(cursor, "grants", oid)
    )


def _rows(cursor: Cursor, name: str, oid: int) -> list[tuple[Any, ...]]:
    cursor.execute(_SQL[name], {"oid": oid})
    return cursor.fetchall()
