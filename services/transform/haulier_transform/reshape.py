"""One source row becomes one row per listed column that is not empty or is kept, on text, a whole batch at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from haulier_transform import kernels as pc
from haulier_transform.arrays import Array, Positions, of_numbers, of_texts
from haulier_transform.header import Header
from haulier_transform.judging import Judge


@dataclass(frozen=True, kw_only=True)
class Unpivoted:
    """The outputs, by source row, then by place in `unpivot.columns`."""

    #: Position of the source row in the batch, one per output.
    source: Positions
    #: Place of the column in `unpivot.columns`, from 0: it stays the same whatever else the row has.
    output: NDArray[np.int64]
    cells: Array


def unpivot(
    table: pa.Table, header: Header, rows: Positions, values: Judge, keeping: Mapping[str, Judge]
) -> Unpivoted:
    """Unpivot some rows of a batch; ``values`` judges what counts as empty, and of the columns that keep an empty cell
    each its own."""
    if not header.unpivoted or not len(rows):
        nowhere = np.zeros(0, dtype=np.int64)
        return Unpivoted(source=nowhere, output=nowhere, cells=of_texts([]))
    ordinals = np.array(sorted(header.unpivoted), dtype=np.int64)
    taken = of_numbers(rows)
    cells = [
        pc.take(texts_of_column(table.column(header.unpivoted[int(ordinal)])), taken) for ordinal in ordinals
    ]
    # Row by row, not column by column: the order must not depend on where a batch ends.
    held = np.stack([values.holds(column) for column in cells], axis=1)
    for name, judge in keeping.items():
        for at, ordinal in enumerate(ordinals.tolist()):
            place = header.beside.get((name, ordinal), header.columns.get(name))
            if place is not None:
                texts = pc.take(texts_of_column(table.column(place)), taken)
                held[:, at] |= judge.holds(pc.utf8_trim_whitespace(texts))
    row, column = np.nonzero(held)
    return Unpivoted(
        source=rows[row],
        output=ordinals[column],
        cells=pc.take(pa.concat_arrays(cells), of_numbers(column * len(rows) + row)),
    )


def along(
    table: pa.Table, header: Header, outputs: Unpivoted, name: str, constants: Mapping[int, str]
) -> Array:
    """What goes along with each output into a contract column: a cell of its source row, a text, or nothing."""
    count = len(outputs.source)
    pieces, at = [of_texts([None])], np.zeros(count, dtype=np.int64)
    first = 1
    for ordinal in np.flatnonzero(np.bincount(outputs.output)).tolist() if count else ():
        here = np.flatnonzero(outputs.output == ordinal)
        if (place := header.beside.get((name, ordinal))) is not None:
            cells = pc.take(texts_of_column(table.column(place)), of_numbers(outputs.source[here]))
            at[here] = np.arange(first, first + len(here))
        elif ordinal in constants:
            cells = of_texts([constants[ordinal]])
            at[here] = first
        else:
            continue
        pieces.append(cells)
        first += len(cells)
    return pc.take(pa.concat_arrays(pieces), of_numbers(at))


def texts_of_column(column: pa.ChunkedArray) -> Array:
    """Its cells as text, whatever type the source gave them."""
    cells = column.combine_chunks()
    if pa.types.is_string(cells.type):
        return cells
    if pa.types.is_dictionary(cells.type):
        return pc.cast(cells, pa.string())
    from haulier.texts import texts_of

    return texts_of(cells)
