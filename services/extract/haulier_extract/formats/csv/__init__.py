"""Delimited text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from haulier.compression import BrokenStream, decompressed
from haulier.definitions import Csv, Ready
from haulier.encodings import cell_encoding, framable
from haulier.exchange import Exchange
from haulier.manifest import Delivery
from haulier.originals import records_of
from haulier_extract.formats.csv.footer import Footer
from haulier_extract.formats.csv.reading import Reader

#: So much of a text's end is looked at for its last line and its footer.
TAIL_BYTES = 64 * 1024


def read(
    exchange: Exchange, delivery: Delivery, form: Csv, *, position: int, wanted: Sequence[int] | None
) -> Reader:
    blocks = records_of(exchange, delivery, form)
    return Reader(blocks, form, name=delivery.uri, position=position, wanted=wanted)


def unfinished(chunks: Iterator[bytes], form: Csv, ready: Ready, name: str) -> str | None:
    try:
        tail = _tail(framable(decompressed(chunks, name), form.encoding, name))
    except BrokenStream as exc:
        return str(exc)
    if ready.last_line == "complete" and tail and not tail.endswith((b"\n", b"\r")):
        return "its last line has no end; if the sender never ends it, write ready: {last_line: any}"
    footer = Footer(form)
    lines = tail.decode(cell_encoding(form.encoding), "replace").splitlines()
    # A file that must say how many rows it has, and does not yet, is half a file.
    if footer.claims and not footer.measure(reversed(lines))[1]:
        return "no last line matches csv.footer.pattern yet"
    return None


def _tail(pieces: Iterator[bytes]) -> bytes:
    tail = b""
    for piece in pieces:
        tail = piece[-TAIL_BYTES:] if len(piece) >= TAIL_BYTES else (tail + piece)[-TAIL_BYTES:]
    return tail
