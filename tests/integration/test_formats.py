"""Each format, from the file to PostgreSQL and back to its verbatim row, through all three steps."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlwt
from support.databases import Database
from support.site import COLUMNS, DAY, Site
from support.steps import haul_cold
from support.workbooks import inline, row, value, workbook

TABLE = "SELECT thing, price::text, at, day, ok, more FROM shop.things ORDER BY thing"


@pytest.fixture
def site(database: Database, exchange_environment: dict[str, str], tmp_path: Path) -> Site:
    return Site.made(database, exchange_environment, tmp_path)


@pytest.mark.requirement("R-16")
def test_no_step_tells_a_cell(site: Site) -> None:
    """Loaded, rejected by transform, rejected by load, of a column that nobody asked for, in the header's place."""
    site.define({"csv": {}})
    lines = ["thing,price,note", "roe,1,doe", "miller,smith,", "jones,2,", "jones,3,", "brown", ""]
    site.send("things.csv", "\n".join(lines).encode())

    steps = haul_cold({**site.environment, "HAULIER_LOG_LEVEL": "debug"}, "things", "main", DAY)

    assert [code for code, _, _ in steps] == [0, 0, 0]
    assert sorted(rule for _, _, rule, _ in site.rejects()) == [
        "key-conflict",
        "key-conflict",
        "ragged",
        "type",
    ]
    told = "".join(json.dumps(result) + log for _, result, log in steps).lower()
    assert "rejected" in told
    assert [word for word in ("roe", "doe", "miller", "smith", "jones", "brown") if word in told] == []


NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_json_lines(site: Site) -> None:
    site.define({"jsonl": {}})
    good = {"thing": "a", "price": 1.10, "at": "2026-01-05T13:00:00+01:00", "day": "2026-01-05", "ok": True}
    lines = [
        json.dumps({**good, "more": {"n": 1.10, "t": ["é"]}}),
        '{"thing":"b","price":12345678901.5}',
        '{"thing":"c","thing":"d"}',
        '{"thing":"e","price":1}',
        '{"thing":"e","price":2}',
        '{"thing":"f","more":{"x":"\\u0000"}}',
        '{"thing":' + "[" * 10_000,
    ]
    site.send("things.jsonl", "\n".join([*lines, ""]).encode())

    site.haul()

    assert site.database.rows(TABLE) == [("a", "1.10", NOON, NOON.date(), True, {"n": 1.10, "t": ["é"]})]
    assert site.rejects() == [
        (2, "transform", "range", lines[1].encode()),
        (3, "extract", "duplicate-key", lines[2].encode()),
        (4, "load", "key-conflict", lines[3].encode()),
        (5, "load", "key-conflict", lines[4].encode()),
        (6, "transform", "type", lines[5].encode()),
        (7, "extract", "too-deep", lines[6].encode()),
    ]
    assert site.verified() == []


