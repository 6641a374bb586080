"""Reads a file's bytes with a format's own reader, as extract does, and says what became of every row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from support.memory import MemoryExchange

from haulier.definitions.formats import Format
from haulier.definitions.sources import Ready
from haulier.manifest import Delivery
from haulier.originals import VerbatimRows
from haulier.rows import DELIVERY, REJECT_SCHEMA, ROW
from haulier_extract.formats import module_of

PLACE = 3


@dataclass
class Told:
    """What a reader made of a file."""

    columns: tuple[str, ...]
    types: tuple[pa.DataType, ...]
    #: (row number, *cells)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    #: (row number, rule)
    rejects: list[tuple[int, str]] = field(default_factory=list)
    verbatim: list[bytes] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    #: read, accepted, rejected, stripped
    account: tuple[int, int, int, int] = (0, 0, 0, 0)
    notes: list[str] = field(default_factory=list)


def kept(data: bytes, uri: str = "file://labs") -> tuple[MemoryExchange, Delivery]:
    """An exchange that holds these bytes as a delivery's original."""
    sha256 = hashlib.sha256(data).hexdigest()
    exchange = MemoryExchange()
    exchange.objects[f"labs/main/originals/{sha256}"] = data
    delivery = Delivery(
        delivery_id=7,
        logical_name="labs",
        sequence=1,
        sha256=sha256,
        bytes=len(data),
        uri=uri,
        modified_at=datetime(2026, 1, 5, tzinfo=UTC),
        original=f"labs/main/originals/{sha256}",
    )
    return exchange, delivery


def read(
    data: bytes,
    form: Format,
    *,
    rows: int = 1000,
    size: int = 1 << 20,
    wanted: Sequence[int] | None = None,
    uri: str = "file://labs",
) -> Told:
    """Every row of it; the account is checked to close, and rejects to read the same a second time."""
    exchange, delivery = kept(data, uri)
    reader = module_of(form).read(exchange, delivery, form, position=PLACE, wanted=wanted)
    fields = list(reader.schema)[2:]
    told = Told(tuple(one.name for one in fields), tuple(one.type for one in fields))
    lengths: list[int] = []
    for batch in reader.batches(rows, size):
        if batch.rows is not None:
            assert batch.rows.schema.equals(reader.schema)
            assert set(batch.rows[DELIVERY].to_pylist()) == {PLACE}
            told.groups.append(batch.rows.num_rows)
            columns = [batch.rows[at].to_pylist() for at in range(1, batch.rows.num_columns)]
            told.rows += zip(*columns, strict=True)
        if batch.rejects is not None:
            assert batch.rejects.schema.equals(REJECT_SCHEMA)
            for line in batch.rejects.to_pylist():
                assert json.loads(line["problems"])[0]["rule"] == line["rule"]
                told.rejects.append((line[ROW], line["rule"]))
                told.verbatim.append(line["verbatim"])
                told.messages.append(line["message"])
                lengths.append(line["verbatim_bytes"])
    account = reader.account(7)
    told.account = (account.read, account.accepted, account.rejected, account.stripped)
    assert account.accepted == len(told.rows)
    assert account.rejected == len(told.rejects) == reader.rules.total()
    told.notes = reader.notes
    again = VerbatimRows(exchange, delivery, form).take([row for row, _ in told.rejects])
    assert [one[:100] for one in again] == [one[:100] for one in told.verbatim]
    return told


def unfinished(data: bytes, form: Format, uri: str = "file://labs") -> str | None:
    """Why extract would wait for the rest of these bytes."""
    return module_of(form).unfinished(iter([data]), form, Ready(), uri)
