"""Compressed files, unpacked as they stream: bounded memory, and an end to what a small file may become."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

from haulier.definitions.formats import Excel, Text
from haulier.errors import DataError

#: How much is unpacked at once.
PIECE_BYTES = 1024 * 1024

_STORED, _DEFLATED = 0, 8
_MEMBER, _DIRECTORY, _END, _DESCRIPTOR = b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\7\x08"
_SIZE_ELSEWHERE = 0xFFFFFFFF
_ENCRYPTED, _SIZES_FOLLOW = 0x1, 0x8
#: The record that ends an archive, without and with the longest comment.
_END_BYTES, _LONGEST_END = 22, 22 + 0xFFFF


class BrokenStream(DataError):
    """A compressed file ends early or is damaged: half-written, or spoilt on its way."""


def compression(name: str) -> str | None:
    """``gz``, ``zip``, ``zst`` or ``None``, as the end of a file's name says."""
    lowered = name.lower()
    return next((kind for kind in _UNPACKED if lowered.endswith(f".{kind}")), None)


def decompressed(chunks: Iterable[bytes], name: str, form: Text) -> Iterator[bytes]:
    """The text of a file, unpacked when its name says so.

    Every chunk is read, also what follows the compressed data. Raises `BrokenStream`, and
    `DataError` for what is complete and still cannot be taken: several files in one, encryption,
    an unreasonable growth.
    """
    kind = compression(name)
    if kind is None:
        yield from chunks
        return
    packed = _Bytes(chunks, name, form)
    size = 0
    try:
        for piece in _UNPACKED[kind](packed):
            size += len(piece)
            check_growth(size, packed.count, form, name)
            yield piece
    except zlib.error as exc:
        raise BrokenStream(f"{name} is damaged: its compressed data cannot be unpacked") from exc


def check_growth(size: int, packed: int, form: Text | Excel, name: str) -> None:
    """Raises `DataError` once ``packed`` bytes have become more than the definition allows."""
    allowed = form.packed
    if size > allowed.bytes:
        cap = f"bytes ({allowed.bytes})"
    elif size > allowed.ratio_from_bytes and size > allowed.ratio * packed:
        cap = f"ratio ({allowed.ratio})"
    else:
        return
    raise DataError(
        f"{name} grows to more bytes than source.{form.section}.packed.{cap} allows: {size} and more from {packed} "
        "packed ones; if that is right allow it, or have it sent unpacked"
    )


def check_entries(entries: int, form: Text | Excel, name: str) -> None:
    """Raises `DataError` for an archive of more files than the definition allows."""
    if entries > form.packed.entries:
        raise DataError(
            f"{name} has more files in it than source.{form.section}.packed.entries ({form.packed.entries}) allows; "
            "if that is right allow more"
        )


class _Bytes:
    """A stream of chunks, read byte-wise."""

    #: As Arrow asks of a file.
    closed = False

    def __init__(self, chunks: Iterable[bytes], name: str, form: Text) -> None:
        self._chunks = iter(chunks)
        self._held = b""
        self.name, self.form = name, form
        self.count = 0

    def any(self) -> bytes:
        """What comes next, however much; nothing: it is the end."""
        held, self._held = self._held, b""
        while not held:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self.count += len(chunk)
            held = chunk
        return held

    def back(self, data: bytes) -> None:
        """Not needed yet."""
        self._held = data + self._held

    def exactly(self, size: int) -> bytes:
        data = self.up_to(size)
        if len(data) < size:
            raise self.truncated()
        return data

    def up_to(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self.any()):
            data += more
        self.back(data[size:])
        return data[:size]

    def read(self, size: int) -> bytes:
        return self.up_to(size)

    def close(self) -> None:
        """Whoever made the chunks ends them."""

    def truncated(self) -> BrokenStream:
        return BrokenStream(f"{self.name} is truncated: it ends inside its compressed data")


def _inflated(packed: _Bytes, window_bits: int) -> Iterator[bytes]:
    engine = zlib.decompressobj(wbits=window_bits)
    while not engine.eof:
        data = packed.any()
        if not data:
            raise packed.truncated()
        while data and not engine.eof:
            if piece := engine.decompress(data, PIECE_BYTES):
                yield piece
            data = engine.unconsumed_tail
    packed.back(engine.unused_data)


