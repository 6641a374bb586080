"""Each format, from the file to PostgreSQL and back to its verbatim row, through all three steps."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.databases import Database
from support.steps import haul
from support.workbooks import inline, row, value, workbook

from haulier.exchange import open_exchange
from haulier.interval import Interval
from haulier.ledger.connection import connect
from haulier.ledger.verify import verify
from haulier.settings import Settings

DAY = Interval(start=datetime(2026, 1, 5, tzinfo=UTC), end=datetime(2026, 1, 6, tzinfo=UTC))
COLUMNS = {
    "thing": ("string", "text"),
    "price": ("number", "numeric(12,2)"),
    "at": ("timestamp", "timestamptz"),
    "day": ("date", "date"),
    "ok": ("boolean", "boolean"),
    "more": ("object", "jsonb"),
}
TABLE = "SELECT thing, price::text, at, day, ok, more FROM shop.things ORDER BY thing"


@dataclass
class Site:
    """A landing folder, definitions, a ledger and an exchange of one's own."""

    database: Database
    environment: dict[str, str] = field(repr=False)
    definitions: Path
    landing: Path

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.environment)

    def define(self, form: dict[str, Any], path: str = "*") -> None:
        pipeline = {
            "pipeline": "things",
            "contract": "../contracts/things.yaml",
            "source": {"files": {"path": path}, **form},
            "load": {"reject_threshold": 1},
        }
        properties = [
            {"name": name, "logicalType": logical, "physicalType": physical, "primaryKey": name == "thing"}
            for name, (logical, physical) in COLUMNS.items()
        ]
        schema = {"name": "things", "physicalName": "shop.things", "logicalType": "object"}
        contract = {"apiVersion": "v3.0.2", "kind": "DataContract", "id": "things", "version": "1.0.0"}
        self._write("pipelines/things.yaml", pipeline)
        self._write(
            "contracts/things.yaml",
            {**contract, "status": "active", "schema": [{**schema, "properties": properties}]},
        )

    def _write(self, name: str, document: dict[str, Any]) -> None:
        path = self.definitions / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))

    def send(self, name: str, data: bytes) -> None:
        path = self.landing / name
        path.write_bytes(data)
        noon = (DAY.start + timedelta(hours=12)).timestamp()
        os.utime(path, (noon, noon))

    def haul(self) -> dict[str, Any]:
        return haul(self.settings, "things", "main", DAY)["load"].counts

    def rejects(self) -> list[tuple[Any, ...]]:
        """(row, step, rule, verbatim) of the ledger's rejects."""
        found = self.database.rows(
            "SELECT row_number, step, rule, verbatim FROM haulier.reject ORDER BY row_number"
        )
        return [(row, step, rule, bytes(verbatim)) for row, step, rule, verbatim in found]

    def verified(self) -> list[Any]:
        """What the ledger's invariants find wrong, every original read again."""
        with connect(self.settings, "test") as connection:
            return verify(connection, self.settings, exchange=open_exchange(self.settings), deep=True)


@pytest.fixture
def site(database: Database, exchange_environment: dict[str, str], tmp_path: Path) -> Site:
    definitions, landing = tmp_path / "definitions", tmp_path / "landing"
    landing.mkdir()
    environment = {
        **database.environment,
        **exchange_environment,
        "HAULIER_DEFINITIONS": str(definitions),
        "HAULIER_SOURCE_ROOT": str(landing),
        "HAULIER_ACTOR": "tester",
    }
    return Site(database, environment, definitions, landing)


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


DROP = '"; DROP TABLE shop.things; --'


#: What a column may be sent -> (what the table keeps of it, or the rule it breaks).
HOSTILE: list[tuple[str, str, object]] = [
    ("price", "9999999999.99", "9999999999.99"),
    ("price", "10000000000", "range"),
    ("price", "1" * 38, "range"),
    ("price", "1" * 100_000, "range"),
    ("price", "1e-400", "scale"),
    ("price", "1e999999999999", "range"),
    ("price", "NaN", "type"),
    ("price", "-Infinity", "type"),
    ("price", "0x10", "type"),
    ("day", "0001-01-01", date(1, 1, 1)),
    ("day", "9999-12-31", date(9999, 12, 31)),
    ("day", "10000-01-01", "type"),
    ("day", "0000-12-31", "type"),
    ("day", "2026-02-30", "type"),
    ("at", "0001-01-01T00:00:00+01:00", "range"),
    ("more", '{"a":' * 600 + "1" + "}" * 600, "type"),
    ("more", '{"a":NaN}', "type"),
    ("more", '"\\ud800"', "type"),
    ("more", '{"e":"😀"}', {"e": "😀"}),
]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_is_meant_to_break_a_load_is_rejected_and_the_rest_is_loaded(site: Site, form: str) -> None:
    site.define({form: {}})
    rows: list[dict[str, str]] = [
        {"thing": f"{at:02}", column: sent} for at, (column, sent, _) in enumerate(HOSTILE)
    ]
    rows.append({"thing": DROP, DROP: "x", "../../etc/passwd": "x"})
    names = [*COLUMNS, DROP, "../../etc/passwd"]
    if form == "csv":
        sink = io.StringIO()
        writer = csv.DictWriter(sink, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        data = sink.getvalue().encode() + b'b\0d,,,,,,,\ragged,1\r\n"\xff",,,,,,,\n'
        first = 2
    else:
        data = b"".join(json.dumps(one).encode() + b"\n" for one in rows)
        data += b'{"thing":"b\0d"}\r{"thing"\r\n{"thing":"\xff"}\n'
        first = 1
    site.send(f"things.{form}", data)

    site.haul()

    kept = {one[0]: one for one in site.database.rows(TABLE)}
    rules = {row: rule for row, _, rule, _ in site.rejects()}
    for at, (column, _, expected) in enumerate(HOSTILE):
        name = f"{at:02}"
        if name in kept:
            assert kept[name][list(COLUMNS).index(column)] == expected, (column, at)
        else:
            assert rules[first + at] == expected, (column, at)
    assert DROP in kept
    assert [rules.get(first + len(rows) + more) for more in range(3)] == (
        ["nul-byte", "ragged", "encoding"] if form == "csv" else ["json", "json", "encoding"]
    )
    assert site.verified() == []
