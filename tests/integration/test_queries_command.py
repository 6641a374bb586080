"""`haulier queries` over hauled files of every format: what is open, what is said, and what settles it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from generator.trial import Trial
from support.blinded import DAY, haul_blinded
from support.databases import Database
from support.hauled import Hauled, place

from haulier.ledger.decisions import STATUSES
from haulier_command.embedded import Tier
from haulier_command.listing import LISTING

PAGE = Path(__file__).parents[2] / "docs" / "queries.md"


@pytest.fixture(scope="module")
def hauled(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hauled]:
    with haul_blinded(tier, tmp_path_factory.mktemp("queries")) as made:
        yield made


@pytest.mark.requirement("R-21")
def test_each_query_says_what_is_wrong_how_to_fix_it_who_answers_and_how_old_it_is(
    hauled: Hauled, tmp_path: Path
) -> None:
    words = ("--pipeline", "csv", "--instance", "north")
    opened = {row["opened_at"] for row in hauled.json("queries", "list", *words)["rows"]}
    now = ("--now", (datetime.fromisoformat(min(opened)) + timedelta(days=9, hours=1)).isoformat())

    rows = hauled.json("queries", "list", *words, *now)["rows"]
    lines = hauled.json("queries", "export", *words, *now, "--to", str(tmp_path / "list.csv"))["lines"]

    assert {(row["status"], row["owner"], row["age_days"]) for row in rows} == {
        ("open", "data management", 9)
    }
    assert {(line["status"], line["age in days"]) for line in lines} == {("open", 9)}
    assert sorted((row["query"], row["rule"]) for row in rows) == sorted(
        (line["query"], line["rule"]) for line in lines
    )
    told = {line["rule"]: (line["what is wrong"], line["how to fix it"]) for line in lines if line["row"] > 3}
    assert told["implausible"][0].endswith(" is implausible: it is more than 99")
    assert told["implausible"][1] == "Write a number with a point."
    assert told["ragged"][1] == "Correct the row and send the file again."
    assert all(wrong and fix for wrong, fix in told.values())


@pytest.mark.requirement("R-24")
def test_the_list_counts_by_status_and_owner_and_says_what_is_overdue(hauled: Hauled) -> None:
    words = ("queries", "list", "--pipeline", "csv")
    fresh = hauled.json(*words)
    assert fresh["by_status"] == [
        {
            **fresh["by_status"][0],
            "status": "open",
            "owner": "data management",
            "queries": 7,
            "rejects": 6,
            "flags": 1,
        }
    ]
    assert [(row["overdue"], row["alert"]) for row in fresh["by_instance"]] == [(0, "")] * 2
    later = hauled.json(*words, "--now", "2100-01-01T00:00:00Z")
    assert [
        (row["instance"], row["overdue"], row["overdue_percent"], row["alert"])
        for row in later["by_instance"]
    ] == [("north", 6, "100.0", "high"), ("south", 1, "100.0", "high")]
    (first, *_) = fresh["rows"]
    hauled.text("queries", "answer", first["query"], "--reason", "asked")
    answered = hauled.json(*words, "--now", "2100-01-01T00:00:00Z")["by_instance"]
    assert [(row["instance"], row["overdue"], row["overdue_percent"]) for row in answered] == [
        ("south", 1, "100.0"),
        ("north", 5, "83.3"),
    ]
    hauled.text("queries", "reopen", first["query"], "--reason", "for the tests after this one")
    assert "overdue: open for more than 7 days" in hauled.text(*words)
    assert hauled.json(*words, "--rule", "enum")["queries"] == 1
    assert hauled.json(*words, "--kind", "flag")["queries"] == 1
    assert hauled.json(*words, "--owner", "nobody")["queries"] == 0
    assert hauled.json(*words, "--older-than", "1")["queries"] == 0
    assert hauled.json(*words, "--older-than", "1", "--now", "2100-01-01T00:00:00Z")["queries"] == 7
    assert hauled.text(*words, "--status", "closed") == "no query\n"
    assert "name one of them" in hauled.say(*words, "--status", "closed", "--all")[2]


@pytest.mark.requirement("R-21")
def test_what_is_said_is_shown_with_who_when_and_why(hauled: Hauled) -> None:
    (flag,) = hauled.json("queries", "list", "--pipeline", "jsonl", "--kind", "flag")["rows"]
    name = flag["query"]
    assert hauled.text("queries", "answer", name, "--reason", "weighed twice").startswith(
        f"{name}: open -> answered, by tester at "
    )
    hauled.text("queries", "release", name, "--reason", "it is so")

    shown = hauled.json("queries", "show", name)
    assert [(one["what"], one["reason"]) for one in shown["story"][1:]] == [
        ("answered", "weighed twice"),
        ("released", "it is so"),
    ]
    assert shown["story"][0]["what"] == "raised"
    assert {one["actor"] for one in shown["story"]} == {"tester"}
    assert f"Query {name}: released" in hauled.text("queries", "show", name)
    assert hauled.json("queries", "list", "--pipeline", "jsonl", "--kind", "flag")["queries"] == 0
    (row,) = hauled.json("queries", "list", "--pipeline", "jsonl", "--status", "released")["rows"]
    assert (row["query"], row["actor"], row["reason"]) == (name, "tester", "it is so")
    code, out, err = hauled.say("queries", "close", name, "--reason", "no")
    assert (code, out) == (2, "")
    assert f"query {name} is released; reopen it first" in err
    hauled.text("queries", "reopen", name, "--reason", "for the tests after this one")


def test_what_cannot_be_asked_is_told(hauled: Hauled) -> None:
    for words, problem in (
        (("show", "R99999"), "there is no query R99999"),
        (("show", "12"), "'12' is no query; they are called R12"),
        (("export", "--instance", "north", "--to", "list.pdf"), "must end with .csv or .xlsx"),
        (("answer", "R1", "--reason", ""), "--reason is empty"),
        (("list", "--pipeline", "cvs"), 'there is no pipeline "cvs"; did you mean "csv"?'),
        (("list", "--pipeline", "csv", "--instance", "nroth"), 'there is no instance "nroth"'),
        (("export", "--instance", "nroth", "--to", "list.csv"), 'there is no instance "nroth"'),
    ):
        code, out, err = hauled.say("queries", *words)
        assert (code, out) == (2, "")
        assert problem in err
    for words in (("rejects", "list"), ("rejects", "export"), ("status",), ("status", "--runs")):
        code, out, err = hauled.say(*words, "--pipeline", "cvs")
        assert (code, out) == (2, "")
        assert 'there is no pipeline "cvs"' in err


def counted_elsewhere(hauled: Hauled) -> set[int]:
    """Open rejects as the other screens count them."""
    instances = hauled.json("status", "--pipeline", "csv")["instances"]
    runs = hauled.json("status", "--runs", "--pipeline", "csv")["runs"]
    verified = hauled.json("verify", "--pipeline", "csv", *DAY)["runs"]
    return {
        sum(row["open_rejects"] for row in instances),
        sum(row["open_rejects"] for row in runs),
        sum(rule["open"] for run in verified for rule in run["rejects"].values()),
    }


def test_a_reject_is_as_people_left_its_query(hauled: Hauled) -> None:
    (first, *_) = hauled.json("rejects", "list", "--pipeline", "csv", "--limit", "1")["rows"]
    number = str(first["reject_id"])
    count = hauled.json("rejects", "list", "--pipeline", "csv")["rejects"]
    assert counted_elsewhere(hauled) == {count}
    hauled.text("queries", "release", f"R{number}", "--reason", "it stays out")

    assert hauled.json("rejects", "show", number)["status"] == "released"
    shown = hauled.text("rejects", "show", number)
    assert "replay" not in shown
    assert f"queries reopen R{number} --reason WHY" in shown
    listed = hauled.json("rejects", "list", "--pipeline", "csv")
    assert listed["rejects"] == count - 1
    assert counted_elsewhere(hauled) == {count - 1}
    traced = hauled.json("trace", "--file", first["file"], "--row", str(first["row"]), "--pipeline", "csv")
    (state,) = [
        fate["state"]
        for one in traced["deliveries"]
        for fate in one["fates"]
        if fate["what"].startswith(f"reject {number}")
    ]
    assert state.startswith("rejected (released): ")
    assert first["reject_id"] not in [row["reject_id"] for row in listed["rows"]]
    (row,) = [
        row
        for row in hauled.json("rejects", "list", "--pipeline", "csv", "--all", "--limit", "1000")["rows"]
        if row["reject_id"] == first["reject_id"]
    ]
    assert row["status"] == "released"
    hauled.text("queries", "reopen", f"R{number}", "--reason", "for the tests after this one")
    assert hauled.json("rejects", "show", number)["status"] == "open"


@pytest.mark.requirement("R-22")
def test_a_corrected_file_settles_its_queries_and_the_ledger_holds(hauled: Hauled) -> None:
    landed = Path(hauled.environ["HAULIER_SOURCE_ROOT"]) / "north/fixed_2026-01-05.fixed"
    kept = [line for line in landed.read_text().splitlines() if line[:2] in ("Th", "t2", "t5")]
    landed.write_text("\n".join([*kept, ""]))
    before = hauled.json("queries", "list", "--pipeline", "fixed")["rows"]
    hauled.json("run", "--pipeline", "fixed", *DAY, "--in-process")

    after = {
        row["query"]: row for row in hauled.json("queries", "list", "--pipeline", "fixed", "--all")["rows"]
    }
    (flag,) = [row["query"] for row in before if row["kind"] == "flag"]
    assert len(before) == len(after) == 6
    assert {name: row["status"] for name, row in after.items() if row["status"] != "corrected"} == {
        flag: "open"
    }
    assert after[flag]["opened_at"] == next(row["opened_at"] for row in before if row["query"] == flag)
    assert [one["what"] for one in hauled.json("queries", "show", flag)["story"]] == [
        "raised",
        "raised again",
    ]
    assert hauled.json("verify", "--deep")["ok"]


class TestPage:
    """docs/queries.md"""

    @pytest.fixture
    def demo(self, tier: Tier, database: Database, tmp_path: Path) -> Hauled:
        """What its examples ask for of the demo: three days of one site's labs."""
        made = place(tier, database, tmp_path / "home")
        for day in range(3):
            Trial().deliver(day, made.home / "landing")
        days = ("--from", "2026-01-05", "--to", "2026-01-08")
        made.json("run", "--pipeline", "labs", "--instance", "702", *days, "--in-process")
        return made

    def test_its_commands_run_as_they_stand(
        self, demo: Hauled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        commands = [
            shlex.split(line, comments=True)
            for block in re.findall(r"```console\n(.+?)```", PAGE.read_text(), re.DOTALL)
            for line in block.splitlines()
        ]
        place_of_name = commands.index(["query=R1"])
        (row,) = demo.json(*commands[place_of_name - 1][1:])["rows"]
        del commands[place_of_name]
        said = []
        for name, *words in commands:
            assert name == "haulier"
            said.append(demo.text(*(row["query"] if word == "$query" else word for word in words)))

        assert len(said) > 5
        assert not [text for text in said if text.startswith("no query")], "each has something to show"
        assert {path.name for path in tmp_path.iterdir()} == {"home", "queries-702.xlsx", "queries-702.csv"}

    def test_it_says_what_every_status_and_every_cell_is(self) -> None:
        statuses, cells = re.findall(r"^\| --- \|.*\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)

        assert re.findall(r"^\| `(.+?)` \|", statuses, re.MULTILINE) == list(STATUSES)
        assert re.findall(r"^\| `(.+?)` \|", cells, re.MULTILINE) == list(LISTING)
