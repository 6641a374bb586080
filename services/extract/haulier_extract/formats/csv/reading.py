"""One delivery's text to row groups of text columns, every record of it accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from haulier.definitions.formats import Csv
from haulier.errors import DataError
from haulier.manifest import SourceAccount
from haulier.records import Block, BoolArray, IntArray
from haulier.rows import SYSTEM_FIELDS
from haulier_extract.formats.csv.footer import Footer
from haulier_extract.formats.csv.header import read_header
from haulier_extract.formats.csv.parsing import Bad, Parser
from haulier_extract.gathering import Batch, Reject, Rejects, Rows, account, with_place


class Reader:
    """Reads one delivery.

    ``columns``, ``schema`` and the header's notes are there at once, the rest when ``batches`` has
    ended. What is read does not depend on how it is batched. With ``wanted`` only the records with
    these row numbers are read.
    """

    def __init__(
        self,
        blocks: Iterator[Block],
        csv: Csv,
        *,
        name: str,
        position: int,
        wanted: Sequence[int] | None = None,
    ) -> None:
        """Raises `DataError` when there is no reading the header."""
        self._csv, self._name, self._position = csv, name, position
        self._wanted: IntArray | None = (
            None if wanted is None else np.unique(np.array(wanted, dtype=np.int64))
        )
        self.columns, self._blocks, self.notes = read_header(blocks, csv, name)
        self._parser = Parser(self.columns, csv)
        self.schema = pa.schema([*SYSTEM_FIELDS, *self._parser.schema])
        self.rules: Counter[str] = Counter()
        self._accepted = self._blank = self._outside = 0

    def batches(self, most_rows: int, most_bytes: int) -> Iterator[Batch]:
        """Row groups of at most so many rows and about so many bytes of source text.

        Raises `DataError` when the footer contradicts what was read, and for a wanted row that is not there.
        """
        rows, rejects = Rows(most_rows, most_bytes), Rejects(self._position)
        footer = Footer(self._csv)
        first = last = 0
        for block in footer.before(self._blocks):
            first, last = first or block.first, block.first + len(block) - 1
            wanted = self._chosen(block)
            parsed = self._parser.parse(block, wanted)
            self._check(block, wanted, len(parsed.places) + len(parsed.bad) + parsed.blank)
            self._accepted += len(parsed.places)
            self._blank += parsed.blank
            self.rules.update(bad.rule for bad in parsed.bad)
            for bad in parsed.bad:
                rejects.add(_reject(block, bad))
            table = with_place(parsed.columns, self._position, block.first + parsed.places, self.schema)
            yield from (Batch(rows=group) for group in rows.add(table, block.stop - int(block.starts[0])))
            if rejects.full:
                yield Batch(rejects=rejects.table())
        if self._wanted is None:
            self._outside = footer.lines
            footer.check(self._accepted + self.rules.total(), self._name)
        else:
            self._outside = self._wanted_outside(first, last, footer.lines)
        yield Batch(rows=rows.rest(), rejects=rejects.table())

    def account(self, delivery_id: int) -> SourceAccount:
        """What became of every record after the header: blank and footer lines are ``stripped``."""
        return account(delivery_id, self._accepted, self.rules.total(), self._blank + self._outside)

    def _chosen(self, block: Block) -> BoolArray | None:
        if self._wanted is None:
            return None
        return np.isin(np.arange(block.first, block.first + len(block)), self._wanted)

    def _check(self, block: Block, wanted: BoolArray | None, judged: int) -> None:
        records = len(block) if wanted is None else int(np.count_nonzero(wanted))
        if judged != records:
            raise AssertionError(
                f"{self._name}: of {records} records from {block.first} on, {judged} were judged"
            )

    def _wanted_outside(self, first: int, last: int, footer: int) -> int:
        """How many wanted rows are no data any more: the definition now says header or footer."""
        assert self._wanted is not None
        if len(self._wanted) and self._wanted[-1] > last + footer:
            raise DataError(
                f"{self._name} has no row {self._wanted[-1]} any more: the csv section of its definition now cuts the "
                "file into other rows; extract it whole, with --reprocess"
            )
        return int(np.count_nonzero((self._wanted < first) | (self._wanted > last)))


def _reject(block: Block, bad: Bad) -> Reject:
    verbatim, length = block.verbatim(bad.index)
    return Reject(
        row=block.first + bad.index,
        rule=bad.rule,
        message=bad.message,
        verbatim=verbatim,
        verbatim_bytes=length,
        whole=block.whole(bad.index),
    )
