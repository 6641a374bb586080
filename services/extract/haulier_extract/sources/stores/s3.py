"""Files in a bucket that is somebody's own: listed by prefix, read and never written.

An object is whole or absent, so nothing is half written; when a sender replaces it meanwhile, the rest of
the first is not read (its tag differs) and the run tries again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from haulier.definitions.sources import Files
from haulier.errors import DefinitionError, HaulierError
from haulier.exchange import ObjectMissing, check_key
from haulier.exchange.s3 import S3Exchange
from haulier.interval import Interval
from haulier.paths import PathPattern
from haulier.settings import Settings
from haulier_extract.sources import Vanished
from haulier_extract.sources.stores import Entry

#: What the exchange's S3 calls its settings -> what a source's are called.
_NAMES = {"AWS_": "HAULIER_SOURCE_S3_", "HAULIER_EXCHANGE": "source.files.path"}
_NAME = re.compile("|".join(_NAMES))


def open_store(files: Files, settings: Settings, interval: Interval) -> Bucket:
    """Asks the store nothing yet. Raises `DefinitionError` for settings that cannot be right."""
    bucket, _, path = files.path.removeprefix("s3://").partition("/")
    with _door(settings):
        return Bucket(S3Exchange.open(_of_source(settings, bucket)), bucket, PathPattern(path), settings)


@dataclass(frozen=True)
class Bucket:
    """Objects whose keys match a pattern."""

    objects: S3Exchange
    bucket: str
    pattern: PathPattern
    settings: Settings

    def entries(self) -> Iterator[tuple[Entry | str, datetime | None]]:
        dates: dict[str, str] = {}

        def wanted(key: str) -> bool:
            if (date := self.pattern.match(key)) is not None:
                dates[key] = date
            return date is not None

        for key, size, modified_at in self._do(lambda: self.objects.listed(self.pattern.folder(), wanted)):
            yield self._entry(key, size, modified_at), self.pattern.date(dates[key]) if dates[key] else None

    def beside(self, entry: Entry, name: str) -> Entry | None:
        folder, slash, _ = entry.handle.rpartition("/")
        key = f"{folder}{slash}{name}"
        found = self._do(lambda: self.objects.described(key))
        if found is None:
            return None
        beside = self._entry(key, found[0], found[1])
        return beside if isinstance(beside, Entry) else None

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        chunks = self.objects.stream(entry.handle)
        while (chunk := self._do(lambda: next(chunks, None))) is not None:
            yield chunk

    def changed(self, entry: Entry) -> bool:
        found = self._do(lambda: self.objects.described(entry.handle))
        if found is None:
            raise Vanished
        return (found[0], found[1].astimezone(UTC)) != (entry.bytes, entry.modified_at)

    def _entry(self, key: str, size: int, modified_at: datetime) -> Entry | str:
        uri = f"s3://{self.bucket}/{key}"
        try:
            check_key(key)
        except DefinitionError:
            return f"{uri!r} waits: it has a name that is no file's; rename it"
        return Entry(
            name=key.rpartition("/")[2],
            path=key,
            uri=uri,
            bytes=size,
            modified_at=modified_at.astimezone(UTC),
            handle=key,
        )

    def _do(self, call: Callable[[], Any]) -> Any:
        with _door(self.settings):
            try:
                return call()
            except ObjectMissing as exc:
                raise Vanished from exc


def _of_source(settings: Settings, bucket: str) -> Settings:
    """The settings under which the source's bucket would be the exchange; credentials are never mixed."""
    found = replace(settings, exchange=f"s3://{bucket}")
    if settings.source_s3_endpoint:
        found = replace(found, s3_endpoint=settings.source_s3_endpoint)
    if settings.source_s3_region:
        found = replace(found, s3_region=settings.source_s3_region)
    if _has_own(settings):
        found = replace(
            found,
            s3_access_key_id=settings.source_s3_access_key_id,
            s3_secret_access_key=settings.source_s3_secret_access_key,
            s3_session_token=settings.source_s3_session_token,
        )
    return found


def _has_own(settings: Settings) -> bool:
    return bool(settings.source_s3_access_key_id or settings.source_s3_secret_access_key)


@contextmanager
def _door(settings: Settings) -> Iterator[None]:
    """What the S3 client says of its settings, said of the source's."""
    try:
        yield
    except HaulierError as exc:
        if isinstance(exc, ObjectMissing) or not _has_own(settings):
            raise
        raise type(exc)(_NAME.sub(lambda found: _NAMES[found[0]], str(exc)), **exc.context) from None
