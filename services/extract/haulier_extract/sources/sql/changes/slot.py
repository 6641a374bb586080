"""A logical replication slot: whether it can be read from where one was, and reading it to where the log ends now."""

from __future__ import annotations

import re
import select
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from psycopg2.errors import DuplicateObject, QueryCanceled

from haulier.definitions.sources import Changes
from haulier.errors import DataError, DefinitionError, TransientError
from haulier.ledger.queries import queries
from haulier_extract.sources.sql.changes.pgoutput import Begin, Commit, Message, message_of

PLUGIN = "pgoutput"
#: How long one waits for the server at a time. It is told nothing meanwhile, and wants to hear nothing (`replicating`): psycopg2
#: would confirm by itself what nobody has loaded.
_ASKED_SECONDS, _HEARD_SECONDS = 0.5, 24 * 3600
_SQL = queries("haulier_extract.sources.sql.changes", "changes.sql")
#: A line of a timeline's history: which one was left, and where.
_LEFT = re.compile(r"^(\d+)\t([0-9A-Fa-f]+/[0-9A-Fa-f]+)", re.MULTILINE)
_PLACE = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
#: What a position is of, and what is said where it is not that any more.
_SAME = {
    "system": "this is another server's",
    "table": "the table is another one of the same name",
    "publication": "the publication was made anew",
}
_LOST = "what changed since then cannot be read any more; haulier state reset --reason WHY has the next run take all rows anew"


@dataclass(frozen=True, kw_only=True)
class Slot:
    """How a slot stands: positions in the log, as numbers of bytes."""

    name: str
    #: Nothing that it sends was written before.
    restart: int
    #: It sends what was committed behind.
    confirmed: int
    is_lost: bool

    @classmethod
    def find(cls, connection: sa.Connection, name: str) -> Slot | None:
        """Raises `DefinitionError` for one that is another's."""
        found = connection.exec_driver_sql(_SQL["slot"], {"slot": name}).one_or_none()
        if found is None:
            return None
        plugin, is_here, restart, confirmed, wal = found
        if confirmed is None and restart is not None:
            raise TransientError(
                f"the slot {name} is still being made, by another run or person; try again later"
            )
        if plugin != PLUGIN or not is_here:
            raise DefinitionError(
                f"source.sql.changes.slot: {name} is there and not of this database with the plugin {PLUGIN}; name another"
            )
        return cls(
            name=name,
            restart=int(restart or 0),
            confirmed=int(confirmed or 0),
            is_lost=wal == "lost" or restart is None,
        )


@dataclass(frozen=True, kw_only=True)
class Log:
    """A server's log as it was when it was asked."""

    #: The server's number.
    system: str
    #: Counts how often the log was gone on with elsewhere: after a restore, or by a standby that took over.
    timeline: int
    #: To where it can be read now.
    readable: int
    end: int
    #: Where it left each timeline before its own.
    left: Mapping[int, int]

    @classmethod
    def of(cls, connection: Any) -> Log:
        """Asked over a connection for replication."""
        with connection.cursor() as cursor:
            cursor.execute("IDENTIFY_SYSTEM")
            system, timeline, readable, _ = cursor.fetchone()
            left = {}
            if timeline > 1:
                cursor.execute(f"TIMELINE_HISTORY {timeline:d}")
                _, history = cursor.fetchone()
                text = history if isinstance(history, str) else bytes(history).decode()
                left = {int(number): number_of(place) for number, place in _LEFT.findall(text)}
            cursor.execute(_SQL["end"])
            (end,) = cursor.fetchone()
        return cls(
            system=str(system), timeline=timeline, readable=number_of(readable), end=int(end), left=left
        )

    def shared(self, read: Mapping[str, Any]) -> int:
        """To where a log that was ``read`` is this one."""
        if read.get("system", self.system) != self.system:
            return 0
        timeline = read.get("timeline", self.timeline)
        return self.end if timeline == self.timeline else self.left.get(timeline, 0)


