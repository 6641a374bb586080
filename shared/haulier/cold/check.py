"""What is wrong with the archived partitions: `haulier verify` asks."""

from __future__ import annotations

from collections.abc import Iterator

from haulier.cold import ledger
from haulier.cold.ledger import Away
from haulier.errors import HaulierError
from haulier.exchange import Exchange
from haulier.ledger.connection import Cursor
from haulier.settings import Settings


def archive_problems(
    cursor: Cursor, settings: Settings, *, deep: bool, target: str | None
) -> Iterator[tuple[str, str]]:
    """(partition, what is wrong). ``deep`` reads every row; else manifests and the sizes of parts are looked at."""
    for name in ledger.targets(cursor, target):
        for one in ledger.away(cursor, name):
            try:
                yield from ((one.shown, problem) for problem in _problems(cursor, settings, one, deep))
            except HaulierError as exc:
                yield one.shown, str(exc)


def _problems(cursor: Cursor, settings: Settings, one: Away, deep: bool) -> Iterator[str]:
    from haulier.cold.sealed import open_archive

    if not one.detached:
        yield from _of_copy(open_archive(settings), one, deep)
    elif ledger.oid_of(cursor, one.schema, one.name) is None:
        yield "was detached to be archived, and is gone"


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
