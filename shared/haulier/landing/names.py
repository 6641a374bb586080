"""What a target row carries beside the contract's columns, and how statements name things."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg2 import sql

from haulier.contracts import Contract

#: name -> PostgreSQL type of every target's own columns.
SYSTEM_COLUMNS: dict[str, str] = {
    "_haulier_load": "bigint",
    "_haulier_delivery": "bigint",
    "_haulier_row": "bigint",
    "_haulier_sequence": "integer",
    "_haulier_generation": "integer",
    "_haulier_ordered": "timestamptz",
    "_haulier_since": "bigint",
}
SYSTEM_COMMENTS: dict[str, str] = {
    "_haulier_load": "Ledger row (haulier.load) that last wrote this row.",
    "_haulier_delivery": "File it came from (haulier.delivery).",
    "_haulier_row": "Row number in that file, as a spreadsheet shows it.",
    "_haulier_sequence": "Which delivery of its logical name that was.",
    "_haulier_generation": "Generation of the run.",
    "_haulier_ordered": "End of the run's interval: without an ordering column, the later one is the newer row.",
    "_haulier_since": "Ledger row whose load gave the row its values; equal rows that came later only moved its stamps.",
}
VALID_TO_COMMENT = "Until when this version holds: when the next one, or a deletion, begins. Null: still."
IS_CURRENT_COMMENT = "Whether this version holds still."
KEPT_COMMENT = (
    "Of when values are that the row's own event did not carry: column to version. Null: of the row's own."
)
DELETED_AT_COMMENT = "Since when its source says that it is deleted: the end of that run's interval."

STAGE = sql.Identifier("pg_temp", "haulier_stage")
VERDICT = sql.Identifier("pg_temp", "haulier_verdict")
MATCHED = sql.Identifier("pg_temp", "haulier_matched")
FATE = sql.Identifier("pg_temp", "haulier_fate")
KNOWN = sql.Identifier("pg_temp", "haulier_known")
LATE = sql.Identifier("pg_temp", "haulier_late")
TRUNCATION = sql.Identifier("pg_temp", "haulier_truncation")
#: Column of a stage, and of a target whose columns may say that they did not change.
KEPT = "_haulier_kept"
#: Stands in for a target that does not exist yet.
ABSENT = sql.Identifier("pg_temp", "haulier_absent")


def target_name(contract: Contract) -> sql.Composable:
    return sql.Identifier(contract.schema, contract.table)


def own_columns(contract: Contract) -> dict[str, tuple[str, str]]:
    """name -> (PostgreSQL type, comment) of columns that the contract asks for and load fills."""
    own: dict[str, tuple[str, str]] = {}
    if contract.deleted_at:
        own[contract.deleted_at] = ("timestamptz", DELETED_AT_COMMENT)
    if contract.valid_to and contract.ordering:
        own[contract.valid_to] = (contract.column(contract.ordering).pg_type, VALID_TO_COMMENT)
    if contract.keeping:
        own[KEPT] = ("jsonb", KEPT_COMMENT)
    if contract.is_current:
        own[contract.is_current] = ("boolean", IS_CURRENT_COMMENT)
    return own


def target_columns(contract: Contract) -> dict[str, str]:
    """name -> PostgreSQL type of all that a target has, in its order."""
    own = {name: pg_type for name, (pg_type, _) in own_columns(contract).items()}
    return {column.name: column.pg_type for column in contract.stored} | own | SYSTEM_COLUMNS


def columns(names: Iterable[str], alias: str | None = None) -> sql.Composable:
    """A comma-separated list, each behind ``alias`` if there is one."""
    return sql.SQL(", ").join(
        sql.Identifier(alias, name) if alias else sql.Identifier(name) for name in names
    )


def version(contract: Contract, alias: str) -> sql.Composable:
    """The comparable version of a row; ties between files are broken by `tie_break`."""
    return columns(version_columns(contract), alias)


def version_columns(contract: Contract) -> list[str]:
    first = contract.ordering or "_haulier_ordered"
    return [first, "_haulier_sequence", "_haulier_generation", "_haulier_row"]
