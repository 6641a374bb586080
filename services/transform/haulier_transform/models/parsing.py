"""What a model's SQL is: one SELECT, and which tables it reads, found by a parser and not by a pattern."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from psycopg2 import sql
from sqlglot import exp
from sqlglot.errors import SqlglotError

from haulier.definitions.models import Model
from haulier.errors import DefinitionError

#: What only a statement that changes something has.
_CHANGES = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Into, exp.Lock, exp.Command, exp.DDL)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One place where the SQL names a table."""

    #: `schema.name`
    table: str
    #: Where it stands in the text: from this character to before ``end``.
    start: int
    end: int
    #: Whether the SQL gives it a name of its own there.
    is_named: bool


@dataclass(frozen=True, kw_only=True)
class ReadModel:
    """A model and what its SQL names."""

    model: Model
    references: tuple[Reference, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """The tables and views it names, each once."""
        return tuple(sorted({reference.table for reference in self.references}))

    def text(self, instead: Mapping[str, sql.Composable]) -> sql.Composable:
        """Its SQL as written, but for the tables that something else stands in for."""
        pieces: list[sql.Composable] = []
        done = 0
        for reference in self.references:
            if (other := instead.get(reference.table)) is None:
                continue
            pieces += [sql.SQL(self.model.sql[done : reference.start]), other]
            if not reference.is_named:
                pieces.append(sql.SQL(" AS {}").format(sql.Identifier(reference.table.partition(".")[2])))
            done = reference.end
        return sql.Composed([*pieces, sql.SQL(self.model.sql[done:])])


def read_model(model: Model) -> ReadModel:
    """Raises `DefinitionError` for what is not one SELECT over tables named with their schema."""
    shown = f"models/{model.name}.sql"
    try:
        statements = [one for one in sqlglot.parse(model.sql, read="postgres") if one is not None]
    except SqlglotError as exc:
        said = str(exc).splitlines()[0].replace("\x1b[4m", "").replace("\x1b[0m", "")
        raise DefinitionError(f"{shown}: is not SQL that PostgreSQL reads: {said}") from exc
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise DefinitionError(f"{shown}: must be one SELECT, with CTEs if it likes, and is something else")
    if model.sql.rstrip().endswith(";"):
        raise DefinitionError(
            f"{shown}: ends with a semicolon; it becomes part of a statement, so leave it out"
        )
    if (changing := next(iter(statements[0].find_all(*_CHANGES)), None)) is not None:
        raise DefinitionError(f"{shown}: has {changing.key.upper()}; a model only selects")
    references = sorted(_references(statements[0], model.sql, shown), key=lambda one: one.start)
    if any(one.table == model.target for one in references):
        raise DefinitionError(f"{shown}: reads {model.target}, which it makes itself")
    return ReadModel(model=model, references=tuple(references))


def _references(tree: exp.Query, text: str, shown: str) -> Iterator[Reference]:
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        name, schema = table.this, table.args.get("db")
        if not isinstance(name, exp.Identifier):
            continue  # a function that gives rows
        if schema is None:
            if _folded(name) in ctes or name.name in ctes:
                continue
            raise DefinitionError(
                f"{shown}: {name.name} is no table of one schema; write schema.{name.name}, as in FROM raw.{name.name}"
            )
        if table.args.get("catalog") is not None:
            raise DefinitionError(f"{shown}: {table.sql()} names a database; write schema.table")
        start, end = schema.meta["start"], name.meta["end"] + 1
        written = text[start:end]
        if not (schema.name in written and written.rstrip('"').endswith(name.name)):
            raise AssertionError(f"{shown}: {written!r} is not where {table.sql()} stands")
        yield Reference(
            table=f"{_folded(schema)}.{_folded(name)}", start=start, end=end, is_named=bool(table.alias)
        )


def _folded(identifier: exp.Identifier) -> str:
    """As PostgreSQL reads it: lower case unless quoted."""
    return str(identifier.name) if identifier.args.get("quoted") else str(identifier.name).lower()


def in_order(models: Iterable[ReadModel]) -> list[ReadModel]:
    """Each after those it reads; otherwise as given. Raises `DefinitionError` naming a circle."""
    by_target = {one.model.target: one for one in models}
    ordered: list[ReadModel] = []
    circle: list[str] = []

    def visit(one: ReadModel) -> None:
        if one in ordered:
            return
        if one.model.name in circle:
            names = [*circle[circle.index(one.model.name) :], one.model.name]
            raise DefinitionError(
                f"models read each other in a circle: {' reads '.join(names)}; one of them must not"
            )
        circle.append(one.model.name)
        for table in one.reads:
            if table in by_target:
                visit(by_target[table])
        circle.pop()
        ordered.append(one)

    for one in by_target.values():
        visit(one)
        _check_merge(one, by_target)
    return ordered


def _check_merge(one: ReadModel, by_target: Mapping[str, ReadModel]) -> None:
    """A merge sees the rows of its run, and of another merge only those that a later run did not already supersede: what
    it made would depend on which run came first."""
    for table in one.reads:
        other = by_target.get(table)
        if one.model.materialized == "merge" and other is not None and other.model.materialized == "merge":
            raise DefinitionError(
                f"models/{one.model.name}.sql: a merge reads {table}, which is a merge, too; read the raw table (a CTE may hold "
                "what both need), or make this one a table or a view"
            )
