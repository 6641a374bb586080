"""Peak memory and time of each step on large files: bounded by the batch, whatever the file's size.

PYTHONPATH=tests .venv/bin/python tests/bench/memory.py [FORMAT ...] [MEGABYTES ...] [STEP ...]

FORMAT is csv, jsonl, fixed, excel, xls, parquet, http, sql (a table) or changes (a table's log); megabytes are of the file,
packed where the format packs, or of the rows. Without a STEP all three.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import xlwt
from support.steps import STEPS, command, environ
from support.things import DEFINITIONS, START, day, place

from haulier_command import embedded

SIZES = (100, 1000)
COLUMNS = ("thing", "colour", "price")
#: Rows that are made once and written again under other names.
BLOCK = 50_000
#: Where the formats themselves end.
MOST_ROWS = {"excel": 1_048_575, "xls": 65_535}
PAGE = 10_000

Row = tuple[str, str, str]


def rows(block: list[tuple[str, str]]) -> Iterator[Row]:
    """About 170 bytes each, as a lab row has; one in forty is bad. Without an end."""
    number = 0
    while True:
        for at, (colour, price) in enumerate(block):
            yield f"{number}-thing-{at}", colour, price
        number += 1


def block() -> list[tuple[str, str]]:
    digests = (hashlib.sha256(str(at).encode()).hexdigest() for at in range(BLOCK))
    prices = ("a lot" if at % 40 == 11 else f"{at % 1000}.10" for at in range(BLOCK))
    return [(f"colour {one}{one[::-1]}", price) for one, price in zip(digests, prices, strict=True)]


def lines(path: Path, size: int, line: Callable[[Row], str], head: str = "") -> int:
    count = 0
    with path.open("w") as file:
        file.write(head)
        for row in rows(block()):
            file.write(line(row))
            count += 1
            if count % BLOCK == 0 and file.tell() >= size:
                return count
    raise AssertionError


def csv(path: Path, size: int) -> int:
    return lines(path, size, lambda row: ",".join(row) + "\n", ",".join(COLUMNS) + "\n")


def jsonl(path: Path, size: int) -> int:
    return lines(path, size, lambda row: json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n")


def fixed(path: Path, size: int) -> int:
    return lines(path, size, lambda row: f"{row[0]:<24}{row[1]:<140}{row[2]:>10}\n")


def excel(path: Path, size: int) -> int:
    """The sheet alone is replaced in a workbook as a library writes it."""
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(list(COLUMNS))
    book.save(path.with_suffix(".small"))
    count = 0
    with (
        zipfile.ZipFile(path.with_suffix(".small")) as small,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for name in small.namelist():
            if name != "xl/worksheets/sheet1.xml":
                archive.writestr(name, small.read(name))
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(
                b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
            )
            for row in [COLUMNS, *_first(rows(block()), MOST_ROWS["excel"])]:
                cells = "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in row)
                sheet.write(f"<row>{cells}</row>".encode())
                count += 1
                if count % BLOCK == 0 and path.stat().st_size >= size:
                    break
            sheet.write(b"</sheetData></worksheet>")
    path.with_suffix(".small").unlink()
    return count - 1


def xls(path: Path, size: int) -> int:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Data")
    for number, row in enumerate([COLUMNS, *_first(rows(block()), MOST_ROWS["xls"])]):
        for column, cell in enumerate(row):
            sheet.write(number, column, cell)
    book.save(path)
    return MOST_ROWS["xls"]


def parquet(path: Path, size: int) -> int:
    made, source, count = block(), rows(block()), 0
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while path.stat().st_size < size:
            group = list(_first(source, 5 * len(made)))
            writer.write_table(pa.table(dict(zip(COLUMNS, zip(*group, strict=True), strict=True)), schema))
            count += len(group)
    return count


def _first(source: Iterator[Row], most: int) -> Iterator[Row]:
    return (row for row, _ in zip(source, range(most), strict=False))


class Pages(BaseHTTPRequestHandler):
    """Serves pages of one size until there were enough."""

    pages, sent = 1, b""

    def do_GET(self) -> None:
        at = int(parse_qs(urlsplit(self.path).query)["page"][0])
        # Never twice the same page: that would be a server that does not know the parameter.
        body = b"[" + self.sent.replace(b'"0-', b'"%d-' % at) + b"]" if at <= self.pages else b"[]"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form: str, *given: object) -> None:
        pass


def http(size: int) -> tuple[dict[str, Any], int, ThreadingHTTPServer]:
    page = [json.dumps(dict(zip(COLUMNS, row, strict=True))) for row in _first(rows(block()), PAGE)]
    Pages.sent = ",".join(page).encode()
    Pages.pages = size // len(Pages.sent)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    source = {"http": {"url": f"http://127.0.0.1:{server.server_port}/things", "pages": {"by": "page"}}}
    return source, Pages.pages * PAGE, server


def sql(size: int, tier: embedded.Tier, stack: ExitStack, *, log: bool) -> tuple[dict[str, Any], int]:
    """A table of a database of its own; of its log, all rows are one transaction."""
    with closing(psycopg2.connect(**_parameters(tier))) as admin, admin.cursor() as cursor:
        admin.autocommit = True
        cursor.execute("DROP DATABASE IF EXISTS source WITH (FORCE)")
        cursor.execute("CREATE DATABASE source")
    place = {**_parameters(tier), "dbname": "source"}
    connection = stack.enter_context(closing(psycopg2.connect(**place)))
    changes = {"changes": {"slot": "memory", "publication": "memory", "snapshot": False, "run_bytes": 2**40}}
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE things (thing text PRIMARY KEY, colour text, price text)")
        cursor.execute("CREATE PUBLICATION memory FOR TABLE things")
    if log:
        stack.callback(_dropped, connection)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_create_logical_replication_slot('memory', 'pgoutput')")
    count = size // 170
    with connection, connection.cursor() as cursor:
        source = _first(rows(block()), count)
        while piece := "".join("\t".join(row) + "\n" for row in _first(source, BLOCK)):
            cursor.copy_from(StringIO(piece), "things")
    url = "postgresql://{user}@{host}:{port}/source?sslmode=disable".format(**place)
    return {"sql": {"url": url, "password": "LAB", "table": "things", **(changes if log else {})}}, count


def _dropped(connection: Any) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_drop_replication_slot('memory')")


def _parameters(tier: embedded.Tier) -> dict[str, str]:
    names = {
        "host": "PGHOST",
        "port": "PGPORT",
        "user": "PGUSER",
        "password": "PGPASSWORD",
        "dbname": "PGDATABASE",
    }
    return {theirs: tier.environment[ours] for theirs, ours in names.items()}


WRITERS = {"csv": csv, "jsonl": jsonl, "fixed": fixed, "excel": excel, "xls": xls, "parquet": parquet}
SECTIONS: dict[str, dict[str, Any]] = {
    "fixed": {
        "fixed": {
            "columns": [
                {"name": name, "width": width} for name, width in zip(COLUMNS, (24, 140, 10), strict=True)
            ]
        }
    },
    "xls": {"excel": {}},
}


def define(folder: Path, source: dict[str, Any]) -> Path:
    document = {
        "pipeline": "things",
        "contract": "../contracts/things.odcs.yaml",
        "source": source,
        # Without a word of which event is the newest.
        "load": {"reject_threshold": 1, "mode": "append" if "sql" in source else "upsert"},
        "instances": {"one": {}},
    }
    for inside in ("pipelines", "contracts"):
        (folder / inside).mkdir(parents=True)
    (folder / "pipelines" / "things.yaml").write_text(json.dumps(document))
    contract = (DEFINITIONS / "contracts" / "things.odcs.yaml").read_text()
    (folder / "contracts" / "things.odcs.yaml").write_text(contract)
    return folder


def measure(form: str, megabytes: int, steps: Sequence[str], tier: embedded.Tier, folder: Path) -> None:
    with ExitStack() as stack:
        landing = folder / "landing"
        landing.mkdir(parents=True)
        if form == "http":
            source, count, server = http(megabytes * 1_000_000)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
        elif form in ("sql", "changes"):
            source, count = sql(megabytes * 1_000_000, tier, stack, log=form == "changes")
        else:
            path = landing / f"things.{form}"
            count = WRITERS[form](path, megabytes * 1_000_000)
            os.utime(path, (START.timestamp(), START.timestamp()))
            megabytes = path.stat().st_size // 1_000_000
            source = {"files": {"path": "*"}, **SECTIONS.get(form, {form: {}})}
        definitions = define(folder / "definitions", source)
        here = stack.enter_context(
            place(
                tier,
                folder,
                HAULIER_DEFINITIONS=str(definitions),
                HAULIER_SECRET_LAB=tier.environment["PGPASSWORD"],
                TMPDIR=str(folder),
            )
        )
        for step in steps:
            more = [] if step == "extract" else ["--generation", "1"]
            started = time.perf_counter()
            process = subprocess.Popen(
                command(step, "things", "one", day(0), *more),
                env=environ({**here.environment, "HAULIER_SOURCE_ROOT": str(landing)}),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            assert process.stderr
            log = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            code = os.waitstatus_to_exitcode(status)
            taken = time.perf_counter() - started
            print(
                f"{form:7} {megabytes:5} MB {count:10,} rows  {step:9} exit {code}  {taken:6.1f} s  "
                f"{usage.ru_maxrss / 1024:5.0f} MB",
                flush=True,
            )
            if code:
                print(log.decode()[-2000:])
                return


def main(asked: list[str]) -> int:
    steps = [word for word in asked if word in STEPS] or list(STEPS)
    sizes = [int(word) for word in asked if word.isdigit()] or SIZES
    forms = [word for word in asked if word not in STEPS and not word.isdigit()] or ["csv"]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        tier = embedded.up(home, settings={"wal_level": "logical"})
        try:
            for form in forms:
                for megabytes in sizes:
                    measure(form, megabytes, steps, tier, Path(folder) / f"{form}-{megabytes}")
        finally:
            embedded.down(home)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
