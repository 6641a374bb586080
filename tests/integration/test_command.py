"""The haulier command over real servers: five days of the clinical example, hauled and then looked at."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from generator.trial import Trial
from support.databases import Database, fresh_database

from haulier_command.__main__ import main
from haulier_command.embedded import Tier

CLINICAL = Path(__file__).parents[2] / "examples" / "clinical"
QUARANTINED_DAY = "2026-01-07"


@dataclass(frozen=True, kw_only=True)
class Hauled:
    """A place where the command works: its environment, its database."""

    environ: Mapping[str, str]
    database: Database
    home: Path

    def say(self, *words: str) -> tuple[int, str, str]:
        """(exit code, stdout, stderr) of one command, in this process."""
        out, err = io.StringIO(), io.StringIO()
        before = sys.stdout, sys.stderr, [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
        sys.stdout, sys.stderr = out, err
        try:
            code = main(words, self.environ)
        finally:
            sys.stdout, sys.stderr = before[:2]
            for number, handler in zip((signal.SIGTERM, signal.SIGINT), before[2], strict=True):
                signal.signal(number, handler)
        return code, out.getvalue(), err.getvalue()

    def text(self, *words: str, code: int = 0) -> str:
        found, out, err = self.say(*words)
        assert found == code, (out, err)
        return out

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.text(*words, "--output", "json", code=code))


def place(tier: Tier, database: Database, folder: Path) -> Hauled:
    folder.mkdir(exist_ok=True)
    environ = {
        **os.environ,
        **database.environment,
        "HAULIER_HOME": str(folder),
        "HAULIER_EXCHANGE": f"file://{folder}/exchange",
        "HAULIER_DEFINITIONS": str(CLINICAL),
        "HAULIER_SOURCE_ROOT": str(folder / "landing"),
        "HAULIER_ACTOR": "tester",
    }
    return Hauled(environ=environ, database=database, home=folder)


@pytest.fixture(scope="module")
def hauled(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hauled]:
    """Five days of three sites, each day hauled when its files had arrived. Tests here only look."""
    folder = tmp_path_factory.mktemp("hauled")
    trial = Trial()
    with fresh_database(tier) as database:
        made = place(tier, database, folder)
        for day in range(trial.days):
            trial.deliver(day, folder / "landing")
            date = trial.date_of(day)
            start, end = f"{date}T00:00:00Z", f"{trial.date_of(0).replace(day=date.day + 1)}T00:00:00Z"
            expected = 65 if str(date) == QUARANTINED_DAY else 0
            made.json("run", "--interval-start", start, "--interval-end", end, "--in-process", code=expected)
            if expected:
                (folder / "status.json").write_text(made.text("status", "--now", end, "--output", "json"))
                (folder / "status.txt").write_text(made.text("status", "--now", end))
        yield made


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


def test_check_finds_nothing_well_where_there_is_no_pipeline(hauled: Hauled, tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    nowhere = Hauled(
        environ={**hauled.environ, "HAULIER_DEFINITIONS": str(tmp_path)},
        database=hauled.database,
        home=hauled.home,
    )
    checked = nowhere.json("check", code=2)

    assert [one["text"] for one in checked["checked"] if one["subject"] == "definitions"] == [
        f"there is no pipeline in {tmp_path}/pipelines; HAULIER_DEFINITIONS names the folder around it"
    ]


def test_check_finds_all_well(hauled: Hauled) -> None:
    document = hauled.json("check")
    assert document["ok"]
    assert {one["by"] for one in document["checked"]} == {"haulier", "extract", "transform", "load"}


def test_status_shows_a_quarantined_run_first_until_its_files_come_corrected(hauled: Hauled) -> None:
    early = json.loads((hauled.home / "status.json").read_text())
    first = early["instances"][0]
    assert (first["pipeline"], first["instance"], first["state"]) == ("labs", "703", "quarantined")
    assert {one["state"] for one in early["instances"][1:]} == {"on time"}
    assert (hauled.home / "status.txt").read_text().startswith("Quarantined: 1 run of which no row entered\n")

    later = hauled.json("status", "--now", "2026-01-10T00:00:00Z")
    assert [one["corrected"] for one in later["quarantined"]] == [True]
    assert {one["state"] for one in later["instances"]} == {"on time"}
    assert "corrected since" in hauled.text("status")
    due = ("run", "--due", "--now", "2026-01-10T00:00:00Z")
    assert hauled.json(*due)["runs"] == [], "nobody waits for the quarantined run any more"


def test_status_tells_the_late_from_those_that_only_wait(hauled: Hauled) -> None:
    def states(now: str) -> set[str]:
        found = hauled.json("status", "--now", now, "--pipeline", "vitals")["instances"]
        return {one["state"] for one in found}

    assert states("2026-01-10T23:59:59Z") == {"on time"}
    assert states("2026-01-11T00:00:00Z") == {"waiting"}
    assert states("2026-01-12T00:00:00Z") == {"late"}


def test_status_lists_runs(hauled: Hauled) -> None:
    runs = hauled.json("status", "--runs", "--pipeline", "labs", "--instance", "703")["runs"]
    assert runs[0]["status"] == "quarantined"
    assert len(runs) == 5
    assert "2026-01-07" in hauled.text("status", "--runs", "--limit", "3")


def test_rejects_are_listed_by_rule(hauled: Hauled) -> None:
    listed = hauled.json("rejects", "list", "--all", "--limit", "1000")
    ((total,),) = hauled.database.rows("SELECT count(*) FROM haulier.reject")
    assert (
        listed["rejects"]
        == total
        == len(listed["rows"])
        == sum(rule["rejects"] for rule in listed["by_rule"])
    )
    one = hauled.json("rejects", "list", "--all", "--rule", "enum", "--pipeline", "labs")
    assert one["rejects"] == len(one["rows"]) == 1
    assert hauled.json("rejects", "list", "--all", "--since", "2100-01-01")["rejects"] == 0
    ((still_open,),) = hauled.database.rows("SELECT count(*) FROM haulier.open_reject")
    assert hauled.json("rejects", "list")["rejects"] == still_open < total


def test_a_reject_is_shown_with_its_row_as_it_was_sent(hauled: Hauled) -> None:
    ((number, verbatim),) = hauled.database.rows(
        "SELECT reject_id, verbatim FROM haulier.reject WHERE rule = 'enum' ORDER BY 1 LIMIT 1"
    )
    shown = hauled.json("rejects", "show", str(number))
    assert bytes.fromhex(shown["verbatim_hex"]) == bytes(verbatim)
    assert shown["verbatim"] in hauled.text("rejects", "show", str(number))
    landed = next((hauled.home / "landing" / shown["instance"]).rglob(shown["file"]))
    assert shown["verbatim"] in landed.read_bytes().decode("cp1252")
    assert "there is no reject 999999" in hauled.say("rejects", "show", "999999")[2]


def test_a_site_gets_its_rejects_as_a_harmless_csv(hauled: Hauled, tmp_path: Path) -> None:
    target = tmp_path / "rejects.csv"
    assert "rejects.csv" in hauled.text(
        "rejects", "export", "--instance", "701", "--all", "--to", str(target)
    )
    assert target.read_bytes().startswith(b"\xef\xbb\xbf")
    lines = list(csv.DictReader(io.StringIO(target.read_bytes().decode("utf-8-sig"), newline="")))
    listed = hauled.json("rejects", "list", "--instance", "701", "--all", "--limit", "1000")["rows"]
    assert {int(line["reject"]) for line in lines} == {row["reject_id"] for row in listed}
    (damaged,) = [line for line in lines if line["rule"] == "encoding"]
    assert "\ufffd" in damaged["original line"]
    assert "replaced bytes are marked" in damaged["original line is"]
    assert "\ufeff" not in hauled.text("rejects", "export", "--instance", "701", "--all")
    for line in lines:
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in line.values())


def keyed(row: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in row.items()]


def test_a_corrected_row_is_traced_to_both_its_files(hauled: Hauled) -> None:
    ((key,),) = hauled.database.rows(
        "SELECT key FROM haulier.history WHERE target = 'clinical.labs' AND operation = 'update' ORDER BY 1::text LIMIT 1"
    )
    traced = hauled.json("trace", "labs", *keyed(key))
    newest, former = traced["versions"]
    assert newest["origin"]["file"] == former["origin"]["file"]
    assert (former["origin"]["sequence"], newest["origin"]["sequence"]) == (1, 2)
    assert newest["row"]["result"] != former["row"]["result"]
    for version in (newest, former):
        assert str(version["row"]["result"]) in version["line"]
        forward = hauled.json("trace", "--file", version["origin"]["file"], "--row", str(version["file_row"]))
        mine = [
            one
            for one in forward["deliveries"]
            if one["delivery"]["sequence"] == version["origin"]["sequence"]
        ]
        assert [one["line"] for one in mine if one["delivery"]["instance"] == "701"] == [version["line"]]
    text = hauled.text("trace", "clinical.labs", *keyed(key))
    assert "Its 2 versions" in text
    assert newest["line"] in text


def test_rows_are_offered_when_more_than_one_is_meant(hauled: Hauled) -> None:
    text = hauled.text("trace", "clinical.labs", "testcd=ALB")
    assert "which one?" in text
    assert "trace clinical.labs" in text


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ("trace", "clinical.lab", "a=b"),
            "not loaded by this ledger, which knows clinical.labs, clinical.vitals",
        ),
        (("trace", "labs", "testcode=ALB"), 'has no column .testcode.; did you mean "testcd"'),
        (("trace", "labs", "collected=yesterdayish"), "not values of these columns"),
        (("trace", "labs", "testcd=NOSUCH"), "never had one"),
        (("trace", "labs", "testcd"), "is not COLUMN=VALUE"),
        (("trace", "--file", "labs_2026-01-05.csv"), "--row"),
        (("trace", "--file", "nothing.csv", "--row", "1"), "no delivery is named"),
        (("trace",), "name a TABLE"),
    ],
)
def test_what_cannot_be_traced_is_told(hauled: Hauled, words: tuple[str, ...], problem: str) -> None:
    code, out, err = hauled.say(*words)
    assert (code, out) == (2, "")
    assert re.search(problem, err)


def fates(hauled: Hauled, file: str, row: int, instance: str) -> list[str]:
    found = hauled.json("trace", "--file", file, "--row", str(row), "--instance", instance)
    return [fate["state"] for one in found["deliveries"] for fate in one["fates"]]


def test_every_kind_of_row_is_traced_forward(hauled: Hauled) -> None:
    query = "SELECT d.logical_name, r.row_number, d.instance FROM haulier.reject r JOIN haulier.delivery d USING (delivery_id) WHERE r.rule = %s"
    ((file, row, instance),) = hauled.database.rows(query, ["enum"])
    assert any(
        state.startswith("rejected (open): enum in testcd") for state in fates(hauled, file, row, instance)
    )
    ((file, row, instance), *_) = hauled.database.rows(query, ["type"])
    states = fates(hauled, "labs_2026-01-07.csv.gz", 10, "703")
    assert any("quarantined: no row of it entered" in state for state in states)
    assert any(state == "in the table" for state in states), "the corrected file is there, too"
    (state,) = fates(hauled, "labs_2026-01-06.csv", 1, "701")
    assert "no row, reject or flag of its own" in state
    (state,) = fates(hauled, "labs_2026-01-06.csv", 5000, "701")
    assert "the file has no row 5000" in state
    assert any(
        "the same values stand there from row" in s for s in fates(hauled, "labs_2026-01-05.csv", 2, "701")
    )
    assert fates(hauled, "labs_2026-01-06 (1).csv", 2, "701") == [
        "a copy under another name, so it was not loaded"
    ]


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
    assert strict.json("rejects", "list")["rejects"] == 0
    assert "no open reject" in strict.text("replay", *at, "--reason", "again", "--in-process")
    assert strict.json("verify", "--deep")["ok"]


def test_migrate_can_be_repeated(fresh: Hauled) -> None:
    assert "version" in fresh.text("migrate")


def test_no_verb_prints_colour_or_boxes_into_a_pipe(hauled: Hauled) -> None:
    for words in (("status",), ("status", "--runs"), ("rejects", "list"), ("verify",), ("check",)):
        text = hauled.text(*words)
        assert "\x1b" not in text
        assert not any("\u2500" <= character <= "\u257f" for character in text)


def say_cold(arguments: list[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "haulier_command", *arguments]
    return subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)


def test_a_reader_that_leaves_early_is_no_error(hauled: Hauled) -> None:
    line = f"{sys.executable} -m haulier_command rejects export --all | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["/bin/bash", "-c", line], env=dict(hauled.environ), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


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


def test_the_demo_can_be_done_twice_and_what_it_proposes_works(tmp_path: Path) -> None:
    """A tier of its own, thirty runs, the same thirty again, every command it prints, and away with it."""
    environ = dict(os.environ)

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
            done = subprocess.run(
                ["/bin/bash", "-c", line],
                env=environ,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (line, done.stderr)
            assert done.stdout or "--to" in line, line
    finally:
        demo("--down")
    assert not (tmp_path / ".haulier").exists()
