"""The dead letter as the ledger keeps it: sealed rejects and load's own, each with its verbatim row."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from psycopg2 import sql

from haulier.exchange import Exchange
from haulier.ledger.connection import Cursor
from haulier.manifest import Manifest
from haulier.originals import VerbatimRows
from haulier.parts import row_groups
from haulier.rows import DELIVERY, OUTPUT, REJECT_SCHEMA, ROW, VERBATIM_BYTES
from haulier_load.merge import Rejected
from haulier_load.staging import copy_binary

#: (delivery, row, output)
Place = tuple[int, int, int | None]

_REJECT = sql.Identifier("haulier", "reject")
_FLAG = sql.Identifier("haulier", "flag")
# PostgreSQL's text and jsonb take no NUL; the verbatim bytes keep it.
_NUL_PICTURE = "␀"


def sealed_rejects(exchange: Exchange, manifest: Manifest) -> Iterator[pa.Table]:
    """Rejects of extract and transform, with `DELIVERY` as the ledger's delivery number."""
    return _with_ids(row_groups(exchange, manifest.rejects), manifest)


def own_rejects(exchange: Exchange, manifest: Manifest, rejected: Iterable[Rejected]) -> pa.Table:
    """Rows that load itself rejects, verbatim from the kept originals."""
    by_delivery: dict[int, list[Rejected]] = defaultdict(list)
    for item in rejected:
        by_delivery[item[0]].append(item)
    lines: list[dict[str, Any]] = []
    for delivery in manifest.deliveries:
        items = by_delivery.get(delivery.delivery_id, [])
        if not items:
            continue
        numbers = sorted({row for _, row, *_ in items})
        rows = VerbatimRows(exchange, delivery, manifest.definition.source.csv)
        verbatim = dict(zip(numbers, rows.take(numbers), strict=True))
        for _, row, output, rule, column, message in items:
            lines.append(
                {
                    DELIVERY: delivery.delivery_id,
                    ROW: row,
                    OUTPUT: output,
                    "step": "load",
                    "rule": rule,
                    "column": column,
                    "message": message,
                    "problems": json.dumps([{"rule": rule, "column": column, "message": message}]),
                    "verbatim": verbatim[row][:VERBATIM_BYTES],
                    "verbatim_bytes": len(verbatim[row]),
                }
            )
    return pa.Table.from_pylist(lines, schema=_ledger_schema(REJECT_SCHEMA))


def copy_rejects(cursor: Cursor, load_id: int, tables: Iterable[pa.Table]) -> int:
    """Into ``haulier.reject``; return how many."""
    names = [
        "load_id",
        "delivery_id",
        "row_number",
        "output",
        "step",
        "rule",
        "column_name",
        "message",
        "problems",
        "verbatim",
        "verbatim_bytes",
    ]
    return copy_binary(cursor, _REJECT, names, _for_ledger(tables, load_id, names), jsonb=["problems"])


def copy_flags(cursor: Cursor, load_id: int, exchange: Exchange, manifest: Manifest) -> int:
    """Into ``haulier.flag``; return how many."""
    names = ["load_id", "delivery_id", "row_number", "output", "rule", "column_name", "message"]
    tables = _with_ids(row_groups(exchange, manifest.flags), manifest)
    return copy_binary(cursor, _FLAG, names, _for_ledger(tables, load_id, names))


def places(table: pa.Table) -> list[Place]:
    """(delivery, row, output) of each line."""
    return list(zip(*(table[name].to_pylist() for name in (DELIVERY, ROW, OUTPUT)), strict=True))


def _with_ids(tables: Iterable[pa.Table], manifest: Manifest) -> Iterator[pa.Table]:
    ids = pa.array([d.delivery_id for d in manifest.deliveries], pa.int64())
    for table in tables:
        position = table.schema.get_field_index(DELIVERY)
        yield table.set_column(position, DELIVERY, pc.take(ids, table[DELIVERY]))


def _for_ledger(tables: Iterable[pa.Table], load_id: int, names: list[str]) -> Iterator[pa.Table]:
    for table in tables:
        for name in ("message", "problems"):
            if name in table.column_names:
                text = pc.replace_substring(table[name], "\x00", _NUL_PICTURE)
                text = pc.replace_substring(text, "\\u0000", _NUL_PICTURE)
                table = table.set_column(table.schema.get_field_index(name), name, text)
        load = pa.repeat(pa.scalar(load_id, pa.int64()), table.num_rows)
        yield table.add_column(0, "load_id", load).rename_columns(names)


def _ledger_schema(schema: pa.Schema) -> pa.Schema:
    return schema.set(schema.get_field_index(DELIVERY), pa.field(DELIVERY, pa.int64(), nullable=False))
