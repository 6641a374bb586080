"""Hands load a sealed transform manifest without running extract and transform first.

What a test says is only the rows; deliveries are reserved through the real ledger and the parts go
through the real exchange, so that load meets exactly what it meets in production.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from support.databases import Database

from haulier.accounts import TARGET
from haulier.contracts import Column, Contract, Partitioning
from haulier.definitions import Instance, Load
from haulier.definitions.drift import Drift
from haulier.definitions.formats import Csv
from haulier.definitions.sources import Files, Source
from haulier.digests import digest_of
from haulier.exchange import Exchange, open_exchange
from haulier.interval import Interval
from haulier.ledger.connection import connect
from haulier.ledger.replays import request_replays, reserved_for_replay
from haulier.ledger.reservations import Candidate, Reservation, reserve
from haulier.manifest import Manifest, SourceAccount
from haulier.parts import PartWriter
from haulier.rows import DELIVERY, FLAG_SCHEMA, OUTPUT, REJECT_SCHEMA, ROW, canonical_schema
from haulier.sealing import seal
from haulier.settings import Settings
from haulier.task import Outcome, Task
from haulier_load.step import load

DAY = timedelta(days=1)
START = datetime(2026, 1, 5, tzinfo=UTC)
FATES = (*TARGET[1:], "removed", "vanished")

KEYED = Contract(
    id="things",
    version="1.0.0",
    schema="shop",
    table="things",
    columns=(
        Column(name="thing", logical_type="string", pg_type="text", key_position=1, required=True),
        Column(name="colour", logical_type="string", pg_type="text"),
        Column(name="price", logical_type="number", pg_type="numeric"),
    ),
)


def ordered(contract: Contract) -> Contract:
    """The same with a column that says which row is newer."""
    column = Column(name="edited", logical_type="integer", pg_type="bigint", required=True)
    return replace_struct(contract, columns=(*contract.columns, column), ordering="edited")


def deleting(contract: Contract, *, deleted_at: str | None = None) -> Contract:
    """The same with a column whose D says that its row is gone; it then leaves, or stays with a mark."""
    column = Column(name="op", logical_type="string", pg_type="text", deletes=("D",))
    return replace_struct(contract, columns=(*contract.columns, column), deleted_at=deleted_at)


def versioned(contract: Contract) -> Contract:
    """The same, keeping every version of a row; its ordering column says from when each holds."""
    return replace_struct(contract, valid_to="valid_to", is_current="is_current")


def partitioned(contract: Contract, **by: Any) -> Contract:
    """The same with a day, part of the key if there is one, and partitions by these columns, outer first."""
    place = len(contract.key) + 1 if contract.key else None
    seen = Column(name="seen", logical_type="date", pg_type="date", required=True, key_position=place)
    levels = tuple(Partitioning(column=column, by=way) for column, way in by.items())
    return replace_struct(contract, columns=(*contract.columns, seen), partitions=levels)


def replace_struct(struct: Any, **changes: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(struct, **changes)


def interval(day: int) -> Interval:
    return Interval(start=START + day * DAY, end=START + (day + 1) * DAY)


def settings_of(database: Database, folder: Path) -> Settings:
    """Of a database, with an exchange in a folder."""
    return Settings.from_env({**database.environment, "HAULIER_EXCHANGE": f"file://{folder}/exchange"})


def thing(name: str, colour: str = "red", price: str = "1.5", **more: Any) -> dict[str, Any]:
    """A row."""
    return {"thing": name, "colour": colour, "price": Decimal(price), **more}


def table(database: Database, columns: str = "thing, colour, price") -> list[tuple[Any, ...]]:
    return database.rows(f"SELECT {columns} FROM shop.things ORDER BY {columns}")


def counts(outcome: Outcome, *names: str) -> tuple[int, ...]:
    return tuple(outcome.counts[name] for name in names)


def fates(outcome: Outcome) -> dict[str, int]:
    """What became of rows, and of how many."""
    return {name: outcome.counts[name] for name in FATES if outcome.counts[name]}


@dataclass(kw_only=True)
class Sender:
    """Sends files of rows to one pipeline and loads them."""

    settings: Settings
    contract: Contract = KEYED
    mode: Any = "upsert"
    reject_threshold: float = 0.05
    drift: Drift = field(default_factory=Drift)
    content: Any = "delta"
    removal_threshold: float | None = None
    definition_digest: str = "d" * 64
    owner: str = ""
    _serial: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def exchange(self) -> Exchange:
        return open_exchange(self.settings)

    def task(self, day: int, *, instance: str = "main", **asked: Any) -> Task:
        return Task(
            step="load",
            verb="run",
            pipeline="things",
            instance=instance,
            interval=interval(day),
            settings=self.settings,
            **asked,
        )

    def reserve(
        self, day: int, files: Mapping[str, bytes], *, instance: str = "main", reprocess: str | None = None
    ) -> Reservation:
        """Reserve these files for the run of a day; names are logical names."""
        task = replace(self.task(day, instance=instance), reprocess=reprocess)
        candidates = []
        for name, content in files.items():
            sha256 = hashlib.sha256(content).hexdigest()
            original = f"things/{instance}/originals/{sha256}"
            self.exchange.put(original, content)
            candidates.append(
                Candidate(
                    logical_name=name,
                    uri=f"file://{day}/{next(self._serial)}/{name}",
                    sha256=sha256,
                    bytes=len(content),
                    modified_at=task.interval.start,
                    original=original,
                )
            )
        with connect(self.settings, "test") as connection:
            return reserve(
                connection,
                task,
                definition_digest=self.definition_digest,
                candidates=candidates,
                copies="load",
            )

    def _with_first_delivery(self, reservation: Reservation) -> Reservation:
        """The same with the ledger's first delivery before its own, which another run has reserved."""
        with connect(self.settings, "test") as connection, connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO haulier.generation_delivery VALUES (%s, 1, 1)", [reservation.run_id])
            cursor.execute(
                "SELECT logical_name, original, sha256, bytes, uri, modified_at FROM haulier.delivery WHERE delivery_id = 1"
            )
            names = [column.name for column in cursor.description]
            found = dict(zip(names, cursor.fetchone(), strict=True))
        first = replace_struct(reservation.deliveries[0], delivery_id=1, **found)
        return replace(reservation, deliveries=(first, *reservation.deliveries))

    def seal(
        self,
        day: int,
        reservation: Reservation,
        rows: Mapping[str, Sequence[Mapping[str, Any]]],
        *,
        instance: str = "main",
        rejects: Iterable[tuple[str, int, str] | tuple[str, int, str, int]] = (),
        flags: Iterable[tuple[str, int, str]] = (),
    ) -> Manifest:
        """Seal what transform would have made: logical name -> its rows, numbered from 2 as in a file
        with a header unless a row says its own ``_row``; rejects are (logical name, row, rule) or
        (logical name, row, rule, output), flags (logical name, row, rule)."""
        content = f"r{reservation.replay_id}" if reservation.replay_id else f"g{reservation.generation}"
        task = self.task(day, instance=instance)
        keys = task.keys(content)
        schema = canonical_schema(self.contract)
        writer = PartWriter(self.exchange, keys, "transform", task.attempt, schema)
        rejected = PartWriter(self.exchange, keys, "transform", task.attempt, REJECT_SCHEMA, kind="reject")
        flagged = PartWriter(self.exchange, keys, "transform", task.attempt, FLAG_SCHEMA, kind="flag")
        accounts = []
        rejects, flags = list(rejects), list(flags)
        for position, delivery in enumerate(reservation.deliveries):
            lines = [
                {DELIVERY: position, ROW: row.get("_row", number), OUTPUT: row.get("_output"), **row}
                for number, row in enumerate(rows.get(delivery.logical_name, ()), start=2)
            ]
            if lines:
                writer.write(pa.Table.from_pylist(lines, schema=schema))
            own = [tuple(more) for name, *more in rejects if name == delivery.logical_name]
            if own:
                rejected.write(
                    pa.Table.from_pylist([_reject(position, *item) for item in own], schema=REJECT_SCHEMA)
                )
            odd = [
                _flag(position, row, rule, next(line for line in lines if line[ROW] == row))
                for name, row, rule in flags
                if name == delivery.logical_name
            ]
            if odd:
                flagged.write(pa.Table.from_pylist(odd, schema=FLAG_SCHEMA))
            accounts.append(
                SourceAccount(
                    delivery_id=delivery.delivery_id,
                    read=len(lines) + len(own),
                    accepted=len(lines),
                    filtered=0,
                    rejected=len(own),
                    stripped=0,
                )
            )
        parts = writer.close()
        manifest = Manifest(
            step="transform",
            run_id=reservation.run_id,
            pipeline="things",
            instance=instance,
            interval_start=task.interval.start,
            interval_end=task.interval.end,
            content=content,
            generation=reservation.generation,
            replay_id=reservation.replay_id,
            attempt=task.attempt,
            created_at=datetime.now(UTC),
            input_digest=digest_of(
                "transform", content, [(d.logical_name, d.sha256) for d in reservation.deliveries]
            ),
            definition=Instance(
                pipeline="things",
                instance=instance,
                owner=self.owner,
                source=Source(files=Files(path="*", content=self.content), csv=Csv()),
                load=Load(
                    mode=self.mode,
                    reject_threshold=self.reject_threshold,
                    removal_threshold=self.removal_threshold,
                    drift=self.drift,
                ),
            ),
            contract=self.contract,
            deliveries=reservation.deliveries,
            accounts=tuple(accounts),
            parts=parts,
            rejects=rejected.close(),
            flags=flagged.close(),
            produced=sum(part.rows for part in parts),
        )
        seal(self.exchange, keys, replace_struct(manifest, step="extract"))
        return seal(self.exchange, keys, manifest)

    def send(
        self,
        day: int,
        rows: Mapping[str, Sequence[Mapping[str, Any]]],
        *,
        instance: str = "main",
        rejects: Iterable[tuple[str, int, str]] = (),
        flags: Iterable[tuple[str, int, str]] = (),
        reprocess: str | None = None,
    ) -> Outcome:
        """Reserve, seal and load in one go; the same rows again find their run done."""
        rejects = list(rejects)
        files = {
            name: csv_of(lines, [row for n, row, _ in rejects if n == name]) for name, lines in rows.items()
        }
        reservation = self.reserve(day, files, instance=instance, reprocess=reprocess)
        if reservation.status in ("new", "open"):
            self.seal(day, reservation, rows, instance=instance, rejects=rejects, flags=flags)
        return load(self.task(day, instance=instance, generation=reservation.generation))

    def send_missing_first(
        self,
        day: int,
        rows: Mapping[str, Sequence[Mapping[str, Any]]],
        first: Sequence[Mapping[str, Any]],
    ) -> Outcome:
        """As `send`, for a run that is missing a delivery: these ``first`` rows are of the ledger's first one, which
        another run has loaded."""
        own = {name: csv_of(lines) for name, lines in rows.items()}
        both = self._with_first_delivery(self.reserve(day, own))
        self.seal(day, both, {**rows, both.deliveries[0].logical_name: first})
        return load(self.task(day, generation=both.generation))

    def replay(
        self,
        rows: Mapping[str, Sequence[Mapping[str, Any]]],
        *,
        instance: str = "main",
        flags: Iterable[tuple[str, int, str]] = (),
        **asked: Any,
    ) -> list[Outcome]:
        """Ask for open rejects and load these rows in their place; none given: they fail again."""
        with connect(self.settings, "test") as connection:
            replays = request_replays(
                connection,
                self.settings,
                "things",
                {instance: lambda _: self.definition_digest},
                reason="fixed",
                **asked,
            )
        outcomes = []
        for replay in replays:
            day = (replay.interval.start - START) // DAY
            task = self.task(day, instance=instance, replay=replay.replay_id)
            with connect(self.settings, "test") as connection:
                reservation = reserved_for_replay(connection, task)
            passing = {name: [r["_row"] for r in lines] for name, lines in rows.items()}
            failing = [
                (d.logical_name, row, "again")
                for d in reservation.deliveries
                for row, _ in d.replayed or ()
                if row not in passing.get(d.logical_name, [])
            ]
            wanted = {d.logical_name: {row for row, _ in d.replayed or ()} for d in reservation.deliveries}
            kept = {n: [r for r in lines if r["_row"] in wanted.get(n, ())] for n, lines in rows.items()}
            self.seal(day, reservation, kept, instance=instance, rejects=failing, flags=flags)
            outcomes.append(load(task))
        return outcomes


