"""The pilot trial's finished SDTM as canonical rows in PostgreSQL, with the views of the clinical example over them.

``PYTHONPATH=tests python -m support.sdtm FOLDER`` hauls the raw files of all nine sites and exports what became of them.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from psycopg2 import sql
from support import servers
from support.clinical import DATA, haul_pilot, make_definitions, settings_of
from support.databases import Database, fresh_database
from support.steps import haul

from haulier.interval import Interval
from haulier.models import load_models
from haulier.settings import Settings
from haulier_command.embedded import Tier

DEFINITIONS = Path("examples/clinical/sdtm")

Rows = list[dict[str, str]]
#: Columns of vs and lb beside what `_NOT_TEXT` names are texts; those of the key hold no nulls.
_FINDINGS = {
    "vs": (
        "studyid siteid subjid usubjid vstestcd vstest vspos vsloc vsorres vsorresu vsstresc vsstresn vsstresu vsstat "
        "vsreasnd visit visitnum visitdy vsdtc vstpt"
    ),
    "lb": (
        "studyid siteid subjid usubjid lbtestcd lbtest lbcat lbspec lbmethod lborres lborresu lbornrlo lbornrhi lbstresc "
        "lbstresn lbstresu lbstnrlo lbstnrhi lbstnrc lbnrind lbstat lbreasnd lbspccnd lbloinc visit visitnum visitdy lbdtc lbtpt"
    ),
}
_NOT_TEXT = {
    "visitnum": "numeric(8,2)",
    "visitdy": "integer",
    "vsstresn": "numeric",
    "lbstresn": "numeric",
    "lbstnrlo": "numeric",
    "lbstnrhi": "numeric",
}
_KEYS = {
    "vs": "studyid usubjid vstestcd visitnum vsdtc vstpt vspos",
    "lb": "studyid usubjid lbtestcd lbspec visitnum lbdtc lbtpt",
}


def read(name: str) -> Rows:
    """The rows of one of the fetched files."""
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def make_sdtm(database: Database, sites: Iterable[str] = ()) -> None:
    """Tables ``clinical.dm``, ``vs``, ``lb`` with the pilot's rows, of these sites or of all, and the views."""
    wanted = set(sites)
    subjects = {row["USUBJID"]: row for row in read("pilot_sdtm_dm") if not wanted or row["SITEID"] in wanted}
    make_tables(database)
    haul_demographics(database, list(subjects.values()))
    for domain in ("vs", "lb"):
        rows = [row for row in read(f"pilot_sdtm_{domain}") if row["USUBJID"] in subjects]
        for row in rows:
            row |= {name: subjects[row["USUBJID"]][name] for name in ("SITEID", "SUBJID")}
        copy(database, domain, rows)
    make_views(database)


def haul_demographics(database: Database, rows: Rows) -> None:
    """As a trial does: a file a site, the example's pipeline."""
    day = datetime(2026, 1, 5, tzinfo=UTC)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_env(
            {
                **database.environment,
                "HAULIER_EXCHANGE": f"file://{folder}/exchange",
                "HAULIER_DEFINITIONS": str(DEFINITIONS),
                "HAULIER_SOURCE_ROOT": folder,
            }
        )
        for site in sorted({row["SITEID"] for row in rows}):
            file = Path(folder, site, f"dm_{day:%Y-%m-%d}.csv")
            file.parent.mkdir()
            with file.open("w", encoding="utf-8", newline="") as text:
                writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(row for row in rows if row["SITEID"] == site)
            haul(settings, "dm", site, Interval(start=day, end=day + timedelta(days=1)))


def make_tables(database: Database) -> None:
    """``clinical.vs`` and ``lb``; a load makes ``dm``."""
    database.rows("CREATE SCHEMA clinical")
    columns = {
        domain: {name: _NOT_TEXT.get(name, "text") for name in names.split()}
        for domain, names in _FINDINGS.items()
    }
    for domain, named in columns.items():
        fields = ", ".join(f"{name} {kind}" for name, kind in named.items())
        database.rows(
            f"CREATE TABLE clinical.{domain} ({fields}, PRIMARY KEY ({', '.join(_KEYS[domain].split())}))"
        )


def copy(database: Database, domain: str, rows: Rows) -> None:
    """What the table has a column for; an empty cell is a null, but in the key."""
    known = {
        name
        for (name,) in database.rows(
            f"SELECT attname FROM pg_attribute WHERE attrelid = 'clinical.{domain}'::regclass"
        )
    }
    key = set(_KEYS[domain].split())
    columns = sorted({name.lower() for row in rows for name in row} & known | key)
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        cells = {name.lower(): cell for name, cell in row.items()}
        # In COPY's CSV an empty cell is a null; a quoted one is an empty text. Python writes neither apart.
        writer.writerow([cells.get(name) or ("\x01" if name in key else "") for name in columns])
    text = io.StringIO(text.getvalue().replace("\x01", '""'))
    with closing(database.connect()) as connection, connection, connection.cursor() as cursor:
        cursor.copy_expert(
            sql.SQL("COPY clinical.{} ({}) FROM STDIN (FORMAT csv)").format(
                sql.Identifier(domain), sql.SQL(", ").join(map(sql.Identifier, columns))
            ),
            text,
        )


def make_views(database: Database) -> None:
    """``sdtm.vs`` and ``sdtm.lb``; the pipeline of ``dm`` has made its own."""
    for model in load_models(DEFINITIONS, ["sdtm_vs", "sdtm_lb"]):
        database.rows(f"CREATE VIEW {model.target} AS {model.sql}")


def environment(database: Database, definitions: Path, **more: str) -> Mapping[str, str]:
    return {**database.environment, "HAULIER_DEFINITIONS": str(definitions.absolute()), **more}


def export_pilot(tier: Tier, root: Path, sites: Sequence[str], *arguments: str) -> Path:
    """The trial's raw files of these sites (none: all nine) hauled and exported as a person would, the arms shown."""
    make_definitions("pilot", root / "definitions")
    with fresh_database(tier) as database:
        haul_pilot(settings_of(database, tier, root), root, sites)
        command = [sys.executable, "-m", "haulier_clinical", "export", "--to", str(root / "export")]
        subprocess.run(
            [*command, "--unblind", "judging", *arguments],
            env={**os.environ, **environment(database, root / "definitions")},
            check=True,
            stdout=sys.stderr,
        )
    return root / "export"


def main(folder: str, *sites: str) -> None:
    home = servers.make_home()
    try:
        tier = servers.up(home, {"fsync": "off", "full_page_writes": "off"})
        export_pilot(tier, Path(folder), sites)
    finally:
        servers.remove_home(home)


if __name__ == "__main__":
    main(*sys.argv[1:])
