"""The dead letter as the ledger keeps it: sealed rejects and load's own, each with its verbatim row."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
from psycopg2 import sql
from psycopg2.extras import execute_values

from haulier.exchange import Exchange
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier.manifest import Manifest
from haulier.originals import VerbatimRows
from haulier.parts import row_groups
from haulier.rows import DELIVERY, OUTPUT, REJECT_SCHEMA, ROW, VERBATIM_BYTES
from haulier_load.merge import Rejected
from haulier_load.staging import copy_binary

#: (delivery, row, output)
Place = tuple[int, int, int | None]

_SQL = queries("haulier_load", "load.sql")
_STAGED_REJECT = sql.Identifier("pg_temp", "haulier_sealed_reject")
_STAGED_FLAG = sql.Identifier("pg_temp", "haulier_sealed_flag")
_REJECT_NAMES = [
    *("delivery_id", "row_number", "output", "step", "rule", "column_name", "message", "problems"),
    *("verbatim", "verbatim_bytes"),
]
_FLAG_NAMES = ["delivery_id", "row_number", "output", "rule", "column_name", "message"]
# PostgreSQL's text and jsonb take no NUL; the verbatim bytes keep it.
_NUL_PICTURE = "␀"
#: The escape itself: behind a backslash that is escaped it is four digits of somebody's text.
_NUL_ESCAPE = r"((?:^|[^\\])(?:\\\\)*)\\u0000"
#: Own rejects at a time: as many as have 64 KiB of verbatim text each in memory.
_OWN_AT_ONCE = 1_000


def sealed_rejects(exchange: Exchange, manifest: Manifest) -> Iterator[pa.Table]:
    """Rejects of extract and transform, with `DELIVERY` as the ledger's delivery number."""
    return _with_ids(row_groups(exchange, manifest.rejects), manifest)


def own_rejects(
    cursor: Cursor, exchange: Exchange, manifest: Manifest, rejected: Iterable[Rejected]
) -> Iterator[pa.Table]:
    """Rows that load itself rejects, some at a time, verbatim from the kept originals."""
    schema = _ledger_schema(REJECT_SCHEMA)
    by_delivery: dict[int, list[Rejected]] = defaultdict(list)
    for item in rejected:
        by_delivery[item[0]].append(item)
    for delivery in manifest.deliveries:
        items = sorted(by_delivery.get(delivery.delivery_id, []), key=lambda item: item[1])
        if not items:
            continue
        rows = VerbatimRows(
            cast("Exchange", _Alive(exchange, cursor)), delivery, manifest.definition.source.format
        )
        for start in range(0, len(items), _OWN_AT_ONCE):
            some = items[start : start + _OWN_AT_ONCE]
            yield pa.Table.from_pylist(_with_verbatim(some, rows), schema=schema)


def _with_verbatim(items: list[Rejected], rows: VerbatimRows) -> list[dict[str, Any]]:
    numbers = sorted({row for _, row, *_ in items})
    verbatim = dict(zip(numbers, rows.take_with_place(numbers), strict=True))
    return [
        {
            DELIVERY: delivery_id,
            ROW: row,
            OUTPUT: output,
            "step": "load",
            "rule": rule,
            "column": column,
            "message": message,
            "problems": problems if (whole := verbatim[row][1]) is None else whole.beside(problems),
            "verbatim": verbatim[row][0][:VERBATIM_BYTES],
            "verbatim_bytes": len(verbatim[row][0]),
        }
        for delivery_id, row, output, rule, column, message in items
        for problems in [json.dumps([{"rule": rule, "column": column, "message": message}])]
    ]


def stage_sealed(cursor: Cursor, exchange: Exchange, manifest: Manifest) -> None:
    """Rejects and flags of the earlier steps into TEMP tables, while nobody waits for a lock.

    A COPY counts as active, so an attempt that froze in one would hold its locks past the idle
    timeout: none is run once the target is locked.
    """
    cursor.execute(_SQL["create_staged"])
    rejects = _for_ledger(sealed_rejects(exchange, manifest), _REJECT_NAMES)
    copy_binary(cursor, _STAGED_REJECT, _REJECT_NAMES, rejects, jsonb=["problems"])
    flags = _with_ids(row_groups(exchange, manifest.flags), manifest)
    copy_binary(cursor, _STAGED_FLAG, _FLAG_NAMES, _for_ledger(flags, _FLAG_NAMES))


def keep_sealed(cursor: Cursor, load_id: int, *, flags: bool) -> None:
    """What was staged becomes this load's."""
    cursor.execute(_SQL["keep_rejects"], {"load_id": load_id})
    if flags:
        cursor.execute(_SQL["keep_flags"], {"load_id": load_id})


def insert_rejects(cursor: Cursor, load_id: int, tables: Iterable[pa.Table]) -> None:
    """A few rejects, by short statements: the target is locked meanwhile."""
    for table in _for_ledger(tables, _REJECT_NAMES):
        rows = [(load_id, *line.values()) for line in table.to_pylist()]
        execute_values(cursor, _SQL["insert_rejects"], rows, page_size=200)


def places(table: pa.Table) -> list[Place]:
    """(delivery, row, output) of each line."""
    return list(zip(*(table[name].to_pylist() for name in (DELIVERY, ROW, OUTPUT)), strict=True))


def _with_ids(tables: Iterable[pa.Table], manifest: Manifest) -> Iterator[pa.Table]:
    ids = pa.array([d.delivery_id for d in manifest.deliveries], pa.int64())
    for table in tables:
        position = table.schema.get_field_index(DELIVERY)
        yield table.set_column(position, DELIVERY, pc.take(ids, table[DELIVERY]))


def _for_ledger(tables: Iterable[pa.Table], names: list[str]) -> Iterator[pa.Table]:
    for table in tables:
        text = pc.replace_substring(table["message"], "\x00", _NUL_PICTURE)
        table = table.set_column(table.schema.get_field_index("message"), "message", text)
        if "problems" in table.column_names:
            text = table["problems"]
            # Twice: of two that stand side by side, the first pass takes the first.
            for _ in range(2):
                text = pc.replace_substring_regex(text, _NUL_ESCAPE, rf"\1{_NUL_PICTURE}")
            table = table.set_column(table.schema.get_field_index("problems"), "problems", text)
        yield table.rename_columns(names)


class _Alive:
    """An exchange whose streams keep an open transaction alive: a live attempt that reads a large original
    is not idle, a frozen one is."""

    def __init__(self, exchange: Exchange, cursor: Cursor) -> None:
        self._exchange, self._cursor = exchange, cursor

    def stream(self, key: str, chunk_bytes: int = 8 * 1024 * 1024) -> Iterator[bytes]:
        for chunk in self._exchange.stream(key, chunk_bytes):
            self._cursor.execute("SELECT 1")
            yield chunk

    def get(self, key: str) -> bytes:
        self._cursor.execute("SELECT 1")
        return self._exchange.get(key)

    def piece(self, key: str, start: int, stop: int) -> bytes:
        self._cursor.execute("SELECT 1")
        return self._exchange.piece(key, start, stop)


def _ledger_schema(schema: pa.Schema) -> pa.Schema:
    return schema.set(schema.get_field_index(DELIVERY), pa.field(DELIVERY, pa.int64(), nullable=False))
