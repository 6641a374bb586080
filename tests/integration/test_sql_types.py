"""What becomes of a database's values: every type, and however many rows there are."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
import yaml
from support.lab import INSERT, KINDS, clean, lab, run
from support.things import day

from haulier.definitions.formats import Parquet
from haulier.exchange import open_exchange
from haulier.manifest import Delivery
from haulier.parquet import ParquetFile
from haulier_extract.sources.sql.writing import GROUP_BYTES


@pytest.fixture
def postgres(tier, tmp_path):
    with lab("postgresql", tier, tmp_path) as made:
        yield made


@pytest.fixture
def sqlite(tier, tmp_path):
    with lab("sqlite", tier, tmp_path) as made:
        yield made


TYPES = {
    "postgresql": [
        ("numeric(30, 10)", "12345678901234567890.0123456789", "12345678901234567890.0123456789"),
        (
            "numeric",
            "1234567890123456789012345678901234567890.5",
            "1234567890123456789012345678901234567890.5",
        ),
        ("bigint", "9223372036854775807", "9223372036854775807"),
        ("smallint", "-32768", "-32768"),
        ("double precision", "0.1", "0.1"),
        ("real", "16777216", "16777216"),
        ("boolean", "true", "true"),
        ("timestamptz", "2026-03-29 02:30:00.000001+02", "2026-03-29 00:30:00.000001Z"),
        ("timestamp", "0001-01-01 00:00:00", "0001-01-01 00:00:00"),
        ("date", "9999-12-31", "9999-12-31"),
        ("time", "23:59:59.5", "23:59:59.5"),
        ("timetz", "10:00:00+02", "10:00:00+02"),
        ("interval", "1 year 2 mons 3 days 04:05:06.7", "P1Y2M3DT4H5M6.7S"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("json", '{"b":1.10,  "b":2}', '{"b":1.10,  "b":2}'),
        ("jsonb", '{"n": 123456789012345678901234567890.10}', '{"n": 123456789012345678901234567890.10}'),
        ("numeric[]", "{1.10,NULL,3}", "[1.10,null,3]"),
        ("text[]", '{{a,"b,c"},{"\\"",NULL}}', '[["a","b,c"],["\\"",null]]'),
        ("bytea", "\\x00ff", "\\x00ff"),
        ("inet", "10.0.0.1/8", "10.0.0.1/8"),
        ("char(5)", "ab", "ab   "),
        ("timestamp", "infinity", "infinity"),
        ("date", "0044-03-15 BC", "0044-03-15 BC"),
        ("timestamptz", "29999-01-01 00:00:00+00", "29999-01-01 00:00:00+00"),
        ("numeric(5, 2)", "NaN", "NaN"),
        ("double precision", "-Infinity", "-Infinity"),
        ("time", "24:00:00", "24:00:00"),
        ("int4range", "[1,5)", "[1,5)"),
    ],
    "mariadb": [
        ("decimal(30, 10)", "12345678901234567890.0123456789", "12345678901234567890.0123456789"),
        ("decimal(60, 5)", "1" * 50 + ".00001", "1" * 50 + ".00001"),
        ("bigint unsigned", "18446744073709551615", "18446744073709551615"),
        ("tinyint(1)", "1", "1"),
        ("float", "16777216", "16777216"),
        ("double", "0.1", "0.1"),
        ("datetime(6)", "2026-01-05 10:00:00.000001", "2026-01-05 10:00:00.000001"),
        ("timestamp(6)", "2026-01-05 10:00:00.5", "2026-01-05 10:00:00.5Z"),
        ("date", "1000-01-01", "1000-01-01"),
        ("time(6)", "23:59:59.5", "23:59:59.5"),
        ("time", "-838:59:59", "-838:59:59"),
        ("year", "2026", "2026"),
        ("bit(12)", "b'100000000001'", "2049"),
        ("json", '{"b":1.10}', '{"b":1.10}'),
        ("blob", "x'00ff'", "\\x00ff"),
        ("enum('a', 'b')", "b", "b"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("text CHARACTER SET latin1", "Zürich", "Zürich"),
        ("datetime", "0000-00-00 00:00:00", "0000-00-00 00:00:00"),
    ],
    "sqlite": [
        ("integer", "9223372036854775807", "9223372036854775807"),
        ("real", "0.1", "0.1"),
        ("real", "1e300", "1e+300"),
        ("blob", "x'00ff'", "\\x00ff"),
        ("text", "'😀'", "😀"),
        ("integer", "'no number'", "no number"),
    ],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_arrives_with_all_that_is_in_it(kind, tier, tmp_path, request):
    """Read into text columns, which show every digit."""
    socket = request.getfixturevalue("maria") if kind == "mariadb" else None
    with lab(kind, tier, tmp_path, socket) as made:
        literal = (lambda v: v) if kind == "sqlite" else lambda v: v if v[:2] in ("x'", "b'") else f"'{v}'"
        names = [f"c{n}" for n in range(len(TYPES[kind]))]
        columns = ", ".join(f"{name} {one[0]}" for name, one in zip(names, TYPES[kind], strict=True))
        made.do(f"CREATE TABLE wide (id integer PRIMARY KEY, {columns})")
        values = ", ".join(literal(one[1]).replace("%", "%%") for one in TYPES[kind])
        relaxed = "SET sql_mode = ''; " if kind == "mariadb" else ""
        with made.session() as do:
            if relaxed:
                do(relaxed)
            do(f"INSERT INTO wide VALUES (1, {values})")
            do("INSERT INTO wide (id) VALUES (2)")
        contract = yaml.safe_load((made.definitions / "contracts" / "things.odcs.yaml").read_text())
        contract["schema"][0]["properties"] = [
            {
                "name": "id",
                "logicalType": "integer",
                "required": True,
                "primaryKey": True,
                "primaryKeyPosition": 1,
            },
            *({"name": name, "logicalType": "string"} for name in names),
        ]
        (made.definitions / "contracts" / "things.odcs.yaml").write_text(yaml.safe_dump(contract))
        made.define(table="wide", key=None)
        run(made)
        first, second = made.database.rows(f"SELECT {', '.join(names)} FROM shop.things ORDER BY id")

        assert list(first) == [one[2] for one in TYPES[kind]]
        assert set(second) <= {None} or kind == "mariadb"


def columns_of(made):
    """Name -> type of what was written down, and the file."""
    ((original, size),) = made.database.rows("SELECT original, bytes FROM haulier.delivery")
    delivery = Delivery(
        delivery_id=1,
        logical_name="x",
        sequence=1,
        sha256="",
        bytes=size,
        uri="x",
        modified_at=day(0).start,
        original=original,
    )
    file = ParquetFile(open_exchange(made.settings), delivery, Parquet())
    return {field.name: field.type for field in file.schema}, file


def test_what_is_kept_has_the_types_of_its_columns(postgres):
    postgres.do(
        "ALTER TABLE things ADD id uuid, ADD taken date, ADD at time, ADD raw bytea, ADD n int, ADD ok boolean, ADD doc jsonb"
    )
    postgres.do(
        "INSERT INTO things VALUES "
        "('a', 'red', 1.5, now(), gen_random_uuid(), '2026-01-05', '10:00', '\\x00', 1, true, '[1]')"
    )
    postgres.define()
    run(postgres)

    assert columns_of(postgres)[0] == {
        "thing": pa.string(),
        "colour": pa.string(),
        "price": pa.decimal128(12, 3),
        "changed": pa.timestamp("us", "UTC"),
        "id": pa.uuid(),
        "taken": pa.date32(),
        "at": pa.time64("us"),
        "raw": pa.binary(),
        "n": pa.int32(),
        "ok": pa.bool_(),
        "doc": pa.string(),
    }


class TestManyRows:
    """bruin#2310: wrong values after row 25,000, where what earlier rows looked like decided the types."""

    COUNT = 60_000

    def test_what_a_column_becomes_in_later_rows_changes_no_value(self, postgres):
        postgres.do(
            "INSERT INTO things SELECT 't' || lpad(n::text, 6, '0'), CASE WHEN n > 55000 THEN 'text ' || n ELSE n::text END, "
            f"CASE WHEN n = 59999 THEN 'NaN' ELSE n + 0.125 END FROM generate_series(1, {self.COUNT}) n"
        )
        postgres.define(load={"reject_threshold": 0.1})
        counts = run(postgres)["load"].counts

        assert counts["inserted"] == self.COUNT - 1
        assert postgres.database.rows(
            "SELECT count(*), sum(price), min(colour) FILTER (WHERE thing > 't055000'), count(*) FILTER (WHERE thing < 't055001'"
            " AND colour::int + 0.125 <> price) FROM shop.things"
        ) == [
            (
                self.COUNT - 1,
                Decimal(self.COUNT * (self.COUNT + 1) // 2 - 59999) + Decimal("0.125") * (self.COUNT - 1),
                "text 55001",
                0,
            )
        ]
        assert postgres.database.rows("SELECT row_number, rule FROM haulier.reject") == [(59999, "type")]
        assert clean(postgres)

    def test_rows_come_in_groups_of_bounded_size(self, sqlite):
        with sqlite.session() as do:
            do(INSERT, [(f"t{n:03}", "x" * 200_000, "1", None) for n in range(400)])
        sqlite.define()
        run(sqlite)
        _, file = columns_of(sqlite)
        sizes = [
            sum(len(v) for v in batch.column(1).to_pylist()) for _, batch in file.batches(10_000, 1 << 40)
        ]

        assert sum(sizes) == 400 * 200_000
        assert max(sizes) < 2 * GROUP_BYTES
        assert len(sizes) == file.groups > 2
