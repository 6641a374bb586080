"""What PostgreSQL has: the relations of a schema, their studies and subjects, and their rows as a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg2 import sql

from haulier.errors import DefinitionError
from haulier.ledger.connection import Connection, Cursor
from haulier.ledger.queries import queries
from haulier_clinical.exporting.datasets import LABELS, Column, Dataset, Kind, variables

_SQL = queries(__package__ or "", "export.sql")
#: Rows between PostgreSQL and the writers at a time.
BATCH_ROWS = 5_000
_NUMBERS: Mapping[str, Kind] = {
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "numeric": "decimal",
}


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A table or view that holds a domain."""

    schema: str
    name: str
    domain: str
    #: Column -> PostgreSQL's name of its type.
    types: Mapping[str, str]
    #: The tables behind it, as ``schema.name``.
    tables: tuple[str, ...]

    @property
    def shown(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which rows: those of one study, and of some sites where they are named."""

    study: str
    sites: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far the ledger had come with a target."""

    load_id: int
    loaded_at: datetime
    chain: str | None


def relations(cursor: Cursor, schema: str) -> list[Relation]:
    """One for each domain that is there, DM first. Raises `DefinitionError` where there is none."""
    names = [domain.lower() for domain in LABELS]
    cursor.execute(_SQL["relations"], {"schema": schema, "names": names})
    types: dict[str, dict[str, str]] = {}
    for name, column, kind in cursor.fetchall():
        types.setdefault(name, {})[column] = kind
    if not types:
        raise DefinitionError(
            f"schema {schema} has none of {', '.join(names)}; the models of the trial's pipelines make them, and need one run"
        )
    found = []
    for name in filter(types.__contains__, names):
        cursor.execute(_SQL["behind"], {"relation": f'"{schema}"."{name}"'})
        found.append(
            Relation(
                schema=schema,
                name=name,
                domain=name.upper(),
                types=types[name],
                tables=tuple(table for (table,) in cursor.fetchall()),
            )
        )
    return found


def the_study(cursor: Cursor, found: Sequence[Relation], asked: str | None) -> str:
    """The one that is there, or the one that was asked for. Raises `DefinitionError` where that is not clear."""
    union = sql.SQL(" UNION ").join(
        sql.SQL("SELECT studyid FROM {}").format(relation.identifier) for relation in found
    )
    cursor.execute(sql.SQL("SELECT studyid FROM ({}) AS every ORDER BY 1").format(union))
    studies = [study for (study,) in cursor.fetchall()]
    there = ", ".join(studies) or "none"
    if asked is not None and asked not in studies:
        raise DefinitionError(f"--study {asked}: there is no such study; there are: {there}")
    if asked is None and len(studies) != 1:
        raise DefinitionError(f"--study: one study at a time; there are: {there}")
    return asked or str(studies[0])


def require_sites(cursor: Cursor, found: Sequence[Relation], asked: Asked) -> None:
    """Raises `DefinitionError` for a site that was asked for and has no row."""
    parts = [
        sql.SQL("SELECT siteid FROM {} WHERE {}").format(relation.identifier, _where(relation, asked))
        for relation in found
        if asked.sites
    ]
    if not parts:
        return
    cursor.execute(sql.SQL(" UNION ").join(parts), {"study": asked.study, "sites": list(asked.sites)})
    missing = set(asked.sites) - {site for (site,) in cursor.fetchall()}
    if missing:
        raise DefinitionError(f"--site {', '.join(sorted(missing))}: study {asked.study} has no row of it")


def columns(relation: Relation, blinded: frozenset[str], left_out: frozenset[str]) -> tuple[Column, ...]:
    """The variables the relation has, in SDTMIG's order. Raises `DefinitionError` for a type that is no variable's."""
    made = []
    for variable in variables(relation.domain):
        name = variable.name.lower()
        if name not in relation.types or variable.name in left_out:
            continue
        given = relation.types[name]
        kind: Kind | None = (
            _NUMBERS.get(given) if variable.is_number else "moment" if variable.is_moment else "text"
        )
        if kind is None or (not variable.is_number and given not in ("text", "character varying")):
            wanted = "an integer or numeric" if variable.is_number else "text"
            raise DefinitionError(f"{relation.shown}: {name} is {given}; {variable.name} is {wanted}")
        made.append(Column(variable=variable, kind=kind, is_blinded=name in blinded))
    return tuple(made)


def measure(cursor: Cursor, relation: Relation, asked: Asked, made: Sequence[Column]) -> Dataset:
    """Count the rows and find how wide each column is, as the head of a file says before its rows."""
    sizes = [part for column in made for part in (_length(column), _scale(column), _values(column))]
    cursor.execute(
        sql.SQL("SELECT count(*), {} FROM {} WHERE {}").format(
            sql.SQL(", ").join(sizes), relation.identifier, _where(relation, asked)
        ),
        {"study": asked.study, "sites": list(asked.sites)},
    )
    (rows, *found) = cursor.fetchone() or (0,)
    return Dataset(
        domain=relation.domain,
        study=asked.study,
        rows=rows,
        columns=tuple(
            replace(column, length=max(length or 1, 1), scale=max(scale or 0, 0), is_empty=not values)
            for column, length, scale, values in zip(made, found[::3], found[1::3], found[2::3], strict=True)
        ),
    )


def _length(column: Column) -> sql.Composable:
    if column.kind == "integer" or column.is_blinded:
        return sql.SQL("NULL::integer")
    measured = "trunc(abs({}))::text" if column.kind == "decimal" else "{}"
    return sql.SQL(f"max(char_length({measured}))").format(sql.Identifier(column.name.lower()))


def _scale(column: Column) -> sql.Composable:
    if column.kind != "decimal" or column.is_blinded:
        return sql.SQL("NULL::integer")
    return sql.SQL("max(scale({}))").format(sql.Identifier(column.name.lower()))


def _values(column: Column) -> sql.Composable:
    return sql.SQL("count({})").format(sql.Identifier(column.name.lower()))


def subjects(cursor: Cursor, found: Sequence[Relation], asked: Asked) -> list[str]:
    """Every subject of the export."""
    parts = [
        sql.SQL("SELECT usubjid FROM {} WHERE {}").format(relation.identifier, _where(relation, asked))
        for relation in found
    ]
    cursor.execute(sql.SQL(" UNION ").join(parts), {"study": asked.study, "sites": list(asked.sites)})
    return [subject for (subject,) in cursor.fetchall()]


def stream(
    connection: Connection,
    relation: Relation,
    asked: Asked,
    made: Sequence[Column],
    order: Sequence[str] | None,
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows in batches, through a cursor of the server: by subject and number.

    With ``order``, its subjects come in that order: pseudonyms in the order of what they stand for would give it away.
    """
    chosen = sql.SQL(", ").join(
        sql.SQL("NULL").format()
        if column.is_blinded
        else sql.SQL("d.{}").format(sql.Identifier(column.name.lower()))
        for column in made
    )
    number = f"{relation.name}seq"
    ranked = (
        sql.SQL(
            "JOIN unnest(%(order)s::text[]) WITH ORDINALITY AS o (usubjid, place) ON o.usubjid = d.usubjid"
        )
        if order is not None
        else sql.SQL("")
    )
    by: list[sql.Composable] = [sql.SQL("o.place") if order is not None else sql.SQL('d.usubjid COLLATE "C"')]
    by += [sql.Identifier("d", number)] if number in relation.types else []
    statement = sql.SQL("SELECT {} FROM {} AS d {} WHERE {} ORDER BY {}").format(
        chosen, relation.identifier, ranked, _where(relation, asked, "d"), sql.SQL(", ").join(by)
    )
    with connection.cursor(name=f"export_{relation.name}") as cursor:
        cursor.itersize = BATCH_ROWS
        cursor.execute(
            statement, {"study": asked.study, "sites": list(asked.sites), "order": list(order or ())}
        )
        while rows := cursor.fetchmany(BATCH_ROWS):
            yield rows


def positions(cursor: Cursor, found: Sequence[Relation]) -> dict[str, Position]:
    """Target -> how far the ledger had come with it; nothing for a table that no load has written."""
    targets = sorted({table for relation in found for table in relation.tables})
    cursor.execute(_SQL["position"], {"targets": targets})
    return {
        target: Position(load_id=load_id, loaded_at=at, chain=chain)
        for target, load_id, at, chain in cursor.fetchall()
    }


def _where(relation: Relation, asked: Asked, alias: str = "") -> sql.Composable:
    def column(name: str) -> sql.Identifier:
        return sql.Identifier(alias, name) if alias else sql.Identifier(name)

    study = sql.SQL("{} = %(study)s").format(column("studyid"))
    if not asked.sites:
        return study
    if "siteid" not in relation.types:
        raise DefinitionError(f"--site: {relation.shown} has no column siteid to choose by")
    return sql.SQL("{} AND {} = ANY (%(sites)s)").format(study, column("siteid"))
