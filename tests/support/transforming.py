"""What transform is given, made by hand: text as extract hands it on, sealed if a test wants that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa

from haulier.contracts import Column, Contract
from haulier.definitions import Instance, Transform
from haulier.definitions.sources import Files, Source
from haulier.digests import digest_of
from haulier.exchange import Exchange
from haulier.interval import Interval
from haulier.keys import RunKeys
from haulier.manifest import Delivery, Manifest, Part, SourceAccount
from haulier.parts import PartWriter
from haulier.rows import DELIVERY, ROW
from haulier.sealing import seal
from haulier_transform.arrays import Parsed
from haulier_transform.canonical import Canonical, Result

INTERVAL = Interval(start=datetime(2026, 1, 5, tzinfo=UTC), end=datetime(2026, 1, 6, tzinfo=UTC))
_LOGICAL = {
    "text": "string",
    "varchar": "string",
    "uuid": "string",
    "bigint": "integer",
    "integer": "integer",
    "smallint": "integer",
    "numeric": "number",
    "double precision": "number",
    "timestamptz": "timestamp",
    "jsonb": "object",
}


def column(name: str, pg_type: str = "text", **more: Any) -> Column:
    base = pg_type.partition("(")[0]
    return Column(name=name, pg_type=pg_type, logical_type=_LOGICAL.get(base, base), **more)


def contract(*columns: Column) -> Contract:
    return Contract(id="test", version="1.0.0", schema="lab", table="results", columns=columns)


def definition(*, parameters: Mapping[str, str] | None = None, **transform: Any) -> Instance:
    return Instance(
        pipeline="labs",
        instance="701",
        parameters=dict(parameters or {}),
        source=Source(files=Files(path="*")),
        transform=msgspec.convert(transform, Transform),
    )


def delivery(
    number: int = 1,
    *,
    name: str | None = None,
    content: bytes = b"",
    replayed: tuple[tuple[int, int | None], ...] | None = None,
) -> Delivery:
    sha256 = hashlib.sha256(content).hexdigest()
    name = name or f"labs_{number}.csv"
    return Delivery(
        delivery_id=number,
        logical_name=name,
        sequence=1,
        sha256=sha256,
        bytes=len(content),
        uri=f"file:///landing/{name}",
        modified_at=INTERVAL.start,
        original=f"labs/701/originals/{sha256}",
        replayed=replayed,
    )


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[str | None]], *, place: int = 0, first: int = 2
) -> pa.Table:
    """Cells as extract hands them on; ``None``: nothing between two delimiters."""
    numbers = [first + number for number in range(len(rows))]
    return numbered_table(header, rows, numbers, place=place)


def numbered_table(
    header: Sequence[str], rows: Sequence[Sequence[str | None]], numbers: Sequence[int], *, place: int = 0
) -> pa.Table:
    cells = [pa.array([row[at] for row in rows], pa.string()) for at in range(len(header))]
    system = [pa.array([place] * len(rows), pa.int32()), pa.array(numbers, pa.int64())]
    fields = [pa.field(DELIVERY, pa.int32(), nullable=False), pa.field(ROW, pa.int64(), nullable=False)]
    fields += [pa.field(name, pa.string()) for name in header]
    return pa.Table.from_arrays([*system, *cells], schema=pa.schema(fields))


def transformed(
    header: Sequence[str],
    rows: Sequence[Sequence[str | None]],
    columns: Iterable[Column],
    *,
    functions: Any = None,
    replayed: tuple[tuple[int, int | None], ...] | None = None,
    **transform: Any,
) -> Result:
    """One batch of one delivery."""
    canonical = Canonical(
        definition(**transform), contract(*columns), [delivery(replayed=replayed)], functions
    )
    return canonical.batch(text_table(header, rows))


def problems(result: Result) -> list[tuple[int, int, list[tuple[str, str | None]]]]:
    """(row number, output, [(rule, column)]) of every reject."""
    found = []
    for source, output, reason in zip(
        result.rejects.source, result.rejects.output, result.rejects.reasons, strict=True
    ):
        listed = [(one["rule"], one["column"]) for one in msgspec.json.decode(reason.problems)]
        found.append((int(result.row[source]), int(output), listed))
    return found


def values(result: Result, *names: str) -> list[tuple[Any, ...]]:
    """The canonical rows, these columns of them."""
    return list(zip(*(result.canonical[name].to_pylist() for name in names), strict=True))


def outcome(parsed: Parsed, texts: Sequence[str] | None = None) -> list[Any]:
    """Per cell: its value, or the rule it broke. ``texts``: what was read, none of it empty, so that each has one of
    the two."""
    found: list[Any] = parsed.values.to_pylist()
    for wrong in parsed.wrong:
        for at in wrong.at:
            assert found[at] is None, f"cell {at} has a value and breaks {wrong.rule}: {texts}"
            found[at] = wrong.rule
    assert texts is None or None not in found, texts
    return found


def extracted(
    exchange: Exchange,
    files: Mapping[str, str],
    contract: Contract,
    definition: Instance,
    *,
    content: str = "g1",
    group_rows: int = 1000,
    replayed: Mapping[str, tuple[tuple[int, int | None], ...]] | None = None,
    rejects: Sequence[Part] = (),
    **changes: Any,
) -> Manifest:
    """Seal what extract makes of these files: a header line, then cells without quotes or line breaks."""
    keys = RunKeys(
        pipeline=definition.pipeline, instance=definition.instance, interval=INTERVAL, content=content
    )
    deliveries, accounts, parts = [], [], list[Part]()
    for place, (name, text) in enumerate(files.items()):
        data = text.encode()
        asked = (replayed or {}).get(name)
        made = delivery(place + 1, name=name, content=data, replayed=asked)
        exchange.put(made.original, data)
        header, *lines = text.splitlines()
        numbers = [n for n in range(2, len(lines) + 2) if asked is None or n in {row for row, _ in asked}]
        rows = [[cell or None for cell in lines[number - 2].split(",")] for number in numbers]
        table = numbered_table(header.split(","), rows, numbers, place=place)
        writer = PartWriter(exchange, keys, "extract", f"attempt-{place}", table.schema)
        for start in range(0, table.num_rows, group_rows):
            writer.write(table.slice(start, group_rows))
        parts += writer.close()
        deliveries.append(made)
        accounts.append(
            SourceAccount(
                delivery_id=made.delivery_id,
                read=len(rows) + 3,
                accepted=len(rows),
                filtered=1,
                rejected=1,
                stripped=1,
            )
        )
    fields: dict[str, Any] = {
        "step": "extract",
        "run_id": 7,
        "pipeline": definition.pipeline,
        "instance": definition.instance,
        "interval_start": INTERVAL.start,
        "interval_end": INTERVAL.end,
        "content": content,
        "generation": 1,
        "replay_id": int(content[1:]) if content.startswith("r") else None,
        "attempt": "extracting",
        "created_at": datetime(2026, 1, 6, tzinfo=UTC),
        "input_digest": digest_of([(d.logical_name, d.sha256) for d in deliveries]),
        "definition": definition,
        "contract": contract,
        "deliveries": tuple(deliveries),
        "accounts": tuple(accounts),
        "parts": tuple(parts),
        "rejects": tuple(rejects),
        "produced": sum(part.rows for part in parts),
    }
    return seal(exchange, keys, Manifest(**{**fields, **changes}))
