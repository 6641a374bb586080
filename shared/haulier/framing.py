"""Cutting delimited text into records: exact, and bounded whatever the text holds.

A record ends at the first line end (``\\n``, ``\\r\\n`` or a lone ``\\r``) outside quotes. A quote opens
at the beginning of a field only and is closed by the next one that is not doubled; anywhere else it
is a character like any other. That is what Python's csv module and pyarrow read, too.

Records are numbered from 1 as a spreadsheet shows them: preamble, header and blank lines count.

Whole files are cut by `haulier.records`, which finds the same records with NumPy. This module needs
nothing: load's image shows single rows and does without NumPy's 45 MB.
"""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain, compress
from typing import Any, Generic, Literal, TypeVar

from haulier.definitions.formats import Csv
from haulier.encodings import framable
from haulier.rows import VERBATIM_BYTES

#: Positions in a block: a list here, an array in `haulier.records`.
Positions = TypeVar("Positions", bound=Any)

#: How much text is looked at together. 1 to 8 MiB cut and parse equally fast here; the index arrays
#: of a block full of quotes take ten times its bytes.
BLOCK_BYTES = 4 * 1024 * 1024

_LINE_END = re.compile(rb"\r\n|\r|\n")

Rule = Literal["quote-not-closed", "record-too-long"]


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A record's digest, and the bytes of the text that it is."""

    sha256: str
    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start

    def beside(self, problems: str) -> str:
        """A reject's problems, which are JSON, with this in the first of them."""
        first, *others = json.loads(problems)
        return json.dumps([{**first, **asdict(self)}, *others])


@dataclass(frozen=True, kw_only=True)
class Block(Generic[Positions]):
    """Whole records in order: record ``i`` is ``data[starts[i]:ends[i]]``, its line end follows."""

    data: bytes
    starts: Positions
    ends: Positions
    #: Where the last record's line end stops.
    stop: int
    #: Number of the first record.
    first: int
    #: Why this block's only record cannot be read, and its whole length: ``data`` may hold its beginning.
    rule: Rule | None = None
    length: int | None = None
    #: The digest of that whole record, line end aside.
    sha256: str | None = None
    #: Where ``data`` begins in the text as it was cut: unpacked, a UTF-8 mark counted, UTF-16 and its like as UTF-8.
    offset: int = 0

    def __len__(self) -> int:
        return len(self.starts)

    def record(self, index: int) -> bytes:
        """The bytes of one record without its line end."""
        return self.data[self.starts[index] : self.ends[index]]

    def verbatim(self, index: int) -> tuple[bytes, int]:
        """What is kept of a record, and how long it is as a whole."""
        record = self.record(index)
        return record[:VERBATIM_BYTES], len(record) if self.length is None else self.length

    def whole(self, index: int) -> Whole | None:
        """Where a record is found of which only the beginning is kept."""
        length = self.verbatim(index)[1]
        if length <= VERBATIM_BYTES:
            return None
        start = self.offset + int(self.starts[index])
        digest = self.sha256 or hashlib.sha256(self.record(index)).hexdigest()
        return Whole(sha256=digest, start=start, stop=start + length)

    def slice(self, start: int, stop: int) -> Block[Positions]:
        """The records ``start`` up to ``stop``."""
        stop = min(stop, len(self))
        return Block(
            data=self.data,
            starts=self.starts[start:stop],
            ends=self.ends[start:stop],
            stop=int(self.starts[stop]) if stop < len(self) else self.stop,
            first=self.first + start,
            rule=self.rule,
            length=self.length,
            sha256=self.sha256,
            offset=self.offset,
        )


def frame(
    chunks: Iterable[bytes], csv: Csv, name: str = "the file", *, block_bytes: int = BLOCK_BYTES
) -> Iterator[Block[list[int]]]:
    """Cut text into records; how it is chunked makes no difference to them.

    A record longer than ``csv.record_bytes`` becomes a block of its own with a rule. When that is
    for want of a closing quote, here or until the text ends, it is cut at the first line end after
    the open quote, so that the rest of the file is still read. Raises `DataError` as
    `haulier.encodings.framable` does.
    """
    return ListFramer(chunks, csv, name, block_bytes).blocks()


