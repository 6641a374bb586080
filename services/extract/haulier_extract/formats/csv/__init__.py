"""Delimited text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from haulier.definitions.formats import Csv
from haulier.definitions.sources import Ready
from haulier.encodings import cell_encoding
from haulier.exchange import Exchange
from haulier.manifest import Delivery
from haulier.originals import records_of
from haulier_extract.formats.csv.footer import Footer
from haulier_extract.formats.csv.reading import Reader
from haulier_extract.formats.text import ending


def read(
    exchange: Exchange, delivery: Delivery, form: Csv, *, position: int, wanted: Sequence[int] | None
) -> Reader:
    blocks = records_of(exchange, delivery, form)
    return Reader(blocks, form, name=delivery.uri, position=position, wanted=wanted)


def unfinished(chunks: Iterator[bytes], form: Csv, ready: Ready, name: str) -> str | None:
    why, tail = ending(chunks, form, ready, name)
    footer = Footer(form)
    lines = tail.decode(cell_encoding(form.encoding), "replace").splitlines()
    # A file that must say how many rows it has, and does not yet, is half a file.
    if why is None and footer.claims and not footer.measure(reversed(lines))[1]:
        return "no last line matches csv.footer.pattern yet"
    return why
