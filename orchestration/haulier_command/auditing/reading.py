"""What the ledger knows of a table's past, streamed in the order in which it happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg2 import sql

from haulier.errors import DataError, DefinitionError
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier_command.ledger import Row, rows
from haulier_command.tables import Target

_SQL = queries("haulier_command.auditing", "audit.sql")
_CHAIN = queries("haulier.ledger", "verify.sql")
#: Rows that travel from the server together.
_AT_ONCE = 2000
SINCE = "_haulier_since"


@dataclass(frozen=True, kw_only=True)
class Past:
    """A table and its chain; all that is asked of it sees one moment."""

    cursor: Cursor
    target: Target
    links: Sequence[Row]
    #: Which rows: values of columns, as people write them.
    described: Mapping[str, str]

    @classmethod
    def of(cls, cursor: Cursor, table: str, pairs: Sequence[str]) -> Past:
        """Raises `DefinitionError` for a table this ledger does not load, or that does not say since when a row is so."""
        target = Target.find(cursor, table)
        if SINCE not in target.types:
            raise DefinitionError(
                f"{target.name} has no column {SINCE}: it is of an earlier release, and its next load says how to add it; "
                "what changed before that is in haulier trace only"
            )
        links = rows(cursor, _SQL["links"], {"target": target.name})
        return cls(cursor=cursor, target=target, links=links, described=target.described(pairs))

    def link_at(self, moment: datetime | None) -> int:
        """The last link of a moment; none: the last there is. 0: nothing had been loaded.

        A load belongs to the moment at which it began. One that had to wait for another, which began later, belongs
        behind that one, as it was committed behind it.
        """
        last = 0
        for one in self.links:
            if moment is not None and one["loaded_at"] > moment:
                break
            last = int(one["link"])
        return last

    def link_of(self, load_id: int) -> int:
        """Raises `DefinitionError` for a load of another table."""
        found = [int(one["link"]) for one in self.links if one["load_id"] == load_id]
        if not found:
            raise DefinitionError(
                f"load {load_id} is none of {self.target.name}; haulier audit --into has the numbers of its loads"
            )
        return found[0]

    def rows_at(self, link: int) -> Iterator[Row]:
        """The rows that stood after a link, by key. Raises `DataError` where that is not known for certain."""
        self._require_exact(link)
        for found in self._stream("rows_at", {"link": link, "marked": self._marked()}):
            yield {name: found["row"].get(name) for name in self.target.columns}

    def events(self, first: int, last: int) -> Iterator[Row]:
        """What happened from one link to another. Raises as `rows_at`."""
        self._require_known()
        yield from self._stream("events", {"first": first, "last": last})

    def violations(self) -> list[str]:
        """Links that are not what they seal."""
        values = {"target": self.target.name, "loads": None, "links": None}
        self.cursor.execute(_CHAIN["i8_chain"], values)
        return [f"{subject}: {problem}" for subject, problem in self.cursor.fetchall()]

    def _require_exact(self, link: int) -> None:
        self._require_known()
        away = [row["partition"] for row in rows(self.cursor, _SQL["away"], {"target": self.target.name})]
        if away:
            raise DataError(
                f"rows of {self.target.name} are archived in {', '.join(away)}, so the table cannot be told whole; "
                "haulier restore brings them back"
            )
        last = self.links[-1] if self.links else None
        if last is not None and last["mode"] == "scd2" and link != last["link"]:
            raise DataError(
                f"{self.target.name} keeps every version of a row itself (scd2), and the ends of versions move without a trace "
                "of their own; ask the table for the versions that held then"
            )

    def _require_known(self) -> None:
        statement = sql.SQL(_SQL["unknown"]).format(table=self._table)
        unknown = rows(self.cursor, statement, {"target": self.target.name})[0]["n"]
        if unknown:
            raise DataError(
                f"of {unknown} versions of rows of {self.target.name} nobody wrote down since when they are so ({SINCE}): "
                "they are of loads of an earlier release, or were not loaded by Haulier. What is not known is not guessed"
            )

    def _marked(self) -> str | None:
        from haulier.landing.names import DELETED_AT_COMMENT

        schema, table = self.target.name.split(".", 1)
        values = {"table": f'"{schema}"."{table}"', "comment": DELETED_AT_COMMENT}
        found = rows(self.cursor, _SQL["marked_column"], values)
        return str(found[0]["attname"]) if found else None

    def _stream(self, name: str, values: Mapping[str, object]) -> Iterator[Row]:
        """A statement's rows through a cursor of the server: as many of them as it may have."""
        statement = sql.SQL(_SQL[name]).format(
            table=self._table, key=self.target.key_of_row, described=self._described
        )
        with self.cursor.connection.cursor(f"haulier_{name}") as cursor:
            cursor.itersize = _AT_ONCE
            cursor.execute(statement, {"target": self.target.name, **values})
            names: list[str] = []
            for row in cursor:
                names = names or [column.name for column in cursor.description or ()]
                yield dict(zip(names, row, strict=True))

    @property
    def _table(self) -> sql.Identifier:
        return sql.Identifier(*self.target.name.split(".", 1))

    @property
    def _described(self) -> sql.Composable:
        pairs = [
            sql.SQL("{}, {}::{}").format(
                sql.Literal(name), sql.Literal(value), sql.SQL(self.target.types[name])
            )
            for name, value in self.described.items()
        ]
        return sql.SQL("jsonb_build_object({})").format(sql.SQL(", ").join(pairs))
