"""Reads CSV as extract does, and says what became of every record."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.csv

from haulier.definitions.formats import Csv
from haulier.records import frame
from haulier.rows import DELIVERY, REJECT_SCHEMA, ROW
from haulier_extract.formats.csv.reading import Reader


@dataclass
class Told:
    """What a reader made of a delivery."""

    columns: tuple[str, ...]
    #: (row number, *cells)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    #: (row number, rule, verbatim)
    rejects: list[tuple[int, str, bytes]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    groups: list[pa.Table] = field(default_factory=list)
    account: tuple[int, int, int, int] = (0, 0, 0, 0)
    notes: list[str] = field(default_factory=list)


def read(
    data: bytes | list[bytes],
    *,
    rows: int = 1000,
    size: int = 1 << 20,
    block_bytes: int = 1 << 20,
    wanted: list[int] | None = None,
    **options: Any,
) -> Told:
    dialect = Csv(**options)
    chunks = [data] if isinstance(data, bytes) else data
    reader = Reader(
        frame(chunks, dialect, "labs.csv", block_bytes=block_bytes),
        dialect,
        name="labs.csv",
        position=3,
        wanted=wanted,
    )
    told = Told(reader.columns)
    for batch in reader.batches(rows, size):
        if batch.rows is not None:
            assert batch.rows.schema == reader.schema
            assert set(batch.rows[DELIVERY].to_pylist()) == {3}
            told.groups.append(batch.rows)
            told.rows += zip(*(batch.rows[n].to_pylist() for n in (ROW, *reader.columns)), strict=True)
        if batch.rejects is not None:
            assert batch.rejects.schema == REJECT_SCHEMA
            for line in batch.rejects.to_pylist():
                assert line[DELIVERY] == 3
                assert json.loads(line["problems"]) == [
                    {"rule": line["rule"], "column": None, "message": line["message"]}
                ]
                told.rejects.append((line[ROW], line["rule"], line["verbatim"]))
                told.messages.append(line["message"])
    account = reader.account(7)
    told.account = (account.read, account.accepted, account.rejected, account.stripped)
    told.notes = reader.notes
    return told
