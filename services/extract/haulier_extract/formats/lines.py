"""Formats in which every line is a record: the part of their reading that is the same."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa

from haulier.definitions.formats import FixedWidth, JsonLines
from haulier.definitions.sources import Ready
from haulier.encodings import cell_encoding
from haulier.errors import DataError
from haulier.exchange import Exchange
from haulier.manifest import Delivery, SourceAccount
from haulier.originals import records_of
from haulier.records import Block
from haulier.rows import SYSTEM_FIELDS
from haulier_extract.columns import column_names
from haulier_extract.formats.text import ending
from haulier_extract.gathering import Batch, Reject, Rejects, Rows, account, with_place

#: An Arrow array takes so many bytes for a text that is not there.
_OFFSET_BYTES = 4


Form = TypeVar("Form", bound=JsonLines | FixedWidth)


class LineReader(ABC, Generic[Form]):
    """Reads one delivery line by line; a subclass says its columns and makes texts of lines."""

    def __init__(
        self,
        exchange: Exchange,
        delivery: Delivery,
        form: Form,
        *,
        position: int,
        wanted: Sequence[int] | None,
    ) -> None:
        """Raises `DataError` for more columns than a part can hold."""
        self._exchange, self._delivery, self._form = exchange, delivery, form
        self._name, self._position = delivery.uri, position
        self._wanted = None if wanted is None else np.unique(np.array(wanted, dtype=np.int64))
        self._encoding = cell_encoding(form.encoding)
        self.rules: Counter[str] = Counter()
        self._accepted = self._stripped = 0
        self.notes: list[str] = []
        names, notes = column_names(self.prepare(), delivery.uri)
        self.notes += notes
        self.schema = pa.schema([*SYSTEM_FIELDS, *(pa.field(name, pa.string()) for name in names)])

    def batches(self, most_rows: int, most_bytes: int) -> Iterator[Batch]:
        rows, rejects = Rows(most_rows, most_bytes), Rejects(self._position)
        width = _OFFSET_BYTES * (len(self.schema) - len(SYSTEM_FIELDS) + 1)
        at_once = max(1, min(most_rows, most_bytes // width))
        last = 0
        for block in self.blocks():
            last = block.first + len(block) - 1
            for start in range(0, len(block), at_once):
                some = block.slice(start, start + at_once)
                columns, at = self.columns_of(some, self._chosen(some), rejects)
                self._accepted += len(at)
                size = sum(int(some.ends[index] - some.starts[index]) for index in at)
                numbers = some.first + np.array(at, dtype=np.int64)
                arrays = pa.Table.from_arrays(
                    columns, schema=pa.schema(list(self.schema)[len(SYSTEM_FIELDS) :])
                )
                placed = with_place(arrays, self._position, numbers, self.schema)
                yield from (Batch(rows=group) for group in rows.add(placed, max(size, width * len(at))))
                if rejects.full:
                    yield Batch(rejects=rejects.table())
        if self._wanted is not None and len(self._wanted) and self._wanted[-1] > last:
            raise DataError(
                f"{self._name} has no row {self._wanted[-1]} any more: the {self._form.section} section of its "
                "definition now cuts the file into other rows; extract it whole, with --reprocess"
            )
        yield Batch(rows=rows.rest(), rejects=rejects.table())

    @abstractmethod
    def prepare(self) -> Sequence[str]:
        """Before the first line is read: what the source calls its columns; may add notes. Raises `DataError`."""

    @abstractmethod
    def columns_of(
        self, block: Block, chosen: Sequence[int], rejects: Rejects
    ) -> tuple[list[pa.Array], list[int]]:
        """The columns of the chosen lines that are rows, and which these are; others are rejected or stripped."""

    def account(self, delivery_id: int) -> SourceAccount:
        return account(delivery_id, self._accepted, self.rules.total(), self._stripped)

    def blocks(self) -> Iterator[Block]:
        return records_of(self._exchange, self._delivery, self._form)

    def strip(self) -> None:
        """Count a line that is no data."""
        self._stripped += 1

    def reject(self, block: Block, index: int, rule: str, message: str) -> Reject:
        self.rules[rule] += 1
        verbatim, length = block.verbatim(index)
        return Reject(
            row=block.first + index,
            rule=rule,
            message=message,
            verbatim=verbatim,
            verbatim_bytes=length,
            whole=block.whole(index),
        )

    def _chosen(self, block: Block) -> Sequence[int]:
        if self._wanted is None:
            return range(len(block))
        low, high = np.searchsorted(self._wanted, [block.first, block.first + len(block)])
        chosen: list[int] = (self._wanted[low:high] - block.first).tolist()
        return chosen


def unfinished(chunks: Iterator[bytes], form: JsonLines | FixedWidth, ready: Ready, name: str) -> str | None:
    """As `haulier_extract.formats.Module` has it."""
    return ending(chunks, form, ready, name)[0]


def undecodable(line: bytes, encoding: str, declared: str) -> tuple[str, str] | None:
    """(rule, message) for a line that is not in its encoding."""
    try:
        line.decode(encoding)
    except UnicodeDecodeError as exc:
        byte = f"byte {exc.start + 1} of the line (0x{line[exc.start]:02x})"
        return "encoding", f"{byte} is not {declared}; send it in that encoding"
    return None


def too_long(block: Block, form: JsonLines | FixedWidth) -> tuple[str, str]:
    return (
        block.rule or "",
        f"the line has {block.length} bytes, {form.section}.record_bytes allows {form.record_bytes}",
    )
