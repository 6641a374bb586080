"""A model's SQL carried out, and PostgreSQL's refusals as this project's errors."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg2
from psycopg2 import sql

from haulier.errors import DataError, DefinitionError
from haulier.landing.catalogue import normal
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier_transform.models.parsing import ReadModel

_SQL = queries("haulier_transform.models", "models.sql")

#: SQLSTATE classes (PostgreSQL, appendix A) of SQL that is wrong whatever the rows are: no value is in its message.
_WRONG_SQL = ("0A", "42")
#: Of values that the SQL cannot take.
_BAD_VALUE = ("21", "22")
#: What PL/pgSQL raises by itself or by RAISE.
_RAISED = "P0"


def select(cursor: Cursor, read: ReadModel, instead: Mapping[str, sql.Composable]) -> dict[str, str]:
    """Put the model's rows into a TEMP table; name -> type of its columns."""
    cursor.execute(_SQL["drop_temporary"])
    execute(cursor, read, sql.SQL(_SQL["select"]).format(model=read.text(instead)))
    cursor.execute(_SQL["result_columns"])
    return {name: normal(pg_type) for name, pg_type in cursor.fetchall()}


def execute(cursor: Cursor, read: ReadModel, statement: sql.Composable) -> None:
    """A statement made of a model. Raises `DefinitionError` or `DataError`, which name it."""
    try:
        cursor.execute(statement)
    except psycopg2.Error as exc:
        shown, code = f"models/{read.model.name}.sql", exc.pgcode or ""
        if code.startswith(_WRONG_SQL):
            said = exc.diag.message_primary or "it was refused"
            raise DefinitionError(f"{shown}: PostgreSQL refuses it: {said} (SQLSTATE {code})") from None
        if code.startswith(_BAD_VALUE):
            raise DataError(
                f"{shown}: a value made its SQL fail (SQLSTATE {code}), so nothing of it was kept; give the column as text "
                "and let the contract read it, or ask pg_input_is_valid first"
            ) from None
        if code.startswith(_RAISED):
            # What it raised is somebody's text, and may hold a value.
            raise DataError(
                f"{shown}: a function it calls raised an error (SQLSTATE {code}), so nothing of it was kept; "
                "run its SELECT by hand to see which"
            ) from None
        raise
