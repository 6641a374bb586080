"""`haulier demo`, as somebody new runs it: twice, with every command it proposes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def test_the_demo_can_be_done_twice_and_what_it_proposes_works(tmp_path: Path) -> None:
    """A tier of its own, thirty runs, the same thirty again, every command it prints, and away with it."""
    environ = dict(os.environ)

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/bash", "-c", line], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    def demo(*words: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "haulier_command", "demo", "--output", "json", *words]
        done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    try:
        first = demo()
        assert len(first["runs"]) == 30
        assert [f"{q['pipeline']}/{q['instance']}" for q in first["quarantined"]] == ["labs/703"]
        assert first["quarantined"][0]["file"] == "labs_2026-01-07.csv.gz", "it says what put it right"
        for held in first["quarantined"]:
            assert held["stripped"] == 1
            assert held["read"] == held["rejects"] + held["held"] + held["filtered"] + held["stripped"]
        for line in first["summary"]:
            assert line["source"]["read"] * 2 == sum(line["source"].values())
            assert line["target"]["produced"] * 2 == sum(line["target"].values())

        second = demo()
        assert second["again"]
        assert {run["outcome"] for run in second["runs"]} == {"already done", "empty", "quarantined"}
        for table in ("clinical.labs", "clinical.vitals"):
            assert second["tables"][table]["sha256_before"] == first["tables"][table]["sha256"]
            assert second["tables"][table] == {
                **second["tables"][table],
                "rows": first["tables"][table]["rows"],
            }
            assert second["tables"][table]["sha256"] == first["tables"][table]["sha256"]

        for line in second["next"][:-1]:
            done = shell(line)
            assert done.returncode == 0, (line, done.stderr)
            assert done.stdout or "--to" in line, line

        # What somebody hauled of their own does not go with the demo.
        psql = ". .haulier/env.sh && psql -c"
        own = "'orders', 'main', '2026-01-05Z', '2026-01-06Z', 'empty'"
        columns = "pipeline, instance, interval_start, interval_end, status"
        made = shell(f'{psql} "INSERT INTO haulier.run ({columns}) VALUES ({own})"')
        assert made.returncode == 0, made.stderr
        kept = shell(f"{sys.executable} -m haulier_command demo --down")
        assert (kept.returncode, "also holds what orders hauled" in kept.stderr) == (2, True)
        # Nobody removes a run from a ledger; this test does.
        gone = shell(
            f"""{psql} "SET session_replication_role = replica" -c "DELETE FROM haulier.run WHERE pipeline = 'orders'" """
        )
        assert gone.returncode == 0, gone.stderr
    finally:
        demo("--down")
    assert not (tmp_path / ".haulier").exists()
