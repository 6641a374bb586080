"""A frozen attempt (SIGSTOP) delays nobody for longer than `idle_in_transaction_session_timeout`.

Seen by exit codes and not by a clock, which a busy machine would set wrong: who waited for a frozen attempt's
lock until the lock timeout ends 75, and it holds the lock until it is thawed, after that.
"""

from __future__ import annotations

import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from support.ledger import findings
from support.steps import command, environ, haul, run_cold
from support.things import day, place, snapshot

from haulier.exchange import open_exchange
from haulier.ledger.connection import connect
from haulier.ledger.verify import verify

ROWS = 3_000
IDLE_SECONDS = 3
LOCK_SECONDS = 60

#: phase -> (step, table whose lock stops the attempt there). Each stops while holding more than the one before.
PHASES = {
    "reserving, with the instance locked": ("extract", "haulier.generation_delivery"),
    "acquiring, with the run's row locked": ("load", "haulier.attempt"),
    "judging, with the target locked": ("load", "shop.things"),
    "writing rejects, with rows merged": ("load", "haulier.reject"),
    "just before commit": ("load", "haulier.chain"),
}


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this should have happened by now"
        time.sleep(0.02)


@pytest.fixture
def here(tier, tmp_path):
    limits = {
        "HAULIER_IDLE_TIMEOUT_SECONDS": str(IDLE_SECONDS),
        "HAULIER_LOCK_TIMEOUT_SECONDS": str(LOCK_SECONDS),
    }
    with place(tier, tmp_path, **limits) as made:
        for instance in ("one", "two"):
            for number in (0, 1):
                made.write(instance, number, ROWS)
            haul(made.settings, "things", instance, day(0))
        yield made


@pytest.mark.parametrize("phase", PHASES)
def test_frozen_while(here, phase):
    step, table = PHASES[phase]
    if step == "load":
        for earlier in ("extract", "transform"):
            assert run_cold(here.environment, earlier, "things", "one", day(1))[0] == 0
    with closing(here.database.connect()) as blocker:
        with blocker.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        frozen = subprocess.Popen(
            command(step, "things", "one", day(1)),
            env=environ(here.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        wait_for(
            lambda: here.database.rows(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass", [table]
            )[0][0]
        )
        frozen.send_signal(signal.SIGSTOP)
        blocker.rollback()
    try:
        with ThreadPoolExecutor(2) as pool:
            # The next attempt of the same run, and another site that loads the same table.
            both = [pool.submit(_haul_cold, here, instance) for instance in ("one", "two")]
            codes = [future.result() for future in both]
    finally:
        frozen.send_signal(signal.SIGCONT)
        _, log = frozen.communicate(timeout=30)

    assert codes == [[0, 0, 0], [0, 0, 0]]
    # Thawed, it finds that the ledger has the run, or that the run is no longer its own.
    assert frozen.returncode in (0, 75, 77), log.decode()
    _settled(here)


def test_frozen_while_copying(here):
    """No lock is held then: nobody waits at all."""
    here.write("one", 2, 200_000)
    for earlier in ("extract", "transform"):
        assert run_cold(here.environment, earlier, "things", "one", day(2))[0] == 0
    frozen = subprocess.Popen(
        command("load", "things", "one", day(2)),
        env=environ(here.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for(
        lambda: here.database.rows(
            "SELECT count(*) FROM pg_stat_progress_copy WHERE datname = current_database() AND bytes_processed > 0"
        )[0][0]
    )
    frozen.send_signal(signal.SIGSTOP)
    try:
        assert _haul_cold(here, "two") == [0, 0, 0]
        code, _, said = run_cold(here.environment, "load", "things", "one", day(2))
        assert code == 0, said
    finally:
        frozen.send_signal(signal.SIGCONT)
        _, log = frozen.communicate(timeout=60)

    # It finds what the other attempt recorded of the same content.
    assert frozen.returncode == 0, log.decode()
    haul(here.settings, "things", "one", day(1))
    with connect(here.settings, "test") as connection:
        assert verify(connection, here.settings, exchange=open_exchange(here.settings)) == []


def _haul_cold(here, instance):
    return [
        run_cold(here.environment, step, "things", instance, day(1))[0]
        for step in ("extract", "transform", "load")
    ]


def _settled(here):
    before = snapshot(here.database)
    for instance in ("one", "two"):
        haul(here.settings, "things", instance, day(1))
    assert snapshot(here.database) == before
    assert len(before["load"]) == 4
    assert findings(here.settings) == []
