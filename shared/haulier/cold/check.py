"""What is wrong with the archived partitions: `haulier verify` asks."""

from __future__ import annotations

from collections.abc import Iterator

from haulier.cold import ledger
from haulier.cold.ledger import Away
from haulier.errors import DataError
from haulier.exchange import Exchange
from haulier.ledger.connection import Connection, transaction
from haulier.settings import Settings


def archive_problems(
    connection: Connection, settings: Settings, *, deep: bool, target: str | None
) -> Iterator[tuple[str, str]]:
    """(partition, what is wrong). ``deep`` reads every row; else manifests and the sizes of parts are looked at.

    Raises `DefinitionError` or `TransientError` when the archive cannot be asked: that says nothing of a partition.
    """
    with transaction(connection, settings) as cursor:
        gone = [one for name in ledger.targets(cursor, target) for one in ledger.away(cursor, name)]
        lost = [one for one in gone if one.detached and ledger.oid_of(cursor, one.schema, one.name) is None]
    for one in lost:
        yield one.shown, "was detached to be archived, and is gone"
    archived = [one for one in gone if not one.detached]
    if not archived:
        return
    from haulier.cold.sealed import open_archive

    store = open_archive(settings)
    for one in archived:
        try:
            yield from ((one.shown, problem) for problem in _of_copy(store, one, deep))
        except DataError as exc:
            yield one.shown, str(exc)


def _of_copy(store: Exchange, one: Away, deep: bool) -> Iterator[str]:
    from haulier.cold.sealed import check_rows, read

    assert one.manifest is not None
    manifest, sha256 = read(store, one.manifest)
    if sha256 != one.manifest_sha256 or manifest.rows != one.rows:
        yield f"{one.manifest} is not the manifest that the ledger knows"
    if deep:
        check_rows(store, manifest)
        return
    for table in manifest.tables:
        for part in table.parts:
            size = store.size(part.key)
            if size != part.bytes:
                yield (
                    f"{part.key} is gone"
                    if size is None
                    else f"{part.key} has {size} bytes, not {part.bytes}"
                )
