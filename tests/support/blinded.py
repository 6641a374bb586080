"""Files of every format, sent by somebody who must not learn which arm a row is of."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from support.databases import fresh_database
from support.hauled import Hauled, place

from haulier_command.blinding import BLINDED
from haulier_command.embedded import Tier

DAY = ("--interval-start", "2026-01-05T00:00:00Z", "--interval-end", "2026-01-06T00:00:00Z")
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


def _csv(rows: list[tuple[str, ...]] | None = None) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=";", lineterminator="\n").writerows(
        [HEADER, *(rows or [*ROWS, ("t8", "ACTIVE7")])]
    )
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


#: How each format sends these rows: its section, its file, and its row of t3 as the sender may see it.
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


@contextmanager
def haul_blinded(tier: Tier, folder: Path) -> Iterator[Hauled]:
    """A pipeline for each format, its one file hauled; of CSV somebody else sends one, too."""
    for name in ("definitions/pipelines", "definitions/contracts", "landing/north", "landing/south"):
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
            "instances": {"north": {}, **({"south": {}} if name == "csv" else {})},
        }
        (folder / f"definitions/pipelines/{name}.yaml").write_text(yaml.safe_dump(pipeline))
        (folder / f"landing/north/{name}_2026-01-05.{name}").write_bytes(content())
    (folder / "landing/south/csv_2026-01-05.csv").write_bytes(_csv([("s2", "ACTIVE7", "dear", "")]))
    with fresh_database(tier) as database:
        made = place(tier, database, folder)
        made = Hauled(
            environ={**made.environ, "HAULIER_DEFINITIONS": str(folder / "definitions")},
            database=database,
            home=folder,
        )
        made.json("run", *DAY, "--in-process")
        yield made
