"""What the images lack would show here: every format, an API and databases, through three containers."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from support.api import Api, served
from support.engine import STEPS, images, run
from support.replicated import followed, logical_server
from support.things import DEFINITIONS, day, place
from support.workbooks import inline, row, value, workbook

from haulier_command.containers import here as containers_here
from haulier_command.steps import Order

ROWS = [("a", "red", Decimal("1.50")), ("b", "blue", Decimal("2.25"))]


def of_parquet() -> bytes:
    sink = io.BytesIO()
    names = ("thing", "colour", "price")
    pq.write_table(pa.table({name: [line[at] for line in ROWS] for at, name in enumerate(names)}), sink)
    return sink.getvalue()


def of_excel() -> bytes:
    lines = [row(1, inline("thing"), inline("colour"), inline("price"))]
    lines += [
        row(n, inline(thing), inline(colour), value(str(price)))
        for n, (thing, colour, price) in enumerate(ROWS, 2)
    ]
    return workbook("".join(lines))


CSV = b"thing,colour,price\na,red,1.50\nb,blue,2.25\n"
FORMATS = {
    "csv.zst": (pa.compress(CSV, codec="zstd", asbytes=True), {}),
    "jsonl": (
        b'{"thing":"a","colour":"red","price":1.50}\n{"thing":"b","colour":"blue","price":2.25}\n',
        {"jsonl": {}},
    ),
    "txt": (
        b"a red 1.50\nb blue2.25\n",
        {
            "fixed": {
                "columns": [
                    {"name": "thing", "width": 2},
                    {"name": "colour", "width": 4},
                    {"name": "price", "width": 4},
                ]
            }
        },
    ),
    "parquet": (of_parquet(), {"parquet": {}}),
    "xlsx": (of_excel(), {"excel": {"sheet": 1}}),
}


@pytest.fixture(scope="module", autouse=True)
def built():
    images()


@pytest.fixture
def here(tier, tmp_path):
    definitions = tmp_path / "definitions"
    shutil.copytree(DEFINITIONS, definitions)
    with place(tier, tmp_path, HAULIER_DEFINITIONS=str(definitions)) as made:
        yield made


def haul(here, source):
    document = {"pipeline": "things", "contract": "../contracts/things.odcs.yaml", "source": source}
    (here.settings.definitions / "pipelines" / "things.yaml").write_text(yaml.safe_dump(document))
    return through(here, 0)


def through(here, number):
    for step in STEPS:
        order = Order(step=step, verb="run", pipeline="things", instance="main", interval=day(number))
        done = run(containers_here(here.environment).by_hand(step, order.arguments), here.environment)
        assert done.returncode == 0, done.stderr
    return here.database.rows("SELECT thing, colour, price FROM shop.things ORDER BY thing")


@pytest.mark.parametrize("ending", FORMATS)
def test_a_format_is_read_in_the_images(here, ending):
    data, form = FORMATS[ending]
    path = here.landing / f"things.{ending}"
    path.write_bytes(data)
    noon = (day(0).start + timedelta(hours=12)).timestamp()
    os.utime(path, (noon, noon))

    assert haul(here, {"files": {"path": f"*.{ending}"}, **form}) == ROWS


def test_an_api_is_read_in_the_images(here):
    rows = [{"thing": thing, "colour": colour, "price": float(price)} for thing, colour, price in ROWS]
    environment = {**here.environment, "HAULIER_SECRET_LAB": "s3cret"}
    with served(Api(rows=rows, authorization="Bearer s3cret")) as api:
        asked = {"url": f"{api.url}/whole", "auth": {"bearer": "LAB"}}
        assert haul(replace(here, environment=environment), {"http": asked}) == ROWS


def test_a_sqlite_file_is_read_in_the_images(here):
    with closing(sqlite3.connect(here.landing / "lab.db")) as lab:
        lab.execute("CREATE TABLE things (thing TEXT PRIMARY KEY, colour TEXT, price TEXT)")
        lab.executemany("INSERT INTO things VALUES (?, ?, ?)", [(t, c, str(p)) for t, c, p in ROWS])
        lab.commit()

    assert haul(here, {"sql": {"url": "sqlite:///lab.db", "table": "things"}}) == ROWS


def test_a_postgresql_is_read_in_the_images(here):
    here.database.rows("CREATE SCHEMA lab")
    here.database.rows("CREATE TABLE lab.things (thing text PRIMARY KEY, colour text, price numeric(6, 2))")
    for line in ROWS:
        here.database.rows("INSERT INTO lab.things VALUES (%s, %s, %s)", line)
    told = here.environment
    environment = {**told, "HAULIER_SECRET_LAB": told["PGPASSWORD"]}
    url = f"postgresql://{told['PGUSER']}@{told['PGHOST']}:{told['PGPORT']}/{told['PGDATABASE']}?sslmode=disable"
    asked = {"url": url, "password": "LAB", "table": "lab.things"}

    assert haul(replace(here, environment=environment), {"sql": asked}) == ROWS


def test_a_log_is_read_in_the_images(tier, tmp_path):
    with logical_server() as logical, followed(logical, tier, tmp_path) as made:
        made.do(
            # No contract has it; it is read all the same, on the images' Python.
            "ALTER TABLE things ADD COLUMN tags text[] DEFAULT '{x,NULL}'",
            "INSERT INTO things VALUES ('a', 'red', NULL, 1.5), ('b', 'red', NULL, 2.25), ('c', 'red', NULL, 1)",
        )
        assert len(through(made.place, 0)) == 3
        made.do("UPDATE things SET colour = 'blue' WHERE thing = 'b'", "DELETE FROM things WHERE thing = 'c'")

        assert through(made.place, 1) == ROWS
