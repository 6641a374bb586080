"""Transform among its neighbours: after the real extract, over S3, as a process, asking the real ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.databases import Database
from support.steps import STEPS, run_cold

from haulier.errors import NothingNew, TransientError
from haulier.exchange import open_exchange
from haulier.interval import Interval
from haulier.manifest import Manifest, Step
from haulier.parts import row_groups
from haulier.sealing import read_manifest
from haulier.settings import Settings
from haulier.task import Task

DAY = Interval(start=datetime(2026, 1, 5, tzinfo=UTC), end=datetime(2026, 1, 6, tzinfo=UTC))
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: labs
version: 1.0.0
status: active
schema:
  - name: labs
    physicalName: lab.results
    properties:
      - {name: subject, logicalType: string, primaryKey: true, synonyms: [{synonym: PATIENT}], logicalTypeOptions: {pattern: "[0-9]{4}"}}
      - {name: taken, logicalType: timestamp, physicalType: timestamptz, required: true}
      - {name: result, logicalType: number, physicalType: "numeric(8,2)", customProperties: [{property: softMaximum, value: 100}]}
      - {name: comment, logicalType: string}
      - {name: doubled, logicalType: number, physicalType: "numeric(9,2)", transformLogic: twice the result}
"""
PIPELINE = """
pipeline: labs
contract: ../contracts/labs.odcs.yaml
source:
  files: {path: "labs_{date:%Y-%m-%d}.csv", select: name}
  csv: {encoding: cp1252, delimiter: ";", preamble_rows: 1}
transform:
  decimal_mark: ","
  time_zone: Europe/Berlin
  functions: [labs.doubled]
"""
FUNCTIONS = """
def doubled(batch):
    batch = batch.reject(batch.rows["comment"] == "void", rule="void", column="comment", message="void")
    return batch.assign(doubled=batch.rows["result"] * 2)
"""
FILE = (
    "exported by someone\n"
    "PATIENT;taken;result;comment;extra\n"
    '1001;2026-01-05T08:50;1,50;"µ; quoted ""twice""\nand a second line";x\n'
    "\n"
    '1002;2026-01-05T09:00:30;250;"";x\n'
    "1003;2026-03-29T02:30;1;;x\n"
    '"12";05.01.2026;1.5;"line\nbreak";x\n'
    "1004;2026-01-05T10:00;3;void;x\n"
    "1005;2026-01-05T10:00\n"
)


