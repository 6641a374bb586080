"""A database as a source: what a table or a query gives, within one snapshot, is one delivery.

It is written down as Parquet in the columns' own types, and that is the original which the run keeps: later
steps, replays and audits never ask the database again. How far it was read is a position, which the load of
those very rows writes into the ledger: docs/adr/0012.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from haulier.definitions import Instance
from haulier.definitions.sources import Sql
from haulier.errors import DefinitionError
from haulier.interval import Interval
from haulier.manifest import Position
from haulier.settings import Settings
from haulier_extract.sources import Found, Newest, SourceFile
from haulier_extract.sources.sql import changes
from haulier_extract.sources.sql.asking import Asked
from haulier_extract.sources.sql.engine import connected, place
from haulier_extract.sources.sql.writing import written

#: What a look at a table reads; the first rows are as good as any.
_SAMPLE_ROWS = 20_000


def find(
    instance: Instance,
    interval: Interval,
    settings: Settings,
    standing: dict[str, str] | None = None,
    *,
    last: dict[str, str] | None = None,
    preview: bool = False,
) -> Found:
    """Everything, what is new since ``standing`` (the position in the ledger), or an interval; none without a row.

    ``last`` and ``preview`` are of a log alone.

    Raises `TransientError` when the database cannot be reached, `DefinitionError` when it refuses what is asked,
    and `DataError` for values that no order can be made of.
    """
    sql = instance.source.sql
    assert sql is not None
    if sql.changes:
        return changes.find(instance, interval, settings, standing, last=last, preview=preview)
    position: Position | None = None
    with connected(sql, settings) as connection:
        asked = Asked(connection, instance, interval)
        if sql.watermark:
            start = _start(sql, standing)
            end, notes = asked.begin_at(start)
            if end is not None:
                position = Position(
                    name="watermark", start=standing, end={"column": sql.watermark.column, "value": end}
                )
        else:
            notes = asked.within()
        file, rows = written(asked)
    if not rows:
        return Found(files=(), notes=tuple(notes))
    name = _what(sql)
    return Found(
        files=(
            SourceFile(
                uri=_uri(sql, interval, standing),
                # All of a table is one thing sent again and again; each increment is a thing of its own.
                logical_name=f"{name} {interval.key}" if sql.watermark or sql.by_interval else name,
                sha256=file.sha256,
                bytes=file.size,
                # Rows have no time that a database would say by itself.
                modified_at=datetime.now(UTC),
                open=file.chunks,
                position=position,
            ),
        ),
        notes=tuple(notes),
        whole=True,
    )


def newest(instance: Instance, interval: Interval, settings: Settings) -> Newest | None:
    """The first rows of the table or query, whatever interval they are of. Raises as `find` does."""
    sql = instance.source.sql
    assert sql is not None
    if sql.changes:
        return changes.newest(instance, settings)
    with connected(sql, settings) as connection:
        asked = Asked(connection, instance, interval)
        file, rows = written(asked, most=_SAMPLE_ROWS)
    if not rows:
        return None
    return Newest(
        uri=f"{place(sql)}#{quote(_what(sql))}",
        name=_what(sql),
        modified_at=datetime.now(UTC),
        open=file.chunks,
        key=asked.key,
    )


def reach(instance: Instance, settings: Settings, interval: Interval) -> None:
    """Connect, and have the database judge all that `find` would ask it. Raises as that does."""
    sql = instance.source.sql
    assert sql is not None
    if sql.changes:
        changes.reach(instance, settings)
        return
    with connected(sql, settings) as connection:
        asked = Asked(connection, instance, interval, idle=True)
        if sql.watermark:
            asked.begin_at(None)
        else:
            asked.within()
        written(asked)


def _start(sql: Sql, standing: dict[str, str] | None) -> str | None:
    if standing is None:
        return None
    column = sql.watermark.column if sql.watermark else ""
    if standing.get("column") != column or not isinstance(standing.get("value"), str):
        raise DefinitionError(
            f"source.sql.watermark.column: the ledger has a position of {standing.get('column')}, and this is {column}; "
            "haulier state set or reset says where to begin"
        )
    return standing["value"]


def _what(sql: Sql) -> str:
    return sql.table or (sql.query or "").rpartition("/")[2].removesuffix(".sql")


def _uri(sql: Sql, interval: Interval, standing: dict[str, str] | None) -> str:
    """What was asked, without who asked."""
    uri = f"{place(sql)}#{quote(_what(sql))}"
    if sql.watermark:
        return f"{uri}?{sql.watermark.column}={quote(standing['value']) if standing else ''}.."
    return f"{uri}?{interval.key}" if sql.by_interval else uri
