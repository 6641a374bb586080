"""kill -9 at any moment of any step, then a rerun: the same table, the same ledger."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from contextlib import ExitStack

import pytest
from support.steps import STEPS, command, environ, haul, run_cold
from support.things import day, place, snapshot

from haulier.exchange import open_exchange
from haulier.ledger.connection import connect
from haulier.ledger.verify import verify

ROWS = 8_000
MOMENTS = 20
SEED = 20261122


@pytest.fixture(scope="module")
def undisturbed(tier, tmp_path_factory):
    """What two days leave behind when nothing goes wrong, and how long each step took cold."""
    with place(tier, tmp_path_factory.mktemp("undisturbed")) as here:
        here.write("one", 0, ROWS)
        here.write("one", 1, ROWS)
        haul(here.settings, "things", "one", day(0))
        seconds, generation = {}, []
        for step in STEPS:
            started = time.monotonic()
            code, result, log = run_cold(here.environment, step, "things", "one", day(1), *generation)
            seconds[step] = time.monotonic() - started
            assert code == 0, log
            generation = ["--generation", str(result["generation"])]
        yield snapshot(here.database), seconds


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_random_moments_then_run_again(undisturbed, tier, tmp_path, step):
    expected, seconds = undisturbed
    # The seed is fixed; the moments still fall differently on every machine, which is the point.
    moments = random.Random(f"{SEED} {step}")
    killed = 0
    for number in range(3 * MOMENTS):
        if killed == MOMENTS:
            break
        with ExitStack() as stack:
            here = stack.enter_context(place(tier, tmp_path))
            here.write("one", 0, ROWS)
            here.write("one", 1, ROWS)
            haul(here.settings, "things", "one", day(0))
            before = list(STEPS)[: list(STEPS).index(step)]
            for earlier in before:
                _haul_one(here, earlier)
            process = subprocess.Popen(
                command(step, "things", "one", day(1), *(["--generation", "1"] if before else [])),
                env=environ(here.environment),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            time.sleep(moments.uniform(0.1, 0.9) * seconds[step])
            process.send_signal(signal.SIGKILL)
            _, log = process.communicate()
            killed += process.returncode == -signal.SIGKILL
            haul(here.settings, "things", "one", day(1))

            assert snapshot(here.database) == expected, f"{step}, moment {number}: {log.decode()}"
            with connect(here.settings, "test") as connection:
                assert (
                    verify(connection, here.settings, exchange=open_exchange(here.settings), deep=True) == []
                )
    assert killed == MOMENTS, "too many processes ended before they were killed"


def _haul_one(here, step):
    from haulier.task import Task

    STEPS[step](
        Task(
            step=step,
            verb="run",
            pipeline="things",
            instance="one",
            interval=day(1),
            settings=here.settings,
            generation=None if step == "extract" else 1,
        )
    )


def test_five_at_once_one_loads(tier, tmp_path):
    """Five chains of the same interval, started together: one loads, the others end 0 or 77."""
    with place(tier, tmp_path) as alone:
        alone.write("one", 0, ROWS)
        haul(alone.settings, "things", "one", day(0))
        expected = snapshot(alone.database)
    with place(tier, tmp_path) as here:
        here.write("one", 0, ROWS)
        chain = " && ".join(
            " ".join(f"'{word}'" for word in command(step, "things", "one", day(0))) for step in STEPS
        )
        at_once = [
            subprocess.Popen(
                ["/bin/sh", "-c", chain],
                env=environ(here.environment),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for _ in range(5)
        ]
        logs = [process.communicate()[1].decode() for process in at_once]
        codes = [process.returncode for process in at_once]

        assert set(codes) <= {0, 77}, logs
        assert 0 in codes
        assert snapshot(here.database) == expected
        assert here.database.rows("SELECT count(*) FROM haulier.load") == [(1,)]
        with connect(here.settings, "test") as connection:
            assert verify(connection, here.settings, exchange=open_exchange(here.settings), deep=True) == []
