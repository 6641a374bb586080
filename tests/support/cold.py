"""A partitioned table with every kind of value, right and remark, for tests that put parts of it away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from support.databases import Database
from support.hauling import KEYED, Sender, partitioned, replace_struct

from haulier.contracts import Column, Contract

TARGET, NOVEMBER = "shop.things", "shop.things_2025_11"
RICH: Contract = partitioned(
    replace_struct(
        KEYED,
        description="Things; 100 % of them",
        columns=(
            *KEYED.columns,
            Column(name="at", logical_type="timestamp", pg_type="timestamptz", description="When"),
            Column(name="of_day", logical_type="time", pg_type="time"),
            Column(name="code", logical_type="string", pg_type="uuid"),
            Column(name="more", logical_type="object", pg_type="jsonb"),
            Column(name="share", logical_type="number", pg_type="double precision"),
            Column(name="fixed", logical_type="number", pg_type="numeric(12,4)"),
            Column(name="good", logical_type="boolean", pg_type="boolean"),
        ),
    ),
    seen="month",
)


def environment_of(database: Database, folder: Path) -> dict[str, str]:
    """Of a database, with an exchange and an archive in a folder."""
    return {
        **database.environment,
        "HAULIER_EXCHANGE": f"file://{folder}/exchange",
        "HAULIER_ARCHIVE": f"file://{folder}/cold",
    }


def rich(name: str, seen: str, **more: Any) -> dict[str, Any]:
    return {
        "thing": name,
        "colour": 'a "quoted", text\nof two lines \\. é €',
        "price": Decimal("0.0499999999"),
        "seen": date.fromisoformat(seen),
        "at": datetime(1, 1, 1, 0, 0, 0, 1, UTC),
        "of_day": time(23, 59, 59, 999999),
        "code": UUID(int=1).bytes,
        "more": '{"a": [1.10, null, "x"], "b": ""}',
        "share": 0.1 + 0.2,
        "fixed": Decimal("1.5000"),
        "good": True,
        **more,
    }


#: What a month holds beside its rows, made by hand; and values that only PostgreSQL can write.
DECORATE = """
    CREATE ROLE {role};
    ALTER TABLE shop.things ADD COLUMN list text[], ADD COLUMN wild numeric, ADD COLUMN ever timestamptz,
        ADD COLUMN span int4range, ADD COLUMN raw bytea, ADD COLUMN twice numeric GENERATED ALWAYS AS (price * 2) STORED;
    UPDATE shop.things SET list = ARRAY['a,b', NULL, '"', ''], wild = 'NaN', ever = 'infinity', span = '[1,5)', raw = '\\x00ff';
    GRANT SELECT, UPDATE ON shop.things_2025_11 TO {role} WITH GRANT OPTION;
    GRANT SELECT (thing) ON shop.things_2025_11 TO PUBLIC;
    REVOKE TRUNCATE ON shop.things_2025_11 FROM CURRENT_USER;
    COMMENT ON TABLE shop.things_2025_11 IS 'November''s 100 %';
    COMMENT ON COLUMN shop.things_2025_11.colour IS 'by hand';
    ALTER TABLE shop.things_2025_11 ADD CONSTRAINT cheap CHECK (price < 1000), ALTER COLUMN colour SET STORAGE EXTERNAL,
        SET (fillfactor = 70);
    COMMENT ON CONSTRAINT cheap ON shop.things_2025_11 IS 'too dear';
    CREATE INDEX mine ON shop.things_2025_11 (lower(colour)) WHERE good;
    COMMENT ON INDEX shop.mine IS 'to find colours';
    CREATE STATISTICS shop.both ON colour, good FROM shop.things_2025_11;
    COMMENT ON STATISTICS shop.both IS 'they go together';
    CREATE TRIGGER same BEFORE UPDATE ON shop.things_2025_11 FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
    COMMENT ON TRIGGER same ON shop.things_2025_11 IS 'saves a little';
"""

_AROUND = {
    "columns": "SELECT attname, format_type(atttypid, atttypmod), attnotnull, attstorage::text, attgenerated::text, attacl::text,"
    " col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = '{0}'::regclass AND attnum > 0 AND NOT attisdropped"
    " ORDER BY attname",
    "table": "SELECT relowner, relacl::text, reloptions, obj_description(oid), relispartition, pg_get_expr(relpartbound, oid)"
    " FROM pg_class WHERE oid = '{0}'::regclass",
    "constraints": "SELECT conname, contype::text, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint'), conislocal,"
    " coninhcount FROM pg_constraint WHERE conrelid = '{0}'::regclass ORDER BY conname",
    "indexes": "SELECT pg_get_indexdef(indexrelid), obj_description(indexrelid), indisvalid,"
    " (SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = indexrelid) FROM pg_index"
    " WHERE indrelid = '{0}'::regclass ORDER BY 1",
    "statistics": "SELECT pg_get_statisticsobjdef(oid), obj_description(oid) FROM pg_statistic_ext WHERE stxrelid = '{0}'::regclass",
    "triggers": "SELECT pg_get_triggerdef(oid), obj_description(oid) FROM pg_trigger WHERE tgrelid = '{0}'::regclass",
    "rows": "SELECT t::text FROM {0} t ORDER BY 1",
}


def snapshot(database: Database, table: str = "shop.things_2025_11") -> dict[str, list[tuple[Any, ...]]]:
    """All that could be told of a table before and after."""
    return {name: database.rows(query.format(table)) for name, query in _AROUND.items()}


@contextmanager
def reader(database: Database) -> Iterator[str]:
    """The name of a role that what decorates a month may make; it is gone afterwards."""
    name = f"reader_{uuid4().hex[:8]}"
    yield name
    database.rows(f"DROP OWNED BY {name}; DROP ROLE {name}")


def furnish(sender: Sender, database: Database, role: str) -> None:
    """Three months, the first of them decorated."""
    months = ("2025-11-05", "2025-12-05", "2026-01-05")
    sender.send(0, {"a.csv": [rich(f"{n}", month) for month in months for n in range(3)]})
    database.rows(DECORATE.format(role=role))


def count(database: Database, table: str = TARGET) -> int:
    return int(database.rows(f"SELECT count(*) FROM {table}")[0][0])


def tables(database: Database) -> set[str]:
    """The table's partitions, and itself."""
    return {
        name
        for (name,) in database.rows("SELECT relid::regclass::text FROM pg_partition_tree('shop.things')")
    }
