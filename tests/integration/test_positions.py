"""How far a source was read: what is promised of it (docs/adr/0012), in databases as they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.lab import INSERT, KINDS, clean, lab, lab_of, run
from support.marked import Died, arrived, dying, put, read, task

from haulier.errors import DefinitionError, TransientError
from haulier_extract.step import extract


@pytest.fixture(params=KINDS)
def here(request, tier, tmp_path):
    with lab_of(request, tier, tmp_path) as made:
        made.define(watermark={"column": "changed"})
        yield made


@pytest.fixture
def sqlite(tier, tmp_path):
    with lab("sqlite", tier, tmp_path) as made:
        made.define(watermark={"column": "changed"})
        yield made


@pytest.fixture
def postgres(tier, tmp_path):
    with lab("postgresql", tier, tmp_path) as made:
        made.define(watermark={"column": "changed"})
        yield made


class TestIncrements:
    def test_each_run_begins_where_the_last_one_ended(self, here):
        put(here, ("a", "2026-01-01 00:00:00"), ("b", "2026-01-02 00:00:00"))
        run(here)
        put(here, ("c", "2026-01-03 00:00:00"))
        run(here, 1)

        assert arrived(here) == ["a", "b", "c"]
        assert read(here) == [2, 2]
        assert here.position().startswith("2026-01-03 00:00:00")
        assert clean(here)

    def test_rows_that_share_the_boundary_are_never_lost(self, here):
        """airbyte#85918, airbyte#80152: a cursor that goes on behind its last value skips what came with it."""
        put(here, ("a", "2026-01-02 10:00:00.5"))
        run(here)
        put(here, ("b", "2026-01-02 10:00:00.5"))
        counts = run(here, 1)["load"].counts

        assert arrived(here) == ["a", "b"]
        assert (counts["inserted"], counts["unchanged"]) == (1, 1)

    def test_rows_committed_late_are_found_within_the_lag(self, here):
        here.define(watermark={"column": "changed", "lag_seconds": 3600})
        put(here, ("a", "2026-01-02 10:00:00"))
        run(here)
        put(here, ("late", "2026-01-02 09:00:00"), ("too late", "2026-01-02 08:59:59"))
        run(here, 1)

        assert arrived(here) == ["a", "late"]

    @pytest.mark.parametrize(
        ("reached", "late"),
        [
            ("2026-01-02 22:00:00-05:00", "2026-01-02 21:30:00-05:00"),
            ("2026-01-02T22:00:00-05:00", "2026-01-02T21:00:00-05:00"),
            ("2026-01-02 10:00:00.5-0300", "2026-01-02 09:00:00.5-0300"),
            ("2026-01-02 00:30:00+02:00", "2026-01-01 23:45:00+02:00"),
            ("2026-01-02T10:00:00Z", "2026-01-02T09:00:00Z"),
            # The clock was set back by an hour in between.
            ("2025-10-26 02:59:00+02:00", "2025-10-26 02:01:00+01:00"),
        ],
    )
    def test_late_rows_are_found_within_the_lag_by_whichever_clock_texts_were_written(
        self, sqlite, reached, late
    ):
        sqlite.define(watermark={"column": "changed", "lag_seconds": 3600})
        put(sqlite, ("a", reached))
        run(sqlite)
        put(sqlite, ("late", late), ("same", reached))
        run(sqlite, 1)

        assert arrived(sqlite) == ["a", "late", "same"]

    def test_a_number_may_say_what_is_new(self, here):
        here.do(
            "CREATE TABLE counted (thing varchar(9) NOT NULL PRIMARY KEY, colour varchar(9), price numeric(5, 2), serial bigint)"
        )
        here.define(table="counted", watermark={"column": "serial", "lag_steps": 2})
        here.do(
            "INSERT INTO counted VALUES ('a', 'red', 1, 9007199254740993), ('b', 'red', 1, 9007199254740995)"
        )
        run(here)
        assert here.position() == "9007199254740995"
        here.do(
            "INSERT INTO counted VALUES ('c', 'red', 1, 9007199254740993), ('d', 'red', 1, 9007199254740992)"
        )
        run(here, 1)

        assert arrived(here) == ["a", "b", "c"]
        here.define(table="counted", watermark={"column": "serial", "lag_seconds": 2})
        with pytest.raises(DefinitionError, match="serial is a number; write lag_steps"):
            run(here, 2)

    def test_no_digit_of_a_position_is_rounded_away(self, postgres):
        """Rounded up it would pass over rows between."""
        postgres.do("CREATE TABLE counted (thing text PRIMARY KEY, colour text, price int, serial numeric)")
        postgres.define(table="counted", watermark={"column": "serial"})
        postgres.do("INSERT INTO counted VALUES ('a', 'red', 1, 12345678901234567890123456789999999999)")
        run(postgres)
        postgres.do("INSERT INTO counted VALUES ('b', 'red', 1, 12345678901234567890123456789999999999)")
        run(postgres, 1)

        assert arrived(postgres) == ["a", "b"]

    def test_a_time_that_is_text_has_no_lag(self, postgres):
        postgres.do("CREATE TABLE texts (thing text PRIMARY KEY, colour text, price int, at text)")
        postgres.define(table="texts", watermark={"column": "at", "lag_seconds": 900})
        run(postgres)
        postgres.do("INSERT INTO texts VALUES ('a', 'red', 1, '2026-01-05T10:00:00')")

        with pytest.raises(DefinitionError, match="at is text, of which no time can be taken off"):
            run(postgres, 1)

    def test_an_interval_that_is_not_over_is_refused(self, here):
        here.define(watermark={"column": "changed"})

        with pytest.raises(DefinitionError, match="ends in the future, and"):
            run(here, 50_000)

    @pytest.mark.parametrize("number", [0.7, 1234567])
    def test_a_float_of_few_digits_loses_no_row_that_shares_it(self, here, number):
        """As it is answered it has fewer digits than it is, and may be greater."""
        kind = "float" if here.kind == "mariadb" else "real"
        here.do(
            f"CREATE TABLE floats (thing varchar(9) NOT NULL PRIMARY KEY, colour varchar(9), price int, at {kind})"
        )
        here.define(table="floats", watermark={"column": "at"})
        here.do("INSERT INTO floats VALUES (?, 'red', 1, ?)", [("a", number)])
        run(here)
        here.do("INSERT INTO floats VALUES (?, 'red', 1, ?)", [("b", number)])
        run(here, 1)

        assert arrived(here) == ["a", "b"]

    def test_rows_without_a_watermark_are_read_each_time_and_counted(self, here):
        put(here, ("a", "2026-01-02 10:00:00"), ("b", None))
        assert "1 rows without changed are read by every run" in run(here)["extract"].notes
        put(here, ("c", None))
        run(here, 1)

        assert arrived(here) == ["a", "b", "c"]

    def test_a_row_from_the_future_hides_nothing(self, here):
        put(here, ("a", "2026-01-02 10:00:00"), ("future", "2037-01-01 00:00:00"))
        outcome = run(here)["extract"]
        assert (
            "rows whose changed is later than the database's clock are read again until then" in outcome.notes
        )
        put(here, ("b", "2026-01-03 10:00:00"))
        run(here, 1)

        assert arrived(here) == ["a", "b", "future"]
        assert here.position().startswith("2026-01-03")

    def test_nothing_new_is_an_empty_run_that_changes_nothing(self, here):
        """dlt#3998: an empty run truncates."""
        put(here, ("a", "2026-01-02 10:00:00"))
        run(here)
        run(here, 1)
        before = here.position(), here.table()
        assert run(here, 2)["extract"].outcome == "empty"
        here.do("DELETE FROM things")
        assert run(here, 3)["extract"].outcome == "empty"

        assert (here.position(), here.table()) == before

    def test_a_row_that_goes_back_to_an_earlier_value_is_news(self, sqlite):
        put(sqlite, ("a", "2026-01-02 10:00:00"))
        for number, colour in enumerate(["red", "red", "blue", "red"]):
            sqlite.do(f"UPDATE things SET colour = '{colour}'")
            run(sqlite, number)
            assert sqlite.table() == [("a", colour, Decimal(1))]

    def test_a_query_may_have_a_watermark_and_chunks(self, here):
        (here.definitions / "queries" / "red.sql").write_text("SELECT * FROM things WHERE colour = 'red';\n")
        here.define(table=None, query="../queries/red.sql", watermark={"column": "changed"}, chunk_rows=2)
        put(here, *((f"t{n}", f"2026-01-02 10:00:0{n // 2}") for n in range(7)))
        run(here)
        put(here, ("t9", "2026-01-02 10:00:03"))
        run(here, 1)

        assert arrived(here) == [*(f"t{n}" for n in range(7)), "t9"]
        assert read(here) == [7, 2]


