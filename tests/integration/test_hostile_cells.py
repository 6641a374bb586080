"""What stands in a cell to break a load, in every format: it is kept exactly, or its row is rejected."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.databases import Database
from support.hostile import UP, as_jsonl
from support.site import COLUMNS, Site
from support.workbooks import inline, row, workbook

WIDE: Mapping[str, tuple[str, str]] = {
    **COLUMNS,
    "count": ("integer", "bigint"),
    "exact": ("number", "numeric(38,0)"),
    "rough": ("number", "double precision"),
}
NAMES = list(WIDE)
DROP = '"; DROP TABLE shop.things; --'


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
