"""`haulier queries` over hauled files of every format, sent by somebody who must not learn which arm a row is of."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from support.databases import fresh_database
from support.hauled import Hauled, place

from haulier.ledger.decisions import STATUSES
from haulier_command.blinding import BLINDED
from haulier_command.embedded import Tier
from haulier_command.listing import LISTING
from haulier_command.workbook import CELL_CHARACTERS, write_workbook

DAY = ("--interval-start", "2026-01-05T00:00:00Z", "--interval-end", "2026-01-06T00:00:00Z")
SECRETS = "ACTIVE[78]|PLACEBO9"
PAGE = Path(__file__).parents[2] / "docs" / "queries.md"
CONTRACT = {
    "apiVersion": "v3.1.0",
    "kind": "DataContract",
    "id": "things",
    "version": "1.0.0",
    "status": "active",
    "schema": [
        {
            "name": "things",
            "physicalName": "shop.things_{name}",
            "properties": [
                {"name": "thing", "logicalType": "string", "primaryKey": True, "primaryKeyPosition": 1},
                {
                    "name": "arm",
                    "logicalType": "string",
                    "classification": "blinded",
                    "enum": [{"value": "ACTIVE7"}, {"value": "PLACEBO9"}],
                    "customProperties": [{"property": "howToFix", "value": "Ask the pharmacist."}],
                },
                {
                    "name": "price",
                    "logicalType": "number",
                    "customProperties": [
                        {"property": "softMaximum", "value": 99},
                        {"property": "howToFix", "value": "Write a number with a point."},
                    ],
                },
            ],
        }
    ],
}
HEADER = ("Thing", "Arm", "Price", "Note")
#: From row 2 on. The note is no column of the contract; it may tell the arm as well.
ROWS: list[tuple[str, ...]] = [
    ("t2", "ACTIVE7", "5", "fine"),
    ("t3", "PLACEBO9", "a lot", "on PLACEBO9"),
    ("t4", "ACTIVE8", "6", ""),
    ("t5", "ACTIVE7", "500", "=1+1"),
    ("t6", "PLACEBO9", "placebo9", ""),
    ("=t7", "ACTIVE7", "x", "fine"),
]
#: How each format sends these rows: its section, its file, and its row of t3 as the sender may see it.


def _csv() -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=";", lineterminator="\n").writerows([HEADER, *ROWS, ("t8", "ACTIVE7")])
    return b"made by hand\n\n" + out.getvalue().encode()


def _jsonl() -> bytes:
    # A header line would be no row: the first stands where other formats have theirs.
    lines = [dict(zip(HEADER, row, strict=True)) for row in [("t1", "ACTIVE7", "1", ""), *ROWS]]
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode() + b'{"Thing": "t8", "Arm": "ACTIVE7"\n'


def _excel() -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in [HEADER, *ROWS]:
        book.active.append(row)
        for cell in book.active[book.active.max_row]:
            cell.data_type = "s"
    book.save(out)
    return out.getvalue()


def _fixed() -> bytes:
    lines = ["".join(cell.ljust(12) for cell in row) for row in [HEADER, *ROWS]]
    return "\n".join([*lines, "t8          ACTIVE7", ""]).encode()


def _parquet() -> bytes:
    rows = [("t1", "ACTIVE7", "1", ""), *ROWS]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(zip(HEADER, row, strict=True)) for row in rows]), out)
    return out.getvalue()


FORMATS = {
    "csv": ({"csv": {"delimiter": ";", "preamble_rows": 1}}, _csv, f"t3;{BLINDED};a lot;{BLINDED}"),
    "jsonl": (
        {"jsonl": {}},
        _jsonl,
        f'{{"Thing": "t3", "Arm": "{BLINDED}", "Price": "a lot", "Note": "{BLINDED}"}}',
    ),
    "excel": ({"excel": {}}, _excel, f'["t3", "{BLINDED}", "a lot", "{BLINDED}"]'),
    "fixed": (
        {"fixed": {"header_rows": 1, "columns": [{"name": name, "width": 12} for name in HEADER]}},
        _fixed,
        f"t3          {BLINDED:12}a lot       {BLINDED:12}",
    ),
    "parquet": (
        {"parquet": {}},
        _parquet,
        f'{{"Thing": "t3", "Arm": "{BLINDED}", "Price": "a lot", "Note": "{BLINDED}"}}',
    ),
}


@pytest.fixture(scope="module")
def hauled(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hauled]:
    """A pipeline for each format, its one file hauled."""
    folder = tmp_path_factory.mktemp("queries")
    for name in ("definitions/pipelines", "definitions/contracts", "landing/north"):
        (folder / name).mkdir(parents=True)
    for name, (section, content, _) in FORMATS.items():
        contract = json.loads(json.dumps(CONTRACT).replace("{name}", name))
        (folder / f"definitions/contracts/{name}.odcs.yaml").write_text(yaml.safe_dump(contract))
        pipeline = {
            "pipeline": name,
            "owner": "data management",
            "contract": f"../contracts/{name}.odcs.yaml",
            "source": {
                "files": {"path": f"{{instance}}/{name}_{{date:%Y-%m-%d}}.{name}", "select": "name"},
                **section,
            },
            "load": {"reject_threshold": 1},
            "instances": {"north": {}},
        }
        (folder / f"definitions/pipelines/{name}.yaml").write_text(yaml.safe_dump(pipeline))
        (folder / f"landing/north/{name}_2026-01-05.{name}").write_bytes(content())
    with fresh_database(tier) as database:
        made = place(tier, database, folder)
        made = Hauled(
            environ={**made.environ, "HAULIER_DEFINITIONS": str(folder / "definitions")},
            database=database,
            home=folder,
        )
        made.json("run", *DAY, "--in-process")
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


@pytest.mark.requirement("R-21", "R-24")
def test_the_list_counts_by_status_and_owner_and_says_what_is_overdue(hauled: Hauled) -> None:
    words = ("queries", "list", "--pipeline", "csv")
    fresh = hauled.json(*words)
    assert fresh["by_status"] == [
        {
            **fresh["by_status"][0],
            "status": "open",
            "owner": "data management",
            "queries": 6,
            "rejects": 5,
            "flags": 1,
        }
    ]
    assert [(row["overdue"], row["alert"]) for row in fresh["by_instance"]] == [(0, "")]
    later = hauled.json(*words, "--now", "2100-01-01T00:00:00Z")
    assert [(row["overdue"], row["overdue_percent"], row["alert"]) for row in later["by_instance"]] == [
        (6, "100.0", "high")
    ]
    assert "overdue: open for more than 7 days" in hauled.text(*words)
    assert hauled.json(*words, "--rule", "enum")["queries"] == 1
    assert hauled.json(*words, "--kind", "flag")["queries"] == 1
    assert hauled.json(*words, "--owner", "nobody")["queries"] == 0
    assert hauled.json(*words, "--older-than", "1")["queries"] == 0
    assert hauled.json(*words, "--older-than", "1", "--now", "2100-01-01T00:00:00Z")["queries"] == 6
    assert hauled.text(*words, "--status", "closed") == "no query\n"
    assert "name one of them" in hauled.say(*words, "--status", "closed", "--all")[2]


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
    ):
        code, out, err = hauled.say("queries", *words)
        assert (code, out) == (2, "")
        assert problem in err


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

    def test_its_commands_run_as_they_stand(
        self, hauled: Hauled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        commands = [
            line
            for block in re.findall(r"```console\n(.+?)```", PAGE.read_text(), re.DOTALL)
            for line in block.splitlines()
        ]
        assert len(commands) > 5
        for command in commands:
            name, *words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", command)]
            assert name == "haulier"
            hauled.text(*words)
        assert {path.name for path in tmp_path.iterdir()} == {"queries-north.xlsx", "queries-north.csv"}

    def test_it_says_what_every_status_and_every_cell_is(self) -> None:
        statuses, cells = re.findall(r"^\| --- \|.*\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)

        assert re.findall(r"^\| `(.+?)` \|", statuses, re.MULTILINE) == list(STATUSES)
        assert re.findall(r"^\| `(.+?)` \|", cells, re.MULTILINE) == list(LISTING)
