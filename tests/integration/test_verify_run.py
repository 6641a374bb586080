"""`haulier_load verify` of one run: what is wrong with it is found, what is wrong elsewhere is not asked."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing

import pytest
from support.steps import environ, haul
from support.things import day, place

from haulier.exchange import open_exchange
from haulier.ledger.connection import connect
from haulier.ledger.reports import report
from haulier.ledger.verify import verify


@pytest.fixture
def here(tier, tmp_path):
    """Three runs of one table: two days of one instance, one of another."""
    with place(tier, tmp_path) as made:
        for instance, number in (("one", 0), ("one", 1), ("two", 0)):
            made.write(instance, number, 200)
            haul(made.settings, "things", instance, day(number))
        yield made


def forged(here, *statements):
    """As somebody would who may switch triggers off."""
    with closing(here.database.connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            cursor.execute(statement)
            assert cursor.rowcount, statement


def wrong(here, run_id):
    with connect(here.settings, "test") as connection:
        found = verify(connection, here.settings, exchange=open_exchange(here.settings), run_id=run_id)
    return {one.invariant for one in found}


FORGERIES = {
    "I1: a reject is gone": (
        "I1",
        "DELETE FROM haulier.reject WHERE reject_id = (SELECT min(reject_id) FROM haulier.reject WHERE load_id = 2)",
    ),
    "I1: a line of the history is gone": (
        "I1",
        "DELETE FROM haulier.history WHERE history_id = (SELECT min(history_id) FROM haulier.history WHERE load_id = 2)",
    ),
    "I2: a row is gone": (
        "I2",
        "DELETE FROM shop.things WHERE ctid = (SELECT min(ctid) FROM shop.things WHERE _haulier_load = 2)",
    ),
    "I2: a row too many": (
        "I2",
        "INSERT INTO shop.things (thing, colour, price, _haulier_load, _haulier_delivery, _haulier_row,"
        " _haulier_sequence, _haulier_generation, _haulier_ordered, _haulier_since) SELECT 'forged', colour, price, _haulier_load, _haulier_delivery,"
        " _haulier_row, _haulier_sequence, _haulier_generation, _haulier_ordered, _haulier_since FROM shop.things WHERE _haulier_load = 2 LIMIT 1",
    ),
    "I2: a row of a file that was never reserved": (
        "I2",
        "UPDATE shop.things SET _haulier_delivery = 77 WHERE ctid ="
        " (SELECT min(ctid) FROM shop.things WHERE _haulier_load = 2)",
    ),
    "I5: the generation fell": ("I5", "UPDATE haulier.run SET generation = 0 WHERE run_id = 2"),
    "I5: the fence fell": ("I5", "UPDATE haulier.run SET fence = 0 WHERE run_id = 2"),
    "I7: a reject of another file": ("I7", "UPDATE haulier.reject SET delivery_id = 3 WHERE load_id = 2"),
    "I7: a reject that nothing replayed": (
        "I7",
        "INSERT INTO haulier.reject_event (reject_id, status, load_id)"
        " SELECT min(reject_id), 'replayed', 2 FROM haulier.reject WHERE load_id = 2",
    ),
    "I8: the account was rewritten": (
        "I8",
        "UPDATE haulier.load SET duplicate = duplicate + 1, produced = produced + 1 WHERE load_id = 2",
    ),
    "I8: a link is gone": ("I8", "DELETE FROM haulier.chain WHERE load_id = 2"),
    "I8: the load before it was rewritten": (
        "I8",
        "UPDATE haulier.load SET actor = 'nobody' WHERE load_id = 1",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.requirement("R-07")
def test_what_is_wrong_with_a_run_is_found_in_it(here, name):
    invariant, statement = FORGERIES[name]
    assert wrong(here, 2) == set()

    forged(here, statement)

    assert invariant in wrong(here, 2)


@pytest.mark.parametrize("step", ["extract", "transform"])
def test_a_lost_part_is_found(here, step):
    exchange = open_exchange(here.settings)
    from haulier.keys import RunKeys
    from haulier.sealing import read_manifest

    keys = RunKeys(pipeline="things", instance="one", interval=day(1), content="g1")
    exchange.delete(read_manifest(exchange, keys, step).parts[0].key)

    assert wrong(here, 2) == {"I4"}
    assert wrong(here, 1) == set()


def test_later_runs_take_rows_over_and_an_earlier_one_is_still_right(here):
    for number in (2, 3):
        here.write("one", number, 200)
        haul(here.settings, "things", "one", day(number))

    assert [wrong(here, run_id) for run_id in (1, 2, 3, 4, 5)] == [set()] * 5


def test_another_runs_loss_is_not_this_ones(here):
    forged(here, "DELETE FROM shop.things WHERE _haulier_load = 3")

    assert wrong(here, 2) == set()
    assert wrong(here, 3) == {"I2"}


def asked(here, *more):
    done = subprocess.run(
        [sys.executable, "-m", "haulier_load", "verify", *more],
        env=environ(here.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    return done.returncode, json.loads(lines[0]) if lines else {}, done.stderr


ONE = ("--pipeline", "things", "--instance", "one")
SECOND = ("--interval-start", "2026-01-06T00:00:00Z", "--interval-end", "2026-01-07T00:00:00Z")


@pytest.mark.requirement("R-16")
def test_a_runs_report_counts_it_and_shows_no_value(here):
    code, told, _ = asked(here, *ONE, *SECOND)

    assert code == 0
    assert told["ok"]
    assert (told["run"], told["generation"], told["outcome"]) == (2, 1, "loaded")
    assert told["source"] == {
        "deliveries": 1,
        "read": 200,
        "accepted": 195,
        "filtered": 0,
        "rejected": 5,
        "stripped": 0,
    }
    (load,) = told["loads"]
    assert (
        load["produced"]
        == 195
        == sum(load[name] for name in ("inserted", "updated", "unchanged", "duplicate", "rejected"))
    )
    assert {rule: n["open"] for rule, n in told["rejects"].items()} == {"type": 5, "key-conflict": 4}
    assert "colour" not in json.dumps(told)


def test_a_violation_ends_65_with_the_report(here):
    forged(here, FORGERIES["I2: a row is gone"][1])

    code, told, said = asked(here, *ONE, *SECOND)

    assert code == 65
    assert not told["ok"]
    assert told["findings"][0][0] == "I2"
    assert told["run"] == 2
    assert '"invariant": "I2"' in said


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (ONE, "together"),
        (
            (*ONE, "--interval-start", "2027-01-06T00:00:00Z", "--interval-end", "2027-01-07T00:00:00Z"),
            "knows no run",
        ),
    ],
)
def test_a_run_half_named_or_unknown_ends_2(here, more, problem):
    code, told, said = asked(here, *more)

    assert (code, told) == (2, {})
    assert problem in said


#: Two thousand older runs of another instance: 8,000 rejects, 2,000 of them resolved, 200,000 rows.
OLD = (
    "INSERT INTO haulier.run (pipeline, instance, interval_start, interval_end, generation, fence, status)"
    " SELECT 'things', 'old', '2000-01-01Z'::timestamptz + n * interval '1 day', '2000-01-02Z'::timestamptz + n * interval '1 day',"
    " 1, n, 'loaded' FROM generate_series(1, 2000) n",
    "INSERT INTO haulier.generation SELECT run_id, 1, '', '', '' FROM haulier.run WHERE instance = 'old'",
    "INSERT INTO haulier.delivery (pipeline, instance, logical_name, sequence, sha256, bytes, uri, modified_at, original,"
    " disposition, run_id) SELECT 'things', 'old', run_id::text, 1, repeat('0', 64), 1, run_id::text, now(), '', 'reserved', run_id"
    " FROM haulier.run WHERE instance = 'old'",
    "INSERT INTO haulier.generation_delivery SELECT run_id, 1, delivery_id FROM haulier.delivery WHERE instance = 'old'",
    "INSERT INTO haulier.load (kind, target, run_id, generation, input_digest, manifest, definition_digest, outcome, exit_code, mode,"
    " fence, attempt_id, actor, versions, produced, inserted, updated, unchanged, superseded, duplicate, deleted, rejected, held,"
    " removed, started_at) SELECT 'run', 'shop.things', run_id, 1, '', '', '', 'loaded', 0, 'upsert', fence, gen_random_uuid(), '',"
    " '{}', 100, 100, 0, 0, 0, 0, 0, 0, 0, 0, now() FROM haulier.run WHERE instance = 'old'",
    "INSERT INTO haulier.source_account SELECT load_id, delivery_id, 104, 100, 0, 4, 0"
    " FROM haulier.load JOIN haulier.delivery USING (run_id) WHERE instance = 'old'",
    "INSERT INTO haulier.reject (load_id, delivery_id, row_number, step, rule, message, problems, verbatim, verbatim_bytes)"
    " SELECT load_id, delivery_id, n, 'transform', 'type', '', '[]', '', 0"
    " FROM haulier.source_account, generate_series(1, 4) n WHERE read = 104",
    "INSERT INTO haulier.reject_event (reject_id, status, load_id) SELECT reject_id, 'corrected', load_id FROM haulier.reject"
    " WHERE row_number = 4 AND message = ''",
    "INSERT INTO shop.things SELECT 'old-' || load_id || '-' || n, 'red', 1, load_id, delivery_id, n, 1, 1, now(), load_id"
    " FROM haulier.source_account, generate_series(1, 100) n WHERE read = 104 ORDER BY load_id",
    "INSERT INTO haulier.chain SELECT target, 10 + row_number() OVER (ORDER BY load_id), load_id, '', '', '', ''"
    " FROM haulier.load JOIN haulier.run USING (run_id) WHERE instance = 'old'",
)


def test_what_one_run_costs_does_not_grow_with_the_ledger(here):
    """Pages that PostgreSQL reads for the last run, before and after two thousand runs came to the ledger."""
    forged(here, *OLD)
    for number in (2, 3):
        here.write("one", number, 200)
        haul(here.settings, "things", "one", day(number))
    # As autovacuum does, in its own time.
    here.database.rows("SELECT brin_summarize_new_values('shop.things_haulier_load')")
    here.database.rows("ANALYZE VERBOSE")
    ((run_id,),) = here.database.rows("SELECT max(run_id) FROM haulier.run")

    of_all, of_one = pages(here, None), pages(here, run_id)

    assert wrong(here, run_id) == set()
    assert of_one < of_all / 10


def pages(here, run_id):
    count = (
        "SELECT pg_stat_force_next_flush(), sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit + idx_blks_read, 0))"
        " FROM pg_statio_user_tables"
    )
    before = here.database.rows(count)[0][1]
    with connect(here.settings, "test") as connection:
        verify(connection, here.settings, run_id=run_id)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")

    return here.database.rows(count)[0][1] - before


def test_a_report_of_a_run_nobody_knows_is_none(here):
    with connect(here.settings, "test") as connection:
        assert report(connection, here.settings, "things", "one", day(40)) is None
