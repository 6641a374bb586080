"""Models that stand for all there is: a view, or a table built anew. Neither has an account; both can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg2 import sql

from haulier.digests import digest_of
from haulier.errors import DefinitionError
from haulier.landing.catalogue import normal
from haulier.landing.evolving import LOCK_SECONDS
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier_transform.models.parsing import ReadModel
from haulier_transform.models.selecting import execute, select

_SQL = queries("haulier_transform.models", "models.sql")
_LEDGER = queries("haulier.landing", "load.sql")

#: What became of it, and how many rows it has.
Built = tuple[str, int | None]


def sql_digest(read: ReadModel) -> str:
    return digest_of("model", read.model)


def stand(cursor: Cursor, read: ReadModel, values: Mapping[str, Any]) -> Built:
    """Build it, unless it is as it should be or a newer definition made it.

    Raises `DefinitionError` when its name is taken or its columns changed: nothing is dropped.
    """
    model = read.model
    asked = {
        **values,
        "target": model.target,
        "materialized": model.materialized,
        "sql_digest": sql_digest(read),
    }
    cursor.execute(_SQL["is_there"], asked)
    (is_there,) = cursor.fetchone() or (False,)
    cursor.execute(_SQL["last_build"], asked)
    last = cursor.fetchone()
    if is_there and last is None:
        raise DefinitionError(
            f"models/{model.name}.sql: {model.target} is there and no {model.materialized} of Haulier's; "
            "choose another target, or rename what is there"
        )
    owner, is_same, is_outdated = last or (values["pipeline"], False, False)
    if is_there and owner != values["pipeline"]:
        raise DefinitionError(
            f"models/{model.name}.sql: pipeline {owner} makes {model.target}; two pipelines would take it from each other: "
            "choose another target"
        )
    if is_there and is_outdated:
        return "unchanged", None
    if not is_there:
        cursor.execute(_LEDGER["lock_new_tables"])
        cursor.execute(
            sql.SQL(_SQL["create_schema"]).format(schema=sql.Identifier(model.target.split(".")[0]))
        )
    if model.materialized == "view":
        return _view(cursor, read, values, is_as_said=is_there and is_same)
    return _table(cursor, read, values, is_there=is_there)


def ddl(cursor: Cursor, read: ReadModel) -> str:
    """What makes it, as it would be run."""
    if read.model.materialized == "view":
        return f"{_create_view(read).as_string(cursor)};"
    return f"CREATE TABLE {read.model.target} AS\n{read.model.sql};"


def _view(cursor: Cursor, read: ReadModel, values: Mapping[str, Any], *, is_as_said: bool) -> Built:
    if is_as_said:
        return "unchanged", None
    statement = _create_view(read)
    # Whoever comes to the view while this waits for its readers waits behind it.
    cursor.execute("SELECT current_setting('lock_timeout')")
    (patience,) = cursor.fetchone() or ("0",)
    _wait_at_most(cursor, f"{int(LOCK_SECONDS * 1000)}ms")
    execute(cursor, read, statement)
    _wait_at_most(cursor, patience)
    _keep_ddl(cursor, read, values, statement)
    return "built", None


def _wait_at_most(cursor: Cursor, patience: str) -> None:
    cursor.execute("SELECT set_config('lock_timeout', %s, true)", [patience])


def _create_view(read: ReadModel) -> sql.Composable:
    return _statement("create_view").format(target=_target(read), model=read.text({}))


def _table(cursor: Cursor, read: ReadModel, values: Mapping[str, Any], *, is_there: bool) -> Built:
    given = select(cursor, read, {})
    target = _target(read)
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in given)
    if not is_there:
        # Types come from the catalogue, never from a person's text.
        definitions = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(pg_type)) for name, pg_type in given.items()
        )
        statement = _statement("create_table").format(target=target, definitions=definitions)
        cursor.execute(statement)
        _keep_ddl(cursor, read, values, statement)
    schema, table = read.model.target.split(".")
    cursor.execute(_LEDGER["live_columns"], {"schema": schema, "table": table})
    live = {name: normal(pg_type) for name, pg_type in cursor.fetchall()}
    if live != given:
        raise DefinitionError(
            f"models/{read.model.name}.sql: gives other columns than {read.model.target} has; nothing is dropped here: "
            "rename the old table, or choose another target"
        )
    cursor.execute(_SQL["count_result"])
    (rows,) = cursor.fetchone() or (0,)
    parts = {"target": target, "columns": columns}
    execute(cursor, read, sql.SQL(_SQL["is_other"]).format(**parts))
    (is_other,) = cursor.fetchone() or (False,)
    # Nothing is destructive on zero rows.
    if not is_other or not rows:
        return ("built" if not is_there else "unchanged"), rows
    cursor.execute(sql.SQL(_SQL["empty"]).format(**parts))
    cursor.execute(sql.SQL(_SQL["fill"]).format(**parts))
    return "built", rows


def _keep_ddl(cursor: Cursor, read: ReadModel, values: Mapping[str, Any], statement: sql.Composable) -> None:
    change = {
        **values,
        "target": read.model.target,
        "kind": "view" if read.model.materialized == "view" else "create",
        "ddl": f"{statement.as_string(cursor)};",
        "before": None,
        "after": None,
    }
    cursor.execute(_LEDGER["insert_schema_change"], change)


def _statement(name: str) -> sql.SQL:
    """Without the sentence above it: people and the ledger see the DDL alone."""
    return sql.SQL(_SQL[name].partition("\n")[2])


def _target(read: ReadModel) -> sql.Identifier:
    return sql.Identifier(*read.model.target.split(".", 1))
