"""What an archived partition is in its store: Parquet parts, and a manifest that is sealed last."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import pyarrow as pa

from haulier.cold.description import Description
from haulier.cold.rows import Content, content_of
from haulier.errors import DataError, DefinitionError
from haulier.exchange import Exchange, ObjectMissing, open_exchange
from haulier.manifest import Part
from haulier.partitions import Bound
from haulier.parts import row_groups
from haulier.settings import Settings


class ArchivedTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of an archive: the partition itself, or a partition of it."""

    #: What it is a part of, as (schema, name).
    parent: tuple[str, str]
    #: As what: ``FOR VALUES …``.
    expression: str
    description: Description
    rows: int = 0
    #: SHA-256 of its rows as `haulier.cold.rows` writes them.
    sha256: str
    parts: tuple[Part, ...] = ()


class ArchiveManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One archived partition, whole. Parents come before their partitions."""

    version: Literal[1] = 1
    archive_id: int
    target: str
    bounds: tuple[Bound, ...]
    tables: tuple[ArchivedTable, ...]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)


@dataclass(frozen=True, kw_only=True)
class ArchiveKeys:
    """Where one archive lies in its store."""

    target: str
    partition: str
    archive_id: int

    def part(self, step: str, attempt: str, number: int, sha256: str, kind: str = "part") -> str:
        """The same for every attempt: what one that died has put is what the next one puts."""
        return f"{self._folder}/{kind}-{number:05d}-{sha256}.parquet"

    def manifest(self, sha256: str) -> str:
        return f"{self._folder}/manifest-{sha256}.json"

    @property
    def _folder(self) -> str:
        target, partition = (re.sub(r"[^\w-]", "_", name) for name in (self.target, self.partition))
        return f"{target}/{partition}/{self.archive_id}"


class _Sealed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sha256: str
    manifest: msgspec.Raw


def open_archive(settings: Settings) -> Exchange:
    """The store that ``HAULIER_ARCHIVE`` names. Raises `DefinitionError` without one, or for a place in the exchange."""
    if not settings.archive:
        raise DefinitionError(
            "HAULIER_ARCHIVE is not set: where are archived partitions kept? s3://bucket/prefix or file://folder, in a place "
            "that nothing sweeps"
        )
    if f"{settings.archive.rstrip('/')}/".startswith(f"{settings.exchange.rstrip('/')}/"):
        raise DefinitionError(
            f"HAULIER_ARCHIVE: {settings.archive} is the exchange or lies below it, where it may be swept; name another "
            "bucket or prefix"
        )
    if not settings.archive.startswith(("s3://", "file://")):
        raise DefinitionError(
            f"HAULIER_ARCHIVE: {settings.archive!r} is neither s3://bucket/prefix nor file://folder"
        )
    found = replace(
        settings,
        exchange=settings.archive,
        s3_endpoint=settings.archive_s3_endpoint or settings.s3_endpoint,
        s3_region=settings.archive_s3_region or settings.s3_region,
    )
    # Credentials are never mixed.
    if settings.archive_s3_access_key_id or settings.archive_s3_secret_access_key:
        found = replace(
            found,
            s3_access_key_id=settings.archive_s3_access_key_id,
            s3_secret_access_key=settings.archive_s3_secret_access_key,
            s3_session_token=settings.archive_s3_session_token,
        )
    return open_exchange(found)


def seal(store: Exchange, keys: ArchiveKeys, manifest: ArchiveManifest) -> tuple[str, str]:
    """Commit it under the digest of what it says: (its key, its SHA-256). One that is there already is the same."""
    data = msgspec.json.encode(manifest, order="deterministic")
    sha256 = hashlib.sha256(data).hexdigest()
    key = keys.manifest(sha256)
    store.create(key, msgspec.json.encode(_Sealed(sha256=sha256, manifest=msgspec.Raw(data))))
    if read(store, key) != (manifest, sha256):
        raise DataError(f"{store.url}/{key} reads otherwise than it was written; {_WHAT_NOW}", key=key)
    return key, sha256


def read(store: Exchange, key: str) -> tuple[ArchiveManifest, str]:
    """The manifest and its SHA-256. Raises `DataError` when it is not there or not what was sealed."""
    where = f"{store.url}/{key}"
    try:
        sealed = msgspec.json.decode(store.get(key), type=_Sealed)
        sha256 = hashlib.sha256(sealed.manifest).hexdigest()
        if sha256 != sealed.sha256:
            raise DataError(f"{where} is not what was sealed: its digest differs; {_WHAT_NOW}", key=key)
        return msgspec.json.decode(sealed.manifest, type=ArchiveManifest), sha256
    except ObjectMissing as exc:
        raise DataError(f"{where} was sealed but is gone; {_WHAT_NOW}", key=key) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise DataError(
            f"{where} is not a manifest that this version reads ({exc}); {_WHAT_NOW}", key=key
        ) from exc


def archived_rows(store: Exchange, table: ArchivedTable) -> Iterator[pa.Table]:
    """Its rows, a row group at a time, every part checked. Raises `DataError`."""
    return row_groups(store, table.parts)


def check_rows(store: Exchange, manifest: ArchiveManifest) -> None:
    """Read every row back. Raises `DataError` when they are not what the table held."""
    for table in manifest.tables:
        found = content_of(archived_rows(store, table))
        if found != Content(rows=table.rows, sha256=table.sha256):
            raise DataError(
                f"the copy of {table.description.schema}.{table.description.name} in {store.url} has {found.rows} rows and "
                f"digest {found.sha256[:12]}…, the table had {table.rows} and {table.sha256[:12]}…; nothing was dropped"
            )


_WHAT_NOW = "bring the object back from the store's own versions or backup"