def start_of(
    slot: Slot | None,
    changes: Changes,
    standing: Mapping[str, Any],
    here: Mapping[str, Any],
    log: Log,
) -> int:
    """Where to go on; ``here``: what this server, table and publication are.

    Raises `DataError` where something between there and here is lost, `DefinitionError` for a position of something else.
    """
    told = standing.get("value")
    if standing.get("slot") != changes.slot or not isinstance(told, str):
        raise DefinitionError(
            f"source.sql.changes.slot: the ledger has a position of {standing.get('slot') or standing.get('column')}, and "
            f"this is {changes.slot}; haulier state set or reset says where to begin"
        )
    try:
        start = number_of(told)
    except ValueError:
        raise DefinitionError(
            f"the position {told!r} is no place in a log, such as 0/16B3748; see haulier state show, and set or reset it"
        ) from None
    for what, said in _SAME.items():
        if standing.get(what, here[what]) != here[what]:
            raise DataError(f"the log was read to {told}, and {said}: {_LOST}")
    if log.shared(standing) < start <= log.end:
        raise DataError(
            f"the log was read to {told}, and this server has another one since {shown(log.shared(standing))} (timeline "
            f"{log.timeline}): it was restored, or is a standby that took over; {_LOST}"
        )
    if slot is None:
        raise DataError(f"the log was read to {told}, and the slot {changes.slot} is gone: {_LOST}")
    if slot.is_lost:
        raise DataError(
            f"the log was read to {told}, and the server has given up the slot {slot.name}: {_LOST}"
        )
    if slot.confirmed > start:
        raise DataError(
            f"the log was read to {told}, and the slot {slot.name} goes on only at {shown(slot.confirmed)}: somebody else "
            f"read it, or made it anew; {_LOST}"
        )
    if start > log.end:
        raise DataError(f"the log was read to {told}, and this server's ends at {shown(log.end)}: {_LOST}")
    return start


def base_of(standing: Mapping[str, Any] | None, last: Mapping[str, Any] | None, log: Log) -> int:
    """What is added to places in the log, so that what comes later is greater, whichever server it comes from.

    Nothing, until a log begins anew: another server's, or one that was restored to before what was read ``last``.
    """
    if standing is not None and "base" in standing:
        return int(standing["base"])
    if last is None:
        return 0
    base, read = int(last["base"]), number_of(last["value"])
    return base if read <= log.shared(last) else base + read


def make(connection: Any, name: str, *, instead: bool, patience_seconds: float) -> None:
    """The slot, once every transaction that is open now has ended; ``instead`` of one that is lost.

    Raises `TransientError` when they do not end in time.
    """
    # No setting of the server's limits all of it: on a standby it waits for no lock.
    patience = threading.Timer(patience_seconds, connection.cancel)
    with connection.cursor() as cursor:
        if instead:
            cursor.drop_replication_slot(name)
        patience.start()
        try:
            with suppress(
                DuplicateObject
            ):  # another run of this instance is there: one of the two will read it
                cursor.create_replication_slot(name, output_plugin=PLUGIN)
        except QueryCanceled:
            raise TransientError(
                f"the slot {name} could not be made within {patience_seconds:g} s (HAULIER_LOCK_TIMEOUT_SECONDS): the server "
                "first waits for the end of every transaction that had written something by then, in whichever of its databases "
                "(backend_xid in pg_stat_activity, pg_prepared_xacts); a standby also for its primary, where "
                "SELECT pg_log_standby_snapshot() hurries it. Have them end, or try again later"
            ) from None
        finally:
            patience.cancel()


def messages(
    connection: Any, changes: Changes, start: int, end: int, *, confirmed: bool
) -> Iterator[tuple[int, Message]]:
    """(where it was written, what it says), up to where the log ended when it was asked.

    ``confirmed``: the server is told that all before ``start`` is safe, and may forget it.
    """
    publication = '"' + changes.publication.replace('"', '""') + '"'
    cursor = connection.cursor()
    cursor.start_replication(
        slot_name=changes.slot,
        decode=False,
        start_lsn=start,
        status_interval=_HEARD_SECONDS,
        options={"proto_version": "1", "publication_names": publication},
    )
    if confirmed:
        cursor.send_feedback(flush_lsn=start, force=True)
    inside = False
    while True:
        received = cursor.read_message()
        if received is not None:
            message = message_of(received.payload)
            inside = not isinstance(message, Commit) and (inside or isinstance(message, Begin))
            if message is not None:
                yield received.data_start, message
        elif cursor.wal_end >= end and not inside:
            return
        else:
            select.select([cursor], [], [], _ASKED_SECONDS)


def number_of(text: str) -> int:
    """A place in the log as PostgreSQL writes it, as the number of bytes before it. Raises `ValueError`."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return int(found[1], 16) << 32 | int(found[2], 16)


def shown(number: int) -> str:
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"
