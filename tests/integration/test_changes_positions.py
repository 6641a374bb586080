"""How far a followed table was read, and what its server may forget (docs/adr/0016)."""

from __future__ import annotations

import pytest
from support.replicated import clean, followed
from support.things import day

import haulier_load.step as load_step
from haulier.errors import NothingNew, TransientError
from haulier.task import Task
from haulier_extract.sources.sql.changes.slot import number_of
from haulier_extract.step import plan


@pytest.fixture
def here(logical, tier, tmp_path):
    with followed(logical, tier, tmp_path) as made:
        yield made


class TestPositions:
    def test_the_server_may_forget_only_what_is_loaded(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        first = here.confirmed()
        here.do("UPDATE things SET price = 2")
        here.run(1)
        assert here.confirmed() == first
        second = here.position()
        here.do("UPDATE things SET price = 3")
        here.run(2)

        assert number_of(here.confirmed()) == number_of(second) > number_of(first)
        assert here.hauled() == here.there()

    @pytest.mark.parametrize("moment", ["transform", "load"])
    def test_a_run_that_ends_early_goes_on_with_what_it_read_and_loses_nothing(self, here, moment):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        here.do("UPDATE things SET price = 2")
        here.run(1, before=moment)
        here.do("UPDATE things SET price = 3")
        with pytest.raises(TransientError, match="has not loaded yet what it read"):
            here.run(2)
        here.run(1)
        assert here.hauled()[0][3] == 2
        here.run(2)

        assert here.hauled() == here.there()
        assert clean(here)

    def test_a_load_that_fails_moves_nothing(self, here, monkeypatch):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        before = here.position()
        here.do("UPDATE things SET price = 2")

        def dies(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(load_step, "write", dies)
            with pytest.raises(KeyboardInterrupt):
                here.run(1)
        assert here.position() == before
        here.run(1)

        assert here.hauled() == here.there()

    def test_nothing_new_is_an_empty_run_and_moves_nothing(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(0)
        before = here.position()
        assert here.run(1)["extract"].exit_code == NothingNew.exit_code
        assert (here.position(), here.confirmed()) == (before, before)

    def test_a_quiet_table_of_a_busy_database_lets_the_log_go(self, here):
        here.run(0)
        here.do("CREATE TABLE other AS SELECT repeat(md5(n::text), 9) FROM generate_series(1, 80000) n")
        before = number_of(here.position())
        assert here.run(1)["load"].counts["produced"] == 0

        assert number_of(here.position()) - before > 16 * 1024 * 1024
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")
        here.run(2)
        assert here.hauled() == here.there()
        assert clean(here)

    def test_a_run_ends_behind_a_transaction_when_it_is_full_and_the_next_goes_on(self, here):
        here.define(run_bytes=2000)
        here.run(0)
        for number in range(4):
            here.do(
                f"INSERT INTO things SELECT '{number}-' || n, 'red', NULL, n FROM generate_series(1, 40) n"
            )
        outcome = here.run(1)
        assert outcome["load"].counts["inserted"] == 40
        assert any("run_bytes" in note for note in outcome["extract"].notes)
        for number in range(2, 5):
            here.run(number)

        assert here.hauled() == here.there()
        assert len(here.hauled()) == 160

    def test_a_plan_leaves_the_server_as_it_is(self, here):

        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1)")

        def planned(number):
            task = Task(
                step="extract",
                verb="plan",
                pipeline="things",
                instance="main",
                interval=day(number),
                settings=here.settings,
            )
            return plan(task).counts["produced"]

        assert planned(0) == 1
        assert here.rows("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == [
            (0,)
        ]
        here.run(0)
        confirmed = here.confirmed()
        here.do("UPDATE things SET price = 2")
        assert planned(1) == 1
        here.run(1)
        here.do("UPDATE things SET price = 3")
        assert planned(2) == 1
        assert here.confirmed() == confirmed

    def test_without_a_snapshot_the_slot_says_where_to_begin(self, here):
        here.do("INSERT INTO things VALUES ('before', 'red', NULL, 1)")
        here.do(f"SELECT pg_create_logical_replication_slot('{here.slot}', 'pgoutput')")
        here.define(snapshot=False)
        here.do("INSERT INTO things VALUES ('after', 'red', NULL, 1)")
        here.run(0)

        assert [thing for thing, *_ in here.hauled()] == ["after"]
