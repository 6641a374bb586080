"""What each database writes its types as: in Arrow the type that holds them, or else text in which nothing is lost.

What a driver would change on its way (times beyond Python's years, intervals of months, digits of JSON) the
database itself writes as text, and Arrow reads that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any, ClassVar, Literal

import pyarrow as pa
import sqlalchemy as sa

from haulier_extract.sources.sql.values import Raw

#: What a watermark is made of: an instant, a time without a zone, a day, a number, or text in its own order.
Measure = Literal["instant", "time", "day", "number", "text"]
Element = sa.ColumnElement[Any]


@dataclass(frozen=True)
class Column:
    """A column as it is asked for, and the type its values have."""

    name: str
    expression: Element
    kind: pa.DataType
    #: ``None``: no row is there that would say.
    measure: Measure | None = "text"
    #: Type that a bound is compared as, so that an index serves.
    compared: Any = None
    #: Whether a watermark is to be held against the expression, as the column itself is answered with fewer digits.
    exact: bool = False

    def as_text(self) -> Column:
        return replace(self, kind=pa.string())


class Dialect:
    """SQLite, and any database without a page of its own here: every column is text, made of what the driver gives."""

    def begin(self, connection: sa.Connection) -> None:
        """Have one snapshot for everything that follows."""
        if connection.dialect.name == "sqlite":
            # Python's driver begins no transaction for a SELECT.
            connection.exec_driver_sql("BEGIN")

    def take_raw(self, connection: sa.Connection) -> None:
        """From here on have text as it is stored; SQLAlchemy's own questions were asked before."""
        if connection.dialect.name == "sqlite":
            raw: Any = connection.connection.driver_connection
            raw.text_factory = Raw

    def columns(self, connection: sa.Connection, described: Sequence[Any], source: Any) -> list[Column]:
        return [Column(one[0], source.c[one[0]], pa.string()) for one in described]

    def measured(self, connection: sa.Connection, column: Column, source: Any) -> Column:
        """The column with what its values are, where only they say so."""
        least, most = connection.execute(
            sa.select(sa.func.min(column.expression), sa.func.max(column.expression)).select_from(source)
        ).one()
        measures = {_measure(value) for value in (least, most) if value is not None}
        if len(measures) > 1:
            # Numbers stand before all texts, so a position among texts would leave numbers behind.
            raise ValueError("holds numbers and texts")
        return replace(column, measure=next(iter(measures), None))

    def clock(self, connection: sa.Connection) -> dict[Measure, Any]:
        """What time it is there, as each measure has it."""
        now = datetime.now(UTC).replace(tzinfo=None)
        return {"time": f"{now:%Y-%m-%d %H:%M:%S}", "instant": now.replace(tzinfo=UTC), "day": now.date()}

    def bound(self, column: Column, text: str, lag_seconds: int, lag_steps: int) -> Any:
        """A value to compare the column with: a position, less the lag."""
        if column.measure == "number":
            number = _plain(_less(text, lag_steps))
            return number if isinstance(number, int) else float(number)
        if column.measure != "time" or not lag_seconds:
            return text
        if len(text) == _DAY_LENGTH:
            return (date.fromisoformat(text) - _days(lag_seconds)).isoformat()
        # Texts are in the order of the clock they were written by, not of UTC, which is behind that west of Greenwich; east of
        # it UTC is before, and so before the hour that a clock repeats in autumn.
        earlier = min(_naive(text), datetime.fromisoformat(text).replace(tzinfo=None))
        # To the second, and with a space: not behind any other way to write the same moment.
        return f"{earlier - timedelta(seconds=lag_seconds):%Y-%m-%d %H:%M:%S}"

    def instant(self, moment: datetime) -> Any:
        """An end of a run's interval."""
        midnight = moment.time() == moment.min.time()
        return f"{moment:%Y-%m-%d}" if midnight else f"{moment:%Y-%m-%d %H:%M:%S}"

    def position(self, value: Any) -> str:
        """A value of the watermark's column, as text that `bound` takes."""
        return value.decode() if isinstance(value, bytes) else str(value)


