"""A run in shards leaves the table and the ledger that the whole run leaves, whatever happens to a shard."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from support.ledger import findings
from support.steps import STEPS, command, environ, haul, run_cold
from support.things import DEFINITIONS, day, place, snapshot

from haulier.errors import DefinitionError, FencedError
from haulier.exchange import ObjectMissing
from haulier.task import Task
from haulier_load import sharded

ROWS, BATCH_ROWS, SHARD_ROWS = 4_000, 500, 1_000
SHARDS = (1, 2, 3, 4)
MOMENTS = 12


@pytest.fixture(scope="module")
def whole(tier, tmp_path_factory):
    """What two days leave behind in one piece."""
    with place(tier, tmp_path_factory.mktemp("whole")) as made:
        for number in (0, 1):
            made.write("one", number, ROWS)
            haul(made.settings, "things", "one", day(number))
        yield snapshot(made.database)


@contextmanager
def in_shards(tier, folder):
    """Two days' files where runs are split, the first day loaded."""
    definitions = folder / "definitions"
    if not definitions.exists():
        shutil.copytree(DEFINITIONS, definitions)
        pipeline = definitions / "pipelines" / "things.yaml"
        pipeline.write_text(f"{pipeline.read_text()}split: {{rows: {SHARD_ROWS}}}\n")
    limits = {"HAULIER_BATCH_ROWS": str(BATCH_ROWS), "HAULIER_IDLE_TIMEOUT_SECONDS": "3"}
    with place(tier, folder, HAULIER_DEFINITIONS=str(definitions), **limits) as made:
        for number in (0, 1):
            made.write("one", number, ROWS)
        haul(made.settings, "things", "one", day(0))
        yield made


@pytest.fixture
def here(tier, tmp_path):
    with in_shards(tier, tmp_path) as made:
        yield made


def do(here, step, shard=None, generation=1):
    asked = {} if step == "extract" else {"generation": generation, "shard": shard}
    task = Task(
        step=step,
        verb="run",
        pipeline="things",
        instance="one",
        interval=day(1),
        settings=here.settings,
        **asked,
    )
    return STEPS[step](task)


def settled(here, whole):
    """The ledger is clean, nothing is left in the stage, and all is as if the run had never been split."""
    assert snapshot(here.database) == whole
    assert here.database.rows("SELECT count(*) FROM haulier.staged_shard") == [(0,)]
    assert stages(here) == []
    assert findings(here.settings) == []


def stages(here):
    return here.database.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'haulier_stage'::regnamespace"
    )


def test_shards_in_any_order_leave_what_the_whole_run_leaves(here, whole):
    assert do(here, "extract").shards == len(SHARDS)
    for step, order in (("transform", (3, 1, 4, 2)), ("load", (2, 4, 3, 1))):
        for shard in order:
            do(here, step, shard)
            again = do(here, step, shard)
            assert again.outcome == "already done"
    loaded = do(here, "load")

    assert loaded.outcome == "loaded"
    settled(here, whole)
    assert do(here, "load").outcome == "already done"
    assert do(here, "load", 2).outcome == "already done"
    settled(here, whole)


def test_the_whole_run_may_be_hauled_without_asking_for_shards(here, whole):
    haul(here.settings, "things", "one", day(1))

    settled(here, whole)


@pytest.mark.parametrize("staged", [(), (2, 3)], ids=["none", "some"])
def test_what_no_task_staged_the_closing_load_copies(here, whole, staged):
    do(here, "extract")
    for shard in SHARDS:
        do(here, "transform", shard)
    for shard in staged:
        do(here, "load", shard)
    do(here, "load")

    settled(here, whole)


def test_a_stage_that_a_crash_emptied_is_not_believed(here, whole):
    """PostgreSQL empties UNLOGGED tables when it recovers; what it recorded of them stays."""
    do(here, "extract")
    for step in ("transform", "load"):
        for shard in SHARDS:
            do(here, step, shard)
    ((stage,),) = stages(here)
    here.database.rows(f'TRUNCATE haulier_stage."{stage}"')
    do(here, "load")

    settled(here, whole)


def test_the_closing_load_waits_for_every_shard(here):
    do(here, "extract")
    for shard in (1, 2, 4):
        do(here, "transform", shard)

    with pytest.raises(
        ObjectMissing, match=r"transform/3/manifest.json is not there: transform must run first"
    ):
        do(here, "load")
    with pytest.raises(DefinitionError, match=r"--shard 5: .* into 4"):
        do(here, "transform", 5)


