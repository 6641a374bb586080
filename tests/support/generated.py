"""A generated trial, hauled day by day as its files arrive, and what the ledger and the tables then say of it."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from time import monotonic

from generator import Trial
from generator.canonical import TABLES
from generator.comparison import Line, compare
from generator.conventions import COLUMNS, MEASURES, convention_of
from generator.definitions import SO_FAR, pipeline_of, write_definitions
from generator.events import Event, Events
from generator.telling import told_of
from support.databases import Database
from support.steps import haul

from haulier.errors import DataError
from haulier.interval import Interval
from haulier.ledger.connection import connect
from haulier.ledger.verify import Finding, verify
from haulier.settings import Settings

#: Side by side; each site's own days are hauled in their order.
PROCESSES = 2
COUNTS = (
    *("produced", "inserted", "updated", "unchanged", "superseded", "duplicate", "deleted", "rejected"),
    *("held", "removed", "vanished"),
)
_NOTED = {
    r"new column (?P<column>\S+) in (?P<file>\S+): ": "new",
    r"column (?P<column>\S+) is missing from the header of (?P<file>\S+)": "missing",
}


@dataclass(frozen=True, kw_only=True)
class Noted:
    """What a run told whoever hauled it, and no table holds."""

    pipeline: str
    site: str
    day: date
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where a trial is hauled: its folder and the variables of its servers."""

    folder: Path
    environment: dict[str, str] = field(repr=False)

    @property
    def settings(self) -> Settings:
        return Settings.from_env(
            {
                **self.environment,
                "HAULIER_DEFINITIONS": str(self.folder / "definitions"),
                "HAULIER_SOURCE_ROOT": str(self.folder / "landing"),
            }
        )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a trial went."""

    runs: int
    seconds: float
    lines: list[Line]
    findings: list[Finding]


def at(folder: Path, database: Database) -> Ground:
    """A folder with its exchange in it, and a database."""
    return Ground(
        folder=folder, environment={**database.environment, "HAULIER_EXCHANGE": f"file://{folder}/exchange"}
    )


def answered(trial: Trial, ground: Ground, database: Database, processes: int) -> Answer:
    """Haul the trial, and compare what is found with what its generator tells."""
    began = monotonic()
    noted = hauled(trial, ground, processes)
    seconds = monotonic() - began
    with connect(ground.settings, "test") as connection:
        findings = verify(connection, ground.settings)
    # One whose file was refused is known by the refusal alone.
    (runs,) = database.rows(
        "SELECT count(*) FROM (SELECT pipeline, instance, interval_start FROM haulier.run"
        " UNION SELECT pipeline, instance, interval_start FROM haulier.refusal) AS hauled"
    )[0]
    lines = compare(told_of(trial), found(trial, database, noted))
    return Answer(runs=runs, seconds=seconds, lines=lines, findings=findings)


def hauled(trial: Trial, ground: Ground, processes: int) -> list[Noted]:
    """Haul the whole trial, some sites a process; what its runs noted."""
    write_definitions(trial, ground.folder / "definitions")
    shares = [replace(trial, sites=trial.sites[hand::processes]) for hand in range(processes)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        parts = pool.map(haul_share, shares, [ground] * processes)
        return [noted for part in parts for noted in part]


def haul_share(trial: Trial, ground: Ground) -> list[Noted]:
    """Each day the files of these sites arrive, then their runs are hauled."""
    # Files that wait or are refused are events here, and would be told of twice.
    logging.getLogger("haulier").setLevel(logging.CRITICAL)
    settings, noted = ground.settings, []
    for number in range(trial.days):
        trial.deliver(number, ground.folder / "landing")
        midnight = datetime.combine(trial.date_of(number), time(), UTC)
        interval = Interval(start=midnight, end=midnight + timedelta(days=1))
        for site in trial.sites:
            for pipeline in COLUMNS:
                try:
                    outcomes = haul(settings, pipeline_of(pipeline, site), site, interval)
                except DataError as exc:
                    if "refused" not in exc.context:
                        raise
                    continue  # haulier.refusal says which file, and the run takes up the others tomorrow
                notes = tuple(dict.fromkeys(note for one in outcomes.values() for note in one.notes))
                if notes:
                    noted.append(
                        Noted(
                            pipeline=pipeline_of(pipeline, site), site=site, day=midnight.date(), notes=notes
                        )
                    )
    return noted


def found(trial: Trial, database: Database, noted: Iterable[Noted]) -> Events:
    """Everything the ledger and the tables say of the trial."""
    events: Events = Counter()
    events.update(_files(database))
    events.update(_refused(database))
    events.update(_waiting(noted))
    events.update(_runs(database))
    events.update(_rejects(database))
    events.update(_flags(database))
    events.update(_history(database))
    events.update(_missing(trial, database))
    events.update(_columns(database, noted))
    for pipeline in COLUMNS:
        events.update(_rows(database, pipeline))
    return events


def _run(pipeline: str, site: str, day: date) -> str:
    return f"{pipeline.removesuffix(SO_FAR)}/{site}/{day}"


def _path(uri: str) -> str:
    return uri.removeprefix("file://")


def _files(database: Database) -> Iterator[Event]:
    for uri, disposition, outcome, late, *account in database.rows(
        "SELECT d.uri, d.disposition, l.outcome,"
        " CASE WHEN d.sequence = 1 THEN (d.modified_at AT TIME ZONE 'UTC')::date - substring(d.logical_name, '[0-9]{4}-[0-9]{2}-[0-9]{2}')::date END,"
        " a.read, a.accepted, a.filtered, a.rejected, a.stripped"
        " FROM haulier.delivery d LEFT JOIN haulier.source_account a USING (delivery_id) LEFT JOIN haulier.load l USING (load_id)"
    ):
        path = _path(uri)
        fate = disposition if disposition != "reserved" else outcome or "not hauled"
        yield Event("file", path, 0, fate)
        if late:
            yield Event("late", path, 0, late)
        if outcome:
            yield Event("account", path, 0, tuple(account))


def _refused(database: Database) -> Iterator[Event]:
    for uri, findings in database.rows("SELECT uri, findings FROM haulier.refusal"):
        counts = tuple((finding["pattern"], finding["rows"]) for finding in findings)
        yield Event("refused", _path(uri), 0, counts)


def _waiting(noted: Iterable[Noted]) -> Iterator[Event]:
    for run in noted:
        for note in run.notes:
            uri, waits, _ = note.partition(" waits: ")
            if waits:
                yield Event("file", _path(uri), 0, "waits")


def _runs(database: Database) -> Iterator[Event]:
    for pipeline, site, day, status, *counts in database.rows(
        "SELECT r.pipeline, r.instance, (r.interval_start AT TIME ZONE 'UTC')::date, r.status, "
        + ", ".join(f"l.{name}" for name in COUNTS)
        + " FROM haulier.run r LEFT JOIN haulier.load l USING (run_id)"
    ):
        run = _run(pipeline, site, day)
        told = tuple(sorted((name, count) for name, count in zip(COUNTS, counts, strict=True) if count))
        yield Event("run", run, 0, (status, told))
        for _ in range(dict(told).get("duplicate", 0)):
            yield Event("duplicate", run, 0, "one more")


def _rejects(database: Database) -> Iterator[Event]:
    for uri, row, rule, column, pipeline, site, output, status in database.rows(
        "SELECT d.uri, j.row_number, j.rule, j.column_name, d.pipeline, d.instance, j.output, coalesce(e.status, 'open')"
        " FROM haulier.reject j JOIN haulier.delivery d USING (delivery_id) LEFT JOIN haulier.reject_event e USING (reject_id)"
    ):
        what = (rule, column, _output(pipeline, site, output))
        yield Event("reject", _path(uri), row, what)
        yield Event(status, _path(uri), row, what)


def _flags(database: Database) -> Iterator[Event]:
    for uri, row, rule, column, pipeline, site, output, status in database.rows(
        "SELECT d.uri, f.row_number, f.rule, f.column_name, d.pipeline, d.instance, f.output, coalesce(e.status, 'open')"
        " FROM haulier.flag f JOIN haulier.delivery d USING (delivery_id) LEFT JOIN haulier.flag_event e USING (flag_id)"
    ):
        what = (rule, column, _output(pipeline, site, output))
        yield Event("flag", _path(uri), row, what)
        yield Event(status, _path(uri), row, what)


def _output(pipeline: str, site: str, output: int | None) -> str | None:
    """The column that an output is of: the columns to unpivot are numbered in the order of their names."""
    if not pipeline.startswith("vitals") or output is None:
        return None
    convention = convention_of(site)
    columns = [column for column in convention.columns("vitals") if column in MEASURES]
    return sorted(columns, key=lambda column: convention.header((column,)))[output]


def _history(database: Database) -> Iterator[Event]:
    for pipeline, site, day, operation, before in database.rows(
        "SELECT r.pipeline, r.instance, (r.interval_start AT TIME ZONE 'UTC')::date, h.operation, h.before::text"
        " FROM haulier.history h JOIN haulier.load l USING (load_id) JOIN haulier.run r USING (run_id)"
    ):
        row = json.loads(before, parse_float=Decimal)
        table = TABLES[pipeline.removesuffix(SO_FAR)]
        key, others = (tuple(row[name] for name in names) for names in (table.key, table.others))
        yield Event("history", _run(pipeline, site, day), 0, (operation, key, others))


def _missing(trial: Trial, database: Database) -> Iterator[Event]:
    """Days of which no file came: the day is in its name, or in the name of its folder."""
    came = {
        (pipeline, site, day)
        for pipeline, site, day in database.rows(
            "SELECT DISTINCT pipeline, instance, substring(coalesce(substring(logical_name, '[0-9]{4}-[0-9]{2}-[0-9]{2}'), uri),"
            " '[0-9]{4}-[0-9]{2}-[0-9]{2}')::date FROM haulier.delivery"
            " WHERE disposition <> 'copy' OR logical_name !~ '^copy_of_|[(]1[)]'"
        )
    }
    for site in trial.sites:
        for pipeline in COLUMNS:
            for number in range(trial.days):
                day = trial.date_of(number)
                if (pipeline_of(pipeline, site), site, day) not in came:
                    yield Event("missing", f"{pipeline}/{site}/{day}", 0, "no file")


def _columns(database: Database, noted: Iterable[Noted]) -> Iterator[Event]:
    """Columns that runs noted, each with the file it is of."""
    uris = {
        (pipeline, site, day, name): _path(uri)
        for pipeline, site, day, name, uri in database.rows(
            "SELECT d.pipeline, d.instance, (r.interval_start AT TIME ZONE 'UTC')::date, d.logical_name, d.uri"
            " FROM haulier.delivery d JOIN haulier.run r USING (run_id) WHERE d.disposition = 'reserved'"
        )
    }
    for run in noted:
        for note in run.notes:
            for pattern, word in _NOTED.items():
                if told := re.match(pattern, note):
                    path = uris[run.pipeline, run.site, run.day, told["file"]]
                    yield Event("column", path, 0, f"{word} {told['column']}")


def _rows(database: Database, pipeline: str) -> Iterator[Event]:
    table, key, others = TABLES[pipeline]
    for uri, row, *values in database.rows(
        f"SELECT d.uri, t._haulier_row, {', '.join(f't.{name}' for name in key + others)} FROM {table} t"
        " JOIN haulier.delivery d ON d.delivery_id = t._haulier_delivery"
    ):
        yield Event("row", _path(uri), row, (tuple(values[: len(key)]), tuple(values[len(key) :])))
