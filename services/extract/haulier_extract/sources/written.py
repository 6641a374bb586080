"""An increment on its way: what a source makes itself, in a temporary file without a name, and its digest."""

from __future__ import annotations

import hashlib
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO

from haulier.errors import TransientError

_CHUNK_BYTES = 1024 * 1024


class Written:
    """Bytes that are added, and read from their beginning as often as somebody asks."""

    def __init__(self, what: str) -> None:
        """``what`` is written, for people, such as "the API answers"."""
        # It lives as long as somebody may open it, which no block here knows.
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - as said
        weakref.finalize(self, self._file.close)
        self._what = what
        self._digest = hashlib.sha256()
        self.size = 0

    def add(self, data: bytes | memoryview) -> None:
        """Raises `TransientError` when there is no room."""
        try:
            self._file.write(data)
        except OSError as exc:
            raise TransientError(
                f"{tempfile.gettempdir()} cannot hold what {self._what} ({exc.strerror}, after {self.size} bytes); "
                "give TMPDIR more room, or ask for less at once"
            ) from exc
        self._digest.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK_BYTES):
            yield chunk