def test_a_shard_of_an_older_generation_is_fenced_and_its_stage_goes(here):
    do(here, "extract")
    for shard in SHARDS:
        do(here, "transform", shard)
        do(here, "load", shard)
    here.write("one", 1, ROWS + 100)
    assert do(here, "extract").generation == 2

    with pytest.raises(FencedError, match=r"at generation 2"):
        do(here, "load", 1)
    do(here, "transform", generation=2)
    assert do(here, "load", generation=2).outcome == "loaded"
    assert stages(here) == []


def test_the_same_shard_five_times_at_once_counts_once(here, whole):
    do(here, "extract")
    for shard in SHARDS:
        do(here, "transform", shard)
    at_once = [
        subprocess.Popen(
            command("load", "things", "one", day(1), "--generation", "1", "--shard", str(shard)),
            env=environ(here.environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for shard in (*SHARDS, 2, 2, 2, 2)
    ]
    logs = [process.communicate()[1].decode() for process in at_once]

    assert {process.returncode for process in at_once} == {0}, logs
    ((stage,),) = stages(here)
    assert here.database.rows(f'SELECT count(*) FROM haulier_stage."{stage}"') == here.database.rows(
        "SELECT sum(rows)::bigint FROM haulier.staged_shard"
    )
    do(here, "load")
    settled(here, whole)


def test_shards_killed_at_random_moments_then_run_again(tier, tmp_path, whole):
    """Each round kills a shard's transform, a shard's load and the closing load somewhere in its middle."""
    moments = random.Random("shards")
    killed = 0
    for _ in range(MOMENTS):
        with in_shards(tier, tmp_path) as made:
            do(made, "extract")
            for shard in SHARDS:
                if shard == 2:
                    killed += _killed(made, moments, "transform", "--shard", "2")
                do(made, "transform", shard)
            for shard in SHARDS:
                if shard == 3:
                    killed += _killed(made, moments, "load", "--shard", "3")
                do(made, "load", shard)
            killed += _killed(made, moments, "load")
            do(made, "load")
            # A killed close may have committed before it could clear up; the next one does.
            made.write("one", 2, 10)
            haul(made.settings, "things", "one", day(2))
            assert stages(made) == []
            rest = {name: lines for name, lines in snapshot(made.database).items() if name == "load"}
            assert rest["load"][:2] == whole["load"]
            assert findings(made.settings) == []
    assert killed >= MOMENTS, "too many processes ended before they were killed"


def _killed(here, moments, step, *more):
    process = subprocess.Popen(
        command(step, "things", "one", day(1), "--generation", "1", *more),
        env=environ(here.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(moments.uniform(0.1, 0.9))
    process.send_signal(signal.SIGKILL)
    process.wait()
    return process.returncode == -signal.SIGKILL


def test_a_shard_frozen_while_copying_blocks_nobody(here):
    """Its table stays behind, since it holds it, and goes with the next load once it has ended."""
    here = replace(here, environment={**here.environment, "HAULIER_BATCH_ROWS": "100000"})
    here.write("one", 1, 300_000)
    shards = do(here, "extract").shards
    for shard in range(1, shards + 1):
        do(here, "transform", shard)
    frozen = subprocess.Popen(
        command("load", "things", "one", day(1), "--generation", "1", "--shard", "1"),
        env=environ(here.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _until(
        lambda: here.database.rows(
            "SELECT count(*) FROM pg_stat_progress_copy WHERE datname = current_database()"
        )[0][0]
    )
    frozen.send_signal(signal.SIGSTOP)
    try:
        code, result, said = run_cold(
            here.environment, "load", "things", "one", day(1), "--generation", "1", "--shard", "1"
        )
        assert (code, result["outcome"]) == (0, "staged"), said
        code, result, said = run_cold(here.environment, "load", "things", "one", day(1), "--generation", "1")
        assert (code, result["outcome"]) == (0, "loaded"), said
    finally:
        frozen.send_signal(signal.SIGCONT)
        _, log = frozen.communicate(timeout=60)

    # It copied to its end and found its shard recorded.
    assert frozen.returncode == 0, log.decode()


def test_a_shard_that_slept_until_its_run_was_loaded_finds_it_done(here, whole, monkeypatch):
    """Its stage is gone by then, which is no fault of anybody's."""
    do(here, "extract")
    for shard in SHARDS:
        do(here, "transform", shard)

    def slept(*arguments):
        monkeypatch.undo()
        assert do(here, "load").outcome == "loaded"
        return copied(*arguments)

    copied = sharded._copied
    monkeypatch.setattr(sharded, "_copied", slept)

    assert do(here, "load", 1).outcome == "already done"
    settled(here, whole)


def _until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this should have happened by now"
        time.sleep(0.01)
