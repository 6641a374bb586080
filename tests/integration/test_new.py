"""From a sample to rows in a table: what `haulier new` writes is checked and hauled as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.api import Api, served
from support.databases import Database

from haulier_command.drafts import scalar

ORDERS = '\ufeffOrder No.;Ordered on;Customer;Betrag\n1001;05.01.2026;Ada;19,90\n1002;05.01.2026;"O\'Hara; Grace";5,00\n'


def environ(database: Database, folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        **database.environment,
        "HAULIER_HOME": str(folder / "home"),
        "HAULIER_EXCHANGE": f"file://{folder}/exchange",
        "HAULIER_DEFINITIONS": str(folder),
        "HAULIER_SOURCE_ROOT": str(folder),
    }


def say(told: Mapping[str, str], folder: Path, *words: str, code: int = 0) -> str:
    """What one command says, as a cold process in the folder."""
    command = [sys.executable, "-m", "haulier_command", *words]
    done = subprocess.run(command, env=told, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


@pytest.mark.parametrize(
    ("name", "content", "mode", "rows"),
    [
        ("orders_2026-01-05.csv", ORDERS, "upsert", ["Ada|19.90", "O'Hara; Grace|5.00"]),
        ("measures.csv", "Customer,Betrag\nAda,1\nAda,1\n", "append", ["Ada|1", "Ada|1"]),
    ],
)
def test_what_new_writes_passes_check_and_run_as_it_is(
    database: Database, tmp_path: Path, name: str, content: str, mode: str, rows: list[str]
) -> None:
    told = environ(database, tmp_path)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / name).write_text(content, encoding="utf-8")

    said = json.loads(say(told, tmp_path, "new", "orders", "--from", f"inbox/{name}", "--output", "json"))
    assert said["sample"]["rows"] == 2
    assert f"mode: {mode}" in (tmp_path / "pipelines" / "orders.yaml").read_text()

    say(told, tmp_path, "check", "--pipeline", "orders")
    today = datetime.now(UTC).date()
    start = "2026-01-05" if "2026" in name else str(today)
    end = "2026-01-06" if "2026" in name else str(today + timedelta(days=1))
    say(told, tmp_path, "run", "--pipeline", "orders", "--from", start, "--to", end)
    found = database.rows("SELECT concat_ws('|', customer, betrag) FROM landing.orders ORDER BY 1")
    assert [row for (row,) in found] == rows


def test_new_never_writes_over_a_file(database: Database, tmp_path: Path) -> None:
    told = environ(database, tmp_path)
    (tmp_path / "one.csv").write_text("a,b\n1,2\n")
    (tmp_path / "contracts").mkdir()
    mine = tmp_path / "contracts" / "one.odcs.yaml"
    mine.write_text("mine")

    said = say(told, tmp_path, "new", "one", "--from", "one.csv", code=2)

    assert "contracts/one.odcs.yaml is there already" in said
    assert mine.read_text() == "mine"
    assert not (tmp_path / "pipelines").exists()


def test_an_api_is_discovered_and_its_pipeline_is_valid(database: Database, tmp_path: Path) -> None:
    told = environ(database, tmp_path)
    with served(Api(rows=[{"id": n, "name": f"n{n}", "more": {"x": n}} for n in range(30)])) as api:
        text = say(told, tmp_path, "discover", "--from", f"{api.url}/whole", "--table", "lims.results")
        assert 'physicalName: "lims.results"' in text
        assert "logicalType: object" in text
        say(told, tmp_path, "new", "results", "--from", f"{api.url}/whole")

        say(told, tmp_path, "check", "--pipeline", "results")


def test_what_discover_cannot_reach_or_read_is_said_with_its_exit_code(
    database: Database, tmp_path: Path
) -> None:
    told = environ(database, tmp_path)
    (tmp_path / "empty.csv").touch()

    assert "no header" in say(told, tmp_path, "discover", "--from", "empty.csv", code=65)
    assert "there is no file" in say(told, tmp_path, "discover", "--from", "none.csv", code=2)
    assert "cannot be reached" in say(told, tmp_path, "discover", "--from", "http://127.0.0.1:1/x", code=75)
    assert "say what to look at" in say(told, tmp_path, "discover", code=2)


@pytest.mark.parametrize(
    "text", ["", "no", "1", "2026-01-05", "a: b", "#x", "a\nb", "\u2028", "ä", "0x1", "{x}", "-"]
)
def test_every_text_in_a_draft_is_read_back_as_it_is(tmp_path: Path, text: str) -> None:
    from haulier import documents

    (tmp_path / "one.yaml").write_text(f"key: {scalar(text)}\n", encoding="utf-8")

    assert documents.read(tmp_path / "one.yaml", "one.yaml") == {"key": text}
