"""Rows that go into parts come out of them, whole, or not at all."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.manifests import KEYS
from support.memory import MemoryExchange

from haulier.errors import DataError
from haulier.manifest import Part
from haulier.parts import PartWriter, read_part, row_groups
from haulier.rows import DELIVERY, FLAG_SCHEMA, OUTPUT, OUTPUT_FIELD, REJECT_SCHEMA, ROW, SYSTEM_FIELDS

SCHEMA = pa.schema(
    [*SYSTEM_FIELDS, OUTPUT_FIELD, pa.field("text", pa.string()), pa.field("value", pa.decimal128(38, 10))]
)


def rows(*numbers: int) -> pa.Table:
    return pa.table(
        {
            DELIVERY: [0] * len(numbers),
            ROW: numbers,
            OUTPUT: [None] * len(numbers),
            "text": [f"row {number}" for number in numbers],
            "value": [Decimal(number) / 8 for number in numbers],
        },
        schema=SCHEMA,
    )


def writer(exchange: MemoryExchange, schema: pa.Schema = SCHEMA, **options: Any) -> PartWriter:
    return PartWriter(exchange, KEYS, "extract", "attempt-1", schema, **options)


def written(exchange: MemoryExchange, *groups: pa.Table, **options: Any) -> tuple[Part, ...]:
    parts = writer(exchange, groups[0].schema, **options)
    for group in groups:
        parts.write(group)
    return parts.close()


@pytest.fixture
def exchange() -> MemoryExchange:
    return MemoryExchange()


class TestWriting:
    def test_rows_come_back_in_order(self, exchange: MemoryExchange) -> None:
        parts = written(exchange, rows(1, 2, 3), rows(4, 5))

        assert pa.concat_tables(row_groups(exchange, parts)).equals(rows(1, 2, 3, 4, 5))

    def test_each_write_is_one_row_group(self, exchange: MemoryExchange) -> None:
        parts = written(exchange, rows(1, 2, 3), rows(4))

        assert [table.num_rows for table in row_groups(exchange, parts)] == [3, 1]

    def test_a_part_says_what_it_is(self, exchange: MemoryExchange) -> None:
        (part,) = written(exchange, rows(1, 2, 3), rows(4))

        data = exchange.objects[part.key]
        assert part.rows == 4
        assert part.bytes == len(data)
        assert part.sha256 == hashlib.sha256(data).hexdigest()
        assert part.key == KEYS.part("extract", "attempt-1", 0, part.sha256)
        assert exchange.calls == [("put", part.key)]

    def test_the_kind_is_in_the_key(self, exchange: MemoryExchange) -> None:
        (part,) = written(exchange, rows(1), kind="reject")

        assert part.key.rpartition("/")[2].startswith("reject-00000-")

    def test_a_new_part_begins_when_one_is_full(self, exchange: MemoryExchange) -> None:
        parts = written(exchange, rows(1), rows(2), rows(3), part_bytes=1)

        assert [part.rows for part in parts] == [1, 1, 1]
        assert [part.key.rpartition("/")[2][:10] for part in parts] == [
            "part-00000",
            "part-00001",
            "part-00002",
        ]
        assert pa.concat_tables(row_groups(exchange, parts)).equals(rows(1, 2, 3))

    def test_parts_stay_near_their_size(self, exchange: MemoryExchange) -> None:
        groups = [rows(*range(start, start + 500)) for start in range(0, 20_000, 500)]
        largest_group = max(part.bytes for part in written(MemoryExchange(), *groups, part_bytes=1))

        parts = written(exchange, *groups, part_bytes=20_000)

        assert len(parts) > 3
        assert all(20_000 <= part.bytes < 20_000 + 2 * largest_group for part in parts[:-1])

    def test_nothing_written_is_no_part(self, exchange: MemoryExchange) -> None:
        parts = writer(exchange)
        parts.write(rows())
        parts.write(rows(1).to_batches()[0].slice(0, 0))

        assert parts.close() == ()
        assert exchange.calls == []

    def test_empty_input_between_rows_leaves_no_trace(self, exchange: MemoryExchange) -> None:
        with_empty = written(exchange, rows(1), rows(), rows(2), rows())

        assert with_empty == written(exchange, rows(1), rows(2))

    def test_a_batch_is_as_good_as_a_table(self, exchange: MemoryExchange) -> None:
        (batch,) = rows(1, 2).to_batches()

        assert written(exchange, batch) == written(exchange, rows(1, 2))

    def test_a_table_of_many_chunks_is_one_row_group(self, exchange: MemoryExchange) -> None:
        table = pa.concat_tables([rows(1), rows(2), rows(3)])

        assert [group.num_rows for group in row_groups(exchange, written(exchange, table))] == [3]

    def test_equal_input_makes_equal_bytes(self) -> None:
        one, other = MemoryExchange(), MemoryExchange()

        for exchange in (one, other):
            written(exchange, rows(*range(5000)), rows(*range(5000, 7000)), part_bytes=1000)

        assert one.objects == other.objects
        assert len(one.objects) == 2

    def test_another_schema_is_a_bug(self, exchange: MemoryExchange) -> None:
        parts = writer(exchange)

        for other in (
            rows(1).drop_columns(["text"]),
            rows(1).select([*reversed(SCHEMA.names)]),
            rows().select([ROW]),
        ):
            with pytest.raises(ValueError, match="another schema"):
                parts.write(other)

    def test_nothing_missing_where_something_must_be(self, exchange: MemoryExchange) -> None:
        broken = pa.table(
            {**{n: rows(1)[n] for n in SCHEMA.names}, ROW: pa.array([None], pa.int64())}, schema=SCHEMA
        )

        with pytest.raises(pa.ArrowInvalid, match=ROW):
            writer(exchange).write(broken)

    def test_an_attempt_that_stops_in_the_middle_has_put_whole_parts_only(
        self, exchange: MemoryExchange
    ) -> None:
        parts = writer(exchange, part_bytes=1)
        parts.write(rows(1))
        parts = writer(exchange)
        parts.write(rows(2))

        assert [pq.read_table(io.BytesIO(data)).num_rows for data in exchange.objects.values()] == [1]

    def test_close_again_tells_the_same(self, exchange: MemoryExchange) -> None:
        parts = writer(exchange)
        parts.write(rows(1))

        assert parts.close() == parts.close()

    def test_memory_is_bounded_by_a_part_and_a_batch(self) -> None:
        table = rows(*range(50_000))
        table = table.set_column(
            3, SCHEMA.field("text"), pa.array([hashlib.sha256(b"%d" % n).hexdigest() for n in range(50_000)])
        )
        seen: list[int] = []
        before = pa.total_allocated_bytes()

        class Discarding(MemoryExchange):
            def put(self, key: str, data: bytes | memoryview) -> None:
                seen.append(pa.total_allocated_bytes() - before)

        parts = writer(Discarding(), part_bytes=4 * 2**20)
        for _ in range(40):
            parts.write(table)
        whole = sum(part.bytes for part in parts.close())

        assert whole > 60 * 2**20
        assert max(seen) < 20 * 2**20


class TestReading:
    def test_only_the_columns_asked_for_in_that_order(self, exchange: MemoryExchange) -> None:
        parts = written(exchange, rows(1, 2), rows(3))

        read = pa.concat_tables(row_groups(exchange, parts, columns=["text", ROW]))

        assert read.equals(rows(1, 2, 3).select(["text", ROW]))

    def test_no_columns_still_count_the_rows(self, exchange: MemoryExchange) -> None:
        parts = written(exchange, rows(1, 2), rows(3))

        assert [table.num_rows for table in row_groups(exchange, parts, columns=[])] == [2, 1]

    def test_a_column_that_is_not_there_is_a_bug(self, exchange: MemoryExchange) -> None:
        parts = written(exchange, rows(1))

        with pytest.raises(KeyError, match="subject"):
            next(row_groups(exchange, parts, columns=["text", "subject"]))

    def test_each_part_is_read_once_and_when_it_is_its_turn(self, exchange: MemoryExchange) -> None:
        parts = written(exchange, rows(1), rows(2), part_bytes=1)
        exchange.calls.clear()
        tables = row_groups(exchange, parts)

        next(tables)
        assert exchange.calls == [("get", parts[0].key)]
        next(tables)
        assert exchange.calls == [("get", part.key) for part in parts]

    def test_a_part_that_is_gone_was_sealed_all_the_same(self, exchange: MemoryExchange) -> None:
        (part,) = written(exchange, rows(1))
        exchange.delete(part.key)

        with pytest.raises(DataError, match="sealed but is gone") as error:
            read_part(exchange, part)

        assert error.value.exit_code == 65
        assert part.key in str(error.value)
        assert "--reprocess" in str(error.value)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: data[:-1],
            lambda data: data + b"\0",
            lambda data: data[:10] + bytes([data[10] ^ 1]) + data[11:],
            lambda data: bytes([data[0] ^ 0x80]) + data[1:],
            lambda data: b"PAR1",
        ],
    )
    def test_a_part_that_is_not_what_was_sealed(
        self, exchange: MemoryExchange, damage: Callable[[bytes], bytes]
    ) -> None:
        (part,) = written(exchange, rows(*range(100)))
        damaged = exchange.objects[part.key] = damage(exchange.objects[part.key])

        with pytest.raises(DataError) as error:
            next(row_groups(exchange, [part]))

        for fact in (part.key, part.sha256, hashlib.sha256(damaged).hexdigest(), "--reprocess"):
            assert fact in str(error.value)

    def test_another_whole_part_in_its_place_is_noticed(self, exchange: MemoryExchange) -> None:
        (part,) = written(exchange, rows(1))
        (other,) = written(exchange, rows(2))
        exchange.objects[part.key] = exchange.objects[other.key]

        with pytest.raises(DataError):
            read_part(exchange, part)

    def test_a_manifest_that_counts_other_rows_is_noticed(self, exchange: MemoryExchange) -> None:
        (part,) = written(exchange, rows(1, 2))

        with pytest.raises(DataError, match="2 rows, its manifest says 3"):
            read_part(exchange, Part(key=part.key, sha256=part.sha256, bytes=part.bytes, rows=3))

    def test_what_is_not_parquet_is_the_datas_fault(self, exchange: MemoryExchange) -> None:
        exchange.put("a", b"no parquet")
        digest = hashlib.sha256(b"no parquet").hexdigest()

        with pytest.raises(DataError, match="not Parquet"):
            read_part(exchange, Part(key="a", sha256=digest, bytes=10, rows=1))

    def test_what_broke_on_the_way_is_read_again(self, exchange: MemoryExchange) -> None:
        (part,) = written(exchange, rows(1))

        class Flaky(MemoryExchange):
            def get(self, key: str) -> bytes:
                data = super().get(key)
                return data if len(self.calls) > 1 else data[:-1]

        flaky = Flaky()
        flaky.objects = exchange.objects

        assert read_part(flaky, part).rows == 1


def test_every_type_a_contract_can_name_survives(exchange: MemoryExchange) -> None:
    instant = datetime(2026, 1, 5, 12, 30, 0, 1, tzinfo=UTC)
    columns = {
        "text": (pa.string(), ["ä", "", None]),
        "bigint": (pa.int64(), [-(2**63), 2**63 - 1, None]),
        "integer": (pa.int32(), [-(2**31), 0, None]),
        "smallint": (pa.int16(), [-(2**15), 0, None]),
        "double": (pa.float64(), [0.1, float("-inf"), None]),
        "boolean": (pa.bool_(), [True, False, None]),
        "date": (pa.date32(), [date(1, 1, 1), date(9999, 12, 31), None]),
        "timestamptz": (pa.timestamp("us", "UTC"), [instant, instant, None]),
        "timestamp": (pa.timestamp("us"), [instant.replace(tzinfo=None), datetime(1, 1, 1), None]),
        "time": (pa.time64("us"), [instant.time(), None, None]),
        "uuid": (pa.uuid(), [UUID(int=1).bytes, UUID(int=2**128 - 1).bytes, None]),
        "numeric": (
            pa.decimal128(38, 10),
            [Decimal("9" * 28 + ".9999999999"), Decimal("-0.0000000001"), None],
        ),
        "narrow": (pa.decimal128(5, 2), [Decimal("999.99"), Decimal("-0.01"), None]),
        "bytes": (pa.binary(), [b"\0\xff", b"", None]),
    }
    table = pa.table(
        [pa.array(values, kind) for kind, values in columns.values()],
        schema=pa.schema([(name, kind) for name, (kind, _) in columns.items()]),
    )

    (read,) = row_groups(exchange, written(exchange, table))

    assert read.schema.equals(table.schema)
    assert read.equals(table)


@pytest.mark.parametrize("schema", [REJECT_SCHEMA, FLAG_SCHEMA])
def test_rejects_and_flags_keep_their_schema(exchange: MemoryExchange, schema: pa.Schema) -> None:
    values = {
        pa.int32(): 1,
        pa.int64(): 2,
        pa.string(): "x",
        pa.binary(): b"\0",
    }
    table = pa.Table.from_pylist([{field.name: values[field.type] for field in schema}], schema=schema)

    (read,) = row_groups(exchange, written(exchange, table, kind="reject"))

    assert read.equals(table)
    assert read.schema.equals(schema)


def test_others_read_what_is_written_and_the_other_way_round(exchange: MemoryExchange) -> None:
    """`haulier.parts` uses the classes below ``pyarrow.parquet``; both must go on meaning the same."""
    (part,) = written(exchange, rows(1, 2), rows(3))
    file = pq.ParquetFile(io.BytesIO(exchange.objects[part.key]))
    assert file.read().equals(rows(1, 2, 3))
    assert {file.metadata.row_group(0).column(n).compression for n in range(5)} == {"ZSTD"}

    sink = io.BytesIO()
    pq.write_table(rows(1, 2, 3), sink)
    data = sink.getvalue()
    exchange.put("theirs", data)
    theirs = Part(key="theirs", sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), rows=3)
    assert pa.concat_tables(row_groups(exchange, [theirs])).equals(rows(1, 2, 3))


def test_reading_and_writing_parts_do_not_import_all_of_parquet() -> None:
    """28 ms of every start."""
    import subprocess
    import sys

    program = (
        "import sys, haulier.parts; sys.exit('pyarrow.parquet' in sys.modules or 'pyarrow.fs' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


GROUPS = st.lists(st.lists(st.integers(-(2**62), 2**62), max_size=30), max_size=8)


@given(
    groups=GROUPS,
    part_bytes=st.integers(1, 6000),
    columns=st.sampled_from([None, ["text"], [ROW, DELIVERY], []]),
)
@settings(max_examples=150, deadline=None)
def test_any_rows_in_any_batches_come_back_whatever_a_part_holds(
    groups: list[list[int]], part_bytes: int, columns: list[str] | None
) -> None:
    exchange = MemoryExchange()
    parts = writer(exchange, part_bytes=part_bytes)
    for group in groups:
        parts.write(rows(*group))
    sealed = parts.close()

    expected = [rows(*group) for group in groups if group]
    if columns is not None:
        expected = [table.select(columns) for table in expected]
    assert list(row_groups(exchange, sealed, columns)) == expected
    assert sum(part.rows for part in sealed) == sum(map(len, groups))
    assert len({part.key for part in sealed}) == len(sealed) == len(exchange.objects)
    assert all(part.bytes >= part_bytes for part in sealed[:-1])
