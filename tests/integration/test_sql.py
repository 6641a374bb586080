"""A database as a source: PostgreSQL, MariaDB and SQLite as they are, and what lands of them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.lab import EXPECTED, KINDS, ROWS, clean, lab, lab_of, put, run

from haulier_extract.discovery import Wanted, discover
from haulier_extract.sources.sql.asking import Asked


@pytest.fixture(params=KINDS)
def here(request, tier, tmp_path):
    """A lab of each kind, with eight rows."""
    with lab_of(request, tier, tmp_path) as made:
        put(made, ROWS)
        yield made


@pytest.fixture
def sqlite(tier, tmp_path):
    with lab("sqlite", tier, tmp_path) as made:
        yield made


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
