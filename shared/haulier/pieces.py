"""A kept original as a file that can be read from anywhere, without a copy of it."""

from __future__ import annotations

import io
from typing import Any

from haulier.exchange import Exchange


class Pieces(io.RawIOBase):
    """An object of the exchange; each read is a request of its own."""

    def __init__(self, exchange: Exchange, key: str, size: int) -> None:
        self._exchange, self._key, self._size = exchange, key, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        stop = min(self._size, self._at + len(buffer))
        if stop <= self._at:
            return 0
        data = self._exchange.piece(self._key, self._at, stop)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
