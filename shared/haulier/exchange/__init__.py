"""The object store between the steps: a small protocol and the stores that keep it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from haulier.errors import DefinitionError, TransientError
from haulier.settings import Settings

#: One segment of a key, as a file name takes it too. A first dot is left to the folder's own files.
_SEGMENT = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*")
SEGMENT_BYTES, KEY_BYTES = 255, 1000


class ObjectMissing(TransientError):
    """No object has this key (yet)."""


def check_key(key: str) -> str:
    """The key itself. Raises `DefinitionError` for one that some store would read as another place."""
    if len(key.encode(errors="replace")) <= KEY_BYTES and all(
        _SEGMENT.fullmatch(segment) and len(segment.encode(errors="replace")) <= SEGMENT_BYTES
        for segment in key.split("/")
    ):
        return key
    raise DefinitionError(
        f"{key[:200]!r} cannot be an object's key: its parts, between single '/', are 1 to {SEGMENT_BYTES} "
        f"bytes without '\\' and control characters, start with no '.', and are {KEY_BYTES} bytes together"
    )


class Exchange(Protocol):
    """Whole objects under keys. Nothing is ever listed.

    Each method raises `TransientError` when the store cannot be reached or refuses for now and
    `DefinitionError` when it refuses for good (credentials, no such bucket).
    """

    @property
    def url(self) -> str:
        """How a person names this store; holds no secret."""

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Store a whole object, its SHA-256 sent along and checked by the store."""

    def create(self, key: str, data: bytes) -> bool:
        """Store it only if the key is free, as one conditional request; ``False``: it was taken.

        A request whose answer was lost is resolved by reading before it is repeated.
        """

    def upload(self, key: str, chunks: Iterable[bytes]) -> int:
        """Store an object too large for memory; return its bytes. Whole or absent."""

    def get(self, key: str) -> bytes:
        """Raises `ObjectMissing`."""

    def stream(self, key: str, chunk_bytes: int = 8 * 1024 * 1024) -> Iterator[bytes]:
        """The object in pieces of about ``chunk_bytes``. Raises `ObjectMissing` at the first."""

    def piece(self, key: str, start: int, stop: int) -> bytes:
        """Its bytes from ``start`` up to ``stop``, fewer where it ends before. Raises `ObjectMissing`."""

    def size(self, key: str) -> int | None:
        """Bytes of the object, ``None`` when there is none."""

    def delete(self, key: str) -> None:
        """Remove the object; none there is fine. Only the sweeper and tests call it."""


def open_exchange(settings: Settings) -> Exchange:
    """The store that ``HAULIER_EXCHANGE`` names. Raises `DefinitionError` for any other scheme."""
    scheme, _, rest = settings.exchange.partition("://")
    if scheme == "s3":
        from haulier.exchange.s3 import S3Exchange

        return S3Exchange.open(settings)
    if scheme == "file":
        from haulier.exchange.folder import FolderExchange

        return FolderExchange(rest)
    raise DefinitionError(
        f"HAULIER_EXCHANGE: {settings.exchange!r} is neither s3://bucket/prefix nor file://folder"
    )
