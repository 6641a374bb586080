"""A partition into cold storage: detached, copied, read back, and only then dropped.

Each of the two transactions is whole or absent. After the first, the partition is a table of its own that the
ledger knows of; until the second has committed, all its rows are in there. Whoever dies in between is followed by
the next attempt, which copies the table again, to the same objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from psycopg2 import sql

from haulier.cold import ledger
from haulier.cold.description import Description, describe
from haulier.cold.ledger import Away, away
from haulier.cold.rows import Content, content_of, copy_out, parsed, schema_of
from haulier.cold.sealed import ArchivedTable, ArchiveKeys, ArchiveManifest, check_rows, open_archive, seal
from haulier.errors import DefinitionError
from haulier.exchange import Exchange
from haulier.ledger.connection import Connection, Cursor, connect, driver_errors, limit_idle, transaction
from haulier.logs import log
from haulier.partitions import Bound, Partition, Tree, live_tree
from haulier.parts import PartWriter
from haulier.problems import suggestion
from haulier.settings import Settings

#: How long the detaching waits for readers of the table; while it waits, new ones wait behind it.
_DETACH_LOCK_TIMEOUT = "10s"


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of one partition."""

    partition: str
    outcome: str
    rows: int | None
    manifest: str | None


def archive(
    settings: Settings, target: str, *, partition: str | None = None, before: date | None = None
) -> list[Done]:
    """Archive one partition, or all whose rows are older than a day. Those on their way are finished.

    Raises `DefinitionError` for what is no partition or could not be restored as it was.
    """
    store = open_archive(settings)
    schema, name = split_target(target)
    with driver_errors(), connect(settings, "haulier archive") as connection:
        with transaction(connection, settings) as cursor:
            tree, gone = live_tree(cursor, schema, name), away(cursor, target)
        chosen = _named(target, partition, tree, gone) if partition else _older(before, tree, gone)
        return [_archive_one(connection, settings, store, target, one) for one in chosen]


def split_target(target: str) -> tuple[str, str]:
    """Schema and table. Raises `DefinitionError`."""
    schema, dot, name = target.partition(".")
    if not (schema and dot and name):
        raise DefinitionError(f"--target: {target!r} is not schema.table")
    return schema, name


def _named(target: str, partition: str, tree: Tree, gone: list[Away]) -> list[Away | Partition]:
    schema, _ = split_target(target)
    wanted = partition if "." in partition else f"{schema}.{partition}"
    there: list[Away | Partition] = [*gone, *tree.partitions]
    for one in there:
        if f"{one.schema}.{one.name}" == wanted:
            return [one]
    known = [f"{one.schema}.{one.name}" for one in tree.partitions]
    hint = suggestion(wanted, known, "there are") if known else "; it has none"
    raise DefinitionError(f"{target} has no partition {wanted}{hint}")


def _older(before: date | None, tree: Tree, gone: list[Away]) -> list[Away | Partition]:
    """Whole partitions whose last day is before a day, the outermost of each; those on their way first."""
    assert before is not None
    found: list[Away | Partition] = [one for one in gone if one.detached and _ends_by(one.bounds, before)]
    names: set[tuple[str, str]] = set()
    for one in tree.partitions:
        if one.parent in names:
            names.add((one.schema, one.name))
        elif one.bounds is not None and _ends_by(one.bounds, before):
            names.add((one.schema, one.name))
            found.append(one)
    return found


def _ends_by(bounds: tuple[Bound, ...], before: date) -> bool:
    return any(
        bound.values is None and bound.end is not None and bound.end[:10] <= str(before) for bound in bounds
    )


def _archive_one(
    connection: Connection, settings: Settings, store: Exchange, target: str, one: Away | Partition
) -> Done:
    gone = one if isinstance(one, Away) else _detach(connection, settings, target, one)
    if not gone.detached:
        return Done(partition=gone.shown, outcome="already done", rows=gone.rows, manifest=gone.manifest)
    return _copy_and_drop(connection, settings, store, gone)


