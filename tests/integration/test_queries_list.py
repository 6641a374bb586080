"""The list of queries that goes to a sender: what it withholds, and that no spreadsheet computes what it holds."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
import yaml
from support.blinded import FORMATS, haul_blinded
from support.hauled import Hauled

from haulier_command.blinding import BLINDED
from haulier_command.embedded import Tier
from haulier_command.listing import LISTING
from haulier_command.workbook import CELL_CHARACTERS, write_workbook

SECRETS = "ACTIVE[78]|PLACEBO9"


@pytest.fixture(scope="module")
def hauled(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hauled]:
    with haul_blinded(tier, tmp_path_factory.mktemp("queries")) as made:
        yield made


def listed(hauled: Hauled, target: Path, *words: str) -> list[dict[str, str]]:
    document = hauled.json("queries", "export", "--instance", "north", "--to", str(target), *words)
    return [{name: str(cell or "") for name, cell in line.items()} for line in document["lines"]]


def all_of(path: Path) -> str:
    """Every byte that a reader could find, unpacked."""
    if path.suffix == ".csv":
        return path.read_text(encoding="utf-8-sig")
    with zipfile.ZipFile(path) as archive:
        return "".join(archive.read(name).decode() for name in archive.namelist())


@pytest.mark.requirement("R-17")
@pytest.mark.parametrize("form", FORMATS)
def test_what_is_blinded_reaches_no_list_for_the_sender(hauled: Hauled, tmp_path: Path, form: str) -> None:
    """Neither in its own cell, nor in one that the contract does not know, nor in the words of a message."""
    rejects = tmp_path / "rejects.csv"
    exported = hauled.json(
        "rejects", "export", "--pipeline", form, "--instance", "north", "--to", str(rejects)
    )
    listings = [tmp_path / "list.csv", tmp_path / "list.xlsx"]
    lines = [listed(hauled, path, "--pipeline", form) for path in listings]
    assert lines[0] == lines[1]

    for path in (rejects, *listings):
        assert not re.search(SECRETS, all_of(path), re.IGNORECASE)
    assert not re.search(SECRETS, json.dumps([exported, lines]), re.IGNORECASE)
    assert FORMATS[form][2] in {line["original line"] for line in lines[0]}
    assert FORMATS[form][2] in {line["original line"] for line in exported["lines"]}
    found = {(line["rule"], line["column"], line["original cell"]) for line in lines[0]}
    assert found >= {("type", "price", "a lot"), ("implausible", "price", "500"), ("enum", "arm", BLINDED)}
    wrong = {line["rule"]: line["what is wrong"] for line in lines[0]}
    assert wrong["enum"] == f"{BLINDED}: breaks the rule enum"
    assert re.fullmatch(r"['\"]500\.?0*['\"] is implausible: it is more than 99", wrong["implausible"])
    types = sorted(
        (line["what is wrong"], line["how to fix it"]) for line in lines[0] if line["rule"] == "type"
    )
    assert types == [
        ("'a lot' is not a number such as 12.5.", "Write a number with a point."),
        ("'x' is not a number such as 12.5.", "Write a number with a point."),
        (f"{BLINDED}: breaks the rule type", "Write a number with a point."),
    ]


@pytest.mark.requirement("R-17")
@pytest.mark.parametrize("form", ["csv", "jsonl", "fixed"])
def test_a_row_that_cannot_be_taken_apart_is_withheld(hauled: Hauled, tmp_path: Path, form: str) -> None:
    (line,) = [
        line
        for line in listed(hauled, tmp_path / "list.csv", "--pipeline", form)
        if line["rule"] in ("ragged", "json", "short-line")
    ]

    assert line["original line"] == line["original cell"] == ""
    assert (
        line["original line is"]
        == "withheld: the contract has blinded columns, and the row cannot be taken apart"
    )
    assert line["what is wrong"]


@pytest.mark.requirement("R-17")
def test_a_column_that_is_blinded_later_is_blinded_in_what_came_before(
    hauled: Hauled, tmp_path: Path
) -> None:
    """And where no contract can be read, nobody knows what is blinded, so nothing is shown."""
    definitions = tmp_path / "definitions"
    (definitions / "pipelines").mkdir(parents=True)
    (definitions / "contracts").mkdir()
    for file in ("pipelines/csv.yaml", "contracts/csv.odcs.yaml"):
        (definitions / file).write_text((Path(hauled.environ["HAULIER_DEFINITIONS"]) / file).read_text())
    contract = yaml.safe_load((definitions / "contracts/csv.odcs.yaml").read_text())
    contract["schema"][0]["properties"][0]["classification"] = "blinded"
    (definitions / "contracts/csv.odcs.yaml").write_text(yaml.safe_dump(contract))
    later = Hauled(
        environ={**hauled.environ, "HAULIER_DEFINITIONS": str(definitions)},
        database=hauled.database,
        home=hauled.home,
    )
    lost = Hauled(
        environ={
            **later.environ,
            "HAULIER_DEFINITIONS": str(tmp_path),
            "HAULIER_EXCHANGE": f"file://{tmp_path}/none",
        },
        database=hauled.database,
        home=hauled.home,
    )
    lines = listed(later, tmp_path / "list.csv", "--pipeline", "csv", "--rule", "type")
    assert {line["original line"] for line in lines} >= {f"{BLINDED};{BLINDED};a lot;{BLINDED}"}
    for path in (tmp_path / "list.csv", tmp_path / "list.xlsx"):
        lines = listed(lost, path, "--pipeline", "csv")
        assert {line["original line"] for line in lines} == {""}
        assert not re.search(f"{SECRETS}|a lot", all_of(path), re.IGNORECASE)


@pytest.mark.requirement("R-23")
def test_a_workbook_holds_text_that_no_spreadsheet_computes(hauled: Hauled, tmp_path: Path) -> None:
    target = tmp_path / "list.xlsx"
    now = ("--now", "2026-12-01T00:00:00Z")
    lines = listed(hauled, target, *now)
    once = target.read_bytes()
    listed(hauled, target, *now)

    sheet = openpyxl.load_workbook(target).active
    assert target.read_bytes() == once
    assert sheet.freeze_panes == "B2"
    assert sheet.auto_filter.ref == f"A1:{chr(ord('A') + len(LISTING) - 1)}{len(lines) + 1}"
    header, *rows = sheet.iter_rows()
    assert [cell.value for cell in header] == list(LISTING)
    found = [dict(zip(LISTING, row, strict=True)) for row in rows]
    assert [{name: str(cell.value or "") for name, cell in row.items()} for row in found] == lines
    for row in found:
        for name, cell in row.items():
            assert cell.data_type == ("n" if name in ("row", "age in days") or cell.value is None else "s")
        assert row["original line"].quotePrefix
        assert row["original line"].alignment.wrap_text
    assert any(row["original line"].value.startswith("=t7") for row in found), "a formula, as it was sent"
    assert sheet.column_dimensions["G"].width > 40


@pytest.mark.requirement("R-23")
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_each_sender_gets_its_own_queries_and_no_other(hauled: Hauled, tmp_path: Path, kind: str) -> None:
    """With where the row is, what is wrong and what to do about it."""
    lists = {}
    for name, other in (("north", "south"), ("south", "north")):
        path = tmp_path / f"{name}.{kind}"
        lists[name] = hauled.json("queries", "export", "--instance", name, "--to", str(path))["lines"]
        assert other not in all_of(path)

    (line,) = lists["south"]
    asked = ("file", "row", "original cell", "what is wrong", "how to fix it")
    assert [line[name] for name in asked] == [
        *("csv_2026-01-05.csv", 4, "dear"),
        *("'dear' is not a number such as 12.5.", "Write a number with a point."),
    ]
    assert {line["instance"] for line in lists["north"]} == {"north"}


@pytest.mark.requirement("R-23")
def test_a_csv_holds_no_formula(hauled: Hauled, tmp_path: Path) -> None:
    target = tmp_path / "list.csv"
    listed(hauled, target)
    lines = list(csv.DictReader(io.StringIO(target.read_text(encoding="utf-8-sig"), newline="")))

    assert any(line["original line"].startswith("'=t7") for line in lines)
    for line in lines:
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in line.values())


def test_a_cell_longer_than_excel_keeps_is_cut_with_a_mark(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    write_workbook(
        tmp_path / "long.xlsx",
        "long",
        ["text"],
        [["x" * 40_000], ["\ud800 and \x00"]],
        widths={},
        created=datetime(2026, 1, 5, tzinfo=UTC),
    )
    sheet = openpyxl.load_workbook(tmp_path / "long.xlsx").active

    assert len(sheet["A2"].value) == CELL_CHARACTERS
    assert sheet["A2"].value.endswith("x… (cut)")
    assert sheet["A3"].value.startswith("\\ud800 and ")
