"""SIGTERM while a step waits for a lock, where Python itself would not notice it."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import closing

from support.steps import command, environ
from support.things import day, place

_WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_extract_ends_143_though_nobody_gives_it_the_lock(tier, tmp_path):
    with place(tier, tmp_path) as here, closing(here.database.connect()) as connection:
        here.write("one", 0, 100)
        connection.cursor().execute("LOCK TABLE haulier.delivery")
        process = subprocess.Popen(
            command("extract", "things", "one", day(0)),
            env=environ({**here.environment, "HAULIER_LOCK_TIMEOUT_SECONDS": "600"}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        while not here.database.rows(_WAITING) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()

        assert process.returncode == 143, said.decode()
