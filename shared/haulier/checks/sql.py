"""What a definition of a database may not say although its structure is right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from haulier.checks.http import SECRET
from haulier.contracts import Contract
from haulier.definitions.sources import Sql
from haulier.placeholders import instants, problems_of_template
from haulier.problems import Problem, Trail, quoted

_SQL: Trail = ("source", "sql")
#: Options of drivers that hold a secret.
_SECRET_OPTION = re.compile("passw|pwd|secret|token", re.IGNORECASE)
#: As SQLAlchemy reads a password: up to the `@`, with whatever stands between.
_PASSWORD = re.compile(r"[^:]+://[^:/@]*:[^@]*@")


#: As PostgreSQL has them, with room for placeholders.
_SLOT = re.compile(r"[a-z0-9_{}]+")
_SLOT_LENGTH = 63


def of_sql(sql: Sql, filled: set[str]) -> Iterator[Problem]:
    """What can be judged of a database without asking it."""
    yield from _url(sql.url, filled)
    if sql.password is not None and not SECRET.fullmatch(sql.password):
        # Not repeated: somebody may have written the secret itself.
        yield Problem(
            (*_SQL, "password"),
            "is no name of a secret; write NAME for the variable HAULIER_SECRET_NAME, never the secret itself",
            " ",
        )
    if (sql.table is None) is (sql.query is None):
        said = "stands beside source.sql.query; remove one" if sql.table else "or query must be written"
        yield Problem((*_SQL, "table"), said, " ")
    if sql.table is not None:
        yield from problems_of_template(sql.table, (*_SQL, "table"), filled)
    if sql.changes is not None:
        for name in ("slot", "publication"):
            yield from problems_of_template(getattr(sql.changes, name), (*_SQL, "changes", name), filled)
    if sql.query is not None and not sql.key:
        yield Problem((*_SQL, "key"), "is missing: by which columns are the rows of the query in order?", " ")
    yield from _increments(sql)


def increments_in(sql: Sql, mode: str, contract: Contract, contract_shown: str) -> Iterator[Problem]:
    """Ways of loading in which part of a table would be taken for the whole, or its repeated rows for more rows."""
    if sql.changes:
        if mode not in ("upsert", "append"):
            yield Problem(
                ("load", "mode"),
                f'{quoted(mode)} cannot follow a table change by change, as source.sql.changes has it; use "upsert"',
            )
        elif mode == "upsert" and contract.ordering is None:
            yield Problem(
                ("source", "sql", "changes"),
                f"sends events, and {contract_shown} does not say which of a key's is the newest; "
                "say ordering there, of a column that has __lsn",
                " ",
            )
    if sql.watermark and mode == "replace":
        yield Problem(
            ("load", "mode"),
            '"replace" takes what a run reads for all there is, and with source.sql.watermark that is what is new; '
            'use "upsert", or remove watermark',
        )
    if sql.interval and mode == "replace":
        yield Problem(
            ("load", "mode"),
            '"replace" takes what a run reads for all there is, and with source.sql.interval that is one interval; '
            'use "upsert", or remove interval',
        )
    if sql.watermark and mode == "append" and not contract.key:
        yield Problem(
            ("load", "mode"),
            '"append" without a key loads a row as often as it is read, and with source.sql.watermark the newest are read '
            f"again; declare primaryKey in {contract_shown}",
        )


def _url(url: str, filled: set[str]) -> Iterator[Problem]:
    trail: Trail = (*_SQL, "url")
    try:
        parts = urlsplit(url)
        fits = bool(re.fullmatch(r"[a-z][a-z0-9]*(\+[a-z0-9_]+)?", parts.scheme)) and "://" in url
    except ValueError:
        fits = False
    if not fits:
        # Not repeated: who writes a URL wrongly may have a password in it.
        yield Problem(trail, "is no address of a database; write postgresql://user@host/database", " ")
        return
    options = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if (
        parts.password is not None
        or _PASSWORD.match(url)
        or any(_SECRET_OPTION.search(name) for name in options)
    ):
        yield Problem(trail, "holds a password, which would be written down; use source.sql.password", " ")
    yield from problems_of_template(url, trail, filled)


def _increments(sql: Sql) -> Iterator[Problem]:
    yield from _changes(sql)
    if sql.watermark is None:
        return
    trail: Trail = (*_SQL, "watermark")
    if sql.interval:
        yield Problem(
            trail, "stands beside source.sql.interval; a run reads by one of the two: remove one", " "
        )
    elif instants(sql.statement):
        yield Problem(
            trail, "has no part in a query of {start} or {end}, which a run's interval fills: remove one", " "
        )
    if sql.columns and sql.watermark.column not in sql.columns:
        yield Problem(
            (*trail, "column"), f"{quoted(sql.watermark.column)} is not in source.sql.columns; add it"
        )
    if sql.watermark.lag_seconds and sql.watermark.lag_steps:
        yield Problem(trail, "has lag_seconds for times and lag_steps for numbers; remove one", " ")


def _changes(sql: Sql) -> Iterator[Problem]:
    if sql.changes is None:
        return
    trail: Trail = (*_SQL, "changes")
    for other in ("query", "watermark", "interval", "chunk_rows"):
        if getattr(sql, other) is not None:
            yield Problem(
                trail,
                f"stands beside source.sql.{other}; a log is of a table, and says itself what is new: remove one",
                " ",
            )
    if not sql.url.startswith("postgresql"):
        yield Problem(trail, "is for PostgreSQL; read another database by a watermark", " ")
    if not _SLOT.fullmatch(sql.changes.slot) or len(sql.changes.slot) > _SLOT_LENGTH:
        yield Problem(
            (*trail, "slot"),
            f"{quoted(sql.changes.slot)} names no slot: up to {_SLOT_LENGTH} of a to z, 0 to 9 and _ do",
        )
