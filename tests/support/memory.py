"""An exchange in a dictionary, for tests of what lies above the exchange."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from haulier.exchange import ObjectMissing, check_key


class MemoryExchange:
    """Keeps objects in ``objects``; a test may look and meddle there."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        #: Every call so far, as (method, key).
        self.calls: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return "memory:"

    def put(self, key: str, data: bytes | memoryview) -> None:
        self._note("put", key)
        self.objects[key] = bytes(data)

    def create(self, key: str, data: bytes) -> bool:
        self._note("create", key)
        with self._lock:
            return self.objects.setdefault(key, stored := bytes(bytearray(data))) is stored

    def upload(self, key: str, chunks: Iterable[bytes]) -> int:
        self._note("upload", key)
        data = b"".join(chunks)
        self.objects[key] = data
        return len(data)

    def get(self, key: str) -> bytes:
        self._note("get", key)
        try:
            return self.objects[key]
        except KeyError as exc:
            raise ObjectMissing(f"{self.url}/{key} is not there", key=key) from exc

    def stream(self, key: str, chunk_bytes: int = 8 * 1024 * 1024) -> Iterator[bytes]:
        data = self.get(key)
        for start in range(0, len(data), chunk_bytes):
            yield data[start : start + chunk_bytes]

    def piece(self, key: str, start: int, stop: int) -> bytes:
        return self.get(key)[start:stop]

    def size(self, key: str) -> int | None:
        self._note("size", key)
        return len(self.objects[key]) if key in self.objects else None

    def delete(self, key: str) -> None:
        self._note("delete", key)
        self.objects.pop(key, None)

    def _note(self, method: str, key: str) -> None:
        self.calls.append((method, check_key(key)))
