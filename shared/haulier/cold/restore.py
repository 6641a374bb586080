"""A partition back from cold storage, as it was: one transaction, so it is back whole or not at all."""

from __future__ import annotations

import psycopg2.errors
from psycopg2 import sql

from haulier.cold import ledger
from haulier.cold.archive import Done, split_target
from haulier.cold.description import create, describe, finish
from haulier.cold.ledger import Away, away
from haulier.cold.rows import Content, copy_in, copy_out
from haulier.cold.sealed import ArchiveManifest, archived_rows, open_archive, read
from haulier.errors import DataError, DefinitionError
from haulier.exchange import Exchange
from haulier.landing.catalogue import normal
from haulier.ledger.connection import Cursor, connect, driver_errors, limit_idle, transaction
from haulier.logs import log
from haulier.odcs.widths import kind_of_change
from haulier.problems import suggestion
from haulier.settings import Settings


def restore(settings: Settings, target: str, partition: str) -> Done:
    """Bring one partition back; one that was only detached is attached again.

    Raises `DefinitionError` when it is not away, or the table no longer takes it, and `DataError` when its copy is
    not what was archived.
    """
    schema, _ = split_target(target)
    wanted = partition if "." in partition else f"{schema}.{partition}"
    with (
        driver_errors(),
        connect(settings, "haulier restore") as connection,
        transaction(connection, settings, may_idle=True) as cursor,
    ):
        ledger.take_turn(cursor, target)
        one = _named(cursor, target, wanted)
        if not one.detached:
            _bring_back(cursor, settings, one)
        limit_idle(cursor, settings)
        ledger.lock_target(cursor, target)
        ddl = _attach(cursor, one)
        ledger.record_restored(cursor, one, ddl, settings.actor)
    log.info("partition restored", extra={"facts": {"target": target, "partition": one.name}})
    return Done(partition=one.shown, outcome="restored", rows=one.rows, manifest=one.manifest)


def _named(cursor: Cursor, target: str, wanted: str) -> Away:
    known = {one.shown: one for one in away(cursor, target)}
    if wanted not in known:
        hint = suggestion(wanted, list(known), "archived are") if known else "; nothing of it is"
        raise DefinitionError(f"{wanted} of {target} is not archived{hint}")
    return known[wanted]


def _bring_back(cursor: Cursor, settings: Settings, one: Away) -> None:
    store = open_archive(settings)
    assert one.manifest is not None
    manifest, sha256 = read(store, one.manifest)
    if sha256 != one.manifest_sha256:
        raise DataError(
            f"{store.url}/{one.manifest} is not the manifest that the ledger knows (SHA-256 {one.manifest_sha256}); bring "
            "the object back from the store's own versions or backup"
        )
    tables = manifest.tables
    for table in tables:
        create(cursor, table.description)
    # From the inside out: indexes of a partitioned table take in those of its partitions.
    for table in reversed(tables):
        names = [name for name, _ in table.description.copied]
        if not table.description.divided:
            copy_in(cursor, table.description.identifier, names, archived_rows(store, table))
        finish(cursor, table.description)
        if table is not tables[0]:
            _attach_to(cursor, table.parent, table.description.identifier, table.expression)
    _compare(cursor, settings, store, manifest)


def _compare(cursor: Cursor, settings: Settings, store: Exchange, manifest: ArchiveManifest) -> None:
    """Raises `DataError` unless every table is what was archived: rows, rights, indexes, comments, constraints."""
    for table in manifest.tables:
        was = table.description
        names = [name for name, _ in was.copied]
        if not was.divided:
            found = copy_out(cursor, was.identifier, names, settings.batch_bytes)
            if found != Content(rows=table.rows, sha256=table.sha256):
                raise DataError(
                    f"{was.schema}.{was.name} came back with {found.rows} rows and digest {found.sha256[:12]}…; archived in "
                    f"{store.url} were {table.rows} and {table.sha256[:12]}…; nothing was restored"
                )
        oid = ledger.oid_of(cursor, was.schema, was.name)
        assert oid is not None
        now = describe(cursor, oid)
        if now != was:
            differs = [name for name in was.__struct_fields__ if getattr(now, name) != getattr(was, name)]
            raise DataError(
                f"{was.schema}.{was.name} came back with other {', '.join(differs)} than it had; nothing was restored",
                found=str({name: getattr(now, name) for name in differs}),
                expected=str({name: getattr(was, name) for name in differs}),
            )


def _attach(cursor: Cursor, one: Away) -> str:
    """Back into its table, which may have got columns and wider types meanwhile; the DDL."""
    statements = []
    have = ledger.columns_of(cursor, one.schema, one.name)
    want = ledger.columns_of(cursor, *one.parent)
    for name, (pg_type, filled) in want.items():
        column, typed = sql.Identifier(name), sql.SQL(pg_type)
        if name not in have:
            statements.append(
                sql.SQL("ALTER TABLE {} ADD COLUMN {} {} {}").format(
                    one.identifier, column, typed, sql.SQL(filled)
                )
            )
        elif have[name][0] != pg_type:
            _check_wider(one, name, have[name][0], pg_type)
            statements.append(
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {}").format(one.identifier, column, typed)
            )
    done = []
    for statement in statements:
        cursor.execute(statement)
        done.append(statement.as_string(cursor))
    done.append(_attach_to(cursor, one.parent, one.identifier, one.expression))
    return ";\n".join(done) + ";"


def _check_wider(one: Away, column: str, archived: str, live: str) -> None:
    """Raises `DefinitionError`: a cast to fewer digits would round without a word."""
    if kind_of_change(normal(archived), normal(live)) != "widened":
        raise DefinitionError(
            f"column {column} was {archived} when {one.shown} was archived, and {'.'.join(one.parent)} has {live} now, which "
            f"does not hold all of it; widen the table's column to {archived}, and restore again"
        )


def _attach_to(cursor: Cursor, parent: tuple[str, str], partition: sql.Identifier, expression: str) -> str:
    statement = sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(
        sql.Identifier(*parent), partition, sql.SQL(expression)
    )
    try:
        cursor.execute(statement)
    except (
        psycopg2.errors.InvalidObjectDefinition,
        psycopg2.errors.DatatypeMismatch,
        psycopg2.errors.CheckViolation,
        psycopg2.errors.UndefinedTable,
        psycopg2.errors.WrongObjectType,
    ) as exc:
        raise DefinitionError(
            f"{'.'.join(partition.strings)} does not fit into {'.'.join(parent)} any more: {exc.diag.message_primary}; change "
            "the table, and restore again"
        ) from exc
    return statement.as_string(cursor)
