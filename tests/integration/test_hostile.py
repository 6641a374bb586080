"""What is meant to break a load, through all three steps: it is rejected with its bytes or refused by name, the rest
is loaded, and the accounts close.

Each case is a file (or what stands in a cell of one); what it must become stands beside it.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.databases import Database
from support.processes import in_process
from support.site import COLUMNS, Site, peak_of_haul
from support.workbooks import inline, row, workbook

from haulier.errors import DataError, DefinitionError
from haulier.rows import VERBATIM_BYTES

WIDE: Mapping[str, tuple[str, str]] = {
    **COLUMNS,
    "count": ("integer", "bigint"),
    "exact": ("number", "numeric(38,0)"),
    "rough": ("number", "double precision"),
}
NAMES = list(WIDE)
DROP = '"; DROP TABLE shop.things; --'
UP = "../../../../etc/passwd"


@pytest.fixture
def site(database: Database, exchange_environment: dict[str, str], tmp_path: Path) -> Site:
    return Site.made(database, exchange_environment, tmp_path)


#: What a column may be sent -> what the table keeps of it, or the rule it breaks.
CELLS: list[tuple[str, str, object]] = [
    ("price", "9999999999.99", Decimal("9999999999.99")),
    ("price", "10000000000", "range"),
    ("price", "1" * 38, "range"),
    ("price", "1" * 100_000, "range"),
    ("price", "1e-400", "scale"),
    ("price", "1e999999999999", "range"),
    ("price", "NaN", "type"),
    ("price", "-Infinity", "type"),
    ("price", "0x10", "type"),
    ("exact", "9" * 38, Decimal("9" * 38)),
    ("exact", "-" + "9" * 38, Decimal("-" + "9" * 38)),
    ("exact", "9" * 39, "range"),
    ("exact", "1" + "0" * 38, "range"),
    ("exact", "0.5", "scale"),
    ("count", "9223372036854775807", 2**63 - 1),
    ("count", "-9223372036854775808", -(2**63)),
    ("count", "9223372036854775808", "range"),
    ("count", "-9223372036854775809", "range"),
    ("count", "NaN", "type"),
    ("count", "Infinity", "type"),
    ("rough", "1.7976931348623157e308", 1.7976931348623157e308),
    ("rough", "1e309", "range"),
    ("rough", "NaN", "type"),
    ("rough", "inf", "type"),
    ("day", "0001-01-01", date(1, 1, 1)),
    ("day", "9999-12-31", date(9999, 12, 31)),
    ("day", "10000-01-01", "type"),
    ("day", "0000-12-31", "type"),
    ("day", "2026-02-30", "type"),
    ("at", "9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ("at", "9999-12-31T23:59:59-01:00", "range"),
    ("at", "0001-01-01T00:00:00+01:00", "range"),
    ("at", "10000-01-01T00:00:00Z", "type"),
    ("more", '{"a":' * 600 + "1" + "}" * 600, "type"),
    ("more", '{"a":NaN}', "type"),
    ("more", '"\\ud800"', "type"),
    ("more", '{"e":"😀"}', {"e": "😀"}),
]


def as_csv(rows: list[dict[str, str]], names: list[str]) -> bytes:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode()


def as_jsonl(rows: list[dict[str, str]], names: list[str]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows)


def as_parquet(rows: list[dict[str, str]], names: list[str]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({name: [one.get(name) for one in rows] for name in names}), sink)
    return sink.getvalue()


def as_excel(rows: list[dict[str, str]], names: list[str]) -> bytes:
    def escaped(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")

    lines = [inline(*(escaped(one.get(name, "")) for name in names)) for one in rows]
    cells = [row(at, line) for at, line in enumerate([inline(*map(escaped, names)), *lines], start=1)]
    return workbook("".join(cells))


@pytest.mark.parametrize(
    ("form", "written", "first"),
    [("csv", as_csv, 2), ("jsonl", as_jsonl, 1), ("parquet", as_parquet, 1), ("excel", as_excel, 2)],
)
def test_a_cell_is_kept_exactly_or_its_row_is_rejected(
    site: Site, form: str, written: Callable[[list[dict[str, str]], list[str]], bytes], first: int
) -> None:
    """The same texts in every format; a header that is SQL and one that is a path are names like any other."""
    site.define({form: {}}, columns=WIDE)
    rows = [{"thing": f"{at:02}", column: sent} for at, (column, sent, _) in enumerate(CELLS)]
    rows += [{"thing": DROP, DROP: "x", UP: "x"}, {"thing": "😀 e\u0301"}]
    data = written(rows, [*NAMES, DROP, UP])
    site.send(f"things.{form}", data)

    site.haul()

    names = ", ".join(NAMES)
    kept = {one[0]: one for one in site.database.rows(f"SELECT {names} FROM shop.things")}
    rules = {number: rule for number, _, rule, _ in site.rejects()}
    became = [
        kept[f"{at:02}"][NAMES.index(column)] if f"{at:02}" in kept else rules[first + at]
        for at, (column, _, _) in enumerate(CELLS)
    ]
    assert became == [expected for _, _, expected in CELLS]
    assert kept.keys() >= {DROP, "😀 e\u0301"}
    # A price of 100,000 digits is kept in part; where the file is text, its row is found again in it.
    ((length, problem),) = site.whole().values()
    place = data[problem.get("start", 0) : problem.get("stop", 0)]
    if form in ("csv", "jsonl"):
        assert (len(place), hashlib.sha256(place).hexdigest()) == (length, problem["sha256"])
    assert site.verified() == []


HEAD = b"thing,price\n"
GOOD = b"good,1\n"
DEEP = b"[" * 10_000 + b"]" * 10_000
LONG = b"x" * (1 << 20)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A file in which ``good`` things stand beside what is hostile."""

    form: dict[str, Any]
    data: bytes
    #: row -> the rule it breaks.
    rejects: dict[int, str] = field(default_factory=dict)
    good: int = 2
    name: str = "things"


