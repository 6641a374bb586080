"""The files deliveries came as: kept byte for byte in the exchange, and read again from there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from haulier import framing
from haulier.compression import decompressed
from haulier.definitions.formats import Csv, Excel, Format, Parquet, Text
from haulier.errors import DataError
from haulier.exchange import Exchange
from haulier.manifest import Delivery

if TYPE_CHECKING:
    from haulier.framing import Whole
    from haulier.records import Block

#: Reads a file from its beginning, each time it is called.
Opener = Callable[[], Iterator[bytes]]


class _Changed(Exception):
    """The file is no longer what its digest says."""


def keep(exchange: Exchange, key: str, chunks: Opener, *, sha256: str, size: int) -> bool:
    """Have the file with this digest at ``key``; ``False``: it has changed meanwhile, and nothing was stored.

    The key holds the digest, so an object of the right size is the right object.
    """
    if exchange.size(key) == size:
        return True
    try:
        exchange.upload(key, _only_if(chunks(), sha256))
    except _Changed:
        return False
    return True


def _only_if(chunks: Iterator[bytes], sha256: str) -> Iterator[bytes]:
    """The chunks, the last one only when all of them have this digest: else nothing may be stored."""
    digest = hashlib.sha256()
    held = b""
    for chunk in chunks:
        digest.update(chunk)
        if held:
            yield held
        held = chunk
    if digest.hexdigest() != sha256:
        raise _Changed
    yield held


def open_original(exchange: Exchange, delivery: Delivery) -> Iterator[bytes]:
    """The kept file as it arrived.

    Raises `DataError` at its end when it is not the file that was reserved; who stops before the end
    has not checked.
    """
    digest = hashlib.sha256()
    for chunk in exchange.stream(delivery.original):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != delivery.sha256:
        raise DataError(
            f"{delivery.original} in the exchange is not the file that arrived as {delivery.uri}: its digest is "
            f"{digest.hexdigest()}; put the original back there from a backup"
        )


def text_chunks(exchange: Exchange, delivery: Delivery, form: Text) -> Iterator[bytes]:
    """The kept file's text, unpacked. Raises `DataError` like `open_original` and `decompressed`."""
    return decompressed(open_original(exchange, delivery), delivery.uri, form)


def records_of(exchange: Exchange, delivery: Delivery, form: Text) -> Iterator[Block]:
    """The kept file's records, as `haulier.records.frame` cuts them."""
    from haulier.records import frame

    return frame(text_chunks(exchange, delivery, form), lines_of(form), delivery.uri)


def lines_of(form: Text) -> Csv:
    """How the text of a format is cut: where a line is a record, no quote means anything."""
    if isinstance(form, Csv):
        return form
    return Csv(encoding=form.encoding, quote="", record_bytes=form.record_bytes)


class Verbatim(Protocol):
    """Rows that follow one another in a file, each as the bytes that stand for it."""

    @property
    def first(self) -> int:
        """Number of the first row."""

    def __len__(self) -> int: ...

    def record(self, index: int) -> bytes:
        """One row."""

    def whole(self, index: int) -> Whole | None:
        """Where a row of text is found of which a reject keeps only the beginning."""


class VerbatimRows:
    """The bytes of single rows as they arrived, for whoever has to show them.

    A row of text is given without its line end; text in an encoding that had to be carried over
    (UTF-16) as UTF-8; of a record longer than ``record_bytes`` its first 64 KiB.
    """

    def __init__(self, exchange: Exchange, delivery: Delivery, form: Format) -> None:
        self._uri, self._section = delivery.uri, form.section
        self._blocks = _blocks(exchange, delivery, form)
        self._block: Verbatim | None = None
        self._taken = 0

    def take(self, rows: Sequence[int]) -> list[bytes]:
        """As `take_with_place`, without the place."""
        return [record for record, _ in self.take_with_place(rows)]

    def take_with_place(self, rows: Sequence[int]) -> list[tuple[bytes, Whole | None]]:
        """The rows with these numbers, in ascending order, also from one call to the next.

        Raises `DataError` for a number the file does not reach.
        """
        found = []
        for row in rows:
            while self._block is None or row >= self._block.first + len(self._block):
                self._block = next(self._blocks, None)
                if self._block is None:
                    raise DataError(
                        f"{self._uri} has no row {row}; has the {self._section} section of its definition changed?"
                    )
            if row < self._block.first:
                if row <= self._taken:
                    raise ValueError(f"row {row} lies behind: rows are taken in ascending order")
                raise DataError(f"{self._uri} has nothing in row {row}")
            self._taken = row
            index = row - self._block.first
            found.append((self._block.record(index), self._block.whole(index)))
        return found


def _blocks(exchange: Exchange, delivery: Delivery, form: Format) -> Iterator[Verbatim]:
    if isinstance(form, Parquet):
        from haulier.parquet import rendered

        return rendered(exchange, delivery, form)
    if isinstance(form, Excel):
        from haulier.xlsx.sheet import sheet_rows

        return sheet_rows(exchange, delivery, form)
    # Text is cut with NumPy where it is installed; load's image has none.
    if find_spec("numpy"):
        return records_of(exchange, delivery, form)
    return framing.frame(text_chunks(exchange, delivery, form), lines_of(form), delivery.uri)