class TestOneTransaction:
    """dlt#4052, dlt#4023: rows and state are committed one after the other, and a kill between the two parts them."""

    @pytest.mark.parametrize("moment", ["before the rows", "between", "behind both", "committed"])
    def test_a_kill_at_any_moment_leaves_both_or_neither(self, postgres, moment):
        put(postgres, ("a", "2026-01-02 10:00:00"))
        run(postgres)
        before = (postgres.table(), postgres.position())
        put(postgres, ("b", "2026-01-02 11:00:00"))
        with dying(moment), pytest.raises(Died):
            run(postgres, 1)
        after = (["a", "b"], "2026-01-02 11:00:00+00")
        if moment == "committed":
            assert (arrived(postgres), postgres.position()) == after
        else:
            assert (postgres.table(), postgres.position()) == before
        run(postgres, 1)

        assert (arrived(postgres), postgres.position()) == after
        assert clean(postgres)


LAG = 4
WRITES = st.tuples(st.sampled_from("abcd"), st.sampled_from("rgb"), st.integers(0, LAG))
RUNS = st.sampled_from(["whole", "read", "before the rows", "between", "behind both", "committed"])
STEPS = st.lists(st.one_of(WRITES, st.integers(1, 3), RUNS), min_size=2, max_size=14)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_row_is_lost_whatever_is_written_read_and_killed_when(tier, tmp_path_factory, steps):
    """Rows are committed up to the lag later than they are written; the source is the model.

    A write takes its moment from the clock and is seen so many ticks later; a run reads, and may die, at any
    tick. Whoever goes on after a run that died without having loaded is held up, and the same run again is not.
    """
    with lab("sqlite", tier, tmp_path_factory.mktemp("lab")) as made:
        made.define(watermark={"column": "changed", "lag_seconds": LAG})
        clock, number, pending = 0, 0, {}

        def commit():
            for key, (at, colour, seen) in list(pending.items()):
                if seen <= clock:
                    del pending[key]
                    made.do("DELETE FROM things WHERE thing = ?", [(key,)])
                    made.do(INSERT, [(key, colour, "1", f"2026-01-02 10:00:{at:02d}")])

        for step in [*steps, LAG, "whole"]:
            if isinstance(step, tuple):
                key, colour, late = step
                # A row that is being written is locked: nobody else writes it.
                pending.setdefault(key, (clock, colour, clock + late))
            elif isinstance(step, int):
                clock += step
            commit()
            if not isinstance(step, str):
                continue
            if step == "read":
                extract(task(made, "extract", number))
            elif step == "whole":
                run(made, number)
            else:
                with dying(step), suppress(Died):
                    run(made, number)
            status = made.database.rows("SELECT status FROM haulier.run ORDER BY interval_start DESC LIMIT 1")
            if status == [("open",)]:
                with pytest.raises(TransientError, match="has not loaded yet"):
                    extract(task(made, "extract", number + 1))
                run(made, number)
            number += 1
        with closing(sqlite3.connect(made.handle)) as source:
            there = sorted(source.execute("SELECT thing, colour FROM things").fetchall())
        if there:
            assert (
                made.database.rows('SELECT thing, colour FROM shop.things ORDER BY thing COLLATE "C"')
                == there
            )
        assert clean(made)
