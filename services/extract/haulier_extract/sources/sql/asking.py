"""What a database is asked: one snapshot, which rows of it, in which order, how many at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from haulier.definitions import Instance
from haulier.errors import DataError, DefinitionError
from haulier.interval import Interval
from haulier.placeholders import EPOCH, fill_instants
from haulier_extract.sources.sql.dialects import Column, Dialect, Element, dialect_of
from haulier_extract.sources.sql.engine import place

#: Of a query: its placeholders, and what SQLAlchemy would take for a parameter.
_COLON = r"(?<![:\\]):(?=\w)"
_SPECIAL = re.compile(rf"\{{(\w+)(:[^{{}}]*)?\}}|{_COLON}")


class Asked:
    """A table or query within one snapshot; made anew for each look at it."""

    def __init__(
        self, connection: sa.Connection, instance: Instance, interval: Interval, *, idle: bool = False
    ) -> None:
        """``idle``: the database judges each statement and gives no row. Raises `DefinitionError` for columns that are not
        there.
        """
        sql = instance.source.sql
        assert sql is not None
        self._connection, self._sql, self._interval = connection, sql, interval
        self._dialect: Dialect = dialect_of(connection)
        self._dialect.begin(connection)
        self.clock = self._dialect.clock(connection)
        self._place = place(sql)
        named = {"instance": instance.instance, "pipeline": instance.pipeline, **instance.parameters}
        self._rows_of = self._textual(named) if sql.query else None
        described = self._described()
        names = [one[0] for one in described]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise DefinitionError(
                f"source.sql.query gives {twice[0]} more than once; name each column with AS"
            )
        self._source = self._of_columns(names)
        self._all = {one.name: one for one in self._dialect.columns(connection, described, self._source)}
        chosen = sql.columns or tuple(names)
        self.columns = [self._column(name, "columns") for name in chosen]
        #: Columns that put the rows in order.
        self.key = tuple(self._column(name, "key").name for name in sql.key or self._primary_key())
        self._key = [self._source.c[name] for name in self.key]
        # Not sa.false(), in whose presence SQLAlchemy leaves all other conditions out.
        self._idle: list[Element] = [sa.literal_column("1") == sa.literal_column("0")] if idle else []
        self._where: list[Element] = self._idle
        self._dialect.take_raw(connection)

    def begin_at(self, position: str | None) -> tuple[str | None, list[str]]:
        """Leave out what lies before a position; (the position to go on from, what to know).

        The greatest value there is, but never one later than the database's own clock: behind a row from the
        future nothing would be read until then. Rows without a value are read each time.
        """
        mark = self._sql.watermark
        assert mark is not None
        column = self._measured(mark.column)
        # What is asked for need not be the column itself: MySQL rounds a FLOAT that it answers, and so would the position be.
        value = column.expression if column.exact else self._source.c[mark.column]
        if column.measure == "number" and mark.lag_seconds:
            raise DefinitionError(
                f"source.sql.watermark.lag_seconds: {mark.column} is a number; write lag_steps"
            )
        if column.measure not in ("number", None) and mark.lag_steps:
            raise DefinitionError(
                f"source.sql.watermark.lag_steps: {mark.column} is no number; write lag_seconds"
            )
        since = self._idle
        if position is not None:
            try:
                since = [value >= self._dialect.bound(column, position, 0, 0)]
                lower = self._dialect.bound(column, position, mark.lag_seconds, mark.lag_steps)
            except (ArithmeticError, ValueError):
                raise DefinitionError(
                    f"the position {position!r} is no value of {mark.column}; see haulier state show, and set or reset it"
                ) from None
            self._where = [sa.or_(value >= lower, value.is_(None))]
        greatest = sa.func.max(value)
        now = self.clock.get(column.measure) if column.measure else None
        present = (
            sa.func.max(sa.case((value <= self._dialect.bound(column, str(now), 0, 0), value)))
            if now
            else greatest
        )
        shown = [sa.cast(one, sa.Text()) if column.compared else one for one in (greatest, present)]
        answer = self._connection.execute(sa.select(*shown).select_from(self._source).where(*since)).one()
        most, found = answer[0], answer[1]
        without = self._count(value.is_(None))
        notes = []
        if most != found:
            notes.append(
                f"rows whose {mark.column} is later than the database's clock are read again until then"
            )
        if without:
            notes.append(f"{without} rows without {mark.column} are read by every run")
        if column.measure == "text" and mark.lag_seconds and (found is not None or self._idle):
            raise DefinitionError(
                f"source.sql.watermark.lag_seconds: {mark.column} is text, of which no time can be taken off; "
                "read it through a query that casts it, or remove lag_seconds"
            )
        if found is None:
            return position, notes
        reached = self._dialect.position(found)
        if reached in ("NaN", "Infinity"):
            raise DataError(
                f"{self._place}: the greatest {mark.column} is {reached}, behind which no row would be new"
            )
        return reached, notes

    def within(self) -> list[str]:
        """Leave out what is of other intervals; what to know."""
        if self._sql.interval is None:
            return []
        value = self._source.c[self._column(self._sql.interval, "interval").name]
        start, end = (self._dialect.instant(moment) for moment in (self._interval.start, self._interval.end))
        self._where = [value >= start, value < end, *self._idle]
        without = self._count(value.is_(None))
        return (
            [f"{without} rows without {self._sql.interval} belong to no interval and are never read"]
            if without
            else []
        )

    def rows(self, columns: Sequence[Column], most: int | None = None) -> Iterator[sa.CursorResult[Any]]:
        """The rows in the order of their key, in as many results as there are chunks; of a sample the first ``most``."""
        asked = sa.select(*(column.expression.label(f"c{at}") for at, column in enumerate(columns)))
        asked = asked.select_from(self._source).where(*self._where).order_by(*self._key)
        if most is not None:
            # Said to the server: a driver may read all of a result before it lets go of it.
            yield self._streamed(asked.limit(most))
            return
        if self._sql.chunk_rows is None:
            yield self._streamed(asked)
            return
        # A comparison with NULL is never true: such rows would be in no chunk.
        empty = sa.or_(*(column.is_(None) for column in self._key))
        yield self._streamed(asked.where(empty))
        after: Sequence[Any] | None = None
        while True:
            behind = [sa.not_(empty), *([_greater(self._key, after)] if after is not None else [])]
            last = (
                sa.select(*self._key)
                .select_from(self._source)
                .where(*self._where, *behind)
                .order_by(*self._key)
                .offset(self._sql.chunk_rows - 1)
                .limit(1)
            )
            end = self._connection.execute(last).first()
            # Up to a key and with all of its rows, however many share it.
            upto = [sa.not_(_greater(self._key, end))] if end is not None else []
            yield self._streamed(asked.where(*behind, *upto))
            if end is None:
                return
            after = end

    def _streamed(self, asked: sa.Select[Any]) -> sa.CursorResult[Any]:
        return self._connection.execute(asked.execution_options(stream_results=True, max_row_buffer=1))

    def _count(self, condition: Element) -> int:
        asked = sa.select(sa.func.count()).select_from(self._source).where(condition, *self._idle)
        return int(self._connection.execute(asked).scalar_one())

    def _textual(self, named: Mapping[str, str]) -> Any:
        """The query's text with its placeholders as parameters."""
        values: dict[str, Any] = {}

        def parameter(found: re.Match[str]) -> str:
            name, form = found[1], (found[2] or "")[1:]
            line = found.string[found.string.rfind("\n", 0, found.start()) + 1 : found.start()]
            if found[0] == ":":
                return r"\:"
            if line.lstrip().startswith("--"):
                return re.sub(_COLON, r"\:", found[0])
            if name in ("start", "end"):
                value: Any = self._dialect.instant(getattr(self._interval, name))
                if form:
                    value = fill_instants(found[0], self._interval.start, self._interval.end)
                    value = int(value) if form == EPOCH else value
            elif name in named and not form:
                value = named[name]
            else:
                return re.sub(_COLON, r"\:", found[0])
            known = f"haulier_{len(values)}"
            values[known] = value
            return f":{known}"

        statement = _SPECIAL.sub(parameter, self._sql.statement.strip().rstrip(";"))
        # A comment at its end must not swallow the bracket.
        return sa.text(f"{statement}\n").bindparams(**values)

    def _of_columns(self, names: Sequence[str]) -> Any:
        columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in names]
        if self._rows_of is not None:
            return self._rows_of.columns(*columns).subquery("haulier_rows")
        schema, _, table = (self._sql.table or "").rpartition(".")
        return sa.table(table, *columns, schema=schema or None)

    def _described(self) -> Sequence[Any]:
        asked = sa.select(sa.text("*")).select_from(self._of_columns([])).where(sa.text("1 = 0"))
        result = self._connection.execute(asked)
        described = list(result.cursor.description)
        result.close()
        return described

    def _column(self, name: str, field: str) -> Column:
        if name not in self._all:
            from haulier.problems import suggestion

            hint = suggestion(name, self._all)
            raise DefinitionError(f'source.sql.{field}: "{name}" is no column of {self._named}{hint}')
        return self._all[name]

    def _measured(self, name: str) -> Column:
        try:
            return self._dialect.measured(
                self._connection, self._column(name, "watermark.column"), self._source
            )
        except ValueError as exc:
            raise DataError(f"{self._place}: {name} {exc}, so nothing says what is new") from None

    def _primary_key(self) -> tuple[str, ...]:
        schema, _, table = (self._sql.table or "").rpartition(".")
        found = sa.inspect(self._connection).get_pk_constraint(table, schema=schema or None)[
            "constrained_columns"
        ]
        if not found:
            raise DefinitionError(
                f"source.sql.key is missing: {self._named} has no primary key; name the columns that put its rows in order"
            )
        return tuple(found)

    @property
    def _named(self) -> str:
        return self._sql.table or self._sql.query or ""


def _greater(key: Sequence[Element], values: Sequence[Any]) -> Element:
    """Behind a key: (a, b) > (x, y), written out, as databases use their indexes for it."""
    ways = []
    for at, column in enumerate(key):
        before = (one == value for one, value in zip(key[:at], values[:at], strict=True))
        ways.append(sa.and_(*before, column > values[at]))
    return sa.or_(*ways)