def _gunzipped(packed: _Bytes) -> Iterator[bytes]:
    """All members of a gzip file, one after the other, as gzip itself reads them."""
    while True:
        yield from _inflated(packed, zlib.MAX_WBITS | 16)
        # Tapes and block devices pad with zeros.
        while (rest := packed.any()) and not rest.strip(b"\0"):
            pass
        if not rest:
            return
        packed.back(rest.lstrip(b"\0"))


def _unzstandard(packed: _Bytes) -> Iterator[bytes]:
    """All frames of a Zstandard file. Arrow, which every step has, unpacks them."""
    import pyarrow as pa

    stream = pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd")
    try:
        while piece := stream.read(PIECE_BYTES):
            yield piece
    except OSError as exc:
        if "Truncated" in str(exc):
            raise packed.truncated() from exc
        raise BrokenStream(f"{packed.name} is damaged: its compressed data cannot be unpacked") from exc
    if not packed.count:
        raise packed.truncated()


def _unzipped(packed: _Bytes) -> Iterator[bytes]:
    """The one file in a zip archive, read from the front: nothing has to be held or put on a disk."""
    found: str | None = None
    entries = 0
    while (signature := packed.exactly(4)) == _MEMBER:
        entries += 1
        check_entries(entries, packed.form, packed.name)
        header = packed.exactly(26)
        flags, method, crc, size = (
            int.from_bytes(header[a:b], "little") for a, b in ((2, 4), (4, 6), (10, 14), (14, 18))
        )
        member = packed.exactly(int.from_bytes(header[22:24], "little")).decode("utf-8", "replace")
        packed.exactly(int.from_bytes(header[24:26], "little"))
        # Folders, and what a Mac adds to every file.
        aside = member.endswith("/") or member.startswith("__MACOSX/")
        if not aside:
            if found is not None:
                raise DataError(f"{packed.name} holds more than one file; send each file by itself")
            found = member
        if flags & _ENCRYPTED:
            raise DataError(f"{packed.name} is encrypted; send it without a password")
        seen = 0
        for piece in _member(packed, method, size, bool(flags & _SIZES_FOLLOW)):
            seen = zlib.crc32(piece, seen)
            if not aside:
                yield piece
        if flags & _SIZES_FOLLOW:
            crc = _descriptor(packed)
        if seen != crc:
            raise BrokenStream(f"{packed.name} is damaged: its checksum does not match")
    if signature not in (_DIRECTORY, _END):
        raise BrokenStream(f"{packed.name} is no zip archive, or damaged")
    tail = signature
    while more := packed.any():
        tail = (tail + more)[-_LONGEST_END:]
    end = tail[tail.rfind(_END) :] if _END in tail else b""
    if len(end) < _END_BYTES or len(end) < _END_BYTES + int.from_bytes(end[20:22], "little"):
        raise packed.truncated()
    if found is None:
        raise DataError(f"{packed.name} holds no file")


def _member(packed: _Bytes, method: int, size: int, size_follows: bool) -> Iterator[bytes]:
    if method == _DEFLATED:
        yield from _inflated(packed, -zlib.MAX_WBITS)
    elif method == _STORED and not size_follows and size != _SIZE_ELSEWHERE:
        while size:
            piece = packed.up_to(min(size, PIECE_BYTES))
            if not piece:
                raise packed.truncated()
            yield piece
            size -= len(piece)
    else:
        raise DataError(
            f"{packed.name} is packed in a way Haulier does not read (method {method}); use deflate or gzip"
        )


def _descriptor(packed: _Bytes) -> int:
    """The checksum that follows a member; its signature is optional and its sizes have 4 or 8 bytes."""
    head = packed.exactly(4)
    crc = packed.exactly(4) if head == _DESCRIPTOR else head
    sizes = packed.exactly(12)
    if sizes[8:] in (_MEMBER, _DIRECTORY):
        packed.back(sizes[8:])
    else:
        packed.exactly(4)
    return int.from_bytes(crc, "little")


_UNPACKED: dict[str, Callable[[_Bytes], Iterator[bytes]]] = {
    "gz": _gunzipped,
    "zip": _unzipped,
    "zst": _unzstandard,
}
