"""What a target table promises: the resolved form of an Open Data Contract Standard document."""

from __future__ import annotations

from typing import Literal

import msgspec

#: Where the columns go that a source has beside its contract, if the definition keeps them.
EXTRA = "_extra"

#: PostgreSQL types a contract may name, after normalisation; `haulier.odcs` does that.
PgType = str
LogicalType = Literal[
    "string", "integer", "number", "boolean", "date", "timestamp", "time", "object", "array"
]


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One promised column."""

    #: Its name in PostgreSQL.
    name: str
    #: What kind of value it holds.
    logical_type: LogicalType
    #: Normalised PostgreSQL type: text, varchar(n), bigint, integer, smallint, numeric, numeric(p,s),
    #: double precision, boolean, date, timestamptz, timestamp, time, uuid, jsonb.
    pg_type: PgType
    #: What it means.
    description: str = ""
    #: Whether it must have a value; key columns must.
    required: bool = False
    #: Whether no two rows may have the same value.
    unique: bool = False
    #: 1, 2, … for the columns of the primary key.
    key_position: int | None = None
    #: Computed by the pipeline's functions, not read from the source.
    derived: bool = False
    #: The only values it may have; numbers in plain decimals, dates and times in ISO 8601.
    enum: tuple[str, ...] | None = None
    #: Least allowed value, written like a value of `enum`; so are the other limits.
    minimum: str | None = None
    #: Greatest allowed value.
    maximum: str | None = None
    #: Every value is greater than this.
    exclusive_minimum: str | None = None
    #: Every value is less than this.
    exclusive_maximum: str | None = None
    #: Below it the row enters and is flagged.
    soft_minimum: str | None = None
    #: Above it the row enters and is flagged.
    soft_maximum: str | None = None
    #: Regular expression a text must match.
    pattern: str | None = None
    #: Fewest characters of a text.
    min_length: int | None = None
    #: Most characters of a text.
    max_length: int | None = None
    #: strptime formats tried in order, or `iso`.
    formats: tuple[str, ...] = ("iso",)
    #: Cells that mean "no value" in this column, beside the empty one.
    null_values: tuple[str, ...] = ()
    #: Approved other names of this column in a source's header.
    aliases: tuple[str, ...] = ()
    #: How the sender can mend a value that breaks this column's rules.
    how_to_fix: str = ""
    #: How confidential it is.
    classification: str | None = None
    #: Values that say: the row with this key is gone in its source. Such a column is read and not stored.
    deletes: tuple[str, ...] | None = None
    #: Values of the same column that say: every row of the instance is gone, up to this one.
    truncates: tuple[str, ...] = ()
    #: Cells that mean "what the table has": an event that does not carry the value.
    unchanged_values: tuple[str, ...] = ()
    #: Holds, as one JSON object a row, what the source has beside the contract: no column of the source is it.
    gathers: bool = False


class Partitioning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One level of a partitioned table."""

    #: The column whose value says which partition a row belongs to.
    column: str
    #: A partition for each `day`, `month` or `year` (UTC), or for each value (`list`).
    by: Literal["day", "month", "year", "list"]


class Index(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An index beside that of the key."""

    #: Its columns, in their order.
    columns: tuple[str, ...]
    #: `btree` finds values and ranges, `brin` ranges of what arrives in order, `gin` what is inside of jsonb.
    using: Literal["btree", "brin", "gin"] = "btree"


class Contract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One target table and its columns, in order."""

    #: Identifies the contract, whatever its version.
    id: str
    #: The contract's own version.
    version: str
    #: Schema of the target table.
    schema: str
    #: Name of the target table.
    table: str
    #: What a row is.
    description: str = ""
    #: The promised columns, in their order.
    columns: tuple[Column, ...]
    #: Column whose greater value is the newer row; none: the run's interval end decides.
    ordering: str | None = None
    #: Column of the table that says since when a row is deleted in its source; it then stays. None: it leaves.
    deleted_at: str | None = None
    #: Column of the table that says until when a version of a row holds; every version then stays. None: the newest.
    valid_to: str | None = None
    #: Column of the table that says whether a version holds still.
    is_current: str | None = None
    #: How the table is partitioned, from the outer level to the inner one; none: it is one table.
    partitions: tuple[Partitioning, ...] = ()
    #: How many periods beyond the one in which a run ends get their partition ahead of need.
    partitions_ahead: int = 1
    #: Indexes beside that of the key.
    indexes: tuple[Index, ...] = ()
    #: Longest time from a run's end to its rows in the table, in seconds.
    latency_seconds: float | None = None

    @property
    def target(self) -> str:
        return f"{self.schema}.{self.table}"

    @property
    def key(self) -> tuple[str, ...]:
        """Primary key columns in their order; empty when rows have no identity."""
        return tuple(
            c.name
            for c in sorted((c for c in self.columns if c.key_position), key=lambda c: c.key_position or 0)
        )

    @property
    def marker(self) -> Column | None:
        """The column whose values say that a row is gone in its source."""
        return next((column for column in self.columns if column.deletes is not None), None)

    @property
    def gathering(self) -> Column | None:
        """The column for what the source has beside the contract, if the definition keeps that."""
        return next((column for column in self.columns if column.gathers), None)

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns the table has: all that are read but the marker of deletions."""
        return tuple(column for column in self.columns if column.deletes is None)

    @property
    def keeping(self) -> tuple[Column, ...]:
        """The stored columns whose cells may say that their value did not change."""
        return tuple(column for column in self.stored if column.unchanged_values)

    @property
    def truncates(self) -> bool:
        """Whether a row may say that all rows are gone."""
        return self.marker is not None and bool(self.marker.truncates)

    @property
    def identifying(self) -> frozenset[str]:
        """The columns a deletion must fill: which key, how new, and that it is one."""
        marker = self.marker
        return frozenset(self.key) | {name for name in (self.ordering, marker and marker.name) if name}

    def column(self, name: str) -> Column:
        """Raises `KeyError` for a name that is not promised."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def with_extra(contract: Contract) -> Contract:
    """The contract with the column for what its source has beside it."""
    extra = Column(
        name=EXTRA,
        logical_type="object",
        pg_type="jsonb",
        description="What the source has beside the contract: the names of its columns, and their values as text.",
        gathers=True,
    )
    return msgspec.structs.replace(contract, columns=(*contract.columns, extra))