class Framer(ABC, Generic[Positions]):
    """What both ways of cutting share; a subclass looks at a block's bytes."""

    def __init__(self, chunks: Iterable[bytes], csv: Csv, name: str, block_bytes: int) -> None:
        self._chunks = self._text(chunks, csv, name)
        #: Where the next record begins.
        self._offset = 0
        self._delimiter = ord(csv.delimiter)
        self._quote = csv.quote.encode()
        self._limit = csv.record_bytes
        self._preamble = csv.preamble_rows
        self._block_bytes = block_bytes
        self._final = False
        self._number = 1

    def blocks(self) -> Iterator[Block[Positions]]:
        data, want = b"", self._block_bytes
        while data := self._fill(data, want):
            # Lines before the header are no records yet: a quote in them means nothing.
            quote = b"" if self._preamble else self._quote
            block = self._cut(data, quote)
            if block is not None:
                if self._preamble:
                    block = block.slice(0, self._preamble)
                block = block.slice(0, self._whole(block))
            if block is not None and len(block):
                yield self._counted(block, block.stop)
                data, want = data[block.stop :], self._block_bytes
            elif self._final or len(data) > self._limit + 1:
                block, size, data = self._cut_long(data, quote)
                yield self._counted(block, size)
                want = self._block_bytes
            else:
                want = 2 * len(data)

    def _text(self, chunks: Iterable[bytes], csv: Csv, name: str) -> Iterator[bytes]:
        text = iter(chunks)
        head = b""
        while len(head) < len(BOM_UTF8) and (chunk := next(text, None)) is not None:
            head += chunk
        # Other marks are those of text that is carried over.
        self._offset = len(BOM_UTF8) if head.startswith(BOM_UTF8) else 0
        yield from framable(chain([head], text), csv.encoding, name)

    def _counted(self, block: Block[Positions], size: int) -> Block[Positions]:
        """``block`` in its place; ``size``: how much of the text it takes with its last line end."""
        placed = replace(block, offset=self._offset)
        self._offset += size
        self._number += len(block)
        self._preamble = max(self._preamble - len(block), 0)
        return placed

    def _fill(self, data: bytes, want: int) -> bytes:
        """``data`` with more behind it, until there are ``want`` bytes or no more to be had."""
        pieces, size = [data] if data else [], len(data)
        while size < want and not self._final:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._final = True
            elif chunk:
                pieces.append(chunk)
                size += len(chunk)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @abstractmethod
    def _cut(self, data: bytes, quote: bytes) -> Block[Positions] | None:
        """The records that are whole in ``data``, which begins with one; ``None``: not one is."""

    @abstractmethod
    def _whole(self, block: Block[Positions]) -> int:
        """How many of the block's first records are not too long."""

    @abstractmethod
    def _positions(self, values: list[int]) -> Positions: ...

    def _walk(self, data: bytes, ends: list[int], nexts: list[int]) -> tuple[bytearray, int]:
        """Quote by quote: which line ends are outside quotes (1), and where one is left open (-1: none is)."""
        outside = bytearray(len(ends))
        quote = self._quote
        line = start = look = 0
        while (at := data.find(quote, look)) >= 0:
            reached = bisect_left(ends, at, line)
            if reached > line:
                outside[line:reached] = b"\1" * (reached - line)
                line, start = reached, nexts[reached - 1]
            if at != start and data[at - 1] != self._delimiter:
                look = at + 1
                continue
            look = at + 1
            while (look := data.find(quote, look)) >= 0 and data[look + 1 : look + 2] == quote:
                look += 2
            if look < 0:
                return outside, at
            look += 1
            line = bisect_left(ends, look, line)
        outside[line:] = b"\1" * (len(ends) - line)
        return outside, -1

    def _cut_long(self, data: bytes, quote: bytes) -> tuple[Block[Positions], int, bytes]:
        """The record at the beginning of ``data`` that has no end where it should, its size; and what follows it."""
        head = data[: self._limit + 1]
        opened = self._open_quote(head) if quote else -1
        rule: Rule = "record-too-long" if opened < 0 else "quote-not-closed"
        kept, dropped, look = b"", 0, self._limit if opened < 0 else opened
        digest = hashlib.sha256()
        while True:
            end, following = self._line_end(data, look)
            if end >= 0 or self._final:
                break
            # Nothing but the beginning is kept of a line without an end.
            gone = len(data) - data.endswith(b"\r")
            kept += data[: min(gone, VERBATIM_BYTES - len(kept))]
            digest.update(memoryview(data)[:gone])
            dropped, look = dropped + gone, 0
            data = self._fill(data[gone:], self._block_bytes + 1)
        if end < 0:
            end = following = len(data)
        kept += data[: min(end, VERBATIM_BYTES - len(kept))]
        digest.update(memoryview(data)[:end])
        block = Block(
            data=kept,
            starts=self._positions([0]),
            ends=self._positions([len(kept)]),
            stop=len(kept),
            first=self._number,
            rule=rule,
            length=dropped + end,
            sha256=digest.hexdigest(),
        )
        return block, dropped + following, data[following:]

    def _open_quote(self, head: bytes) -> int:
        return self._walk(head, *line_ends(head, final=True))[1]

    def _line_end(self, data: bytes, look: int) -> tuple[int, int]:
        """Where the first line end at or after ``look`` begins and stops; -1: it is not there yet."""
        found = [at for at in (data.find(b"\n", look), data.find(b"\r", look)) if at >= 0]
        if not found:
            return -1, -1
        end = min(found)
        if data[end : end + 1] == b"\r" and end + 1 == len(data) and not self._final:
            return -1, -1
        return end, end + (2 if data[end : end + 2] == b"\r\n" else 1)


class ListFramer(Framer[list[int]]):
    """Line by line, for few rows of a file."""

    def _cut(self, data: bytes, quote: bytes) -> Block[list[int]] | None:
        ends, nexts = line_ends(data, final=self._final)
        if quote and quote in data:
            outside = self._walk(data, ends, nexts)[0]
            ends, nexts = list(compress(ends, outside)), list(compress(nexts, outside))
        if not ends:
            return None
        return Block(data=data, starts=[0, *nexts[:-1]], ends=ends, stop=nexts[-1], first=self._number)

    def _whole(self, block: Block[list[int]]) -> int:
        lengths = (end - start for start, end in zip(block.starts, block.ends, strict=True))
        return next((i for i, length in enumerate(lengths) if length > self._limit), len(block))

    def _positions(self, values: list[int]) -> list[int]:
        return values


def line_ends(data: bytes, *, final: bool) -> tuple[list[int], list[int]]:
    """Where each line ends and where the next begins; the end of the whole text ends a line, too."""
    spans = [found.span() for found in _LINE_END.finditer(data)]
    if not final and data.endswith(b"\r"):
        spans.pop()  # whether a line feed follows is not known yet
    if final and (not spans or spans[-1][1] < len(data)):
        spans.append((len(data), len(data)))
    return [end for end, _ in spans], [following for _, following in spans]
