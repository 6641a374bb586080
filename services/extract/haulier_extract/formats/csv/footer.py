"""Lines after the data: held back until the file ends, then told apart."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from haulier.definitions.formats import Csv
from haulier.encodings import cell_encoding
from haulier.errors import DataError
from haulier.records import Block

#: A footer that is found by its pattern is looked for among so many last lines.
MOST_LINES = 1000

#: Bytes from here on are no visible ASCII: their character may be white space.
_NOT_ASCII = 0x7F


class Footer:
    """What a definition says about a file's last lines, and what one file's are."""

    def __init__(self, csv: Csv) -> None:
        self._rows = csv.footer.rows
        self._pattern = re.compile(csv.footer.pattern) if csv.footer.pattern else None
        self._encoding = cell_encoding(csv.encoding)
        #: How many of the last lines were footer, blank ones among them included.
        self.lines = 0
        self._claims: list[str] = []

    @property
    def claims(self) -> bool:
        """Whether a complete file says how many rows it has."""
        return self._pattern is not None and self._pattern.groups > 0

    def before(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """The records before the footer."""
        most = self._rows + (MOST_LINES if self._pattern else 0)
        if not most:
            yield from blocks
            return
        held: deque[tuple[Block, int]] = deque()
        lines = 0
        for block in blocks:
            held.append((block, self._lines(block)))
            lines += held[-1][1]
            while lines - held[0][1] >= most:
                done, fewer = held.popleft()
                lines -= fewer
                yield done
        self.lines, self._claims = self.measure(
            self._line(block, index) for block, _ in reversed(held) for index in reversed(range(len(block)))
        )
        rest = sum(len(block) for block, _ in held) - self.lines
        for block, _ in held:
            if rest > 0:
                yield block.slice(0, rest)
            rest -= len(block)

    def measure(self, lines: Iterable[str]) -> tuple[int, list[str]]:
        """How many lines, given from the last one backwards, are footer, and which counts they claim."""
        footer = seen = 0
        claims: list[str] = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            found = self._pattern.fullmatch(line.strip()) if self._pattern else None
            if seen >= self._rows and not found:
                break
            seen, footer = seen + 1, number
            if found and self.claims and found[1] is not None:
                claims.append(found[1])
        return footer, claims

    def check(self, rows: int, name: str) -> None:
        """Raises `DataError` when the footer claims another number of rows, or should and does not."""
        for claim in self._claims:
            digits = re.sub(r"[\s,.'’_]", "", claim)
            claimed = int(digits) if digits.isdecimal() else None
            if claimed != rows:
                raise DataError(
                    f"the footer of {name} claims {'no number of' if claimed is None else claimed} rows, {rows} were "
                    "found; it is not loaded: ask for the file again",
                    claimed=claimed,
                    found=rows,
                )
        if self.claims and not self._claims:
            raise DataError(
                f"{name} has no footer that matches csv.footer.pattern, so its {rows} rows may not be all; "
                "ask for the file again, or take the group out of the pattern"
            )

    def _lines(self, block: Block) -> int:
        """How many lines of a block are not blank, by the same rule as `measure`."""
        text = np.frombuffer(block.data, dtype=np.uint8)
        filled = np.flatnonzero(block.ends > block.starts)
        first = text[block.starts[filled]]
        visible = (first > ord(" ")) & (first < _NOT_ASCII)
        doubtful = filled[~visible].tolist()
        return int(np.count_nonzero(visible)) + sum(
            bool(self._line(block, index).strip()) for index in doubtful
        )

    def _line(self, block: Block, index: int) -> str:
        return block.record(index).decode(self._encoding, "replace")
