"""What happens to a table of PostgreSQL, out of its log: docs/adr/0016.

The first run takes the rows that are there, each as an event older than any that the slot sends; every later one what
was committed since, whole transactions only. The server may forget what the ledger says is loaded, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from haulier.definitions import Instance
from haulier.definitions.sources import Changes, Sql
from haulier.errors import DataError, DefinitionError
from haulier.interval import Interval
from haulier.ledger.queries import queries
from haulier.manifest import Position
from haulier.settings import Settings
from haulier_extract.sources import Found, Newest, SourceFile
from haulier_extract.sources.sql.changes.events import Events, Shape, Stamp
from haulier_extract.sources.sql.changes.pgoutput import Begin, Change, Commit, Relation, Truncate
from haulier_extract.sources.sql.changes.slot import (
    Log,
    Slot,
    base_of,
    make,
    messages,
    shown,
    start_of,
)
from haulier_extract.sources.sql.changes.table import Table, spell, types_of
from haulier_extract.sources.sql.engine import connected, place, replicating
from haulier_extract.sources.written import Written

#: A quiet table of a busy database: when the log has grown by so much, an increment without a row moves the position on,
#: or the server would keep all of it.
QUIET_BYTES = 16 * 1024 * 1024
_SAMPLE_ROWS = 20_000
_SQL = queries("haulier_extract.sources.sql.changes", "changes.sql")


def find(
    instance: Instance,
    interval: Interval,
    settings: Settings,
    standing: dict[str, Any] | None,
    *,
    last: dict[str, Any] | None,
    preview: bool,
) -> Found:
    """The rows that are there, or what happened since ``standing``.

    ``last``: where the increment ended that was read last; rows that are not there now may be in the target. ``preview``
    leaves the server as it is. Raises `TransientError` when the server cannot be reached or its slot is in
    use, `DefinitionError` for what is not there or not allowed, and `DataError` where changes are lost.
    """
    sql, changes = _of(instance)
    with replicating(sql, settings) as connection:
        log = Log.of(connection)
        slot, table = _looked_up(sql, settings, changes)
        # After a reset, too: what the old one begins at lies before rows that are loaded.
        is_anew = slot is None or slot.is_lost or (last is not None and changes.snapshot)
        if standing is None and is_anew and not preview:
            patience = settings.lock_timeout_seconds
            make(connection, changes.slot, instead=slot is not None, patience_seconds=patience)
            slot, table = _looked_up(sql, settings, changes)
        here = {
            "system": log.system,
            "timeline": log.timeline,
            "table": table.oid,
            "publication": table.publication,
        }
        start = slot.confirmed if slot else log.end
        if standing is not None:
            start = start_of(slot, changes, standing, here, log)
        base = base_of(standing, last, log)
        increment = _Increment(sql, settings, base)
        if standing is None and changes.snapshot:
            reached = start
            increment.snapshot(slot.restart if slot else log.end, again=last is not None)
        elif slot is None:
            return Found(files=(), notes=(f"there is no slot {changes.slot} yet; a run makes it",))
        else:
            reached = start
            if log.readable > start:
                reached = increment.stream(
                    connection, table, start, log.readable, confirmed=standing is not None and not preview
                )
            if standing is not None and not increment.file.size and reached - start < QUIET_BYTES:
                return Found(files=(), notes=tuple(increment.notes))
    read = {"slot": changes.slot, "value": shown(reached), **here, "base": base}
    position = Position(name="log", start=standing, end=read)
    file = SourceFile(
        uri=f"{place(sql)}#{quote(sql.table or '')}?log={standing['value'] if standing else ''}..",
        logical_name=f"{sql.table} {interval.key}",
        sha256=increment.file.sha256,
        bytes=increment.file.size,
        modified_at=datetime.now(UTC),
        open=increment.file.chunks,
        position=position,
    )
    return Found(files=(file,), notes=tuple(increment.notes), whole=True)


def newest(instance: Instance, settings: Settings) -> Newest | None:
    """The first rows of the table, as a snapshot has them; no slot is touched. Raises as `find` does."""
    sql, _ = _of(instance)
    increment = _Increment(sql, settings)
    increment.snapshot(1, again=False, most=_SAMPLE_ROWS)
    if not increment.file.size:
        return None
    return Newest(
        uri=f"{place(sql)}#{quote(sql.table or '')}",
        name=sql.table or "",
        modified_at=datetime.now(UTC),
        open=increment.file.chunks,
        key=increment.key,
    )


def reach(instance: Instance, settings: Settings) -> None:
    """Whether the table is published and its log may be read. Raises as `find` does."""
    sql, changes = _of(instance)
    with connected(sql, settings) as connection:
        Table(connection, sql)
        Slot.find(connection, changes.slot)
        level = connection.exec_driver_sql(_SQL["level"]).scalar_one()
        if level != "logical":
            raise DefinitionError(
                f"{place(sql)} has wal_level {level}; changes are read where it is logical, which takes a restart of the server"
            )
    with replicating(sql, settings) as log:
        Log.of(log)


def _of(instance: Instance) -> tuple[Sql, Changes]:
    sql = instance.source.sql
    assert sql is not None
    assert sql.changes is not None
    return sql, sql.changes


def _looked_up(sql: Sql, settings: Settings, changes: Changes) -> tuple[Slot | None, Table]:
    with connected(sql, settings) as connection:
        return Slot.find(connection, changes.slot), Table(connection, sql)


class _Increment:
    """Lines on their way into a file."""

    def __init__(self, sql: Sql, settings: Settings, base: int = 0) -> None:
        """``base``: where this server's log begins behind those that were read before."""
        assert sql.changes is not None
        self._base = base
        self._sql, self._settings, self._changes = sql, settings, sql.changes
        self._events = Events(sql.changes.fields, sql.columns)
        self.file = Written("the server's log has")
        self.notes: list[str] = []
        self.key: tuple[str, ...] = ()

    def snapshot(self, floor: int, *, again: bool, most: int | None = None) -> None:
        """All rows that are there, older than whatever the slot sends, which was written at ``floor`` or later.

        ``again``: before them a truncation, for the rows that are not there any more.
        """
        with connected(self._sql, self._settings) as connection:
            table = Table(connection, self._sql)
            self.notes += table.notes
            self.key = table.key
            if again:
                self.file.add(self._events.truncation(Stamp(lsn=self._base + floor - 1)))
            stamp = Stamp(lsn=self._base + floor)
            for cells in table.rows(most):
                self.file.add(self._events.row("r", stamp, table.shape, cells))

    def stream(self, log: Any, table: Table, start: int, end: int, *, confirmed: bool) -> int:
        """What was committed from ``start`` to ``end``, whole transactions; where the next run goes on."""
        self.notes += table.notes
        spell(log)
        shapes: dict[int, Shape] = {}
        begun = Begin(0, 0, 0)
        for lsn, message in messages(log, self._changes, start, end, confirmed=confirmed):
            if isinstance(message, Begin):
                begun = message
                if begun.commit_lsn >= end:
                    break
            elif isinstance(message, Commit):
                if self.file.size >= self._changes.run_bytes:
                    self.notes.append(
                        f"the log goes on behind {shown(message.end_lsn)}: source.sql.changes.run_bytes ends this run there"
                    )
                    return message.end_lsn
            elif isinstance(message, Relation):
                if message.oid == table.oid:
                    shapes[message.oid] = self._shape(message, table)
            else:
                stamp = Stamp(lsn=self._base + lsn, committed_at=begun.committed_at, xid=begun.xid)
                for line in self._lines(message, stamp, shapes):
                    self.file.add(line)
        return end

    def _lines(self, message: Change | Truncate, stamp: Stamp, shapes: dict[int, Shape]) -> Iterator[bytes]:
        if isinstance(message, Truncate):
            if shapes.keys() & set(message.oids):
                yield self._events.truncation(stamp)
        elif message.oid in shapes:
            yield from self._events.change(message, stamp, shapes[message.oid])

    def _shape(self, relation: Relation, table: Table) -> Shape:
        with connected(self._sql, self._settings) as connection:
            types = types_of(connection, relation.types)
        if missing := [name for name in table.key if name not in relation.columns]:
            raise DataError(
                f"{self._sql.table} had no column {missing[0]} when a change was made that is still to be read; "
                "haulier state reset begins anew"
            )
        kinds = [types[oid] for oid in relation.types]
        return Shape.of(relation.columns, kinds, relation.identity, table.key)
