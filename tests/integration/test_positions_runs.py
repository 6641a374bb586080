"""Runs of a source that has a position: which one reads, which one waits, and what a person may say (docs/adr/0012)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.lab import INSERT, KINDS, clean, lab, lab_of, run
from support.marked import arrived, moved, put, task

from haulier.errors import DataError, DefinitionError, TransientError
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


class TestRuns:
    def test_a_loaded_run_is_done_and_reads_nothing_again(self, here):
        put(here, ("a", "2026-01-02 10:00:00"))
        run(here)
        put(here, ("b", "2026-01-02 11:00:00"))

        assert run(here)["load"].outcome == "already done"
        assert arrived(here) == ["a"]

    def test_a_run_that_was_not_loaded_reads_the_same_again_and_holds_up_the_next(self, sqlite):
        put(sqlite, ("a", "2026-01-02 10:00:00"))
        extract(task(sqlite, "extract"))
        put(sqlite, ("b", "2026-01-02 11:00:00"))
        with pytest.raises(
            TransientError, match="has not loaded yet what it read, and this one goes on from there"
        ):
            run(sqlite, 1)
        run(sqlite)
        assert (arrived(sqlite), sqlite.position()) == (["a"], "2026-01-02 10:00:00")
        run(sqlite, 1)

        assert (arrived(sqlite), sqlite.position()) == (["a", "b"], "2026-01-02 11:00:00")

    def test_a_quarantined_run_holds_up_the_next_until_it_is_mended(self, sqlite):
        sqlite.do(INSERT, [("a", "red", "much", "2026-01-02 10:00:00")])
        assert run(sqlite)["load"].outcome == "quarantined"
        assert sqlite.position() is None
        put(sqlite, ("b", "2026-01-02 11:00:00"))
        with pytest.raises(DataError, match=r"is quarantined, and this one goes on from there.*--reprocess"):
            run(sqlite, 1)
        sqlite.do("UPDATE things SET price = '2' WHERE thing = 'a'")
        run(sqlite, reprocess="mended at the source")
        run(sqlite, 1)

        assert arrived(sqlite) == ["a", "b"]
        assert sqlite.position() == "2026-01-02 11:00:00"
        assert clean(sqlite)

    def test_or_until_a_person_leaves_it_behind(self, sqlite):
        sqlite.do(INSERT, [("a", "red", "much", "2026-01-02 10:00:00")])
        run(sqlite)
        put(sqlite, ("b", "2026-01-02 11:00:00"))
        moved(sqlite, "2026-01-02 10:30:00")
        run(sqlite, 1)

        assert arrived(sqlite) == ["b"]

    def test_what_was_left_behind_with_the_same_position_is_read_again_though_it_is_the_same(self, sqlite):
        sqlite.define(watermark={"column": "changed"}, load={"reject_threshold": 0.0})
        sqlite.do(
            INSERT, [("a", "red", "much", "2026-01-02 10:00:00"), ("b", "red", "1", "2026-01-02 10:00:00")]
        )
        run(sqlite)
        moved(sqlite, None)
        sqlite.define(watermark={"column": "changed"}, load={"reject_threshold": 0.9})
        run(sqlite, 1)

        assert arrived(sqlite) == ["b"]

    def test_a_run_of_an_earlier_interval_leaves_reading_to_later_ones(self, here):
        """Its rows would have the version of its interval, and lose against what was read before them."""
        put(here, ("a", "2026-01-02 10:00:00"))
        run(here, 5)
        here.do("UPDATE things SET colour = 'blue', changed = '2026-01-02 11:00:00'")
        outcome = run(here, 3)["extract"]
        assert outcome.outcome == "empty"
        assert "not read: the later run of 2026-01-10 00:00Z has read what this one would" in outcome.notes[0]
        run(here, 6)

        assert here.table() == [("a", "blue", Decimal(1))]

    def test_a_whole_table_is_read_in_the_order_of_intervals_as_well(self, here):
        here.define()
        put(here, ("a", "2026-01-02 10:00:00"))
        run(here, 5)
        here.do("UPDATE things SET colour = 'blue'")
        assert run(here, 3)["extract"].outcome == "empty"
        run(here, 6)

        assert here.table() == [("a", "blue", Decimal(1))]

    def test_an_older_run_made_again_does_not_move_the_position_back(self, sqlite):
        put(sqlite, ("a", "2026-01-02 10:00:00"))
        run(sqlite)
        put(sqlite, ("b", "2026-01-02 11:00:00"))
        run(sqlite, 1)
        outcome = run(sqlite, 0, reprocess="looking again")["load"]

        assert outcome.generation == 2
        assert "the position watermark was moved since this run read" in outcome.notes[0]
        assert sqlite.position() == "2026-01-02 11:00:00"

    def test_a_position_that_a_person_moved_meanwhile_stays(self, sqlite):
        put(sqlite, ("a", "2026-01-02 10:00:00"))
        extract(task(sqlite, "extract"))
        moved(sqlite, "2026-01-01 00:00:00")
        run(sqlite)

        assert (arrived(sqlite), sqlite.position()) == (["a"], "2026-01-01 00:00:00")

    def test_who_reads_beside_another_run_begins_anew(self, sqlite, monkeypatch):
        import haulier_extract.reserving as reserving

        put(sqlite, ("a", "2026-01-02 10:00:00"))
        found = reserving.find

        def slowly(*arguments, **more):
            monkeypatch.setattr(reserving, "find", found)
            answer = found(*arguments, **more)
            run(sqlite, 1)
            return answer

        monkeypatch.setattr(reserving, "find", slowly)
        with pytest.raises(TransientError, match="was there while its source was read; try again"):
            run(sqlite)
        assert run(sqlite)["extract"].outcome == "empty"
        assert arrived(sqlite) == ["a"]

    def test_a_whole_table_that_another_run_read_later_is_read_anew(self, sqlite, monkeypatch):
        """Else what was read first would have the version of the later interval, and hide what is newer."""
        import haulier_extract.reserving as reserving

        sqlite.define()
        put(sqlite, ("a", "2026-01-02 10:00:00"))
        found = reserving.find

        def slowly(*arguments, **more):
            monkeypatch.setattr(reserving, "find", found)
            answer = found(*arguments, **more)
            sqlite.do("UPDATE things SET colour = 'blue'")
            run(sqlite, 0)
            return answer

        monkeypatch.setattr(reserving, "find", slowly)
        with pytest.raises(TransientError, match="was there while its source was read; try again"):
            run(sqlite, 1)
        run(sqlite, 1)

        assert sqlite.table() == [("a", "blue", Decimal(1))]

    def test_a_run_whose_rows_are_in_holds_up_nobody_with_its_models(self, sqlite):
        folder = sqlite.definitions / "models"
        folder.mkdir()
        (folder / "dear.sql").write_text(
            "-- materialized: view\n-- target: shop.dear\nSELECT thing FROM shop.things WHERE price > 1\n"
        )
        sqlite.define(watermark={"column": "changed"}, load={"mode": "append"}, models=["dear"])
        put(sqlite, ("a", "2026-01-02 10:00:00"))
        run(sqlite, before="models")
        assert sqlite.database.rows("SELECT status FROM haulier.run") == [("open",)]
        put(sqlite, ("b", "2026-01-02 11:00:00"))
        run(sqlite, 1)

        assert arrived(sqlite) == ["a", "b"]
        assert sqlite.position() == "2026-01-02 11:00:00"

    def test_made_again_where_the_position_still_is_it_says_nothing(self, sqlite):
        put(sqlite, ("a", "2026-01-02 10:00:00"))
        run(sqlite)

        assert run(sqlite, reprocess="looking again")["load"].notes == ()
        assert sqlite.position() == "2026-01-02 10:00:00"

    def test_another_column_needs_a_word_from_a_person(self, sqlite):
        put(sqlite, ("a", "2026-01-02 10:00:00"))
        run(sqlite)
        sqlite.define(watermark={"column": "price"})
        with pytest.raises(DefinitionError, match="the ledger has a position of changed, and this is price"):
            run(sqlite, 1)
        moved(sqlite, None)
        run(sqlite, 1)
        assert sqlite.position() == "1"

    def test_numbers_among_texts_are_no_order(self, sqlite):
        put(sqlite, ("a", "2026-01-02 10:00:00"))
        sqlite.do("CREATE TABLE mixed (thing text PRIMARY KEY, colour text, price text, at)")
        sqlite.do("INSERT INTO mixed VALUES ('a', 'red', '1', 5), ('b', 'red', '1', 'x')")
        sqlite.define(table="mixed", watermark={"column": "at"})
        with pytest.raises(DataError, match="at holds numbers and texts, so nothing says what is new"):
            run(sqlite)
