"""A pipeline with every fate in it, for tests that break it in the middle."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from support.databases import Database, fresh_database
from support.ledger import findings

from haulier.interval import Interval
from haulier.settings import Settings
from haulier_command.__main__ import main
from haulier_command.embedded import Tier

DEFINITIONS = Path(__file__).parent.parent / "faults" / "definitions"
START = datetime(2026, 1, 5, tzinfo=UTC)


def day(number: int) -> Interval:
    return Interval(start=START + timedelta(days=number), end=START + timedelta(days=number + 1))


@dataclass(frozen=True, kw_only=True)
class Place:
    """A database, an exchange and a landing area of one's own."""

    database: Database
    landing: Path
    environment: Mapping[str, str] = field(repr=False)

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.environment)

    def say(self, *words: str) -> tuple[int, Any, str]:
        """(exit code, the document on stdout, stderr) of the `haulier` command, in this process."""
        home = str(self.landing / "home")
        environ = {**os.environ, **self.environment, "HAULIER_HOME": home}
        out, err = io.StringIO(), io.StringIO()
        before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = main([*words, "--output", "json"], environ)
        finally:
            for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
                signal.signal(number, handler)
        return code, json.loads(out.getvalue()), err.getvalue()

    def write(self, instance: str, number: int, rows: int) -> None:
        """A day's file: about 1 row in 40 bad, one exact duplicate, one key with two values, some flagged."""
        folder = self.landing / instance
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            f"{instance}-{n % (rows - 3)},colour {n % (rows - 3)} of {number % 3},{_price(n, number)}"
            for n in range(rows - 2)
        ]
        lines += [lines[5], f"{instance}-9,another colour,{_price(9, number)}"]
        text = "\n".join(["thing,colour,price", *lines, ""])
        path = folder / f"things_{day(number).start:%Y-%m-%d}.csv"
        path.write_text(text)
        arrived = day(number).start.timestamp()
        os.utime(path, (arrived, arrived))


def _price(n: int, number: int) -> str:
    return "a lot" if n % 40 == 11 else f"{n % 1000}.{number}0"


@contextmanager
def place(tier: Tier, folder: Path, **more: str) -> Iterator[Place]:
    """Fresh database, exchange prefix and landing area."""
    with fresh_database(tier) as database:
        landing = folder / uuid4().hex
        landing.mkdir()
        environment = {
            **database.environment,
            **{name: value for name, value in tier.environment.items() if name.startswith("AWS_")},
            "HAULIER_EXCHANGE": f"s3://haulier/{landing.name}",
            "HAULIER_DEFINITIONS": str(DEFINITIONS),
            "HAULIER_SOURCE_ROOT": str(landing),
            "HAULIER_ACTOR": "tester",
            **more,
        }
        yield Place(database=database, landing=landing, environment=environment)


@contextmanager
def defined(
    tier: Tier, folder: Path, files: Mapping[str, str | Mapping[str, Any]], **more: str
) -> Iterator[Place]:
    """A place with definitions of its own, file -> its text or its document; the ledger is clean at its end."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(content, allow_unicode=True)
        path.write_text(text, encoding="utf-8")
    with place(tier, folder, HAULIER_DEFINITIONS=str(folder), **more) as made:
        yield made
        assert findings(made.settings) == []


#: What a rerun may not change: everything but attempt, fence, times, part layout and the gaps that
#: rolled-back attempts leave in numbering. Numbers are replaced by their rank.
_LEDGER = {
    "table": "SELECT thing, colour, price, dense_rank() OVER (ORDER BY _haulier_load), dense_rank() OVER (ORDER BY"
    " _haulier_since), dense_rank() OVER (ORDER BY _haulier_delivery), _haulier_row, _haulier_sequence, _haulier_generation, _haulier_ordered FROM shop.things ORDER BY 1",
    "run": "SELECT pipeline, instance, interval_start, generation, status FROM haulier.run ORDER BY 1, 2, 3",
    "generation": "SELECT dense_rank() OVER (ORDER BY run_id), generation, definition_digest, reason, actor FROM"
    " haulier.generation ORDER BY 1, 2",
    "delivery": "SELECT instance, logical_name, sequence, sha256, bytes, uri, modified_at, disposition FROM haulier.delivery"
    " ORDER BY 1, 2, 3",
    "load": "SELECT kind, target, input_digest, outcome, exit_code, produced, inserted, updated, unchanged, superseded,"
    " duplicate, deleted, rejected, held, removed FROM haulier.load ORDER BY load_id",
    "account": "SELECT read, accepted, filtered, rejected, stripped FROM haulier.source_account ORDER BY load_id, delivery_id",
    "reject": "SELECT dense_rank() OVER (ORDER BY load_id), row_number, output, step, rule, column_name, message, problems,"
    " verbatim FROM haulier.reject ORDER BY 1, 2, 3",
    "event": "SELECT status, message FROM haulier.reject_event ORDER BY event_id",
    "flag": "SELECT dense_rank() OVER (ORDER BY load_id), row_number, output, rule, column_name FROM haulier.flag ORDER BY 1, 2, 3",
    "history": "SELECT dense_rank() OVER (ORDER BY load_id), operation, key, before - '{_haulier_load,_haulier_since}'::text[] FROM"
    " haulier.history ORDER BY 1, 3",
    "chain": "SELECT target, link FROM haulier.chain ORDER BY 1, 2",
}


def snapshot(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Table and ledger, but for what attempts may differ in. The input digest speaks of delivery numbers never."""
    return {name: [_plain(row) for row in database.rows(query)] for name, query in _LEDGER.items()}


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(bytes(cell) if isinstance(cell, memoryview) else cell for cell in row)
