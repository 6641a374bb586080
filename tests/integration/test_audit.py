"""`haulier audit`: the trail of a table, and the table as it was, out of a ledger that only has to be read."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.databases import Database
from support.hauling import KEYED, Sender, deleting, thing

from haulier.settings import Settings
from haulier_command.__main__ import main

ODD = '<script>alert("x")</script> é'


class Told:
    """A table with a past of six loads, and what the command says of it."""

    def __init__(self, database: Database, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.database, self.folder, self._capsys = database, folder, capsys
        self.environment = {
            **database.environment,
            "HAULIER_EXCHANGE": f"file://{folder}/exchange",
            "HAULIER_ACTOR": "inspector",
        }
        # Who asks is not who hauled.
        settings = Settings.from_env({**self.environment, "HAULIER_ACTOR": "night shift"})
        sender = Sender(settings=settings, contract=deleting(KEYED), reject_threshold=1)
        sender.send(0, {"a.csv": [thing("x", "red", op="U"), thing("y", "red", "-1.5", op="U")]})
        sender.send(1, {"b.csv": [thing("x", "red", op="U"), thing("z", ODD, op="U")]})
        sender.send(2, {"c.csv": [thing("x", "blue", op="U")]}, rejects=[("c.csv", 3, "type")])
        sender.send(3, {"d.csv": [thing("y", op="D")]})
        sender.replay({"c.csv": [thing("w", "green", op="U", _row=3)]})
        sender.send(1, {"b.csv": [thing("z", "grey", op="U")]})

    def run(self, *words: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
        code = main(["audit", "shop.things", *words], environment or self.environment)
        out, err = self._capsys.readouterr()
        return code, out, err

    def export(self, *words: str) -> tuple[Path, list[dict[str, Any]]]:
        """The folder and its events."""
        into = self.folder / f"export-{len(list(self.folder.glob('export-*')))}"
        code, _, err = self.run(*words, "--into", str(into))
        assert (code, err) == (0, "")
        return into, [json.loads(line) for line in (into / "trail.jsonl").read_text().splitlines()]

    def as_of(self, moment: str) -> dict[str, str]:
        """thing -> colour."""
        code, out, _ = self.run("--as-of", moment)
        assert (code, out.partition("\n")[0].split(",")[0]) == (0, "thing"), "a header, whatever is below it"
        return {row["thing"]: row["colour"] for row in csv.DictReader(out.splitlines())}


@pytest.fixture
def told(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    return Told(database, tmp_path, capsys)


@pytest.mark.requirement("R-01", "R-19")
def test_every_insert_change_and_delete_says_who_when_what_and_why(told: Told) -> None:
    _, events = told.export()

    seen = [
        (
            one["load"],
            one["action"],
            one["key"]["thing"],
            one["values"].get("colour"),
            one["file"],
            one["line"],
        )
        for one in events
    ]
    assert seen == [
        (1, "insert", "x", {"old": None, "new": "red"}, "b.csv", 2),  # as b.csv said the same again
        (1, "insert", "y", {"old": None, "new": "red"}, "a.csv", 3),
        (2, "insert", "z", {"old": None, "new": ODD}, "b.csv", 3),
        (3, "change", "x", {"old": "red", "new": "blue"}, "c.csv", 2),
        (4, "delete", "y", {"old": "red", "new": None}, "d.csv", 2),
        (5, "insert", "w", {"old": None, "new": "green"}, "c.csv", 3),
        (6, "change", "z", {"old": ODD, "new": "grey"}, "b.csv", 2),
    ]
    assert {one["actor"] for one in events} == {"night shift"}
    assert events[1]["values"]["price"] == {"old": None, "new": "-1.5"}
    assert list(events[3]["values"]) == ["colour"]
    assert events[0]["reason"].startswith("the line is of load 2, which said the same again; generation 1: ")
    assert events[5]["reason"] == "replay 1: fixed"
    assert events[6]["sequence"] == 2
    times = dict(told.database.rows("SELECT load_id, loaded_at FROM haulier.load"))
    assert all(one["at"] == times[one["load"]].astimezone(UTC).isoformat() for one in events)
    chain = dict(told.database.rows("SELECT load_id, encode(hash, 'hex') FROM haulier.chain"))
    assert all((one["link"], one["hash"]) == (one["load"], chain[one["load"]]) for one in events)


@pytest.mark.requirement("R-01")
def test_a_row_that_is_no_longer_sent_has_no_line_and_the_reason_of_its_run(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {**database.environment, "HAULIER_EXCHANGE": f"file://{tmp_path}/exchange"}
    sender = Sender(settings=Settings.from_env(environment), contract=KEYED, mode="replace")
    sender.send(0, {"a.csv": [thing("x"), thing("y")]})
    sender.send(1, {"b.csv": [thing("y")]})

    assert main(["audit", "shop.things", "--into", str(tmp_path / "export")], environment) == 0
    capsys.readouterr()
    *_, gone = map(json.loads, (tmp_path / "export" / "trail.jsonl").read_text().splitlines())
    assert (gone["action"], gone["key"]["thing"], gone["values"]["colour"]) == (
        "delete",
        "x",
        {"old": "red", "new": None},
    )
    ((reason,),) = database.rows("SELECT reason FROM haulier.generation WHERE run_id = 2")
    assert (gone["file"], gone["line"]) == (None, None)
    assert reason
    assert reason in gone["reason"]


@pytest.mark.requirement("R-19")
def test_the_export_is_known_by_its_digests_and_read_without_anything_else(told: Told) -> None:
    into, events = told.export()

    manifest = json.loads((into / "manifest.json").read_text())
    names = {"loads.csv", "trail.html", "trail.csv", "trail.jsonl", "data.csv", "data.jsonl"}
    assert set(manifest["files"]) == names == {path.name for path in into.iterdir()} - {"manifest.json"}
    for name, facts in manifest["files"].items():
        data = (into / name).read_bytes()
        assert (facts["sha256"], facts["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (manifest["chain"], manifest["violations"], manifest["exported by"]) == (
        "holds",
        [],
        "inspector",
    )
    with (into / "trail.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(one["values"]) for one in events)
    assert [row["old"] for row in rows if row["event"] == "4"] == ["red"]
    page = (into / "trail.html").read_text()
    assert re.findall(r"<\w+[^>]* (?:src|href)=|url\(|@import", page) == []
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert page.count('<tbody class="event">') == len(events)
    assert [json.loads(line)["thing"] for line in (into / "data.jsonl").read_text().splitlines()] == [
        "w",
        "x",
        "z",
    ]


@pytest.mark.requirement("R-09")
def test_the_table_is_told_as_it_was_at_any_time(told: Told) -> None:
    assert [told.as_of(f"load:{load}") for load in range(1, 7)] == [
        {"x": "red", "y": "red"},
        {"x": "red", "y": "red", "z": ODD},
        {"x": "blue", "y": "red", "z": ODD},
        {"x": "blue", "z": ODD},
        {"x": "blue", "z": ODD, "w": "green"},
        {"x": "blue", "z": "grey", "w": "green"},
    ]
    ((third,),) = told.database.rows("SELECT loaded_at FROM haulier.load WHERE load_id = 3")
    assert told.as_of(third.isoformat()) == told.as_of("load:3")
    assert told.as_of((third - timedelta(microseconds=1)).isoformat()) == told.as_of("load:2")
    assert told.as_of("2020-01-01") == {}
    _, _, why = told.run("--as-of", "2020-01-01")
    assert "nothing had been loaded into shop.things by 2020-01-01; times are those of loads" in why


def test_a_part_of_the_past_and_single_rows_can_be_asked_for(told: Told) -> None:
    third, fifth = (
        told.database.rows("SELECT loaded_at FROM haulier.load WHERE load_id = %s", [load])[0][0].isoformat()
        for load in (3, 5)
    )

    into, events = told.export("--from", third, "--to", fifth)
    assert [one["load"] for one in events] == [3, 4]
    assert [json.loads(line)["thing"] for line in (into / "data.jsonl").read_text().splitlines()] == [
        "x",
        "z",
    ]

    _, events = told.export("thing=z")
    assert [(one["load"], one["key"]["thing"]) for one in events] == [(2, "z"), (6, "z")]


@pytest.mark.requirement("R-11")
def test_who_may_only_read_can_do_all_of_it(told: Told) -> None:
    name = f"auditor_{told.database.name}"
    told.database.rows(
        f"CREATE ROLE {name} LOGIN PASSWORD 'audit'; GRANT USAGE ON SCHEMA haulier, shop TO {name};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA haulier, shop TO {name}"
    )
    auditor = {**told.environment, "PGUSER": name, "PGPASSWORD": "audit"}
    try:
        code, _, err = told.run("--into", str(told.folder / "mine"), environment=auditor)
        assert (code, err) == (0, "")
        assert told.run("--as-of", "load:2", environment=auditor)[0] == 0
    finally:
        told.database.rows(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.mark.requirement("R-09")
def test_what_is_not_known_is_not_guessed(told: Told) -> None:
    told.database.rows("ALTER TABLE shop.things ALTER COLUMN _haulier_since DROP NOT NULL")
    told.database.rows("UPDATE shop.things SET _haulier_since = NULL WHERE thing = 'x'")

    code, out, err = told.run("--as-of", "load:2")

    assert (code, out) == (65, "")
    assert "of 1 versions of rows of shop.things nobody wrote down since when they are so" in err

    told.database.rows("ALTER TABLE shop.things DROP COLUMN _haulier_since")
    code, _, err = told.run("--as-of", "load:2")
    assert code == 2
    assert "has no column _haulier_since" in err


@pytest.mark.requirement("R-03")
def test_a_past_that_was_tampered_with_is_exported_and_said_to_be(told: Told) -> None:
    told.database.rows(
        "ALTER TABLE haulier.history DISABLE TRIGGER append_only;"
        "UPDATE haulier.history SET before = jsonb_set(before, '{colour}', '\"pink\"') WHERE load_id = 3"
    )
    into = told.folder / "broken"

    code, out, _ = told.run("--into", str(into))

    assert code == 65
    assert "the history of load 3 was changed" in out
    assert "The chain does not hold." in (into / "trail.html").read_text()
    assert json.loads((into / "manifest.json").read_text())["chain"] == "broken at 1 link"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "say --into FOLDER for the trail, or --as-of TIME"),
        (("--as-of", "2026-01-05", "--from", "2026-01-05"), "--as-of is one moment"),
        (("--as-of", "yesterday"), "--as-of"),
        (
            ("--as-of", "load:99"),
            "load 99 is none of shop.things; haulier audit --into has the numbers of its loads",
        ),
        (("color=red", "--as-of", "2026-01-05"), 'did you mean "colour"?'),
    ],
)
def test_what_cannot_be_told_is_said(told: Told, words: tuple[str, ...], problem: str) -> None:
    code, out, err = told.run(*words)

    assert (code, out) == (2, "")
    assert problem in err


def test_nothing_is_written_over(told: Told) -> None:
    into, _ = told.export()

    code, _, err = told.run("--into", str(into))

    assert code == 2
    assert "is not an empty folder" in err