def case(
    form: str, *lines: bytes, end: bytes = b"\n", rejects: dict[int, str] | None = None, **more: Any
) -> Case:
    return Case(
        form={form: more.pop("options", {})}, data=end.join([*lines, b""]), rejects=rejects or {}, **more
    )


FILES = {
    "csv: NUL bytes": case("csv", b"thing,price", b"g1,1", b"b\0d,1", b"bad,\0", b"g2,1", rejects={3: "nul-byte", 4: "nul-byte"}),
    "jsonl: NUL bytes": case(
        "jsonl", b'{"thing":"g1"}', b'{"thing":"b\0d"}', b'{"a\\u0000":1}', b'{"thing":"g2"}', rejects={2: "json", 3: "key"}
    ),
    "fixed: NUL bytes": case(
        "fixed", b"g1", b"b\0", b"g2", rejects={2: "nul-byte"}, options={"columns": [{"name": "thing", "width": 2}]}
    ),
    "csv: ragged rows": case(
        "csv", b"thing,price", b"g1,1", b"few", b"too,1,many", b",,,,,,,", b"g2,1",
        rejects={3: "ragged", 4: "ragged", 5: "ragged"},
    ),
    "csv: a quote that is never closed": case(
        "csv", b"thing,price", b"g1,1", b'"open,1' + LONG + LONG, b"g2,1", rejects={3: "quote-not-closed"}
    ),
    "csv: the last quote is never closed": case(
        "csv", b"thing,price", b"g1,1", b"g2,1", b'"open,1', rejects={4: "quote-not-closed"}
    ),
    "csv: a quote in the middle": case("csv", b"thing,price", b'g"1,1', b'g2,"1"'),
    "csv: mixed line ends": case(
        "csv", b"thing,price\rg1,1\r\nfew\ng2,1", end=b"\n", rejects={3: "ragged"}
    ),
    "jsonl: mixed line ends": case("jsonl", b'{"thing":"g1"}\r{"thing"\r\n\r\n{"thing":"g2"}', rejects={2: "json"}),
    "csv: a field of 3 MiB": case("csv", b"thing,price", b"g1,1", LONG * 3 + b",1", b"g2,1", rejects={3: "record-too-long"}),
    "csv: a field of 3 MiB behind a byte order mark": case(
        "csv", b"\xef\xbb\xbfthing,price", b"g1,1", LONG * 3 + b",1", b"g2,1", rejects={3: "record-too-long"}
    ),
    "jsonl: a field of 3 MiB": case(
        "jsonl", b'{"thing":"g1"}', b'{"thing":"' + LONG * 3 + b'"}', b'{"thing":"g2"}', rejects={2: "record-too-long"}
    ),
    "fixed: a line of 3 MiB": case(
        "fixed", b"g1", LONG * 3, b"g2", rejects={2: "record-too-long"}, options={"columns": [{"name": "thing", "width": 2}]}
    ),
    "csv: a ragged row of 100,000 cells": case(
        "csv", b"thing,price", b"g1,1", b",".join([b"x"] * 100_000), b"g2,1", rejects={3: "ragged"}
    ),
    "jsonl: nested 10,000 deep": case(
        "jsonl", b'{"thing":"g1"}', b'{"thing":"x","more":' + DEEP + b"}", b'{"thing":"g2"}', rejects={2: "too-deep"}
    ),
    "jsonl: nested 10,000 deep, never closed": case(
        "jsonl", b'{"thing":"g1"}', b'{"a":' * 10_000, b'{"thing":"g2"}', rejects={2: "too-deep"}
    ),
    "csv: nested 10,000 deep": case(
        "csv", b"thing,more", b"g1,", b"deep," + DEEP, b"g2,", rejects={3: "type"}
    ),
    "csv: bytes of no encoding": case(
        "csv", b"thing,price", b"g1,1", b"\xff\xfe,1", b"\xed\xa0\x80,1", b"\xf5\x80\x80\x80,1", b"g2,1",
        rejects={3: "encoding", 4: "encoding", 5: "encoding"},
    ),
    "jsonl: lone surrogates": case(
        "jsonl", b'{"thing":"g1"}', b'{"thing":"\\ud800"}', b'{"thing":"\\udc00\\ud800"}', b'{"thing":"\xed\xa0\x80"}',
        b'{"thing":"g2 \\ud83d\\ude00"}', rejects={2: "json", 3: "json", 4: "encoding"},
    ),
    "excel: lone surrogates": Case(
        form={"excel": {}},
        data=workbook(row(1, inline("thing")) + row(2, inline("g1")) + row(3, inline("_xD800_")) + row(4, inline("g2"))),
        rejects={3: "encoding"},
    ),
    "jsonl: numbers beyond any": case(
        "jsonl", b'{"thing":"g1"}', b'{"thing":"x","price":' + b"9" * 400 + b"}", b'{"thing":"y","price":1e400}',
        b'{"thing":"z","price":NaN}', b'{"thing":"g2"}', rejects={2: "range", 3: "range", 4: "json"},
    ),
    "csv: duplicate headers": case("csv", b"thing,price,price,price", b"g1,1,2,3", b"g2,1,2,3"),
    "jsonl: duplicate keys": case(
        "jsonl", b'{"thing":"g1"}', b'{"thing":"x","thing":"y"}', b'{"thing":"g2"}', rejects={2: "duplicate-key"}
    ),
    "csv: 10,000 columns": case(
        "csv", b",".join([b"thing", *(b"c%d" % at for at in range(9_999))]), *(b"g%d" % at + b"," * 9_999 for at in (1, 2))
    ),
    "csv in a zip whose entry climbs": Case(
        form={"csv": {}}, data=b"", name="things.zip",
    ),
}  # fmt: skip


