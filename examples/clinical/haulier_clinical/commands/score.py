"""``score``: a table against an answer key, question by question."""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from psycopg2 import sql

from haulier.errors import DefinitionError, HaulierError
from haulier.ledger.connection import transaction
from haulier.settings import Settings
from haulier_clinical.commands.server import connected
from haulier_clinical.folding import folded
from haulier_clinical.scoring import Answer, Question, Row, score, shown, text_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "PostgreSQL is found by PG*. A question is a column, how far its numbers may differ as a share of the key's, and "
        "of which rows it is asked: 'LBSTRESN~0.001 where LBSTRESN!= and VISIT!=BASELINE'. Exit codes: 0 the key's own "
        "cells, 1 something differs, 2 something to set right first, 75 try again."
    )
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="CSV, or CSV packed by gzip")
    parser.add_argument("--table", required=True, metavar="SCHEMA.TABLE", help="such as sdtm.lb")
    parser.add_argument(
        "--on", nargs="+", required=True, metavar="COLUMN", help="what makes a row of both the same"
    )
    parser.add_argument(
        "--where", default="", metavar="CONDITION", help="the rows of the key that count: VSSTAT="
    )
    parser.add_argument("--ask", nargs="+", required=True, metavar="QUESTION", help="what is compared")
    parser.add_argument(
        "--tests", type=Path, metavar="FILE", help="the reference tests: codes that the key has of old"
    )


def run(asked: argparse.Namespace) -> int:
    try:
        answers = answers_of(
            Settings.from_env(os.environ),
            asked.key,
            asked.table,
            asked.on,
            asked.ask,
            asked.where,
            asked.tests,
        )
    except HaulierError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    sys.stdout.write(f"{shown(answers)}\n")
    return int(any(one.differing for one in answers))


def answers_of(
    settings: Settings,
    key: Path,
    table: str,
    on: Sequence[str],
    asked: Sequence[str],
    where: str = "",
    tests: Path | None = None,
) -> list[Answer]:
    """Raises `DefinitionError` for a question or a file that is none, `TransientError` where PostgreSQL is away."""
    questions = [Question.of(text) for text in asked]
    wanted = [name.upper() for name in on]
    rows = read_key(key)
    counted = Question.of(f"{wanted[0]} where {where}" if where else wanted[0])
    named = {*wanted, *(name for one in (counted, *questions) for name in one.names)}
    if rows and (missing := sorted(named - rows[0].keys())):
        raise DefinitionError(f"{key} has no column {', '.join(missing)}")
    columns = sorted({*wanted, *(one.column for one in questions)})
    kept = [row for row in rows if counted.is_about(row)]
    return list(score(_rows(settings, table, columns), kept, wanted, questions, _translation(tests)))


def read_key(path: Path) -> list[Row]:
    """Its rows, the columns in capitals."""
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise DefinitionError(f"{path} cannot be read ({type(exc).__name__})") from exc
    lines = csv.DictReader(io.StringIO(text, newline=""))
    return [{name.upper(): cell for name, cell in row.items()} for row in lines]


def _rows(settings: Settings, table: str, columns: list[str]) -> list[Row]:
    schema, _, name = table.rpartition(".")
    statement = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(sql.Identifier(column.lower()) for column in columns),
        sql.Identifier(schema or "public", name),
    )
    with connected(settings, "haulier score") as connection, transaction(connection, settings) as cursor:
        cursor.execute(statement)
        return [dict(zip(columns, map(text_of, cells), strict=True)) for cells in cursor.fetchall()]


def _translation(tests: Path | None) -> Callable[[str, str], str]:
    """Test codes as they are today, by the synonyms of the reference tests."""
    names = {
        folded(text): row["TESTCD"]
        for row in (read_key(tests) if tests else ())
        for text in (row["TESTCD"], *row["SYNONYMS"].split("|"))
    }

    def today(column: str, cell: str) -> str:
        return names.get(folded(cell), cell) if column.endswith("TESTCD") else cell

    return today
