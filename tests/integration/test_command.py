"""What the haulier command does over real servers: run, plan, verify, replay and migrate."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from generator.trial import Trial
from support.databases import Database
from support.hauled import CLINICAL, Hauled, place

from haulier_command.embedded import Tier


@pytest.fixture
def fresh(tier: Tier, database: Database, tmp_path: Path) -> Hauled:
    """The first two days' files, and nothing hauled yet."""
    made = place(tier, database, tmp_path / "home")
    for day in range(2):
        Trial().deliver(day, made.home / "landing")
    return made


def test_a_range_is_hauled_by_cold_processes_side_by_side(fresh: Hauled) -> None:
    words = ("run", "--pipeline", "vitals", "--from", "2026-01-05", "--to", "2026-01-06", "--jobs", "2")
    document = fresh.json(*words)
    assert {one["outcome"] for one in document["runs"]} == {"loaded"}
    assert len(document["runs"]) == 3
    for line in document["summary"]:
        source, target = line["source"], line["target"]
        assert source["read"] == sum(source.values()) - source["read"] > 0
        assert target["produced"] == sum(target.values()) - target["produced"] > 0
    table = fresh.database.rows("clinical.vitals")

    again = fresh.json(*words)
    assert {one["outcome"] for one in again["runs"]} == {"already done"}
    assert fresh.database.rows("clinical.vitals") == table


def test_a_file_that_waits_is_named_by_plan_and_run(fresh: Hauled) -> None:
    """Whoever only sees that the day was empty would never look for it."""
    landed = next((fresh.home / "landing" / "701").glob("*/labs_*.csv"))
    modified = landed.stat().st_mtime
    landed.write_bytes(landed.read_bytes().rstrip(b"\r\n"))
    os.utime(landed, (modified, modified))
    for other in (fresh.home / "landing" / "701").glob("*/*labs_*.csv"):
        if other != landed:
            other.unlink()
    day = datetime.fromtimestamp(modified, UTC).date()
    one = ("--pipeline", "labs", "--instance", "701", "--interval-start", f"{day}T00:00:00Z")
    one += ("--interval-end", f"{day + timedelta(days=1)}T00:00:00Z")

    planned, ran = fresh.text("plan", *one), fresh.text("run", *one, "--in-process")
    document = fresh.json("run", *one, "--in-process")

    for said in (planned, ran, document["runs"][0]["waits"][0]):
        assert landed.name in said
        assert "its last line has no end" in said
    assert document["runs"][0]["outcome"] == "empty"


def test_what_is_due_is_hauled_once(fresh: Hauled) -> None:
    due = ("run", "--due", "--now", "2026-01-07T00:00:00Z", "--pipeline", "labs", "--in-process")
    assert len(fresh.json(*due)["runs"]) == 6
    assert fresh.json(*due)["runs"] == []
    assert "nothing is due" in fresh.text(*due)


def test_days_without_a_file_are_one_line_of_each_instance(fresh: Hauled) -> None:
    """A schedule that is asked of after a long while has many."""
    days = ("run", "--from", "2026-02-01", "--to", "2026-02-04", "--pipeline", "labs", "--in-process")
    code, out, err = fresh.say(*days)
    assert code == 0
    expected = [f"labs/{site}, 3 runs since 2026-02-01: 3 empty" for site in ("701", "702", "703")]
    assert out.splitlines() == expected
    assert [line.rpartition(" (")[0] for line in err.splitlines()] == expected
    assert len(fresh.json(*days)["runs"]) == 9


def test_a_plan_counts_and_writes_nothing(fresh: Hauled) -> None:
    at = ("--interval-start", "2026-01-05T00:00:00Z", "--interval-end", "2026-01-06T00:00:00Z")
    landed = next((fresh.home / "landing" / "701").glob("*/labs_2026-01-05.csv"))
    # A row that the file repeats is one row of the table, in a plan as in a run.
    modified, lines = landed.stat().st_mtime, landed.read_bytes().splitlines(keepends=True)
    landed.write_bytes(b"".join([*lines, lines[-1]]))
    os.utime(landed, (modified, modified))
    text = fresh.text("plan", "--pipeline", "labs", "--instance", "701", *at)
    assert "labs_2026-01-05.csv" in text
    assert "CREATE TABLE clinical.labs" in text
    assert "Nothing was written" in text
    assert fresh.database.rows("haulier.run") == []
    assert fresh.database.rows("haulier.delivery") == []
    assert fresh.database.rows("SELECT to_regclass('clinical.labs')") == [(None,)]
    assert not (fresh.home / "exchange").exists() or not any(
        path.is_file() for path in (fresh.home / "exchange").rglob("*")
    )
    planned = fresh.json("plan", "--pipeline", "labs", "--instance", "701", *at)["steps"]["load"]["counts"]
    done = fresh.json("run", "--pipeline", "labs", "--instance", "701", *at, "--in-process")
    did = done["summary"][0]["target"]
    assert planned["inserted"] == did["inserted"] > 0
    assert planned["duplicate"] == did["duplicate"] == 1