def test_parquet(site: Site) -> None:
    site.define({"parquet": {}})
    table = pa.table(
        {
            "thing": pa.array([b"a", b"b", b"\xff", b"e", b"e"]).view(pa.string()),
            "price": [1.1, 0.1 + 0.2, 1.0, 1.0, 2.0],
            "at": pa.array([NOON, None, None, None, None], pa.timestamp("ns", "Europe/Berlin")),
            "day": pa.array([NOON.date(), None, None, None, None]),
            "ok": [True, None, None, None, None],
            "more": pa.array(
                [{"n": Decimal("1.10")}, None, None, None, None], pa.struct([("n", pa.decimal128(9, 2))])
            ),
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    site.send("things.parquet", sink.getvalue())

    site.haul()

    assert site.database.rows(TABLE) == [("a", "1.10", NOON, NOON.date(), True, {"n": 1.10})]
    rejects = site.rejects()
    assert [found[:3] for found in rejects] == [
        (2, "transform", "scale"),
        (3, "extract", "encoding"),
        (4, "load", "key-conflict"),
        (5, "load", "key-conflict"),
    ]
    assert rejects[0][3] == (
        b'{"thing":"b","price":0.30000000000000004,"at":null,"day":null,"ok":null,"more":null}'
    )
    assert site.verified() == []


def test_excel(site: Site) -> None:
    site.define({"excel": {"sheet": "Data", "preamble_rows": 1}}, path="*.xlsx")
    head = "".join(f'<c t="s"><v>{at}</v></c>' for at in range(len(COLUMNS)))
    good = (
        inline("a")
        + value("1.1000000000000001")
        + value("46027.5", 2)
        + value("46027", 1)
        + value("1", kind="b")
    )
    sheet = (
        row(1, inline("prices of the day"))
        + row(3, head)
        + row(4, good, inline('{"n":1}'))
        + row(5, inline("b"), value("#DIV/0!", kind="e"))
        + row(6, inline("c"), "<c><f>A1</f></c>")
        + row(8, inline("e"), value("1"))
        + row(9, inline("e"), value("2"))
    )
    texts = [f"<t>{name}</t>" for name in COLUMNS]
    site.send("things.xlsx", workbook(sheet, texts=texts, formats=[14, "yyyy-mm-dd hh:mm"]))

    site.haul()

    assert site.database.rows(TABLE) == [("a", "1.10", NOON, NOON.date(), True, {"n": 1})]
    assert site.rejects() == [
        (5, "transform", "type", b'["b", "#DIV/0!"]'),
        (6, "extract", "formula-without-value", b'["c"]'),
        (8, "load", "key-conflict", b'["e", "1"]'),
        (9, "load", "key-conflict", b'["e", "2"]'),
    ]
    assert site.verified() == []


def test_an_old_workbook(site: Site) -> None:
    site.define({"excel": {"sheet": "Data", "preamble_rows": 1}}, path="*.xls")
    book = xlwt.Workbook()
    sheet = book.add_sheet("Data")
    day, moment = (xlwt.easyxf(num_format_str=code) for code in ("DD/MM/YYYY", "YYYY-MM-DD hh:mm"))
    plain = xlwt.Style.default_style
    rows: list[list[tuple[Any, Any]]] = [
        [("prices of the day", plain)],
        [(name, plain) for name in COLUMNS],
        [("a", plain), (1.1, plain), (46027.5, moment), (46027, day), (True, plain), ('{"n":1}', plain)],
        [("b", plain), ("1,1", plain)],
        [("e", plain), (1, plain)],
        [("e", plain), (2, plain)],
    ]
    for number, cells in enumerate(rows):
        for column, (shown, style) in enumerate(cells):
            sheet.write(number, column, shown, style)
    sink = io.BytesIO()
    book.save(sink)
    site.send("things.xls", sink.getvalue())

    site.haul()

    assert site.database.rows(TABLE) == [("a", "1.10", NOON, NOON.date(), True, {"n": 1})]
    assert site.rejects() == [
        (4, "transform", "type", b'["b", "1,1"]'),
        (5, "load", "key-conflict", b'["e", "1"]'),
        (6, "load", "key-conflict", b'["e", "2"]'),
    ]
    assert site.verified() == []


def test_fixed_width_in_zstandard(site: Site) -> None:
    widths = {"thing": 6, "price": 10, "at": 21, "day": 11, "ok": 2}
    columns = [{"name": name, "width": width} for name, width in widths.items()]
    site.define({"fixed": {"columns": columns, "header_rows": 1}})
    line = f"{'a':<6}{'1.10':>10}{'2026-01-05T12:00:00Z':<21}{'2026-01-05':<11}{'y':<2}"
    lines = ["PRICES", line, "short", f"{'e':<50}", f"{'e':<5}{'2':>11}{'':<34}", ""]
    site.send("things.txt.zst", bytes(pa.compress("\r\n".join(lines).encode(), codec="zstd", asbytes=True)))

    site.haul()

    assert site.database.rows(TABLE) == [("a", "1.10", NOON, NOON.date(), True, None)]
    assert site.rejects() == [
        (3, "extract", "short-line", b"short"),
        (4, "load", "key-conflict", lines[3].encode()),
        (5, "load", "key-conflict", lines[4].encode()),
    ]
    assert site.verified() == []
