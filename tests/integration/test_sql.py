"""A database as a source: PostgreSQL, MariaDB and SQLite as they are, and what lands of them."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
import yaml
from support import mariadb
from support.lab import lab
from support.steps import haul, run_cold
from support.things import day

from haulier.definitions.formats import Parquet
from haulier.errors import DataError, DefinitionError, TransientError
from haulier.exchange import open_exchange
from haulier.ledger.connection import connect
from haulier.ledger.verify import verify
from haulier.manifest import Delivery
from haulier.parquet import ParquetFile
from haulier_extract.check import check
from haulier_extract.discovery import Wanted, discover
from haulier_extract.sources.sql.asking import Asked
from haulier_extract.sources.sql.writing import GROUP_BYTES

KINDS = ("postgresql", "mariadb", "sqlite")
ROWS = [(f"t{n}", "red", Decimal(n) + Decimal("0.5"), f"2026-01-04 10:00:0{n}") for n in range(8)]
EXPECTED = [(f"t{n}", "red", Decimal(f"{n}.5")) for n in range(8)]
INSERT = "INSERT INTO things (thing, colour, price, changed) VALUES (?, ?, ?, ?)"


@pytest.fixture(scope="module")
def maria():
    with mariadb.running() as socket:
        yield socket


@pytest.fixture(params=KINDS)
def here(request, tier, tmp_path):
    """A lab of each kind, with eight rows."""
    socket = request.getfixturevalue("maria") if request.param == "mariadb" else None
    with lab(request.param, tier, tmp_path, socket) as made:
        put(made, ROWS)
        yield made


@pytest.fixture
def postgres(tier, tmp_path):
    with lab("postgresql", tier, tmp_path) as made:
        yield made


@pytest.fixture
def sqlite(tier, tmp_path):
    with lab("sqlite", tier, tmp_path) as made:
        yield made


def put(made, rows):
    plain = [[str(v) if made.kind == "sqlite" and isinstance(v, Decimal) else v for v in row] for row in rows]
    made.do(INSERT, plain)


def run(made, number=0, **asked):
    return haul(made.settings, "things", "main", day(number), **asked)


def clean(made):
    with connect(made.settings, "test") as connection:
        return verify(connection, made.settings, exchange=open_exchange(made.settings), deep=True) == []


class TestReading:
    def test_a_contract_is_proposed_from_its_first_rows(self, here):
        here.define(interval="changed")  # whose interval the rows are of does not matter
        found = discover(Wanted(pipeline="things", table="shop.things"), here.settings)

        (schema,) = found["contract"]["schema"]
        proposed = {one["name"]: one["logicalType"] for one in schema["properties"]}
        assert (found["key"], found["sample"]["rows"]) == (["thing"], len(ROWS))
        assert proposed["thing"] == "string"
        # SQLite's values have types of their own, and these were written as text.
        assert proposed["price"] == ("string" if here.kind == "sqlite" else "number")

    def test_a_table_lands_whole_and_the_same_again_is_nothing_new(self, here):
        here.define()
        outcome = run(here)["load"]

        assert (outcome.outcome, outcome.counts["inserted"]) == ("loaded", 8)
        assert here.table() == EXPECTED
        assert run(here, 1)["extract"].outcome == "empty"
        assert clean(here)

    def test_what_was_quarantined_or_never_loaded_is_news_to_the_next_run(self, sqlite):
        """Else a table that nobody changes would be an empty run the next day, and its rows nowhere."""
        put(sqlite, ROWS)
        sqlite.do("UPDATE things SET price = 'much' WHERE thing = 't0'")
        sqlite.define(load={"reject_threshold": 0.0})
        assert run(sqlite)["load"].outcome == "quarantined"
        assert run(sqlite, 1)["load"].outcome == "quarantined"
        sqlite.define()
        run(sqlite, 2, before="load")
        assert run(sqlite, 3)["load"].counts["inserted"] == 7
        assert run(sqlite, 4)["extract"].outcome == "empty"

        assert run(sqlite, 2)["load"].counts["superseded"] == 7
        assert sqlite.table() == EXPECTED[1:]
        assert clean(sqlite)

    def test_a_change_is_found_by_reading_all_again(self, here):
        here.define()
        run(here)
        here.do("UPDATE things SET colour = 'blue' WHERE thing = 't3'")
        counts = run(here, 1)["load"].counts

        assert (counts["updated"], counts["unchanged"]) == (1, 7)

    @pytest.mark.parametrize("chunk_rows", [1, 3, 8, 100])
    def test_chunks_by_key_lose_and_repeat_nothing(self, here, chunk_rows):
        here.define(key=["colour", "thing"], chunk_rows=chunk_rows)
        here.do("UPDATE things SET colour = NULL WHERE thing IN ('t1', 't2')")
        here.do("UPDATE things SET colour = 'green' WHERE thing IN ('t5', 't6')")
        run(here)

        assert [thing for thing, *_ in here.table()] == [f"t{n}" for n in range(8)]
        assert here.database.rows("SELECT read FROM haulier.source_account") == [(8,)]

    def test_rows_that_share_a_key_are_in_one_chunk(self, here):
        here.define(key=["colour"], chunk_rows=3)
        run(here)

        assert here.table() == EXPECTED

    def test_a_query_has_its_interval_and_parameters_as_values(self, here):
        (here.definitions / "queries" / "some.sql").write_text(
            "  -- a comment: with {start:%Y}\nSELECT thing, colour, price, ':x {other} 10:30' AS odd\n"
            "FROM things WHERE changed >= {start} AND changed < {end} AND colour <> {instance} -- end"
        )
        here.define(table=None, query="../queries/some.sql")
        here.do("UPDATE things SET changed = '2026-01-05 23:59:59' WHERE thing = 't1'")
        here.do("UPDATE things SET changed = '2026-01-06 00:00:00' WHERE thing = 't2'")
        assert run(here)["load"].counts["inserted"] == 1
        assert run(here, 1)["load"].counts["inserted"] == 1

        assert [thing for thing, *_ in here.table()] == ["t1", "t2"]
        (uri,) = here.database.rows("SELECT uri FROM haulier.delivery ORDER BY delivery_id")[0]
        assert uri.endswith("#some?20260105T000000Z-20260106T000000Z")

    def test_an_interval_is_read_again_as_a_correction_and_rows_without_a_time_are_counted(self, here):
        here.define(interval="changed")
        here.do("UPDATE things SET changed = '2026-01-05 00:00:00' WHERE thing = 't1'")
        here.do("UPDATE things SET changed = NULL WHERE thing = 't2'")
        outcomes = run(here)
        assert outcomes["load"].counts["inserted"] == 1
        assert "1 rows without changed belong to no interval and are never read" in outcomes["extract"].notes

        here.do("UPDATE things SET colour = 'blue' WHERE thing = 't1'")
        assert run(here)["load"].generation == 2
        assert here.table() == [("t1", "blue", Decimal("1.5"))]

    @pytest.mark.parametrize(
        ("increment", "price"),
        # With a watermark what was loaded is not read again, so none of it may have been.
        [({}, "1"), ({"interval": "changed"}, "1"), ({"watermark": {"column": "changed"}}, "much")],
    )
    def test_a_corrected_table_takes_the_place_of_the_one_that_was_wrong(self, sqlite, increment, price):
        """Each time it is named anew, also where it was read before and nothing in it has changed since."""
        for name in ("old", "new"):
            sqlite.do(f"CREATE TABLE {name} (thing PRIMARY KEY, colour, price, changed)")
            sqlite.do(f"INSERT INTO {name} VALUES ('{name}', 'red', '{price}', '2026-01-05')")
        for generation, name in enumerate(["old", "new", "new", "old"], start=1):
            sqlite.define(table=name, load={"reject_threshold": 0.0}, **increment)
            run(sqlite, reprocess=f"it is {name}")

            hauled = sqlite.database.rows(
                "SELECT generation, uri FROM haulier.generation_delivery JOIN haulier.delivery USING (delivery_id) "
                "ORDER BY generation DESC, delivery_id"
            )
            assert [one for one in hauled if one[0] >= generation] == [(generation, hauled[0][1])]
            assert f"#{name}" in hauled[0][1]
        assert clean(sqlite)

    def test_a_correction_is_newer_than_what_it_corrects_however_often_that_was_read(self, sqlite):
        sqlite.do("CREATE TABLE other AS SELECT * FROM things")
        put(sqlite, ROWS)
        sqlite.do("INSERT INTO other SELECT thing, 'blue', price, changed FROM things")
        sqlite.define(table="other")
        for number in range(3):
            sqlite.do(f"UPDATE other SET price = '{number}' WHERE thing = 't0'")
            run(sqlite, number)
        sqlite.define()
        run(sqlite, 2, reprocess="the other table was meant")

        assert sqlite.table() == EXPECTED

    def test_a_table_that_was_read_under_another_name_between_is_read_again(self, sqlite):
        """What the source has last is not what it had before."""
        sqlite.do("CREATE TABLE other AS SELECT 'o' thing, 'red' colour, '1' price")
        put(sqlite, ROWS)
        for number, table in enumerate(["things", "other", "things"]):
            sqlite.define(table=table, load={"mode": "replace"})
            run(sqlite, number)

        assert sqlite.table() == EXPECTED

    def test_a_sample_of_it_proposes_a_contract(self, here):
        (here.definitions / "queries" / "red.sql").write_text("SELECT * FROM things WHERE colour = 'red'")
        here.define(table=None, query="../queries/red.sql")
        told = discover(Wanted(pipeline="things"), here.settings)

        (proposed,) = told["contract"]["schema"]
        assert [one["name"] for one in proposed["properties"]] == ["thing", "colour", "price", "changed"]
        assert (told["sample"]["rows"], told["sample"]["rejected"], told["sample"]["whole"]) == (8, {}, True)
        assert told["source"]["sql"]["query"] == "../queries/red.sql"
        assert "statement" not in told["source"]["sql"]

    def test_the_same_rows_make_the_same_bytes(self, here):
        here.define(interval="changed")
        here.do("UPDATE things SET changed = '2026-01-05 00:00:00'")
        run(here)
        here.do("DELETE FROM things")
        put(here, [(t, c, p, "2026-01-05 00:00:00") for t, c, p, _ in reversed(ROWS)])

        assert run(here)["load"].outcome == "already done"


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


class TestOneSnapshot:
    @pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
    def test_what_is_written_between_two_chunks_is_not_seen(self, kind, tier, tmp_path, request, monkeypatch):
        """Without it a row that moves from a chunk to come into one that is done would be lost."""
        socket = request.getfixturevalue("maria") if kind == "mariadb" else None
        with lab(kind, tier, tmp_path, socket) as made:
            put(made, ROWS)
            made.define(chunk_rows=2)
            streamed, asked = Asked._streamed, []

            def between(self, statement):
                asked.append(statement)
                if len(asked) == 4:
                    made.do("UPDATE things SET thing = 'a', colour = 'moved' WHERE thing = 't7'")
                    made.do("DELETE FROM things WHERE thing = 't5'")
                return streamed(self, statement)

            monkeypatch.setattr(Asked, "_streamed", between)
            run(made)

            assert len(asked) > 4
            assert made.table() == EXPECTED


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


class TestCheck:
    @pytest.mark.parametrize(
        ("sql", "why"),
        [
            ({"watermark": {"column": "price", "lag_seconds": 5}}, "price is a number; write lag_steps"),
            ({"watermark": {"column": "changed", "lag_steps": 5}}, "changed is no number; write lag_seconds"),
            ({"watermark": {"column": "colour", "lag_seconds": 5}}, "colour is text, of which no time"),
            ({"key": ["colr"]}, "source.sql.key"),
            ({"interval": "change"}, "source.sql.interval"),
        ],
    )
    def test_what_a_run_would_stumble_over_is_said_before_it(self, here, sql, why):
        if here.kind == "sqlite":
            # Its values say what they are, and these were written as text.
            here.do("UPDATE things SET price = 1.5")
        here.define(**sql)
        ((subject, problem),) = check("things", None, here.settings)

        assert (subject, why in problem) == ("things/main", True), problem

    @pytest.mark.parametrize(
        "sql",
        [
            {"watermark": {"column": "ok"}},
            {"interval": "price"},
            {"key": ["doc"]},
            {"key": ["doc"], "chunk_rows": 2},
        ],
    )
    def test_what_the_database_has_no_order_for_is_said_before_a_run(self, postgres, sql):
        postgres.do("ALTER TABLE things ADD ok boolean, ADD doc json")
        postgres.define(**sql)
        ((subject, problem),) = check("things", None, postgres.settings)

        assert (subject, "sqlstate 42883" in problem) == ("things/main", True), problem

    @pytest.mark.parametrize(
        "sql", [{}, {"chunk_rows": 2}, {"interval": "changed"}, {"watermark": {"column": "changed"}}]
    )
    def test_no_row_is_read_for_it(self, postgres, sql):
        put(postgres, ROWS)
        postgres.do(
            "CREATE VIEW touchy AS SELECT thing, colour, 1 / (price - price) AS price, changed FROM things"
        )
        postgres.define(table="touchy", **sql)

        assert check("things", None, postgres.settings) == []
        with pytest.raises(DataError):
            run(postgres, -1)

    def test_an_empty_table_says_nothing_of_its_lag(self, sqlite):
        for lag in ("lag_steps", "lag_seconds"):
            sqlite.define(watermark={"column": "changed", lag: 5})

            assert check("things", None, sqlite.settings) == []
            assert run(sqlite)["extract"].outcome == "empty"

    @pytest.mark.parametrize(
        ("differs", "why"),
        [
            ({"password": "OTHER"}, "password authentication failed"),
            ({"key": ["colr"]}, "source.sql.key"),
            ({"columns": ["thing", "nope"]}, "source.sql.columns"),
            ({"watermark": {"column": "nope"}}, "source.sql.watermark.column"),
            ({"url": "&options=-crole%3Dnobody_of_that_name"}, "nobody_of_that_name"),
        ],
    )
    def test_each_instance_that_is_set_up_otherwise_is_looked_at(self, tier, tmp_path, differs, why):
        with lab("postgresql", tier, tmp_path, HAULIER_SECRET_OTHER="wr0ng") as made:
            made.define()
            file = made.definitions / "pipelines" / "things.yaml"
            if "url" in differs:
                differs = {"url": made.url + differs["url"]}
            document = {
                **yaml.safe_load(file.read_text()),
                "instances": {"one": {}, "two": {"source": {"sql": differs}}},
            }
            file.write_text(yaml.safe_dump(document))
            found = check("things", None, made.settings)

            assert [subject for subject, _ in found] == ["things/two"]
            assert why in found[0][1]


class TestRefusals:
    @pytest.mark.parametrize(
        ("sql", "why"),
        [
            ({"table": "thing"}, "thing"),
            (
                {"columns": ["thing", "color"]},
                'source.sql.columns: "color" is no column of things; did you mean "colour"',
            ),
            ({"key": ["colr"]}, "source.sql.key"),
            ({"watermark": {"column": "change"}}, "source.sql.watermark.column"),
        ],
    )
    def test_what_is_not_there_is_named(self, here, sql, why):
        here.define(**sql)
        with pytest.raises(DefinitionError, match=why):
            run(here)

    def test_a_wrong_password_shows_nowhere_nor_whose_it_is(self, tier, tmp_path, maria):
        with lab("mariadb", tier, tmp_path, maria, HAULIER_SECRET_OTHER="wr0ng") as made:
            made.define(password="OTHER")
            code, _, log = run_cold(made.place.environment, "extract", "things", "main", day(0))

            assert (code, "Access denied for user '***'@'localhost'" in log) == (2, True)
            assert "wr0ng" not in log
            assert "reader" not in log
            ((subject, problem),) = check("things", None, made.settings)
            assert (subject, "reader" in problem) == ("things/main", False)

    @pytest.mark.parametrize(("before", "behind"), [("per.son@", ""), ("", "&user=per.son"), ("", "")])
    def test_no_user_shows_whichever_way_it_is_named(self, postgres, before, behind):
        """Before the host, in the options, or by nobody: then libpq takes the ledger's."""
        user = postgres.handle.environment["PGUSER"]
        postgres.define(url=postgres.url.replace(f"{user}@", before) + behind, password="OTHER")
        environment = {**postgres.place.environment, "HAULIER_SECRET_OTHER": "wr0ng"}
        code, _, log = run_cold(environment, "extract", "things", "main", day(0))

        assert code == 2, log
        assert r"failed for user \"***\"" in log
        assert "per.son" not in log

    def test_who_may_not_read_a_table_is_not_named_either(self, tier, tmp_path, maria):
        with lab("mariadb", tier, tmp_path, maria) as made:
            made.define(table="mysql.user", key=["User"])
            with pytest.raises(DefinitionError, match=r"SELECT command denied to user '\*\*\*'@") as refused:
                run(made)
            assert "reader" not in str(refused.value)

    def test_a_password_is_in_no_record(self, here):
        here.define()
        run(here)
        kept = "".join(
            map(str, here.database.rows("SELECT uri, logical_name, position FROM haulier.delivery"))
        )

        assert "reader" not in kept
        assert not here.password or here.password not in kept
        assert not here.password or here.password not in repr(here.settings)

    def test_a_secret_that_is_not_there_is_named(self, here):
        here.define(password="NOPE")
        with pytest.raises(DefinitionError, match="there is no secret NOPE; set HAULIER_SECRET_NOPE"):
            run(here)

    def test_a_database_that_is_away_is_tried_later(self, postgres):
        postgres.define(url="postgresql://me@127.0.0.1:9/x")
        with pytest.raises(
            TransientError, match=r"postgresql://127\.0\.0\.1:9/x: PostgreSQL cannot be reached"
        ):
            run(postgres)

    def test_a_file_that_is_not_there_is_named(self, sqlite):
        sqlite.define(url="sqlite:///folder/other.db")
        with pytest.raises(
            DefinitionError, match=r"there is no file .*folder/other\.db; is HAULIER_SOURCE_ROOT right"
        ):
            run(sqlite)

    def test_a_statement_that_would_write_is_refused(self, postgres):
        (postgres.definitions / "queries" / "bad.sql").write_text(
            "WITH gone AS (DELETE FROM things RETURNING thing) SELECT * FROM gone"
        )
        postgres.define(table=None, query="../queries/bad.sql")
        put(postgres, ROWS)
        with pytest.raises(DefinitionError):
            run(postgres)
        postgres.define()
        assert run(postgres)["load"].counts["inserted"] == 8

    def test_values_of_rows_are_in_no_error(self, postgres):
        (postgres.definitions / "queries" / "bad.sql").write_text(
            "SELECT thing, thing::int AS price, colour FROM things"
        )
        postgres.define(table=None, query="../queries/bad.sql")
        put(postgres, [("patient 17", "red", Decimal(1), None)])
        with pytest.raises(DataError) as refused:
            run(postgres)
        assert "patient" not in str(refused.value)

    def test_two_columns_of_a_name_are_refused(self, postgres):
        query = postgres.definitions / "queries" / "two.sql"
        query.write_text("SELECT thing AS a, colour AS a FROM things")
        postgres.define(table=None, query="../queries/two.sql")
        with pytest.raises(DefinitionError, match="gives a more than once; name each column with AS"):
            run(postgres)

    def test_text_that_is_none_is_a_reject_and_the_rest_is_loaded(self, sqlite):
        sqlite.do(
            "INSERT INTO things VALUES ('a', CAST(x'ff41' AS TEXT), '1', NULL), ('b', 'red', '2', NULL)"
        )
        sqlite.define()
        run(sqlite)

        assert sqlite.table() == [("b", "red", Decimal(2))]
        assert sqlite.database.rows("SELECT rule, column_name FROM haulier.reject") == [
            ("encoding", "colour")
        ]
        assert clean(sqlite)
