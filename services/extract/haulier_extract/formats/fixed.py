"""Fixed width: cells at their places in each line, counted in characters, without the spaces that pad them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from haulier.definitions.formats import FixedWidth
from haulier.records import Block
from haulier_extract import arrays
from haulier_extract.formats.lines import LineReader, too_long, undecodable
from haulier_extract.formats.lines import unfinished as unfinished
from haulier_extract.gathering import Rejects


class Reader(LineReader[FixedWidth]):
    """Reads one delivery."""

    def prepare(self) -> Sequence[str]:
        self._places = self._form.places
        self._width = max(stop for _, stop in self._places)
        return [column.name for column in self._form.columns]

    def columns_of(
        self, block: Block, chosen: Sequence[int], rejects: Rejects
    ) -> tuple[list[pa.Array], list[int]]:
        lines: list[str] = []
        at: list[int] = []
        for index in chosen:
            if block.first + index <= self._form.header_rows:
                if self._wanted is not None:
                    self.strip()
                continue
            found = self._line(block, index)
            if isinstance(found, tuple):
                rejects.add(self.reject(block, index, *found))
            elif not found.strip(" "):
                self.strip()
            else:
                lines.append(found)
                at.append(index)
        columns = [
            arrays.texts([line[start:stop].strip(" ") or None for line in lines])
            for start, stop in self._places
        ]
        return columns, at

    def _line(self, block: Block, index: int) -> str | tuple[str, str]:
        """A line's text, or (rule, message)."""
        if block.rule:
            return too_long(block, self._form)
        record = block.record(index)
        if (wrong := undecodable(record, self._encoding, self._form.encoding)) is not None:
            return wrong
        line = record.decode(self._encoding)
        if "\0" in line:
            return "nul-byte", "the line holds a NUL byte; send it without"
        if not line.strip(" "):
            return line
        if len(line) < self._width and self._form.short_lines == "reject":
            return "short-line", f"the line has {len(line)} characters, its columns need {self._width}"
        if line[self._width :].strip(" "):
            return "long-line", f"the line goes on after character {self._width}, where its last column ends"
        return line


read = Reader
