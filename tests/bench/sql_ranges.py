"""Whether a table that is read in ranges of its key, by several processes at once, is read sooner: docs/adr/0012.

PYTHONPATH=tests .venv/bin/python tests/bench/sql_ranges.py [ROWS] [ROUNDS]

Each process reads its range as an extract does, into Parquet of its own; nothing puts them together.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psycopg2
from support.things import day

from haulier.definitions import Instance, Source
from haulier.definitions.sources import Sql
from haulier.settings import Settings
from haulier_command import embedded
from haulier_extract.sources.sql.asking import Asked
from haulier_extract.sources.sql.engine import connected
from haulier_extract.sources.sql.writing import written

READERS = (1, 2, 4)
TABLE = """
    CREATE TABLE wide AS
    SELECT n::bigint AS id, 'thing ' || n AS name, md5(n::text) AS code, (n * 1.25)::numeric(14, 3) AS price,
           now() - n * interval '1 second' AS changed, date '2026-01-01' - (n %% 1000)::int AS taken, n %% 2 = 0 AS ok,
           n * 0.1::float8 AS value
    FROM generate_series(1, %s) n;
    ALTER TABLE wide ADD PRIMARY KEY (id);
    ANALYZE wide;
"""


def read(environment: dict[str, str], low: int, high: int) -> tuple[int, float]:
    """Rows, and seconds of a processor that this process took for them."""
    url = "postgresql://{PGUSER}@{PGHOST}:{PGPORT}/{PGDATABASE}?sslmode=disable".format(**environment)
    statement = f"SELECT * FROM wide WHERE id > {low} AND id <= {high}"
    sql = Sql(url=url, password="LAB", query="wide.sql", statement=statement, key=("id",))
    settings = Settings.from_env(environment)
    begun = time.process_time()
    with connected(sql, settings) as connection:
        asked = Asked(connection, Instance(pipeline="wide", instance="main", source=Source(sql=sql)), day(0))
        _, rows = written(asked)
    return rows, time.process_time() - begun


def main(rows: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="haulier-bench-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        tier = embedded.up(home, settings={"fsync": "off"})
        try:
            environment = {
                **tier.environment,
                "HAULIER_DEFINITIONS": folder,
                "HAULIER_SECRET_LAB": tier.environment["PGPASSWORD"],
            }
            with closing(psycopg2.connect(**parameters(environment))) as connection, connection:
                connection.cursor().execute(TABLE, (rows,))
            with multiprocessing.get_context("spawn").Pool(max(READERS)) as pool:
                pool.starmap(read, [(environment, 0, 1000)] * 2 * max(READERS), chunksize=1)
                print(f"{rows} rows x 8 columns, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
                one = 0.0
                for count in READERS:
                    walls, cpus = [], []
                    for _ in range(rounds):
                        ends = [rows * at // count for at in range(count + 1)]
                        begun = time.perf_counter()
                        found = pool.starmap(
                            read,
                            [(environment, *both) for both in itertools.pairwise(ends)],
                            chunksize=1,
                        )
                        walls.append(time.perf_counter() - begun)
                        cpus.append(sum(cpu for _, cpu in found))
                        assert sum(number for number, _ in found) == rows
                    wall = statistics.median(walls)
                    one = one or wall
                    print(
                        f"{count} readers: {wall:.1f} s, {one / wall:.2f} of one; processor of ours {statistics.median(cpus):.1f} s"
                    )
        finally:
            embedded.down(home)


def parameters(environment: dict[str, str]) -> dict[str, str]:
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    return {
        **{name: environment[theirs] for name, theirs in names.items()},
        "dbname": environment["PGDATABASE"],
    }


if __name__ == "__main__":
    sizes = [int(text) for text in sys.argv[1:]]
    main(*(*sizes, *(1_000_000, 3)[len(sizes) :]))
