"""Changes: what became different of tables, files and definitions, when, and who approved it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from haulier.errors import DataError, HaulierError
from haulier.exchange import ObjectMissing, open_exchange
from haulier.interval import Interval
from haulier.keys import RunKeys
from haulier.sealing import read_manifest
from haulier_clinical.reviewing.reading import Row, Trial

MOST = 80
#: Manifests on their way from the store.
_AT_ONCE = 16
#: What transform notes of a header. Names of columns and of files; no cell is in it.
_NOTES = (
    re.compile(r"(?P<what>new) column (?P<column>.+) in (?P<file>\S.*?): "),
    re.compile(r"column (?P<column>\S+) is (?P<what>missing) from the header of (?P<file>\S.*)"),
)


def figures(trial: Trial) -> dict[str, Any]:
    tables = [_table(row) for row in trial.ledger("changes")]
    definitions = trial.ledger("definitions")
    files, standing, unread = _files(trial)
    return {
        "tables": tables[:MOST],
        "tables_left_out": max(0, len(tables) - MOST),
        "files": files[:MOST],
        "files_left_out": max(0, len(files) - MOST),
        "files_standing": standing,
        "manifests_gone": unread,
        "definitions": [
            {**row, "definition_digest": row["definition_digest"][:12]} for row in definitions[:MOST]
        ],
        "definitions_left_out": max(0, len(definitions) - MOST),
    }


def _table(row: Row) -> dict[str, Any]:
    """A table that is made has all its columns; of a changed one, those that changed."""
    before, after = row.pop("before") or {}, row.pop("after") or {}
    columns = [
        {"column": name, "before": before.get(name), "after": after.get(name)}
        for name in {**before, **after}
        if before.get(name) != after.get(name) and not name.startswith("_haulier_")
    ]
    is_whole = row["kind"] in ("create", "view")
    return {**row, "columns": [] if is_whole else columns, "count": len(columns)}


def _files(trial: Trial) -> tuple[list[dict[str, Any]], int, int]:
    """Columns that files had more or less than the contract, from the sealed manifests; how many of them were never sent;
    and how many manifests are gone.

    A site that changes its export notes the same column each day: one line, with the first day and the last. What
    an instance left out in each of its runs is no change, and only counted.
    """
    last = trial.asked.today
    runs = trial.ledger("runs", first=last - timedelta(days=trial.asked.days - 1), last=last)
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    read: Counter[tuple[str, str]] = Counter()
    gone = 0
    for run, notes in _noted(trial, runs):
        if notes is None:
            gone += 1
            continue
        read[run["pipeline"], run["instance"]] += 1
        day = run["interval_start"].date()
        for (what, column), file in _told(notes).items():
            line = found.setdefault(
                (run["pipeline"], run["instance"], what, column),
                {
                    **{name: run[name] for name in ("pipeline", "instance", "run_id")},
                    **{"what": what, "column": column, "file": file, "since": day, "until": day, "runs": 0},
                },
            )
            line["until"] = day
            line["runs"] += 1
    lines = [
        line
        for line in found.values()
        if line["what"] == "new" or line["runs"] < read[line["pipeline"], line["instance"]]
    ]
    lines.sort(key=lambda line: (line["since"], line["pipeline"], line["instance"], line["column"]))
    return lines[::-1], len(found) - len(lines), gone


def _noted(trial: Trial, runs: list[Row]) -> Iterator[tuple[Row, tuple[str, ...] | None]]:
    if not runs:
        return
    try:
        exchange = open_exchange(trial.settings)
    except HaulierError:
        yield from ((run, None) for run in runs)
        return

    def notes(run: Row) -> tuple[str, ...] | None:
        keys = RunKeys(
            pipeline=run["pipeline"],
            instance=run["instance"],
            interval=Interval(start=run["interval_start"], end=run["interval_end"]),
            content=f"g{run['generation']}",
        )
        try:
            return read_manifest(exchange, keys, "transform").notes
        except (ObjectMissing, DataError):
            return None

    # One after another, a month of fifty sites would wait for the store for most of a minute.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from zip(runs, pool.map(notes, runs), strict=True)


def _told(notes: tuple[str, ...]) -> dict[tuple[str, str], str]:
    """(what, column) -> the first file of the run that has it so."""
    found: dict[tuple[str, str], str] = {}
    for note in notes:
        for pattern in _NOTES:
            if said := pattern.match(note):
                found.setdefault((said["what"], said["column"]), said["file"])
    return found