def csv_of(rows: Sequence[Mapping[str, Any]], rejected: Sequence[int] = ()) -> bytes:
    """Bytes that differ when the rows do, with one line per row number a test speaks of."""
    numbers = [row.get("_row", n) for n, row in enumerate(rows, start=2)]
    lines = {n: ",".join(str(v) for v in row.values()) for n, row in zip(numbers, rows, strict=True)}
    lines |= {n: f"bad {n}" for n in rejected}
    last = max(lines, default=1)
    return "\n".join(["header", *(lines.get(n, "-") for n in range(2, last + 1)), ""]).encode()


def _reject(position: int, row: int, rule: str, output: int | None = None) -> dict[str, Any]:
    return {
        DELIVERY: position,
        ROW: row,
        OUTPUT: output,
        "step": "transform",
        "rule": rule.split()[0],
        "column": "price",
        "message": f"broke {rule}",
        "problems": "[]",
        "verbatim": f"bad {row}".encode(),
        "verbatim_bytes": len(f"bad {row}"),
    }


def _flag(position: int, row: int, rule: str, line: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: str(value) for name, value in line.items() if not name.startswith("_")}
    return {
        DELIVERY: position,
        ROW: row,
        OUTPUT: None,
        "rule": rule,
        "column": "price",
        "message": f"price is odd: {rule}",
        "line": hashlib.sha256(repr(said).encode()).digest(),
    }
