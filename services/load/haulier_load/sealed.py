"""What the earlier steps rejected and flagged, on its way from their parts into the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
from psycopg2 import sql

from haulier.exchange import Exchange
from haulier.landing.rejects import REJECT_NAMES, for_ledger
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier.manifest import Manifest
from haulier.parts import row_groups
from haulier.rows import DELIVERY, FLAG_SCHEMA
from haulier_load.staging import copy_binary

_SQL = queries("haulier.landing", "load.sql")
_STAGED_REJECT = sql.Identifier("pg_temp", "haulier_sealed_reject")
_STAGED_FLAG = sql.Identifier("pg_temp", "haulier_sealed_flag")
_FLAG_NAMES = ["delivery_id", "row_number", "output", "rule", "column_name", "message", "line"]


def sealed_rejects(exchange: Exchange, manifest: Manifest) -> Iterator[pa.Table]:
    """Rejects of extract and transform, with `DELIVERY` as the ledger's delivery number."""
    return _with_ids(row_groups(exchange, manifest.rejects), manifest)


def stage_sealed(cursor: Cursor, exchange: Exchange, manifest: Manifest) -> None:
    """Rejects and flags of the earlier steps into TEMP tables, while nobody waits for a lock.

    A COPY counts as active, so an attempt that froze in one would hold its locks past the idle
    timeout: none is run once the target is locked. A replay's rejects are not staged: most of them are those that it was
    asked for, and fail again.
    """
    cursor.execute(_SQL["create_staged"])
    if manifest.replay_id is None:
        rejects = for_ledger(sealed_rejects(exchange, manifest), REJECT_NAMES)
        copy_binary(cursor, _STAGED_REJECT, REJECT_NAMES, rejects, jsonb=["problems"])
    flags = _with_ids(map(_with_line, row_groups(exchange, manifest.flags)), manifest)
    copy_binary(cursor, _STAGED_FLAG, _FLAG_NAMES, for_ledger(flags, _FLAG_NAMES))


def keep_sealed(cursor: Cursor, load_id: int, *, flags: bool) -> None:
    """What was staged becomes this load's."""
    cursor.execute(_SQL["keep_rejects"], {"load_id": load_id})
    if flags:
        cursor.execute(_SQL["keep_flags"], {"load_id": load_id})


def keep_replayed_flags(cursor: Cursor, load_id: int) -> None:
    """What is odd in rows that a replay brought in."""
    cursor.execute(_SQL["keep_replayed_flags"], {"load_id": load_id})


def _with_line(table: pa.Table) -> pa.Table:
    """Flags sealed before they told their line have none."""
    field = FLAG_SCHEMA.field("line").with_nullable(True)
    if field.name in table.column_names:
        return table
    return table.append_column(field, pa.nulls(table.num_rows, field.type))


def _with_ids(tables: Iterable[pa.Table], manifest: Manifest) -> Iterator[pa.Table]:
    ids = pa.array([d.delivery_id for d in manifest.deliveries], pa.int64())
    for table in tables:
        position = table.schema.get_field_index(DELIVERY)
        yield table.set_column(position, DELIVERY, pc.take(ids, table[DELIVERY]))
