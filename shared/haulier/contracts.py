"""What a target table promises: the resolved form of an Open Data Contract Standard document."""

from __future__ import annotations

from typing import Literal

import msgspec

#: PostgreSQL types a contract may name, after normalisation; `haulier.odcs` does that.
PgType = str
LogicalType = Literal["string", "integer", "number", "boolean", "date", "timestamp", "time", "object", "array"]


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One promised column."""

    name: str
    logical_type: LogicalType
    #: Normalised PostgreSQL type: text, varchar(n), bigint, integer, smallint, numeric, numeric(p,s),
    #: double precision, boolean, date, timestamptz, timestamp, time, uuid, jsonb.
    pg_type: PgType
    description: str = ""
    required: bool = False
    unique: bool = False
    #: 1, 2, … for the columns of the primary key.
    key_position: int | None = None
    #: Computed by the pipeline's functions, not read from the source.
    derived: bool = False
    enum: tuple[str, ...] | None = None
    minimum: str | None = None
    maximum: str | None = None
    exclusive_minimum: str | None = None
    exclusive_maximum: str | None = None
    #: Outside these the row enters and is flagged.
    soft_minimum: str | None = None
    soft_maximum: str | None = None
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    #: strptime formats tried in order, or `iso`.
    formats: tuple[str, ...] = ("iso",)
    null_values: tuple[str, ...] = ()
    #: Approved other names of this column in a source's header.
    aliases: tuple[str, ...] = ()
    #: How the sender can mend a value that breaks this column's rules.
    how_to_fix: str = ""
    classification: str | None = None


class Contract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One target table and its columns, in order."""

    id: str
    version: str
    schema: str
    table: str
    description: str = ""
    columns: tuple[Column, ...]
    #: Column whose greater value is the newer row; none: the run's interval end decides.
    ordering: str | None = None

    @property
    def target(self) -> str:
        return f"{self.schema}.{self.table}"

    @property
    def key(self) -> tuple[str, ...]:
        """Primary key columns in their order; empty when rows have no identity."""
        return tuple(c.name for c in sorted((c for c in self.columns if c.key_position), key=lambda c: c.key_position or 0))

    def column(self, name: str) -> Column:
        """Raises `KeyError` for a name that is not promised."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
