"""The invariants, as queries anyone can read: `haulier verify` and the tests run these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg2 import sql

from haulier.errors import DataError
from haulier.exchange import Exchange, ObjectMissing
from haulier.interval import Interval
from haulier.keys import RunKeys
from haulier.ledger.connection import Connection, Cursor, transaction
from haulier.ledger.queries import queries
from haulier.settings import Settings

_SQL = queries("haulier.ledger", "verify.sql")

#: invariant -> what it says.
INVARIANTS: dict[str, str] = {
    "I1": "every account closes, and every rejected row is kept",
    "I2": "every target row's load and delivery are in the ledger, and no row is missing or too many",
    "I4": "one manifest per run, content and step, with every part present and matching",
    "I5": "generation and fence never fall",
    "I7": "every reject is found from its file and row number, and is resolved at most once",
    "I8": "the hash chain over loads, history, rejects, flags and deletions holds",
    "I9": "every archived partition is in cold storage, as it was",
    "I10": "what people said of queries is all there, unchanged",
}
#: No query sees these, which compare with a model and with a rerun: the tests hold them.
HELD_BY_TESTS: dict[str, str] = {
    "I3": "the table is the same for any order, repetition and crash",
    "I6": "a rerun changes nothing",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One violation."""

    invariant: str
    subject: str
    problem: str


def verify(
    connection: Connection,
    settings: Settings,
    *,
    exchange: Exchange | None = None,
    deep: bool = False,
    target: str | None = None,
    run_id: int | None = None,
) -> list[Finding]:
    """Every violation, empty when all is well. Raises when database, exchange or archive cannot be asked.

    Without an exchange I4 is left out. ``deep`` also reads every part and every kept original again:
    digests, and each reject's verbatim row against its file. ``run_id`` asks of one run's loads only, and of
    the links of the chain that hold them; what that costs depends on the run and not on the ledger's age.
    """
    findings: list[Finding] = []
    with transaction(connection, settings) as cursor:
        values = _scope(cursor, target, run_id)
        for invariant, name in (
            ("I1", "i1_accounts"),
            ("I2", "i2_tombstones"),
            ("I5", "i5_never_fall"),
            ("I7", "i7_rejects"),
            ("I8", "i8_chain"),
            ("I10", "i10_queries"),
        ):
            cursor.execute(_SQL[name], values)
            findings += _findings(invariant, cursor)
        cursor.execute(_SQL["targets"], values)
        for (name,) in cursor.fetchall():
            findings += _rows(cursor, {**values, "target": name})
        cursor.execute(_SQL["loads"], values)
        loads = cursor.fetchall() if exchange else []
    # Stores are asked outside of a transaction: they may take longer than one may sit idle.
    if run_id is None:
        from haulier.cold.check import archive_problems

        findings += [
            Finding(invariant="I9", subject=subject, problem=problem)
            for subject, problem in archive_problems(connection, settings, deep=deep, target=target)
        ]
    if exchange is not None:
        for load_id, input_digest, pipeline, instance, start, end, content in loads:
            keys = RunKeys(
                pipeline=pipeline,
                instance=instance,
                interval=Interval(start=start, end=end),
                content=content,
            )
            findings += _sealed(exchange, keys, load_id, input_digest, deep)
            if deep:
                findings += _originals(connection, settings, exchange, keys, load_id)
    return findings


def _scope(cursor: Cursor, target: str | None, run_id: int | None) -> dict[str, object]:
    """What the statements are limited to."""
    values: dict[str, object] = {"target": target, "run_id": run_id, "loads": None, "links": None}
    if run_id is not None:
        for name, query in (("loads", "loads_of_run"), ("links", "links_of_loads")):
            cursor.execute(_SQL[query], values)
            values[name] = [load_id for (load_id,) in cursor.fetchall()]
    return values


def _rows(cursor: Cursor, values: dict[str, object]) -> Iterator[Finding]:
    target = str(values["target"])
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [target])
    if not (cursor.fetchone() or (False,))[0]:
        yield Finding(
            invariant="I2", subject=f"table {target}", problem="does not exist; the ledger says it was loaded"
        )
        return
    table = sql.Identifier(*target.split(".", 1))
    cursor.execute(sql.SQL(_SQL["hold"]).format(table=table))
    rows: sql.Composable = sql.SQL(_SQL["every_row"]).format(table=table)
    cursor.execute(_SQL["detached"], values)
    for detached in cursor.fetchall():
        more = sql.SQL(_SQL["of_detached"]).format(table=sql.Identifier(*detached))
        rows = sql.SQL("{} UNION ALL {}").format(rows, more)
    rows = sql.SQL("({})").format(rows)
    for name in ("i2_rows", "i2_total" if values["loads"] is None else "i2_of_loads"):
        cursor.execute(sql.SQL(_SQL[name]).format(rows=rows), values)
        yield from _findings("I2", cursor)


def _sealed(
    exchange: Exchange, keys: RunKeys, load_id: int, input_digest: str, deep: bool
) -> Iterator[Finding]:
    from haulier.parts import read_part
    from haulier.sealing import read_manifest

    subject = f"load {load_id}"
    for step in ("extract", "transform"):
        try:
            manifest = read_manifest(exchange, keys, step)
        except (DataError, ObjectMissing) as exc:
            yield Finding(invariant="I4", subject=subject, problem=str(exc))
            continue
        if step == "transform" and manifest.input_digest != input_digest:
            yield Finding(
                invariant="I4", subject=subject, problem=f"{keys.manifest(step)} is not what was loaded"
            )
        for part in (*manifest.parts, *manifest.rejects, *manifest.flags):
            size = exchange.size(part.key)
            if size != part.bytes:
                yield Finding(
                    invariant="I4",
                    subject=part.key,
                    problem="is gone" if size is None else f"{size} bytes, not {part.bytes}",
                )
            elif deep:
                try:
                    read_part(exchange, part)
                except (DataError, ObjectMissing) as exc:
                    yield Finding(invariant="I4", subject=part.key, problem=str(exc))


def _originals(
    connection: Connection, settings: Settings, exchange: Exchange, keys: RunKeys, load_id: int
) -> Iterator[Finding]:
    from haulier.originals import VerbatimRows, open_original
    from haulier.sealing import read_manifest

    try:
        manifest = read_manifest(exchange, keys, "transform")
    except (DataError, ObjectMissing):
        return  # I4 said so
    for delivery in manifest.deliveries:
        try:
            for _ in open_original(exchange, delivery):
                pass
            with transaction(connection, settings) as cursor:
                cursor.execute(_SQL["rejects_of"], {"load_id": load_id, "delivery_id": delivery.delivery_id})
                rejects = cursor.fetchall()
            numbers = sorted({row for _, row, _, _ in rejects})
            rows = VerbatimRows(exchange, delivery, manifest.definition.source.format)
            found = dict(zip(numbers, rows.take_with_place(numbers), strict=True))
        except (DataError, ObjectMissing) as exc:
            yield Finding(invariant="I7", subject=delivery.uri, problem=str(exc))
            continue
        for reject_id, row, verbatim, size in rejects:
            record, whole = found[row]
            if record[: len(verbatim)] != bytes(verbatim) or (whole.length if whole else len(record)) != size:
                yield Finding(
                    invariant="I7",
                    subject=f"reject {reject_id}",
                    problem=f"row {row} of {delivery.uri} reads differently",
                )


def _findings(invariant: str, cursor: Cursor) -> Iterator[Finding]:
    for subject, problem in cursor.fetchall():
        yield Finding(invariant=invariant, subject=subject, problem=problem)
