"""What files of text have in common: how they end."""

from __future__ import annotations

from collections.abc import Iterator

from haulier.compression import BrokenStream, decompressed
from haulier.definitions.formats import Text
from haulier.definitions.sources import Ready
from haulier.encodings import framable

#: So much of a text's end is looked at for its last line and its footer.
TAIL_BYTES = 64 * 1024


def ending(chunks: Iterator[bytes], form: Text, ready: Ready, name: str) -> tuple[str | None, bytes]:
    """Why a text that is read to its end may be half there, and its last bytes.

    Raises `DataError` for one that no waiting would help.
    """
    tail = b""
    try:
        for piece in framable(decompressed(chunks, name, form), form.encoding, name):
            tail = piece[-TAIL_BYTES:] if len(piece) >= TAIL_BYTES else (tail + piece)[-TAIL_BYTES:]
    except BrokenStream as exc:
        return str(exc), tail
    if ready.last_line == "complete" and tail and not tail.endswith((b"\n", b"\r")):
        return (
            "its last line has no end; if the sender never ends it, write last_line: any (in source.files.ready, or in "
            "source.custom)",
            tail,
        )
    return None, tail
