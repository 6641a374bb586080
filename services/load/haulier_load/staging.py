"""Canonical Parquet to PostgreSQL: Arrow batches become binary COPY without a Python object per row.

Rows are staged in a TEMP table of the load transaction, or, shard by shard, in an UNLOGGED table of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, cast

import pgpq
import pgpq.encoders
import pgpq.schema
import pyarrow as pa
import pyarrow.compute as pc
from psycopg2 import sql

from haulier.contracts import Contract
from haulier.errors import DataError
from haulier.landing.names import KEPT, STAGE, columns
from haulier.ledger.connection import Cursor
from haulier.manifest import Delivery
from haulier.rows import DELIVERY, OUTPUT, ROW, UNCHANGED, canonical_schema

# Rows encoded at a time: a COPY buffer of a few megabytes.
_ENCODED_ROWS = 32_768
_COPY_READ_BYTES = 1024 * 1024

#: Which shard a row of a shared stage belongs to.
SHARD = "_haulier_shard"
#: The staging table's own columns, after the contract's.
_STAGED = {DELIVERY: "bigint", "_haulier_sequence": "integer", ROW: "bigint", OUTPUT: "integer"}


class _Readable(Protocol):
    """What the driver's stubs ask of a file; it only ever calls ``read``."""

    def read(self, size: int = -1, /) -> bytes: ...

    def readline(self, size: int = -1, /) -> bytes: ...


def create_stage(cursor: Cursor, contract: Contract) -> None:
    """An empty TEMP table of the contract's types; it locks nothing and goes with the transaction."""
    cursor.execute(
        sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(
            sql.Identifier("haulier_stage"), _staged_columns(contract, _STAGED)
        )
    )


def create_shared_stage(cursor: Cursor, contract: Contract, stage: sql.Identifier) -> None:
    """The UNLOGGED table of a run in shards, if it is not there yet."""
    cursor.execute(
        sql.SQL("CREATE UNLOGGED TABLE IF NOT EXISTS {} ({})").format(
            stage, _staged_columns(contract, _STAGED | {SHARD: "integer"})
        )
    )


def _staged_columns(contract: Contract, own: Mapping[str, str]) -> sql.Composable:
    kept = [(UNCHANGED, "jsonb"), (KEPT, "jsonb")] if contract.keeping else []
    spec = [(c.name, c.pg_type) for c in contract.columns] + list(own.items()) + kept
    # Types come from `haulier.odcs`'s closed list, never from a person's text.
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(pg_type)) for name, pg_type in spec
    )


def copy_rows(
    cursor: Cursor,
    contract: Contract,
    deliveries: tuple[Delivery, ...],
    tables: Iterable[pa.Table],
    stage: sql.Composable = STAGE,
    shard: int | None = None,
) -> int:
    """COPY canonical rows into a stage; return how many. Raises `DataError` on another schema."""
    expected = canonical_schema(contract)
    ids = pa.array([d.delivery_id for d in deliveries], pa.int64())
    sequences = pa.array([d.sequence for d in deliveries], pa.int32())
    names = [c.name for c in contract.columns] + ([UNCHANGED] if contract.keeping else [])

    def staged() -> Iterator[pa.Table]:
        for table in tables:
            if not table.schema.equals(expected, check_metadata=False):
                raise DataError(
                    f"a sealed part does not have contract {contract.id}'s columns and types; open a new generation with "
                    "--reprocess",
                    found=str(table.schema),
                )
            position = table[DELIVERY]
            staged_rows = (
                table.select(names)
                .append_column(DELIVERY, pc.take(ids, position))
                .append_column("_haulier_sequence", pc.take(sequences, position))
                .append_column(ROW, table[ROW])
                .append_column(OUTPUT, table[OUTPUT])
            )
            if shard is not None:
                staged_rows = staged_rows.append_column(
                    SHARD, pa.repeat(pa.scalar(shard, pa.int32()), len(table))
                )
            yield staged_rows

    jsonb = {c.name for c in contract.columns if c.pg_type == "jsonb"}
    if contract.keeping:
        jsonb.add(UNCHANGED)
    own = [*_STAGED, *([SHARD] if shard is not None else [])]
    return copy_binary(cursor, stage, [*names, *own], staged(), jsonb)


def copy_binary(
    cursor: Cursor,
    table: sql.Composable,
    names: list[str],
    tables: Iterable[pa.Table],
    jsonb: Iterable[str] = (),
) -> int:
    """``COPY table (names) FROM STDIN`` of Arrow tables whose types are exactly the table's."""
    stream = _Encoded(tables, frozenset(jsonb))
    if not stream.open():
        return 0
    cursor.copy_expert(
        sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(table, columns(names)),
        cast("_Readable", stream),
        size=_COPY_READ_BYTES,
    )
    return stream.rows


class _Encoded:
    """A file-like object that encodes the next batch when the driver asks for more bytes."""

    def __init__(self, tables: Iterable[pa.Table], jsonb: frozenset[str]) -> None:
        self._batches = (batch for table in tables for batch in table.to_batches(max_chunksize=_ENCODED_ROWS))
        self._jsonb = jsonb
        self._chunks: Iterator[bytes] = iter(())
        self._rest = memoryview(b"")
        self.rows = 0

    def open(self) -> bool:
        """Whether there is any row at all."""
        first = next((batch for batch in self._batches if batch.num_rows), None)
        if first is None:
            return False
        self._chunks = self._encode(first)
        return True

    def read(self, size: int = -1, /) -> bytes:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)

    def _encode(self, first: pa.RecordBatch) -> Iterator[bytes]:
        encoder = self._encoder(first.schema)
        yield encoder.write_header()
        yield self._batch(encoder, first)
        for batch in self._batches:
            if batch.num_rows:
                yield self._batch(encoder, batch)
        yield encoder.finish()

    def _batch(self, encoder: pgpq.ArrowToPostgresBinaryEncoder, batch: pa.RecordBatch) -> bytes:
        self.rows += batch.num_rows
        return encoder.write_batch(batch)

    def _encoder(self, schema: pa.Schema) -> pgpq.ArrowToPostgresBinaryEncoder:
        if not self._jsonb:
            return pgpq.ArrowToPostgresBinaryEncoder(schema)
        builders: dict[str, Any] = {}
        for position, name in enumerate(schema.names):
            arrow_field = schema.field(position)
            if name in self._jsonb:
                builders[name] = pgpq.encoders.StringEncoderBuilder.new_with_output(
                    arrow_field, pgpq.schema.Jsonb()
                )
            else:
                builders[name] = pgpq.ArrowToPostgresBinaryEncoder.infer_encoder(arrow_field)
        return pgpq.ArrowToPostgresBinaryEncoder.new_with_encoders(schema, builders)
