"""Files and definitions that are refused by name, and nothing is touched."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.databases import Database
from support.hostile import HEAD, LONG, UP, as_jsonl
from support.site import Site
from support.workbooks import inline, row, workbook

from haulier.errors import DataError, DefinitionError


@pytest.fixture
def site(database: Database, exchange_environment: dict[str, str], tmp_path: Path) -> Site:
    return Site.made(database, exchange_environment, tmp_path)


def bomb(kind: str) -> bytes:
    """Zeros, a thousand times what is sent."""
    zeros = bytes(1 << 24)
    if kind == "gz":
        return gzip.compress(zeros)
    if kind == "zst":
        return bytes(pa.compress(zeros, codec="zstd", asbytes=True))
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("things.csv", zeros)
    return sink.getvalue()


def many_entries() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for at in range(11):
            archive.writestr(f"folder {at}/", b"")
        archive.writestr("things.csv", HEAD)
    return sink.getvalue()


SMALL = {"packed": {"ratio_from_bytes": 1 << 20, "entries": 10}}
REFUSED: dict[str, tuple[dict[str, Any], str, Callable[[], bytes], str]] = {
    **{
        f"a bomb of {kind}": (
            {"csv": SMALL}, f"things.csv.{kind}", partial(bomb, kind), r"source\.csv\.packed\.ratio \(200\)"
        )
        for kind in ("gz", "zip", "zst")
    },
    "a bomb of a workbook": (
        {"excel": {"packed": {"ratio_from_bytes": 1 << 20}}},
        "things.xlsx",
        lambda: workbook(row(1, inline("thing")) + row(2, inline("x" * (1 << 24)))),
        r"source\.excel\.packed\.ratio \(200\)",
    ),
    "an archive of many entries": ({"csv": SMALL}, "things.zip", many_entries, r"source\.csv\.packed\.entries \(10\)"),
    "10,001 columns": (
        {"csv": {}}, "things.csv", lambda: b",".join(b"c%d" % at for at in range(10_001)) + b"\n", "10000 are the most that can be read"
    ),
    "10,001 keys": (
        {"jsonl": {}}, "things.jsonl", lambda: as_jsonl([{f"c{at}": "" for at in range(10_001)}], []), "10000 are the most that can be read"
    ),
    "a header with NUL": ({"csv": {}}, "things.csv", lambda: b"thi\0ng,price\ng,1\n", "holds NUL bytes"),
    "a header whose quote is never closed": (
        {"csv": {}}, "things.csv", lambda: b'"thing,price\n' + LONG * 2 + b"\n", "quote-not-closed; is csv.quote right"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_is_refused_by_name_and_nothing_is_touched(site: Site, name: str) -> None:
    form, file, data, said = REFUSED[name]
    site.define(form, path="things*")
    site.send(file, data())

    with pytest.raises(DataError, match=said) as refused:
        site.haul()

    assert file in str(refused.value)
    assert site.database.rows("SELECT to_regclass('shop.things')") == [(None,)]
    assert site.verified() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pipeline": "../things"}, "pipeline"),
        ({"contract": "../../contracts/things.yaml"}, "contract"),
        ({"source": {"files": {"path": "../landing/*"}}}, "leaves the source folder"),
        ({"source": {"files": {"path": f"s3://bucket/{UP}"}}}, "leaves the source folder"),
    ],
)
def test_a_definition_that_climbs_out_of_its_folder_is_refused(
    site: Site, change: dict[str, Any], said: str
) -> None:
    site.define({"csv": {}})
    path = site.definitions / "pipelines" / "things.yaml"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    with pytest.raises(DefinitionError, match=said):
        site.haul()