class PostgreSQL(Dialect):
    """Types by their numbers in pg_type; arrays become JSON, what Arrow has no type for is text as PostgreSQL writes it."""

    _AS_IS: ClassVar[dict[int, pa.DataType]] = {
        16: pa.bool_(),
        17: pa.binary(),
        20: pa.int64(),
        21: pa.int16(),
        23: pa.int32(),
        700: pa.float32(),
        701: pa.float64(),
        **dict.fromkeys((18, 19, 25, 1042, 1043), pa.string()),
    }
    _WRITTEN: ClassVar[dict[int, pa.DataType]] = {
        1082: pa.date32(),
        1083: pa.time64("us"),
        1114: pa.timestamp("us"),
        1184: pa.timestamp("us", "UTC"),
        2950: pa.uuid(),
    }
    _NUMERIC = 1700
    _MEASURES: ClassVar[dict[int, tuple[Measure, Any]]] = {
        1184: ("instant", sa.TIMESTAMP(timezone=True)),
        1114: ("time", sa.TIMESTAMP()),
        1082: ("day", sa.DATE()),
        **{number: ("number", sa.BigInteger()) for number in (20, 21, 23)},
        1700: ("number", sa.NUMERIC()),
        700: ("number", sa.REAL()),
        701: ("number", sa.DOUBLE_PRECISION()),
    }

    def begin(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    def clock(self, connection: sa.Connection) -> dict[Measure, Any]:
        found = connection.exec_driver_sql(
            "SELECT (now() AT TIME ZONE 'UTC')::text || '+00', localtimestamp::text, current_date::text"
        ).one()
        # Only now: a time without a zone is most likely of the zone that the database has by itself.
        connection.exec_driver_sql(
            "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'iso_8601';"
            "SET LOCAL extra_float_digits = 1"
        )
        return dict(zip(("instant", "time", "day"), found, strict=True))

    def columns(self, connection: sa.Connection, described: Sequence[Any], source: Any) -> list[Column]:
        asked = sa.text("SELECT oid FROM pg_catalog.pg_type WHERE oid = ANY(:oids) AND typcategory = 'A'")
        oids = [one[1] for one in described]
        arrays = set(connection.execute(asked, {"oids": oids}).scalars()) if oids else set()
        return [self._column(one, source.c[one[0]], one[1] in arrays) for one in described]

    def _column(self, described: Any, column: Element, is_array: bool) -> Column:
        name, oid, precision, scale = described[0], described[1], described[4], described[5]
        measure, compared = self._MEASURES.get(oid, ("text", None))
        if oid in self._AS_IS:
            return Column(name, column, self._AS_IS[oid], measure, compared)
        written = sa.cast(sa.func.to_json(column) if is_array else column, sa.Text())
        kind = self._WRITTEN.get(oid, pa.string())
        if oid == self._NUMERIC and precision and precision <= 38 and 0 <= (scale or 0) <= precision:
            kind = pa.decimal128(precision, scale or 0)
        return Column(name, written, kind, measure, compared)

    def measured(self, connection: sa.Connection, column: Column, source: Any) -> Column:
        return column

    def bound(self, column: Column, text: str, lag_seconds: int, lag_steps: int) -> Any:
        value = _lagged(column.measure, text, lag_seconds, lag_steps)
        return sa.cast(sa.literal(value, sa.Text()), column.compared) if column.compared else value

    def instant(self, moment: datetime) -> Any:
        return moment


class MySQL(Dialect):
    """MySQL and MariaDB, by the types of their protocol."""

    _WHOLE = frozenset({1, 2, 3, 8, 9, 13})
    _FLOAT, _DOUBLE, _BIT = 4, 5, 16
    _DECIMAL = frozenset({0, 246})
    #: Strings and blobs: text, or bytes, as each column's character set says.
    _AS_IS = frozenset({15, 247, 248, 249, 250, 251, 252, 253, 254, 255})
    _WRITTEN: ClassVar[dict[int, pa.DataType]] = {
        7: pa.timestamp("us", "UTC"),
        10: pa.date32(),
        11: pa.time64("us"),
        12: pa.timestamp("us"),
    }
    _MEASURES: ClassVar[dict[int, Measure]] = {
        7: "instant",
        10: "day",
        12: "time",
        **dict.fromkeys((0, 1, 2, 3, 4, 5, 8, 9, 13, 246), "number"),
    }

    def begin(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def clock(self, connection: sa.Connection) -> dict[Measure, Any]:
        found = connection.exec_driver_sql(
            "SELECT CAST(utc_timestamp(6) AS CHAR), CAST(now(6) AS CHAR), CAST(curdate() AS CHAR)"
        ).one()
        connection.exec_driver_sql("SET time_zone = '+00:00'")
        return dict(zip(("instant", "time", "day"), found, strict=True))

    def columns(self, connection: sa.Connection, described: Sequence[Any], source: Any) -> list[Column]:
        return [self._column(one, source.c[one[0]]) for one in described]

    def _column(self, described: Any, column: Element) -> Column:
        name, code, scale = described[0], described[1], described[5]
        measure: Measure = self._MEASURES.get(code, "text")
        if code in self._WHOLE:
            return Column(name, column, pa.int64(), measure)
        if code in (self._FLOAT, self._DOUBLE):
            # As it is, the server rounds a FLOAT to six digits.
            return Column(name, column.op("+")(sa.literal_column("0e0")), pa.float64(), measure, exact=True)
        if code == self._BIT:
            return Column(name, column.op("+")(sa.literal_column("0")), pa.int64(), measure)
        if code in self._AS_IS:
            return Column(name, column, pa.string(), measure)
        kind = pa.decimal128(38, scale) if code in self._DECIMAL else self._WRITTEN.get(code, pa.string())
        written: Element = sa.cast(column, sa.CHAR())
        if measure == "instant":
            # In the session's zone, which `clock` has made UTC.
            written = sa.func.concat(written, "+00:00")
        return Column(name, written, kind, measure)

    def measured(self, connection: sa.Connection, column: Column, source: Any) -> Column:
        return column

    def bound(self, column: Column, text: str, lag_seconds: int, lag_steps: int) -> Any:
        value = _lagged(column.measure, text, lag_seconds, lag_steps)
        if column.measure == "number":
            return _plain(Decimal(value))
        if column.measure in ("instant", "time"):
            return f"{_naive(value):%Y-%m-%d %H:%M:%S.%f}"
        return value

    def instant(self, moment: datetime) -> Any:
        return moment.replace(tzinfo=None)


_DIALECTS: dict[str, type[Dialect]] = {"postgresql": PostgreSQL, "mysql": MySQL, "mariadb": MySQL}
_DAY_LENGTH = len("2026-01-05")


def dialect_of(connection: sa.Connection) -> Dialect:
    return _DIALECTS.get(connection.dialect.name, Dialect)()


def _lagged(measure: Measure | None, text: str, lag_seconds: int, lag_steps: int) -> str:
    """The position less its lag; where it is no value of the calendar, such as -infinity, as it is."""
    if measure == "number":
        return f"{_less(text, lag_steps):f}"
    try:
        if measure == "day":
            return (date.fromisoformat(text[:_DAY_LENGTH]) - _days(lag_seconds)).isoformat()
        if measure in ("instant", "time"):
            return (datetime.fromisoformat(text) - timedelta(seconds=lag_seconds)).isoformat(" ")
    except (ValueError, OverflowError):
        pass
    return text


def _less(text: str, steps: int) -> Decimal:
    """Exactly: rounded up, rows between would be passed over."""
    with localcontext(prec=2_000):
        return Decimal(text) - steps


def _naive(text: str) -> datetime:
    """A moment, in UTC where it has a zone."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _days(lag_seconds: int) -> timedelta:
    return timedelta(days=-(-lag_seconds // 86_400))


def _plain(value: Decimal) -> int | Decimal:
    return int(value) if value == value.to_integral_value() else value


def _measure(value: Any) -> Measure:
    if isinstance(value, (int, float, Decimal)):
        return "number"
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return "text"
    return "time"