def climbing_zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(UP, HEAD + b"g1,1\ng2,1\n")
    return sink.getvalue()


@pytest.mark.parametrize("name", FILES)
def test_a_row_is_rejected_with_its_bytes_and_the_others_are_loaded(site: Site, name: str) -> None:
    given = FILES[name]
    data = given.data or climbing_zip()
    section = next(iter(given.form))
    site.define(given.form, path="things*")
    site.send(f"{given.name}" if "." in given.name else f"things.{section}", data)

    site.haul()

    kept = [thing for (thing,) in site.database.rows("SELECT thing FROM shop.things ORDER BY thing")]
    assert len(kept) == given.good
    assert all(thing.startswith("g") for thing in kept)
    rejects = site.rejects()
    assert {number: rule for number, _, rule, _ in rejects} == given.rejects
    for _, _, _, verbatim in rejects:
        assert len(verbatim) <= VERBATIM_BYTES
        assert section == "excel" or verbatim in data
    # Those kept in part are found again in the original, whole, by their place and digest.
    assert site.whole().keys() == {number for number, *_, kept in rejects if len(kept) == VERBATIM_BYTES}
    for length, problem in site.whole().values():
        place = data[problem["start"] : problem["stop"]]
        assert (len(place), hashlib.sha256(place).hexdigest()) == (length, problem["sha256"])
    assert site.verified() == []


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


def test_names_of_files_are_names_and_never_paths(site: Site) -> None:
    """Percent signs, backslashes, quotes, line ends and SQL in names; what they would reach stays as it was."""
    site.define({"csv": {}}, path="*.csv")
    names = [
        "up..%2f..%2fetc%2fpasswd.csv",
        "up\\..\\..\\x.csv",
        "'; DROP TABLE x; --.csv",
        'a"b\nc.csv',
        "😀.csv",
    ]
    for at, name in enumerate(names):
        site.send(name, HEAD + b"g%d,1\n" % at)

    site.haul()

    assert site.database.rows("SELECT count(*) FROM shop.things") == [(len(names),)]
    found = {name for (name,) in site.database.rows("SELECT logical_name FROM haulier.delivery")}
    assert found == set(names)
    assert site.verified() == []


#: One gigabyte in one field, sent as a megabyte: members of a gzip file follow one another.
GIGABYTE = 1000
PEAK_BYTES = 512 * 1024 * 1024


def test_a_field_of_a_gigabyte_is_one_reject_in_bounded_memory(site: Site) -> None:
    site.define({"csv": {}})
    block = b"x" * 1_000_000
    digest = hashlib.sha256()
    for _ in range(GIGABYTE):
        digest.update(block)
    digest.update(b",1")
    before, after = HEAD + b"g1,1\n", b",1\ng2,1\n"
    site.send("things.csv.gz", gzip.compress(before) + gzip.compress(block) * GIGABYTE + gzip.compress(after))

    peak = in_process(peak_of_haul, site)

    assert peak < PEAK_BYTES
    assert site.database.rows("SELECT thing FROM shop.things ORDER BY 1") == [("g1",), ("g2",)]
    ((number, _, rule, verbatim),) = site.rejects()
    assert (number, rule, verbatim) == (3, "record-too-long", block[:VERBATIM_BYTES])
    length, problem = site.whole()[3]
    size = GIGABYTE * len(block) + len(b",1")
    assert (length, problem["start"], problem["stop"]) == (size, len(before), len(before) + size)
    assert problem["sha256"] == digest.hexdigest()
    assert site.verified() == []
