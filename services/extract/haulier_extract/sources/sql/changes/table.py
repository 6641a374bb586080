"""A published table as its database has it: columns, key, and the rows that are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2 import sql
from psycopg2.extensions import new_type, register_type
from sqlalchemy.exc import DBAPIError

from haulier.definitions.sources import Sql
from haulier.errors import DataError, DefinitionError
from haulier.ledger.queries import queries
from haulier_extract.sources.sql.changes.events import SPELLING, Shape, Type

_SQL = queries("haulier_extract.sources.sql.changes", "changes.sql")
#: What a publication may leave out, as pg_publication names it.
_KINDS = {
    "pubinsert": "insertions",
    "pubupdate": "updates",
    "pubdelete": "deletions",
    "pubtruncate": "truncations",
}
_FETCHED = 2_000


class Table:
    """Looked up within the snapshot of a connection."""

    def __init__(self, connection: sa.Connection, asked: Sql) -> None:
        """Raises `DefinitionError` for what is not there, or not published."""
        changes = asked.changes
        assert changes is not None
        assert asked.table is not None
        self._connection = connection
        spell(connection.connection.driver_connection)
        schema, _, name = asked.table.rpartition(".")
        found = connection.exec_driver_sql(_SQL["table"], {"schema": schema, "name": name}).one_or_none()
        if found is None:
            raise DefinitionError(
                f"source.sql.table: there is no table {asked.table}, or it is not to be seen"
            )
        #: Its number in pg_class, which no other table gets by taking its name.
        self.oid, self.schema, self.name, self._is_partitioned = found
        published = self._published(changes.publication)
        columns = connection.exec_driver_sql(_SQL["columns"], {"oid": self.oid, "published": published}).all()
        names = [one[0] for one in columns]
        self.key = tuple(asked.key or (one[0] for one in columns if one[2]))
        for field, wanted in (("columns", asked.columns), ("key", asked.key)):
            if missing := [one for one in wanted if one not in names]:
                raise DefinitionError(
                    f'source.sql.{field}: "{missing[0]}" is no published column of {asked.table}'
                )
        self._check_key({one[0] for one in columns if one[3]}, all(one[4] for one in columns))
        oids = [one[1] for one in columns]
        types = types_of(connection, oids)
        # An answer names a domain's own type.
        self._oids = tuple({*oids, *(one.base for one in types.values())})
        self.shape = Shape.of(names, [types[one] for one in oids], [False] * len(names), self.key)

    def rows(self, most: int | None = None) -> Iterator[Sequence[bytes | None]]:
        """The rows that are there, as the server writes their values; of a sample the first ``most``."""
        raw: Any = self._connection.connection.driver_connection
        register_type(new_type(self._oids, "AS_IT_IS", _as_it_is), raw)
        statement = sql.SQL("SELECT {} FROM {}{}{}{}").format(
            sql.SQL(", ").join(map(sql.Identifier, self.shape.names)),
            # What inherits from it has a log of its own.
            sql.SQL("" if self._is_partitioned else "ONLY "),
            sql.Identifier(self.schema, self.name),
            # As the catalogue has it: an expression that the publication's owner wrote.
            sql.SQL(f" WHERE {self._filter}" if self._filter else ""),
            sql.SQL("" if most is None else f" LIMIT {most:d}"),
        )
        with closing(raw.cursor("haulier_rows")) as cursor:
            cursor.itersize = _FETCHED
            try:
                cursor.execute(statement)
                yield from cursor
            except psycopg2.Error as exc:
                raise DBAPIError(None, None, exc) from None
            except UnicodeDecodeError:
                raise DataError(
                    f"{self.schema}.{self.name} holds text that is not UTF-8, and its database has no encoding to read it by"
                ) from None

    def _check_key(self, identity: set[str], is_immediate: bool) -> None:
        """Raises `DefinitionError` for a key by which the log could not tell which row became which."""
        table = f"{self.schema}.{self.name}"
        if not self.key:
            raise DefinitionError(
                f"source.sql.key is missing: {table} has no primary key; name the columns that are one"
            )
        if missing := [name for name in self.key if name not in identity]:
            raise DefinitionError(
                f"source.sql.key: the log of {table} does not say {missing[0]} of a row that is gone; have its owner say "
                f"ALTER TABLE {table} REPLICA IDENTITY FULL, or DEFAULT where that is the primary key"
            )
        if not is_immediate:
            raise DefinitionError(
                f"source.sql.table: the primary key of {table} is DEFERRABLE, so two rows may have one key for a moment, and "
                "of their events nothing says which is whose; read it whole, or by a watermark"
            )

    def _published(self, publication: str) -> list[str] | None:
        """The columns that are; none: all."""
        values = {"publication": publication, "schema": self.schema, "name": self.name}
        found = self._connection.exec_driver_sql(_SQL["publication"], values).one_or_none()
        said, rows, columns, is_in_it, number = found or (dict[str, bool](), None, None, False, 0)
        self._filter: str | None = rows
        #: The publication's number, which none that takes its name gets.
        self.publication: int = number
        if not is_in_it:
            table = f"{self.schema}.{self.name}"
            rooted = " WITH (publish_via_partition_root)" if self._is_partitioned else ""
            raise DefinitionError(
                f"source.sql.changes.publication: {publication} is not there or has no table {table}; its owner says "
                f"CREATE PUBLICATION {publication} FOR TABLE {table}{rooted}"
            )
        left = [word for name, word in _KINDS.items() if not said.get(name, True)]
        self.notes = [f"the publication {publication} leaves out {' and '.join(left)}"] if left else []
        return columns


def spell(connection: Any) -> None:
    """Have values in one spelling, whatever the server's or the user's settings."""
    with connection.cursor() as cursor:
        for name, value in SPELLING.items():
            cursor.execute(sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))


def types_of(connection: sa.Connection, oids: Iterable[int]) -> dict[int, Type]:
    """What is behind each number of pg_type; of one that is gone, itself."""
    wanted = list(set(oids))
    found = connection.exec_driver_sql(_SQL["types"], {"oids": wanted}).all()
    known = {asked: Type(base=base, element=element) for asked, base, element in found}
    return {oid: known.get(oid, Type(base=oid)) for oid in wanted}


def _as_it_is(text: str | bytes | None, _cursor: Any) -> bytes | None:
    return text.encode() if isinstance(text, str) else text
