"""A delivery with direct identifiers in it is refused before a byte of it is kept, in a real store and a real ledger."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import logging
import os
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlwt
from support.databases import Database
from support.extracting import Site
from support.steps import run_cold
from support.things import day
from support.workbooks import inline, row, workbook

from haulier.errors import DataError
from haulier_command.__main__ import main
from haulier_extract import clearing
from haulier_extract.step import plan

pytestmark = pytest.mark.requirement("R-13")

IDENTIFIERS = {
    "columns": ["*name*", "initials"],
    "patterns": {"email": r"[\w.]+@[\w.]+\.[a-z]{2,}", "phone": r"^\+?[0-9][0-9 /-]{7,}$"},
    "exempt": ["test_name", "barcode"],
}
SECRET = "jane.roe@example.org"
CLEAN = b"thing,price\none,1\ntwo,2\n"


@pytest.fixture
def site(database: Database, exchange_environment: dict[str, str], tmp_path: Path) -> Site:
    made = Site.made(database, exchange_environment, tmp_path)
    define(made)
    return made


def define(site: Site, form: Mapping[str, Any] | None = None, **identifiers: Any) -> None:
    site.define()
    source = {"files": {"path": "{instance}/*"}, **(form or {})}
    source["identifiers"] = {**IDENTIFIERS, **identifiers}
    pipeline = {"pipeline": "things", "contract": "../contracts/things.yaml", "source": source}
    site.write("pipelines/things.yaml", {**pipeline, "instances": {"one": {}}})


def stored(site: Site) -> dict[str, bytes]:
    """Every object of the store: what a look into the bucket shows."""
    import obstore
    from obstore.store import S3Store

    environment = site.environment
    store = S3Store(
        "haulier",
        endpoint=environment["AWS_ENDPOINT_URL"],
        access_key_id=environment["AWS_ACCESS_KEY_ID"],
        secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region=environment["AWS_REGION"],
        client_options={"allow_http": True},
    )
    prefix = environment["HAULIER_EXCHANGE"].rpartition("/")[2]
    names = [found["path"] for page in obstore.list(store, prefix) for found in page]
    return {name: bytes(obstore.get(store, name).bytes()) for name in names}


def nothing_kept(site: Site) -> None:
    assert stored(site) == {}
    for table in ("run", "delivery", "generation", "attempt", "load", "reject"):
        assert site.count(table) == 0, table


def refused(site: Site, name: str, data: bytes) -> str:
    """What extract says of a file that it refuses, twice, without keeping anything."""
    site.send(name, data)
    told = []
    for _ in range(2):
        with pytest.raises(DataError) as error:
            site.extract()
        told.append(str(error.value))
        nothing_kept(site)
    assert told[0] == told[1]
    assert SECRET not in told[0]
    assert "Jane" not in told[0]
    return told[0]


def sheet(*texts: str) -> bytes:
    """A workbook whose first sheet is clean and whose second one has these texts."""
    clean = row(1, inline("thing", "price")) + row(2, inline("one", "1"))
    return workbook(clean, row(1, inline("note")) + row(2, inline(*texts)))


def old_workbook() -> bytes:
    book = xlwt.Workbook()
    for name, rows in (("Data", [["thing", "price"], ["one", "1"]]), ("More", [["note"], [f"ask {SECRET}"]])):
        made = book.add_sheet(name)
        for at, cells in enumerate(rows):
            for column, text in enumerate(cells):
                made.write(at, column, text)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def parquet(**columns: list[Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"thing": ["one", "two"], **columns}), sink)
    return sink.getvalue()


def zipped(data: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv", data)
    return sink.getvalue()


DIRTY = f"thing,price\none,1\ntwo,ask {SECRET}\n".encode()
FIXED = {
    "fixed": {"columns": [{"name": "thing", "width": 6}, {"name": "price", "width": 30}], "header_rows": 1}
}
DEBEZIUM = {"jsonl": {"debezium": {}}}
EVENT = {
    "before": {"thing": "one", "note": SECRET},
    "after": {"thing": "one", "note": ""},
    "op": "u",
    "source": {"lsn": 1},
}


@pytest.mark.parametrize(
    ("form", "name", "data", "found"),
    [
        ({}, "a.csv", DIRTY, "email in column 2, row 3"),
        ({}, "a.csv.gz", gzip.compress(DIRTY, mtime=0), "email in column 2, row 3"),
        ({}, "a.zip", zipped(DIRTY), "email in column 2, row 3"),
        ({"csv": {"encoding": "utf-16"}}, "a.csv", DIRTY.decode().encode("utf-16"), "email in column 2, row 3"),
        ({}, "a.csv", b"thing,price,Patient  Name\none,1,\n", 'a name like "*name*" in column 3, row 1'),
        ({"csv": {"header_rows": 2}}, "a.csv", b"thing,c2\nThing,Last name\none,1\n", 'a name like "*name*" in column 2, row 2'),
        ({"csv": {"preamble_rows": 1}}, "a.csv", f'by "{SECRET}\nthing,price\none,1\n'.encode(), "email in a line before the header, row 1"),
        ({"csv": {"footer": {"rows": 1}}}, "a.csv", CLEAN + f"sent by {SECRET}\n".encode(), "email in a line that is no row, row 4"),
        ({}, "a.csv", CLEAN + b"one,2,+49 30 1234567\n", "phone in a line that is no row, row 4"),
        ({}, "a.csv", f"{SECRET},price\none,1\n".encode(), "email in the header of column 1, row 1"),
        ({"csv": {"record_bytes": 64}}, "a.csv", CLEAN + b'x,"' + b"y" * 100_000 + b"\n", "what cannot be searched in a line that is no row, row 4"),
        ({}, "a.csv", b'thing,price\none,"{""first_name"": 1}"\n', 'a name like "*name*" in a key inside column 2, row 2'),
        ({"jsonl": {}}, "a.jsonl", b'{"thing": "one", "more": {"phones": ["+49 30 1234567"]}}\n', "phone in column 2, row 1"),
        ({"jsonl": {}}, "a.jsonl", b'{"thing": "one", "more": {"deep": [{"initials": "J"}]}}\n', 'a name like "initials" in a key inside column 2, row 1'),
        ({"jsonl": {}}, "a.jsonl", b'{"thing": "jane\\u002eroe\\u0040example.org"}\n', "email in column 1, row 1"),
        ({"jsonl": {}}, "a.jsonl", f'{{"thing": "{SECRET}"\n'.encode(), "email in a line that is no row, row 1"),
        (DEBEZIUM, "a.jsonl", json.dumps(EVENT).encode() + b"\n", "email in column 1, row 1"),
        (FIXED, "a.txt", f"by {SECRET}\none   1\n".encode(), "email in a line that is no row, row 1"),
        (FIXED, "a.txt", f"thing price\none   {SECRET:30}\n".encode(), "email in column 2, row 2"),
        ({"excel": {}}, "a.xlsx", sheet(f"ask {SECRET}"), "email in column 1 of sheet 2, row 2"),
        ({"excel": {}}, "a.xlsx", workbook(row(1, inline("thing", "surname"))), 'a name like "*name*" in column 2 of sheet 1, row 1'),
        ({"excel": {}}, "a.xlsx", workbook(row(1, inline("thing")), comments1="<comments><comment><text><r><t>jane.roe</t></r><r><t>@example.org</t></r></text></comment></comments>"), "email in a text beside the cells"),
        ({"excel": {}}, "a.xlsx", workbook(row(1, inline("thing")), texts=[f"<t>{SECRET}</t>"]), "email in a text beside the cells"),
        ({"excel": {"sheet": "Data"}}, "a.xls", old_workbook(), "email in column 1 of sheet 2, row 2"),
        ({"parquet": {}}, "a.parquet", parquet(price=["1", SECRET]), "email in column 2, row 2"),
        ({"parquet": {}}, "a.parquet", parquet(price=[3012345678, 1]), "phone in column 2, row 1"),
        ({"parquet": {}}, "a.parquet", parquet(more=[{"Name": "Jane"}, None]), 'a name like "*name*" in a key inside column 2, row 1'),
    ],
)  # fmt: skip
def test_nothing_of_it_is_kept_whatever_it_is_in(
    site: Site, form: dict[str, Any], name: str, data: bytes, found: str
) -> None:
    define(site, form)

    told = refused(site, name, data)

    assert f"file://one/{name} has " in told
    assert found in told


@pytest.mark.parametrize(
    ("form", "name", "data"),
    [
        ({}, "a.csv", b"thing,price,test_name,barcode\none,1,Glucose,12345678901\n"),
        ({"jsonl": {}}, "a.jsonl", b'{"thing": "one", "price": "1", "barcode": "12345678901", "test_name": "x"}\n'),
        ({"excel": {"preamble_rows": 1}}, "a.xlsx", workbook(row(1, inline("Lab")) + row(2, inline("thing", "barcode")) + row(3, inline("one", "12345678901")))),
        ({"parquet": {}}, "a.parquet", parquet(barcode=[12345678901, None])),
    ],
)  # fmt: skip
def test_a_clean_file_is_kept_and_handed_on_as_ever(
    site: Site, form: dict[str, Any], name: str, data: bytes
) -> None:
    define(site, form)
    site.send(name, data)

    assert site.extract().outcome == "sealed"

    (delivery,) = site.manifest().deliveries
    assert site.exchange.get(delivery.original) == data
    assert site.rows()[0][2] == "one"
    assert site.count("refusal") == 0


def test_a_refused_file_holds_the_others_back_until_a_clean_one_takes_its_place(site: Site) -> None:
    site.send("a.csv", CLEAN)
    refused(site, "b.csv", DIRTY)

    site.send("b.csv", CLEAN.replace(b"one", b"three"))
    assert site.extract().outcome == "sealed"

    assert [d.logical_name for d in site.manifest().deliveries] == ["a.csv", "b.csv"]
    assert not any(SECRET.encode() in data for data in stored(site).values())


def test_the_ledger_says_that_it_was_refused_and_nothing_of_what_it_held(site: Site) -> None:
    refused(site, "a.csv", DIRTY)

    (record,) = site.database.rows("SELECT uri, sha256, bytes, findings, actor FROM haulier.refusal")
    digest = hashlib.sha256(DIRTY).hexdigest()
    findings = [{"pattern": "email", "place": "column 2", "rows": 1}]
    assert record == ("file://one/a.csv", digest, len(DIRTY), findings, "tester")
    with pytest.raises(Exception, match="append-only"):
        site.database.rows("DELETE FROM haulier.refusal")


def test_a_name_that_is_an_identifier_is_not_repeated(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    told = refused(site, f"{SECRET}.csv", CLEAN)

    assert f"the file with SHA-256 {hashlib.sha256(CLEAN).hexdigest()} has email in the file's name" in told
    assert site.database.rows("SELECT uri FROM haulier.refusal") == [(None,)]
    assert "jane" not in caplog.text


def test_a_person_sees_which_files_were_refused_and_where_it_was(site: Site, tmp_path: Path) -> None:
    refused(site, "a.csv", DIRTY)
    (site.landing / "one" / "a.csv").unlink()
    refused(site, f"{SECRET}.csv", CLEAN)
    environ = {**os.environ, **site.environment, "HAULIER_HOME": str(tmp_path / "home"), "COLUMNS": "200"}

    def ask(*words: str) -> str:
        said = io.StringIO()
        with redirect_stdout(said):
            assert main(["rejects", "refused", *words], environ) == 0
        return said.getvalue()

    shown = ask()
    assert "2 refused files" in shown
    assert "file://one/a.csv" in shown
    assert "email in column 2, 1 row" in shown
    assert f"SHA-256 {hashlib.sha256(CLEAN).hexdigest()}" in shown
    assert SECRET not in shown
    named, unnamed = (json.loads(ask("--output", "json"))["refused"][at] for at in (1, 0))
    assert (named["uri"], unnamed["uri"]) == ("file://one/a.csv", None)
    assert "no refused file" in ask("--pipeline", "things", "--since", "2100-01-01")


def test_rows_are_counted_and_the_first_named(site: Site) -> None:
    lines = "".join(f"{at},{'+49 30 1234567' if at % 2 else ''}\n" for at in range(50_000))

    told = refused(site, "a.csv", f"thing,price\n{lines}".encode())

    assert "phone in column 2, rows 3, 5, 7, 9, 11 and 24995 more" in told


def test_a_plan_keeps_and_records_nothing_either(site: Site, tmp_path: Path) -> None:
    site.send("a.csv", DIRTY)
    folder = tmp_path / "plan"

    with pytest.raises(DataError, match="email in column 2, row 3"):
        plan(site.task(verb="plan", settings={"exchange": f"file://{folder}"}))

    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert site.count("refusal") == 0
    nothing_kept(site)


def test_as_a_process_it_exits_65_and_no_line_holds_a_value(site: Site, tmp_path: Path) -> None:
    define(site, {"excel": {}})
    site.send("a.xlsx", sheet(SECRET))
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    code, result, log = run_cold(
        {**site.environment, "TMPDIR": str(temporary)}, "extract", "things", "one", day(0)
    )

    assert (code, result) == (65, {})
    (event,) = [line for line in map(json.loads, log.splitlines()) if line["event"] == "delivery refused"]
    assert event["found"] == [{"pattern": "email", "place": "column 1 of sheet 2", "rows": 1}]
    assert "jane" not in log
    assert list(temporary.iterdir()) == []


def test_a_sample_for_a_contract_is_refused_as_well(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from haulier_extract.discovery import Wanted, discover

    site.send("a.csv", DIRTY)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

    with pytest.raises(DataError, match="email in column 2, row 3"):
        discover(Wanted(pipeline="things", instance="one"), site.settings)

    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_file_that_changes_after_the_search_sends_no_byte_that_was_not_searched(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.send("a.csv", CLEAN)
    searched = clearing.search

    def then_changed(*arguments: Any) -> Any:
        found = searched(*arguments)
        path.write_bytes(DIRTY)
        return found

    monkeypatch.setattr(clearing, "search", then_changed)
    sent: list[bytes] = []
    monkeypatch.setattr(
        "haulier.exchange.s3.S3Exchange.upload",
        lambda _self, _key, chunks: sent.extend(chunks) or sum(map(len, sent)),
    )

    outcome = site.extract()

    assert (outcome.exit_code, outcome.counts["waiting"]) == (99, 1)
    assert sent == []


def test_a_file_that_changes_during_the_search_waits(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = site.send("a.csv", CLEAN)
    found = clearing.cleared

    def changed(*arguments: Any) -> Any:
        path.write_bytes(CLEAN.replace(b"2", b"3"))
        return found(*arguments)

    monkeypatch.setattr(clearing, "cleared", changed)

    assert site.extract().exit_code == 99
    assert stored(site) == {}


def test_the_log_names_no_header_and_no_cell(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    # Its first row is data: what passes for the header is a person.
    refused(site, "a.csv", f"Jane Roe,{SECRET}\nJohn Doe,+49 30 1234567\n".encode())

    assert "Roe" not in caplog.text
    assert "Doe" not in caplog.text