def _detach(connection: Connection, settings: Settings, target: str, one: Partition) -> Away:
    """The first transaction: from here on it is a table of its own, and no load fills its place."""
    if one.bounds is None:
        raise DefinitionError(
            f"{one.schema}.{one.name} is {one.expression}: which rows belong there cannot be told, so it is not archived"
        )
    statement = sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(
        sql.Identifier(*one.parent), one.identifier
    )
    with transaction(connection, settings) as cursor:
        ledger.take_turn(cursor, target)
        ledger.lock_target(cursor, target)
        found = next((a for a in away(cursor, target) if (a.schema, a.name) == (one.schema, one.name)), None)
        if found is not None:
            return found
        cursor.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(_DETACH_LOCK_TIMEOUT)))
        cursor.execute(statement)
        # What could not be brought back is not taken away: the transaction ends here.
        for oid in _oids(cursor, one.schema, one.name):
            describe(cursor, oid)
        archive_id = ledger.record_detached(
            cursor, target, one, settings.actor, f"{statement.as_string(cursor)};"
        )
    log.info("partition detached", extra={"facts": {"target": target, "partition": one.name}})
    return Away(
        archive_id=archive_id,
        target=target,
        schema=one.schema,
        name=one.name,
        parent=one.parent,
        bounds=one.bounds,
        expression=one.expression,
        detached=True,
    )


def _copy_and_drop(connection: Connection, settings: Settings, store: Exchange, one: Away) -> Done:
    """The second transaction: the copy, read back; then the record of it, and the table goes."""
    with transaction(connection, settings, may_idle=True) as cursor:
        ledger.take_turn(cursor, one.target)
        if one.archive_id not in {a.archive_id for a in away(cursor, one.target) if a.detached}:
            return Done(partition=one.shown, outcome="already done", rows=None, manifest=None)
        if ledger.oid_of(cursor, one.schema, one.name) is None:
            raise DefinitionError(
                f"{one.shown} was detached to be archived and is gone; bring it back from a backup under that name"
            )
        # Nobody writes to it meanwhile; that no load does, the ledger sees to.
        cursor.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(one.identifier))
        keys = ArchiveKeys(target=one.target, partition=one.name, archive_id=one.archive_id)
        manifest = _copy(cursor, settings, store, keys, one)
        check_rows(store, manifest)
        key, sha256 = seal(store, keys, manifest)
        limit_idle(cursor, settings)
        ledger.record_archived(cursor, one, store.url, key, sha256, manifest.rows, settings.actor)
        cursor.execute(sql.SQL("DROP TABLE {}").format(one.identifier))
    log.info("partition archived", extra={"facts": {"target": one.target, "partition": one.name}})
    return Done(partition=one.shown, outcome="archived", rows=manifest.rows, manifest=key)


def _copy(
    cursor: Cursor, settings: Settings, store: Exchange, keys: ArchiveKeys, one: Away
) -> ArchiveManifest:
    below = live_tree(cursor, one.schema, one.name)
    places = {
        (one.schema, one.name): (one.parent, one.expression),
        **{(part.schema, part.name): (part.parent, part.expression) for part in below.partitions},
    }
    tables = []
    for oid in _oids(cursor, one.schema, one.name):
        description = describe(cursor, oid)
        parent, expression = places[description.schema, description.name]
        writer = PartWriter(store, keys, "archive", "", schema_of(description.copied))
        content = _content(cursor, description, settings, writer)
        tables.append(
            ArchivedTable(
                parent=parent,
                expression=expression,
                description=description,
                rows=content.rows,
                sha256=content.sha256,
                parts=writer.close(),
            )
        )
    return ArchiveManifest(
        archive_id=one.archive_id, target=one.target, bounds=one.bounds, tables=tuple(tables)
    )


def _content(cursor: Cursor, description: Description, settings: Settings, writer: PartWriter) -> Content:
    if description.divided:
        # Its rows are those of its partitions.
        return content_of(())
    schema = schema_of(description.copied)
    return copy_out(
        cursor,
        description.identifier,
        schema.names,
        settings.batch_bytes,
        lambda lines: writer.write(parsed(lines, schema)),
    )


def _oids(cursor: Cursor, schema: str, name: str) -> list[int]:
    """A table and all below it, parents first."""
    top = ledger.oid_of(cursor, schema, name)
    assert top is not None
    return [top, *(one.oid for one in live_tree(cursor, schema, name).partitions)]
