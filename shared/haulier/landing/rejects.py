"""The dead letter as the ledger keeps it: rows rejected on their way into a target, each verbatim."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
from psycopg2.extras import execute_values

from haulier.exchange import Exchange
from haulier.landing.merge import Rejected
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier.manifest import Manifest
from haulier.originals import VerbatimRows
from haulier.rows import DELIVERY, OUTPUT, REJECT_SCHEMA, ROW, VERBATIM_BYTES

#: (delivery, row, output)
Place = tuple[int, int, int | None]

_SQL = queries("haulier.landing", "load.sql")
REJECT_NAMES = [
    *("delivery_id", "row_number", "output", "step", "rule", "column_name", "message", "problems"),
    *("verbatim", "verbatim_bytes"),
]
# PostgreSQL's text and jsonb take no NUL; the verbatim bytes keep it.
_NUL_PICTURE = "␀"
#: The escape itself: behind a backslash that is escaped it is four digits of somebody's text.
_NUL_ESCAPE = r"((?:^|[^\\])(?:\\\\)*)\\u0000"
#: Own rejects at a time: as many as have 64 KiB of verbatim text each in memory.
_OWN_AT_ONCE = 1_000


def own_rejects(
    cursor: Cursor, exchange: Exchange, manifest: Manifest, rejected: Iterable[Rejected], step: str = "load"
) -> Iterator[pa.Table]:
    """Rows that the target itself rejects, some at a time, verbatim from the kept originals."""
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
            yield pa.Table.from_pylist(_with_verbatim(some, rows, step), schema=schema)


def _with_verbatim(items: list[Rejected], rows: VerbatimRows, step: str) -> list[dict[str, Any]]:
    numbers = sorted({row for _, row, *_ in items})
    verbatim = dict(zip(numbers, rows.take_with_place(numbers), strict=True))
    return [
        {
            DELIVERY: delivery_id,
            ROW: row,
            OUTPUT: output,
            "step": step,
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


def insert_rejects(cursor: Cursor, load_id: int, tables: Iterable[pa.Table]) -> None:
    """A few rejects, by short statements: the target is locked meanwhile."""
    for table in for_ledger(tables, REJECT_NAMES):
        rows = [(load_id, *line.values()) for line in table.to_pylist()]
        execute_values(cursor, _SQL["insert_rejects"], rows, page_size=200)


def places(table: pa.Table) -> list[Place]:
    """(delivery, row, output) of each line."""
    return list(zip(*(table[name].to_pylist() for name in (DELIVERY, ROW, OUTPUT)), strict=True))


def messages(table: pa.Table) -> pa.ChunkedArray:
    """What is said of each line, as the ledger takes it: a function may repeat what it found."""
    return pc.replace_substring(table["message"], "\x00", _NUL_PICTURE)


def for_ledger(tables: Iterable[pa.Table], names: list[str]) -> Iterator[pa.Table]:
    for table in tables:
        table = table.set_column(table.schema.get_field_index("message"), "message", messages(table))
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
