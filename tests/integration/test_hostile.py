"""Files that are meant to break a load, through all three steps: what is hostile is rejected with its bytes, the rest is
loaded, and the accounts close.

What a file must become stands beside it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.databases import Database
from support.hostile import HEAD, LONG, UP
from support.processes import in_process
from support.site import Site, peak_of_haul
from support.workbooks import inline, row, workbook

from haulier.rows import VERBATIM_BYTES


@pytest.fixture
def site(database: Database, exchange_environment: dict[str, str], tmp_path: Path) -> Site:
    return Site.made(database, exchange_environment, tmp_path)


GOOD = b"good,1\n"
DEEP = b"[" * 10_000 + b"]" * 10_000


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