@pytest.fixture
def environment(
    tmp_path: Path, database: Database, exchange_environment: Mapping[str, str]
) -> dict[str, str]:
    for folder, name, text in (
        ("contracts", "labs.odcs.yaml", CONTRACT),
        ("pipelines", "labs.yaml", PIPELINE),
        ("functions", "labs.py", FUNCTIONS),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    (tmp_path / "landing").mkdir()
    return {
        **database.environment,
        **exchange_environment,
        "HAULIER_DEFINITIONS": str(tmp_path),
        "HAULIER_SOURCE_ROOT": str(tmp_path / "landing"),
    }


@pytest.fixture
def settings(environment: Mapping[str, str]) -> Settings:
    return Settings.from_env(environment)


def send(settings: Settings, text: str = FILE) -> None:
    (settings.source_root / "labs_2026-01-05.csv").write_bytes(text.encode("cp1252"))


def run(step: Step, settings: Settings, **asked: Any) -> Any:
    task = Task(
        step=step,
        verb="run",
        pipeline="labs",
        instance="main",
        interval=DAY,
        settings=settings,
        **asked,
    )
    return STEPS[step](task)


def sealed(
    settings: Settings, content: str = "g1"
) -> tuple[Manifest, list[dict[str, Any]], list[dict[str, Any]]]:
    """The manifest, its rows and its rejects."""
    exchange = open_exchange(settings)
    task = Task(step="load", verb="run", pipeline="labs", instance="main", interval=DAY, settings=settings)
    manifest = read_manifest(exchange, task.keys(content), "transform")

    def read(parts: Any) -> list[dict[str, Any]]:
        tables = list(row_groups(exchange, parts))
        return pa.concat_tables(tables).to_pylist() if tables else []

    return manifest, read(manifest.parts), read(manifest.rejects)


def test_a_file_as_sites_send_it(settings: Settings) -> None:
    send(settings)
    run("extract", settings)

    outcome = run("transform", settings)

    manifest, rows, rejects = sealed(settings)
    assert outcome.outcome == "sealed"
    assert [
        (row["_haulier_row"], row["subject"], str(row["result"]), str(row["doubled"])) for row in rows
    ] == [
        (3, "1001", "1.50", "3.00"),
        (5, "1002", "250.00", "500.00"),
    ]
    assert rows[0]["taken"] == datetime(2026, 1, 5, 7, 50, tzinfo=UTC)
    assert [row["comment"] for row in rows] == ['µ; quoted "twice"\nand a second line', ""]
    assert [(r["_haulier_row"], r["step"], r["rule"]) for r in rejects if r["step"] == "transform"] == [
        (6, "transform", "time-zone"),
        (7, "transform", "pattern"),
        (8, "transform", "void"),
    ]
    broken = next(r for r in rejects if r["_haulier_row"] == 7)
    assert broken["verbatim"] == b'"12";05.01.2026;1.5;"line\nbreak";x'
    assert [one["column"] for one in json.loads(broken["problems"])] == ["subject", "taken", "result"]
    account = manifest.accounts[0]
    assert (account.accepted, account.rejected, account.read) == (
        2,
        4,
        account.stripped + account.filtered + 6,
    )
    assert manifest.rules["implausible"] == 1
    assert any("new column extra" in note for note in manifest.notes)


@pytest.mark.requirement("R-16")
def test_as_a_process_it_says_one_line_and_tells_no_cell(
    environment: Mapping[str, str], settings: Settings
) -> None:
    send(settings)
    run("extract", settings)

    code, result, log = run_cold(environment, "transform", "labs", "main", DAY, "--generation", "1")

    assert code == 0, log
    assert (result["outcome"], result["generation"], result["content"]) == ("sealed", 1, "g1")
    assert result["counts"]["rejected"] == 4
    assert not any(cell in log for cell in ("1001", "quoted", "void;", "05.01.2026"))
    again, result, _ = run_cold(environment, "transform", "labs", "main", DAY, "--generation", "1")
    assert (again, result["outcome"]) == (0, "already done")


@pytest.mark.requirement("R-16")
def test_a_broken_function_exits_2_and_tells_its_line(
    environment: Mapping[str, str], settings: Settings
) -> None:
    send(settings)
    run("extract", settings)
    (settings.definitions / "functions" / "labs.py").write_text(
        "def doubled(batch):\n    raise ValueError(batch.rows['subject'][0])\n"
    )

    code, result, log = run_cold(environment, "transform", "labs", "main", DAY, "--generation", "1")

    assert (code, result) == (2, {})
    assert "labs.py, line 2) raised ValueError" in log
    assert "1001" not in log


def test_without_a_generation_the_ledger_is_asked(settings: Settings) -> None:
    with pytest.raises(TransientError, match="extract"):
        run("transform", settings)
    send(settings)
    run("extract", settings)
    send(settings, FILE.replace("1,50", "1,75"))
    run("extract", settings)

    assert run("transform", settings).generation == 2
    assert str(sealed(settings, "g2")[1][0]["result"]) == "1.75"


def test_an_empty_run_is_nothing_new(settings: Settings) -> None:
    run("extract", settings)

    with pytest.raises(NothingNew):
        run("transform", settings)


def test_rejected_rows_are_replayed_through_a_mended_definition(
    settings: Settings, database: Database
) -> None:
    from haulier.ledger.connection import connect
    from haulier.ledger.replays import request_replays

    database.rows("CREATE SCHEMA IF NOT EXISTS lab")
    send(settings)
    pipeline = settings.definitions / "pipelines" / "labs.yaml"
    pipeline.write_text(pipeline.read_text() + "load: {reject_threshold: 1}\n")
    for step in ("extract", "transform", "load"):
        run(step, settings)
    (settings.definitions / "functions" / "labs.py").write_text(
        FUNCTIONS.replace('"void")\n', '"voided")\n').replace('== "void"', '== "?"')
    )
    with connect(settings, "test") as connection:
        (replay,) = request_replays(
            connection,
            settings,
            "labs",
            {"main": lambda _: "d"},
            rule="void",
            reason="void is fine",
        )

    for step in ("extract", "transform"):
        run(step, settings, replay=replay.replay_id)

    manifest, rows, rejects = sealed(settings, f"r{replay.replay_id}")
    assert [(row["_haulier_row"], row["comment"]) for row in rows] == [(8, "void")]
    assert rejects == []
    assert (manifest.replay_id, manifest.produced) == (replay.replay_id, 1)
