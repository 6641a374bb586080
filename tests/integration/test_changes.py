"""A table of PostgreSQL, followed through its log (docs/adr/0016): a second server, whose log is read for real."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.processes import in_process
from support.replicated import clean, followed, peak_of_a_look, reset, told
from support.things import day

from haulier.errors import DataError, NothingNew
from haulier_extract.sources import find

LONG = "SELECT string_agg(md5(n::text), '') FROM generate_series(1, 300) n"


@pytest.fixture
def here(logical, tier, tmp_path):
    with followed(logical, tier, tmp_path) as made:
        yield made


class TestAsItGoes:
    def test_the_first_run_takes_the_rows_that_are_there_and_later_ones_what_happened(self, here):
        here.do(
            "INSERT INTO things VALUES ('a', 'red', 'x', 1.5), ('b', 'blue', NULL, NULL), ('c', 'green', 'z', 3)"
        )
        first = here.run(0)["load"]
        assert here.hauled() == here.there()
        assert first.counts["inserted"] == 3

        here.do(
            "INSERT INTO things VALUES ('d', 'new', NULL, 4)",
            "UPDATE things SET price = 2 WHERE thing = 'a'",
            "DELETE FROM things WHERE thing = 'c'",
        )
        counts = here.run(1)["load"].counts

        assert here.hauled() == here.there()
        assert {name: counts[name] for name in ("inserted", "updated", "deleted")} == {
            "inserted": 1,
            "updated": 1,
            "deleted": 1,
        }
        assert clean(here)

    def test_what_is_rolled_back_never_happened_and_the_last_of_many_changes_counts(self, here):
        here.run(0)
        with closing(here.source.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO things VALUES ('never', 'red', NULL, 1)")
            connection.rollback()
        here.do(
            "INSERT INTO things VALUES ('a', 'red', NULL, 1)",
            "UPDATE things SET colour = 'blue'",
            "DELETE FROM things",
            "INSERT INTO things VALUES ('a', 'green', NULL, 9)",
        )
        here.run(1)

        assert here.hauled() == here.there() == [("a", "green", None, 9)]

    def test_a_key_that_changes_is_gone_under_the_old_one(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', 'x', 1), ('b', 'red', 'x', 1)")
        here.run(0)
        here.do(
            "UPDATE things SET thing = 'c' WHERE thing = 'a'",
            "UPDATE things SET thing = 'a' WHERE thing = 'b'",
        )
        here.run(1)

        assert here.hauled() == here.there()
        assert [thing for thing, *_ in here.hauled()] == ["a", "c"]

    def test_a_truncation_takes_all_older_rows(self, here):
        here.do("INSERT INTO things VALUES ('a', 'red', 'x', 1), ('b', 'red', 'x', 1)")
        here.run(0)
        here.do("TRUNCATE things", "INSERT INTO things VALUES ('c', 'red', 'x', 1)")
        counts = here.run(1)["load"].counts

        assert here.hauled() == here.there()
        assert counts["removed"] == 2

    def test_a_long_value_that_did_not_change_is_kept(self, here):
        here.do(f"INSERT INTO things VALUES ('a', 'red', ({LONG}), 1)")
        here.run(0)
        here.do("UPDATE things SET colour = 'blue'")
        here.run(1)

        assert here.hauled() == here.there()
        assert len(here.hauled()[0][2]) == 9600

    def test_without_a_word_of_it_in_the_contract_such_a_row_is_rejected_and_nothing_is_made_up(self, here):
        here.define(kept=False)
        here.do(f"INSERT INTO things VALUES ('a', 'red', ({LONG}), 1)")
        here.run(0)
        here.do("UPDATE things SET colour = 'blue'")
        here.run(1)

        assert here.hauled()[0][1] == "red"
        ((rule, column, message),) = here.place.database.rows(
            "SELECT rule, column_name, message FROM haulier.reject"
        )
        assert (rule, column) == ("unchanged", "body")
        assert "REPLICA IDENTITY FULL" in message

    def test_with_the_whole_identity_every_value_is_there(self, here):
        here.define(kept=False)
        here.do(
            "ALTER TABLE things REPLICA IDENTITY FULL", f"INSERT INTO things VALUES ('a', 'red', ({LONG}), 1)"
        )
        here.run(0)
        here.do("UPDATE things SET colour = 'blue'", "UPDATE things SET thing = 'b'")
        here.run(1)

        assert here.hauled() == here.there()
        assert [thing for thing, *_ in here.hauled()] == ["b"]

    def test_an_identity_wider_than_the_key_makes_no_deletion_of_what_stays(self, here):
        here.do(
            "CREATE UNIQUE INDEX things_wide ON things (thing, colour)",
            "ALTER TABLE things REPLICA IDENTITY USING INDEX things_wide",
            "INSERT INTO things VALUES ('a', 'red', 'x', 1), ('b', 'red', 'x', 1)",
        )
        here.run(0)
        here.do("UPDATE things SET colour = 'blue'", "UPDATE things SET thing = 'c' WHERE thing = 'b'")
        counts = here.run(1)["load"].counts

        assert here.hauled() == here.there()
        assert (counts["produced"], counts["deleted"]) == (4, 1)

    def test_what_was_changed_while_the_log_did_not_say_the_key_stops_the_run(self, here):
        here.do(
            "CREATE UNIQUE INDEX things_other ON things (colour)",
            "INSERT INTO things VALUES ('a', 'red', NULL, 1), ('b', 'blue', NULL, 1)",
        )
        here.run(0)
        here.do("ALTER TABLE things REPLICA IDENTITY USING INDEX things_other")
        here.do("UPDATE things SET thing = 'c', price = 2 WHERE thing = 'a'")
        here.do("ALTER TABLE things REPLICA IDENTITY DEFAULT")
        with pytest.raises(DataError, match="the log did not say thing of rows that are gone"):
            here.run(1)
        reset(here)
        here.run(1)
        assert here.hauled() == here.there()

    def test_changes_beside_the_first_snapshot_end_as_the_source_has_them(self, here):
        """A transaction that is open while the slot is made, one that commits before the rows are read, one after."""
        here.do("INSERT INTO things VALUES ('a', 'red', NULL, 1), ('b', 'red', NULL, 1)")
        with closing(here.source.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE things SET price = 2 WHERE thing = 'a'")
            running = threading.Thread(target=here.run, args=(0,))
            running.start()
            time.sleep(0.5)
            here.do("UPDATE things SET price = 3 WHERE thing = 'b'")
            connection.commit()
            running.join()
        here.do("UPDATE things SET price = price + 10")
        here.run(1)

        assert here.hauled() == here.there()
        assert [price for *_, price in here.hauled()] == [12, 13]

    def test_types_have_one_spelling_in_the_snapshot_and_in_the_log(self, here):
        here.do(
            "CREATE TYPE mood AS ENUM ('glad')",
            "CREATE DOMAIN yes AS boolean",
            "CREATE TABLE every (id int PRIMARY KEY, b yes, n numeric, f float8, t timestamptz, l timestamp, d date, j jsonb, "
            "a numeric[], w text[], m mood, y bytea, u uuid, i interval, c char(4))",
            "ALTER PUBLICATION hauled ADD TABLE every",
        )
        values = (
            "true, 12345678901234567890.123, 0.1, '2026-01-05 10:00:00.5+02', '2026-01-05 10:00', '2026-01-05', "
            """'{"a": [1, null]}', '{{1.50,NULL},{2,3}}', '{"a b","c\\"d",NULL}', 'glad', '\\x00ff', """
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '1 month 2 days', 'ab'"
        )
        here.do(f"INSERT INTO every VALUES (1, {values})")
        where = here.definitions / "pipelines" / "things.yaml"
        where.write_text(where.read_text().replace("public.things", "public.every"))

        instance = told(here)

        def lines(standing):
            found = find(instance, day(0), here.settings, standing)
            (file,) = found.files
            return [json.loads(line) for line in b"".join(file.open()).splitlines()], file.position.end

        (snapshot,), end = lines(None)
        here.do("DELETE FROM every", f"INSERT INTO every VALUES (1, {values})")
        (gone, streamed), _ = lines(end)

        own = ("__op", "__lsn")
        assert {k: v for k, v in snapshot.items() if k not in own} == {
            k: v for k, v in streamed.items() if k not in own
        }
        assert gone == {"__op": "d", "__lsn": gone["__lsn"], "id": "1"}
        assert streamed["b"] is True
        assert streamed["n"] == "12345678901234567890.123"
        assert streamed["t"] == "2026-01-05T08:00:00.5+00:00"
        assert streamed["l"] == "2026-01-05T10:00:00"
        assert streamed["a"] == "[[1.50,null],[2,3]]"
        assert streamed["w"] == '["a b","c\\"d",null]'
        assert (streamed["y"], streamed["i"], streamed["c"]) == ("\\x00ff", "P1M2D", "ab  ")


def test_a_transaction_of_many_rows_streams(here):
    """Rows pass; only what one message holds is in memory."""
    here.run(0)
    here.do(
        "INSERT INTO things SELECT 't' || n, 'red', repeat(md5(n::text), 60), n FROM generate_series(1, 60000) n"
    )
    made = told(here)
    peak = in_process(peak_of_a_look, made.pipeline, dict(here.place.environment), here.position())
    assert peak["bytes"] > 100_000_000
    assert peak["memory"] < 80_000_000, peak


KEYS, BODIES = ("a", "b", "c"), ("NULL", "'short'", f"({LONG})")
keys = st.sampled_from(KEYS)
statements = st.one_of(
    st.builds(
        "INSERT INTO things VALUES ('{}', 'red', {}, {}) ON CONFLICT (thing) DO UPDATE SET colour = 'blue', body = excluded.body".format,
        keys,
        st.sampled_from(BODIES),
        st.integers(0, 9),
    ),
    st.builds("UPDATE things SET price = {} WHERE thing = '{}'".format, st.integers(0, 9), keys),
    st.builds("DELETE FROM things WHERE thing = '{}'".format, keys),
    st.builds(
        "UPDATE things SET thing = '{1}' WHERE thing = '{0}' AND NOT EXISTS (SELECT FROM things WHERE thing = '{1}')".format,
        keys,
        keys,
    ),
    st.just("TRUNCATE things"),
)
transactions = st.lists(st.lists(statements, min_size=1, max_size=4), max_size=3)
#: What is committed before a run, and before which step the run's first attempt ends.
days = st.lists(
    st.tuples(transactions, st.sampled_from(["", "", "transform", "load"])), min_size=1, max_size=4
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=transactions, history=days, whole=st.booleans())
def test_the_table_is_the_source_after_every_run_whatever_happened(
    logical, tier, tmp_path_factory, before, history, whole
):
    with followed(logical, tier, tmp_path_factory.mktemp("followed")) as here:
        if whole:
            here.do("ALTER TABLE things REPLICA IDENTITY FULL")
        for transaction in before:
            here.do(*transaction)
        here.run(0)
        assert here.hauled() == here.there()
        for number, (committed, ends) in enumerate(history, 1):
            for transaction in committed:
                here.do(*transaction)
            at_the_source = here.there()
            if ends and here.run(number, before=ends)["extract"].exit_code != NothingNew.exit_code:
                here.do("INSERT INTO things VALUES ('late', 'red', NULL, 1) ON CONFLICT DO NOTHING")
            here.run(number)
            if not unknown(here):
                assert here.hauled() == at_the_source
            here.do("DELETE FROM things WHERE thing = 'late'")
        here.run(len(history) + 1)
        if not unknown(here):
            assert here.hauled() == here.there()
        assert clean(here)


def unknown(made):
    """Whether a row was renamed whose long value the log does not have: it waits as a reject, which is no loss."""
    return made.place.database.rows("SELECT 1 FROM haulier.reject WHERE rule = 'unchanged'") != []
