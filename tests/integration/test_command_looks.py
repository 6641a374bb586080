"""What the haulier command says of five hauled days of the clinical example: check, status, rejects and trace."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from generator.trial import Trial
from support.databases import fresh_database
from support.hauled import Hauled, place

from haulier.ledger.verify import INVARIANTS
from haulier_command.embedded import Tier

QUARANTINED_DAY = "2026-01-07"


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

    (held,) = early["quarantined"]
    assert held["read"] == held["rejected_rows"] + held["held"] + held["filtered"] + held["stripped"]
    (line,) = re.findall("^labs +703 +2026-01-07 .*", (hauled.home / "status.txt").read_text(), re.MULTILINE)
    assert line.split()[4:7] == [str(held[name]) for name in ("read", "rejected_rows", "held")]

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


@pytest.mark.requirement("R-05")
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


def test_digests_are_short_for_people_and_whole_for_programs(hauled: Hauled, tmp_path: Path) -> None:
    ((number,),) = hauled.database.rows("SELECT min(reject_id) FROM haulier.reject")
    ((key,),) = hauled.database.rows(
        "SELECT key FROM haulier.history WHERE target = 'clinical.labs' AND operation = 'update' ORDER BY 1::text LIMIT 1"
    )
    for n, words in enumerate(
        (
            ("audit", "clinical.labs", "--into"),
            ("rejects", "show", str(number)),
            ("trace", "labs", *keyed(key)),
        )
    ):
        into = [[str(tmp_path / f"{n}-{form}")] if words[-1] == "--into" else [] for form in ("text", "json")]
        text = hauled.text(*words, *into[0])
        document = json.dumps(hauled.json(*words, *into[1]))
        assert re.findall(r"\b[0-9a-f]{12}\b", text)
        assert not re.findall(r"[0-9a-f]{13}", text)
        assert re.findall(r"\b[0-9a-f]{64}\b", document)


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
        (("trace", "labs", "collected=yesterdayish"), "these are not values of these columns"),
        (("trace", "labs", "testcd=NOSUCH"), "never had one"),
        (("trace", "labs", "testcd"), "is not COLUMN=VALUE"),
        (("trace", "--file", "labs_2026-01-05.csv"), "--row"),
        (
            ("trace", "--file", "nothing.csv", "--row", "1"),
            "no delivery is named nothing.csv; name the file as it arrived",
        ),
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


@pytest.mark.requirement("R-05")
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


def test_verify_says_where_the_invariants_are_that_it_cannot_ask_for(hauled: Hauled) -> None:
    text = hauled.text("verify")

    assert set(re.findall(r"^(I\d+) .* ok$", text, re.MULTILINE)) == set(INVARIANTS)
    assert "held by tests, as no query sees it: I3 " in text
    assert set(re.findall(r"\bI\d+\b", text)) == {f"I{number}" for number in range(1, 11)}


def test_no_verb_prints_colour_or_boxes_into_a_pipe(hauled: Hauled) -> None:
    for words in (("status",), ("status", "--runs"), ("rejects", "list"), ("verify",), ("check",)):
        text = hauled.text(*words)
        assert "\x1b" not in text
        assert not any("\u2500" <= character <= "\u257f" for character in text)


def test_a_reader_that_leaves_early_is_no_error(hauled: Hauled) -> None:
    line = f"{sys.executable} -m haulier_command rejects export --all | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["/bin/bash", "-c", line], env=dict(hauled.environ), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""
