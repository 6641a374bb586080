"""Records of whole files, vectorised: where `haulier.framing` says they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from haulier import framing
from haulier.definitions.formats import Csv
from haulier.framing import BLOCK_BYTES

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Block = framing.Block[IntArray]

_LF, _CR = 10, 13


def frame(
    chunks: Iterable[bytes], csv: Csv, name: str = "the file", *, block_bytes: int = BLOCK_BYTES
) -> Iterator[Block]:
    """As `haulier.framing.frame`."""
    return _ArrayFramer(chunks, csv, name, block_bytes).blocks()


class _ArrayFramer(framing.Framer[IntArray]):
    def __init__(self, chunks: Iterable[bytes], csv: Csv, name: str, block_bytes: int) -> None:
        super().__init__(chunks, csv, name, block_bytes)
        self._beside = np.zeros(256, dtype=np.bool_)
        self._beside[[self._delimiter, _CR, _LF, *self._quote]] = True

    def _cut(self, data: bytes, quote: bytes) -> Block | None:
        """The records that are whole in ``data``, which begins with one; ``None``: not one is."""
        text = np.frombuffer(data, dtype=np.uint8)
        ends, nexts = _line_ends(data, text, self._final)
        if quote and quote in data:
            quotes = np.flatnonzero(text == quote[0])
            before = np.searchsorted(quotes, ends)
            outside = before % 2 == 0
            # The parity of the quotes before it says whether a line end is inside quotes, as long as
            # every quote stands beside a delimiter, a line end or its double.
            if not self._all_beside(text, quotes):
                walked = self._walk(data, ends.tolist(), nexts.tolist())[0]
                outside = np.frombuffer(walked, dtype=np.bool_)
            ends, nexts = ends[outside], nexts[outside]
        if not len(ends):
            return None
        starts = np.concatenate(([0], nexts[:-1]))
        return Block(data=data, starts=starts, ends=ends, stop=int(nexts[-1]), first=self._number)

    def _all_beside(self, text: npt.NDArray[np.uint8], quotes: IntArray) -> bool:
        opening, closing = quotes[::2], quotes[1::2]
        if len(opening) and opening[0] == 0:
            opening = opening[1:]
        if len(closing) and closing[-1] + 1 == len(text):
            closing = closing[:-1]
        return bool(self._beside[text[opening - 1]].all() and self._beside[text[closing + 1]].all())

    def _whole(self, block: Block) -> int:
        too_long = block.ends - block.starts > self._limit
        return int(too_long.argmax()) if too_long.any() else len(block)

    def _positions(self, values: list[int]) -> IntArray:
        return np.array(values)


def _line_ends(data: bytes, text: npt.NDArray[np.uint8], final: bool) -> tuple[IntArray, IntArray]:
    """Where each line ends and where the next begins; the end of the whole text ends a line, too."""
    ends = np.flatnonzero(text == _LF)
    nexts = ends + 1
    if b"\r" in data:
        returns = np.flatnonzero(text == _CR)
        if not final and len(returns) and returns[-1] + 1 == len(data):
            returns = returns[:-1]  # whether a line feed follows is not known yet
        paired = text[np.minimum(returns + 1, len(data) - 1)] == _LF
        alone = ends[(ends == 0) | (text[ends - 1] != _CR)]
        both = np.concatenate((returns, alone))
        order = np.argsort(both, kind="stable")
        ends, nexts = both[order], np.concatenate((returns + 1 + paired, alone + 1))[order]
    if final and (not len(nexts) or nexts[-1] < len(data)):
        ends, nexts = np.append(ends, len(data)), np.append(nexts, len(data))
    return ends, nexts
