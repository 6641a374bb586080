"""The header of a delimited file: where it is, and what its columns are called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from haulier.definitions.formats import Csv
from haulier.encodings import cell_encoding
from haulier.errors import DataError
from haulier.records import Block
from haulier_extract.columns import column_names
from haulier_extract.formats.csv.fields import Fields

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def read_header(
    blocks: Iterator[Block], csv: Csv, name: str
) -> tuple[tuple[str, ...], Iterator[Block], list[str]]:
    """The columns' names, the records that follow, and what a person should know.

    No names: the file ends before its header. Preamble, blank lines before the header and further
    header lines are passed over. Raises `DataError` when the header cannot be read.
    """
    preamble, further, header = csv.preamble_rows, csv.header_rows - 1, None
    for block in blocks:
        start = min(preamble, len(block))
        preamble -= start
        while header is None and start < len(block):
            if block.record(start).strip():
                header = _fields(block, start, csv, name)
            start += 1
        if header is not None:
            passed = min(further, len(block) - start)
            further -= passed
            start += passed
            if not further:
                names, notes = column_names(header, name)
                rest = [block.slice(start, len(block))] if start < len(block) else []
                return names, chain(rest, blocks), notes + _doubts(names, csv, name)
    if header is None:
        return (), iter(()), [f"{name} is empty: it has no header"]
    names, notes = column_names(header, name)
    return names, iter(()), notes


def _fields(block: Block, index: int, csv: Csv, name: str) -> list[str | None]:
    record, number = block.record(index), block.first + index
    if block.rule:
        raise DataError(
            f"the header of {name} (row {number}) cannot be read: {block.rule}; is csv.quote right?"
        )
    if b"\0" in record:
        raise DataError(
            f"the header of {name} (row {number}) holds NUL bytes; is csv.encoding {csv.encoding!r} right?"
        )
    try:
        return Fields(csv).split(record.decode(cell_encoding(csv.encoding)))
    except UnicodeDecodeError as exc:
        raise DataError(
            f"the header of {name} (row {number}) is not {csv.encoding} at byte {exc.start + 1}; is csv.encoding right?"
        ) from exc


def _doubts(names: Sequence[str], csv: Csv, name: str) -> list[str]:
    if len(names) > 1:
        return []
    return [
        f"the header of {name} is one column with a {word} in it; is csv.delimiter {csv.delimiter!r} right?"
        for separator, word in _SEPARATORS.items()
        if separator in names[0]
    ]
