"""The columns every row carries between the steps, and the shape of rejects and flags."""

from __future__ import annotations

import re

import pyarrow as pa

from haulier.contracts import Column, Contract
from haulier.errors import DefinitionError

#: Position of the row's delivery in ``manifest.deliveries``.
DELIVERY = "_haulier_delivery"
#: Number of the row in its source, counted from 1 as a spreadsheet shows it: header and blank lines count.
ROW = "_haulier_row"
#: Which output of its source row this is, under a declared reshape; null without one.
OUTPUT = "_haulier_output"
#: JSON list of the columns whose value the row does not carry because it did not change; null: of none.
UNCHANGED = "_haulier_unchanged"
#: What stands in a change event for a value that the source's log does not have, as it did not change. Debezium's word.
UNAVAILABLE = "__debezium_unavailable_value"

SYSTEM_FIELDS: tuple[pa.Field, ...] = (
    pa.field(DELIVERY, pa.int32(), nullable=False),
    pa.field(ROW, pa.int64(), nullable=False),
)
OUTPUT_FIELD = pa.field(OUTPUT, pa.int32())

#: One line per row that may not enter the target. ``problems`` is a JSON list of
#: ``{"rule", "column", "message"}``; rule, column and message repeat the first of them.
REJECT_SCHEMA = pa.schema(
    [
        *SYSTEM_FIELDS,
        OUTPUT_FIELD,
        pa.field("step", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("column", pa.string()),
        pa.field("message", pa.string(), nullable=False),
        pa.field("problems", pa.string(), nullable=False),
        pa.field("verbatim", pa.binary(), nullable=False),
        pa.field("verbatim_bytes", pa.int64(), nullable=False),
    ]
)
FLAG_SCHEMA = pa.schema(
    [
        *SYSTEM_FIELDS,
        OUTPUT_FIELD,
        pa.field("rule", pa.string(), nullable=False),
        pa.field("column", pa.string()),
        pa.field("message", pa.string(), nullable=False),
        #: SHA-256 of the source row's cells: by it the row is known again when it is sent anew.
        pa.field("line", pa.binary(), nullable=False),
    ]
)

#: Verbatim rows are kept up to here; the rest is in the kept original, at the row's number.
VERBATIM_BYTES = 64 * 1024

#: Digits of an unconstrained numeric: 28 before the decimal point, 10 after it.
NUMERIC_PRECISION, NUMERIC_SCALE = 38, 10

_SIMPLE: dict[str, pa.DataType] = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "smallint": pa.int16(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", "UTC"),
    "timestamp": pa.timestamp("us"),
    "time": pa.time64("us"),
    "uuid": pa.uuid(),
    "jsonb": pa.string(),
    "numeric": pa.decimal128(NUMERIC_PRECISION, NUMERIC_SCALE),
}
_NUMERIC = re.compile(r"numeric\((\d+),\s*(\d+)\)")
_VARCHAR = re.compile(r"varchar\(\d+\)")


def arrow_type(pg_type: str) -> pa.DataType:
    """The Arrow type whose binary COPY image is exactly ``pg_type``. Raises `DefinitionError`."""
    if pg_type in _SIMPLE:
        return _SIMPLE[pg_type]
    if _VARCHAR.fullmatch(pg_type):
        return pa.string()
    if numeric := _NUMERIC.fullmatch(pg_type):
        return pa.decimal128(int(numeric[1]), int(numeric[2]))
    raise DefinitionError(f"physicalType: {pg_type!r} is not a type Haulier loads")


def canonical_field(column: Column, *, may_be_empty: bool = False) -> pa.Field:
    nullable = may_be_empty or not (column.required or column.key_position)
    return pa.field(column.name, arrow_type(column.pg_type), nullable=nullable)


def canonical_schema(contract: Contract) -> pa.Schema:
    """What transform writes and load copies: the system columns, then the contract's, in order."""
    # A deletion need not say what was deleted, only which.
    empty = {c.name for c in contract.columns} - contract.identifying if contract.marker else set()
    empty |= {c.name for c in contract.keeping} | (set(contract.key) if contract.truncates else set())
    fields = (canonical_field(c, may_be_empty=c.name in empty) for c in contract.columns)
    unchanged = [pa.field(UNCHANGED, pa.string())] if contract.keeping else []
    return pa.schema([*SYSTEM_FIELDS, OUTPUT_FIELD, *fields, *unchanged])
