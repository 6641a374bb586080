"""How a delimited text is written: its encoding, what divides its cells, and where its header is."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from haulier.definitions.formats import Csv
from haulier.encodings import cell_encoding
from haulier.errors import DataError
from haulier.records import frame
from haulier_extract.discovery.sampling import Kept
from haulier_extract.formats.csv.fields import Fields

#: How much is looked at to find the delimiter.
_HEAD_BYTES, _RECORDS = 256 * 1024, 500
_DELIMITERS = (",", ";", "\t", "|")
#: Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)*")


def sniffed(kept: Kept) -> tuple[Csv, tuple[str, ...]]:
    """The section of a definition that reads it, and what a person should look at.

    Raises `DataError` when it is no text.
    """
    encoding, notes = _encoding(kept)
    head, cut = _head(kept)
    best = _best(encoding, '"', head, cut)
    if '"'.encode(cell_encoding(encoding)) not in head:
        other = _best(encoding, "'", head, cut)
        # An apostrophe is no quote: it must explain what nothing else does.
        if other.share > best.share or best.quoted_by("'") > 0.5:
            best = other
    if best.width < 2:
        notes.append("no delimiter was found, so it is read as one column")
        return Csv(encoding=encoding), tuple(notes)
    if best.preamble:
        lines = "line is" if best.preamble == 1 else f"{best.preamble} lines are"
        notes.append(f"the first {lines} taken for a preamble, not for data: see source.csv.preamble_rows")
    if best.share < 1:
        odd = round(len(best.cells) * (1 - best.share))
        notes.append(
            f"{odd} of the first {len(best.cells)} lines have another number of cells than the header"
        )
    header = best.cells[0]
    if any(_NUMBER.fullmatch(cell) for cell in header):
        notes.append("the header holds numbers; a file without a header cannot be read, give it one")
    names = [cell.strip().casefold() for cell in header]
    second = [cell.strip().casefold() for cell in next(iter(best.cells[1:]), ())]
    repeated = any(names) and second == names
    if repeated:
        notes.append("the first row says the names once more and is dropped: see source.csv.header_rows")
    csv = Csv(
        encoding=encoding,
        delimiter=best.csv.delimiter,
        quote=best.csv.quote,
        preamble_rows=best.preamble,
        header_rows=2 if repeated else 1,
    )
    return csv, tuple(notes)


def _best(encoding: str, quote: str, head: bytes, cut: bool) -> _Reading:
    forms = (Csv(encoding=encoding, delimiter=one, quote=quote) for one in _DELIMITERS)
    return max((_Reading.of(form, head, cut) for form in forms), key=lambda reading: reading.rank)


def _encoding(kept: Kept) -> tuple[str, list[str]]:
    start = next(kept.chunks(), b"")
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding, []
    even, odd = start[:4096:2].count(0), start[1:4096:2].count(0)
    if (even + odd) * 5 > min(len(start), 4096):
        return ("utf-16-le" if odd > even else "utf-16-be"), ["UTF-16 without its byte order mark"]
    for encoding in ("utf-8", "cp1252"):
        if _decodes(kept, encoding):
            guess = "it is no UTF-8; cp1252 is a guess, look at its letters with accents"
            return encoding, [guess] if encoding == "cp1252" else []
    return "latin-1", ["it is neither UTF-8 nor cp1252; latin-1 takes every byte, so look at its letters"]


def _decodes(kept: Kept, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for chunk in kept.chunks():
            decoder.decode(chunk)
        decoder.decode(b"", final=kept.whole)
    except UnicodeDecodeError:
        return False
    return True


def _head(kept: Kept) -> tuple[bytes, bool]:
    """The beginning, and whether it ends in the middle of a record."""
    data = b""
    for chunk in kept.chunks():
        data += chunk
        if len(data) >= _HEAD_BYTES:
            break
    return data[:_HEAD_BYTES], len(data) >= _HEAD_BYTES


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """The head as one delimiter reads it."""

    csv: Csv
    #: Cells of the records from the header on; blank ones are left out.
    cells: list[list[str]]
    #: Most records have so many cells, this share of them.
    width: int
    share: float
    #: Records before the header.
    preamble: int

    @property
    def rank(self) -> tuple[bool, bool, int, float, int]:
        return (self.width > 1, self.share >= 0.9, -self.preamble, self.share, self.width)

    @classmethod
    def of(cls, csv: Csv, head: bytes, cut: bool) -> _Reading:
        records = list(_records(csv, head))
        if cut:
            records = records[:-1]
        split = Fields(csv).split
        cells = [[cell or "" for cell in split(one)] if one.strip() else [] for one in records]
        width = _most_frequent([len(one) for one in cells if one])
        before = 0
        while before < len(cells) and len(cells[before]) <= max(1, width // 2) < width:
            before += 1
        preamble = before if any(cells[:before]) else 0
        rest = [one for one in cells[before:] if one]
        if not rest:
            return cls(csv=csv, cells=[one for one in cells if one], width=1, share=1, preamble=0)
        share = sum(len(one) == width for one in rest) / len(rest)
        return cls(csv=csv, cells=rest, width=width, share=share, preamble=preamble)

    def quoted_by(self, mark: str) -> float:
        """The share of records with a cell between two such marks."""
        held = [any(len(c) > 1 and c[0] == c[-1] == mark for c in one) for one in self.cells]
        return sum(held) / len(held) if held else 0


def _most_frequent(counts: list[int]) -> int:
    """Of those that are equally frequent the greatest."""
    return max(Counter(counts).items(), key=lambda item: (item[1], item[0]), default=(1, 0))[0]


def _records(csv: Csv, head: bytes) -> Iterator[str]:
    encoding, count = cell_encoding(csv.encoding), 0
    for block in frame(iter([head]), csv, "the sample"):
        for index in range(len(block)):
            record = block.record(index)
            if b"\0" in record:
                raise DataError(
                    "the sample holds NUL bytes: it is no delimited text, or in UTF-16 without its mark"
                )
            yield record.decode(encoding, "replace")
            count += 1
            if count == _RECORDS:
                return
