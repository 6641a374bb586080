"""The pilot trial's finished SDTM as canonical rows in PostgreSQL, with the views of the clinical example over them."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path

from psycopg2 import sql
from support.databases import Database

from haulier.models import load_models
from haulier.odcs.contract import load_contract

DATA = Path(os.environ.get("HAULIER_CLINICAL_DATA", "../shared/data/clinical"))
DEFINITIONS = Path("examples/clinical/sdtm")

Rows = list[dict[str, str]]
#: What becomes of the rows of a domain before they are canonical.
Tidy = Callable[[str, Rows], Rows]

#: Columns of vs and lb beside what `_NOT_TEXT` names are texts; those of the key hold no nulls.
_FINDINGS = {
    "vs": (
        "studyid siteid subjid usubjid vstestcd vstest vspos vsloc vsorres vsorresu vsstresc vsstresn vsstresu vsstat "
        "vsreasnd visit visitnum visitdy vsdtc vstpt"
    ),
    "lb": (
        "studyid siteid subjid usubjid lbtestcd lbtest lbcat lbspec lbmethod lborres lborresu lbornrlo lbornrhi lbstresc "
        "lbstresn lbstresu lbstnrlo lbstnrhi lbnrind lbstat lbreasnd lbspccnd lbloinc visit visitnum visitdy lbdtc lbtpt"
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


def untouched(domain: str, rows: Rows) -> Rows:
    return rows


def make_sdtm(database: Database, sites: Iterable[str] = (), tidy: Tidy = untouched) -> None:
    """Tables ``clinical.dm``, ``vs``, ``lb`` with the pilot's rows, of these sites or of all, and the views."""
    wanted = set(sites)
    subjects = {row["USUBJID"]: row for row in read("pilot_sdtm_dm") if not wanted or row["SITEID"] in wanted}
    make_tables(database)
    copy(database, "dm", tidy("dm", [dict(row) for row in subjects.values()]))
    for domain in ("vs", "lb"):
        rows = [row for row in read(f"pilot_sdtm_{domain}") if row["USUBJID"] in subjects]
        for row in rows:
            row |= {name: subjects[row["USUBJID"]][name] for name in ("SITEID", "SUBJID")}
        copy(database, domain, tidy(domain, rows))
    make_views(database)


def make_tables(database: Database) -> None:
    contract = load_contract(DEFINITIONS / "contracts/dm.odcs.yaml", "dm")
    columns = {"dm": {column.name: column.pg_type for column in contract.columns}}
    columns |= {
        domain: {name: _NOT_TEXT.get(name, "text") for name in names.split()}
        for domain, names in _FINDINGS.items()
    }
    keys = {"dm": contract.key, **{domain: tuple(names.split()) for domain, names in _KEYS.items()}}
    database.rows("CREATE SCHEMA clinical")
    for domain, named in columns.items():
        fields = ", ".join(f"{name} {kind}" for name, kind in named.items())
        database.rows(f"CREATE TABLE clinical.{domain} ({fields}, PRIMARY KEY ({', '.join(keys[domain])}))")


def copy(database: Database, domain: str, rows: Rows) -> None:
    """What the table has a column for; an empty cell is a null, but in the key."""
    known = {
        name
        for (name,) in database.rows(
            f"SELECT attname FROM pg_attribute WHERE attrelid = 'clinical.{domain}'::regclass"
        )
    }
    key = set(_KEYS.get(domain, "").split())
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
    database.rows("CREATE SCHEMA sdtm")
    for model in load_models(DEFINITIONS, ["sdtm_dm", "sdtm_vs", "sdtm_lb"]):
        database.rows(f"CREATE VIEW {model.target} AS {model.sql}")


def definitions(folder: Path) -> Path:
    """The example's definitions, with a contract in short for each domain that has none of its own there."""
    contracts = folder / "contracts"
    contracts.mkdir(parents=True)
    for path in (DEFINITIONS / "contracts").glob("*.odcs.yaml"):
        (contracts / path.name).write_bytes(path.read_bytes())
    for domain, columns in _FINDINGS.items():
        path = contracts / f"{domain}.odcs.yaml"
        if not path.exists():
            properties = "".join(
                f"\n      - {{name: {name}, logicalType: {'number' if name in _NOT_TEXT else 'string'}}}"
                for name in columns.split()
            )
            path.write_text(
                f"apiVersion: v3.2.0\nkind: DataContract\nid: clinical-{domain}\nversion: 1.0.0\nstatus: active\n"
                f"schema:\n  - name: {domain}\n    physicalName: clinical.{domain}\n    properties:{properties}\n",
                encoding="utf-8",
            )
    return folder


def environment(database: Database, definitions: Path, **more: str) -> Mapping[str, str]:
    return {**database.environment, "HAULIER_DEFINITIONS": str(definitions.absolute()), **more}