def test_what_is_printed_for_doing_it_by_hand_works(fresh: Hauled) -> None:
    words = ("run", "--pipeline", "labs", "--instance", "702", "--from", "2026-01-05", "--to", "2026-01-06")
    printed = fresh.json(*words, "--print")
    assert len(printed["commands"]) == 3
    assert fresh.database.environment["PGPASSWORD"] not in json.dumps(printed)
    secret = f"export PGPASSWORD='{fresh.database.environment['PGPASSWORD']}'"
    script = "\n".join(["set -e", secret, *printed["environment"], *printed["commands"]])
    done = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, env={}, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["outcome"] == "loaded"


def test_a_wrong_definition_is_told_and_stops_the_instance(fresh: Hauled, tmp_path: Path) -> None:
    (tmp_path / "definitions" / "pipelines").mkdir(parents=True)
    text = (CLINICAL / "pipelines" / "labs.yaml").read_text().replace("mode: upsert", "mode: upsrt")
    (tmp_path / "definitions" / "pipelines" / "labs.yaml").write_text(text)
    wrong = Hauled(
        environ={**fresh.environ, "HAULIER_DEFINITIONS": str(tmp_path / "definitions")},
        database=fresh.database,
        home=fresh.home,
    )
    code, out, err = wrong.say("run", "--pipeline", "labs", "--from", "2026-01-05", "--to", "2026-01-07")
    assert (code, out) == (2, "")
    assert 'did you mean "upsert"' in err
    checked = wrong.json("check", code=2)
    assert not checked["ok"]
    assert any("upsrt" in one["text"] for one in checked["checked"] if not one["ok"])


@pytest.mark.requirement("R-03")
def test_verify_proves_it_and_notices_a_forgery(fresh: Hauled) -> None:
    at = ("--from", "2026-01-05", "--to", "2026-01-06", "--pipeline", "labs", "--in-process")
    fresh.text("run", *at)
    assert fresh.json("verify", "--deep")["ok"]
    one = ("--pipeline", "labs", "--instance", "701", "--from", "2026-01-05", "--to", "2026-01-06")
    (run,) = fresh.json("verify", *one)["runs"]
    assert run["source"]["read"] == sum(
        run["source"][n] for n in ("accepted", "filtered", "rejected", "stripped")
    )
    assert "What became of it" in fresh.text("verify", *one)
    assert len(fresh.json("verify", *at[:6])["runs"]) == 3
    assert "knows no run" in fresh.say("verify", *one[:4], "--from", "2026-02-05", "--to", "2026-02-06")[2]
    assert "name the runs, too" in fresh.say("verify", "--pipeline", "labs")[2]
    fresh.database.rows("DELETE FROM clinical.labs WHERE ctid = (SELECT min(ctid) FROM clinical.labs)")
    found = fresh.json("verify", "--target", "clinical.labs", code=65)
    assert found["invariants"]["I2"] > 0
    assert "wrong" in fresh.text("verify", code=65)


@pytest.mark.requirement("R-08")
def test_a_replay_after_a_fix_brings_the_row_in(fresh: Hauled, tmp_path: Path) -> None:
    definitions = tmp_path / "definitions"
    shutil.copytree(CLINICAL, definitions, ignore=shutil.ignore_patterns("generator"))
    contract = definitions / "contracts" / "labs.odcs.yaml"
    whole = contract.read_text()
    without = re.sub(r"\n *- \{value: ALB,.*", "", whole)
    assert without != whole
    contract.write_text(without)
    strict = Hauled(
        environ={**fresh.environ, "HAULIER_DEFINITIONS": str(definitions)},
        database=fresh.database,
        home=fresh.home,
    )
    at = ("--pipeline", "labs", "--instance", "701")
    strict.text("run", *at, "--from", "2026-01-05", "--to", "2026-01-06", "--in-process")
    rejected = strict.json("rejects", "list")["rejects"]
    assert rejected > 0

    still = strict.json("replay", *at, "--reason", "hoping", "--in-process")
    assert [(one["replayed"], one["failed_again"]) for one in still["replays"]] == [(0, rejected)]

    contract.write_text(whole)
    fixed = strict.json("replay", *at, "--reason", "ALB is a test code after all", "--in-process")
    assert [(one["replayed"], one["failed_again"]) for one in fixed["replays"]] == [(rejected, 0)]
    assert strict.database.rows("SELECT reason, actor FROM haulier.replay ORDER BY replay_id") == [
        ("hoping", "tester"),
        ("ALB is a test code after all", "tester"),
    ]
    assert "--reason is empty" in strict.say("replay", *at, "--reason", " ", "--in-process")[2]
    assert strict.json("rejects", "list")["rejects"] == 0
    assert "no open reject" in strict.text("replay", *at, "--reason", "again", "--in-process")
    assert strict.json("verify", "--deep")["ok"]


def test_migrate_can_be_repeated(fresh: Hauled) -> None:
    assert "version" in fresh.text("migrate")


def test_ctrl_c_ends_the_steps_and_says_what_was_done(fresh: Hauled, until: Callable[..., None]) -> None:
    command = [sys.executable, "-m", "haulier_command", "run", "--from", "2026-01-05", "--to", "2026-01-07"]
    process = subprocess.Popen(
        command, env=dict(fresh.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    logs = fresh.home / "logs"
    until(lambda: logs.exists() and any(logs.rglob("*.log")))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, (out, err)
    assert "cancelled" in out + err


@pytest.fixture
def until() -> Callable[..., None]:
    def wait(condition: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    return wait
