"""`haulier status`: how every instance stands, what waits for someone first."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from textwrap import shorten

from haulier.errors import DefinitionError
from haulier.interval import Interval, parse_instant
from haulier.ledger.queries import queries
from haulier_command.choice import add_instance_options, chosen_instances, due_intervals, positive
from haulier_command.codes import meaning
from haulier_command.ledger import Row, corrected_runs, reading, refuse_unknown, rows
from haulier_command.output import Block, Lines, Screen, Table, columns
from haulier_command.surroundings import Surroundings, me
from haulier_command.words import counted, interval_name

_SQL = queries("haulier_command.verbs", "status.sql")
#: How an instance stands, what waits for someone first.
STATES = ("quarantined", "failed", "never ran", "late", "waiting", "not loaded", "on time", "no schedule")

#: Above this many characters a reason is cut on the screen, and above so many the rest is only counted.
_REASON_AT_MOST = 300
_REASONS_AT_MOST = 10


def add_arguments(parser: ArgumentParser) -> None:
    add_instance_options(parser)
    parser.add_argument("--runs", action="store_true", help="list the runs")
    parser.add_argument(
        "--limit", type=positive, default=50, metavar="N", help="with --runs: how many; default: 50"
    )
    parser.add_argument("--now", metavar="TIME", help="judge lateness as if it were this time")


def status(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    values = {
        "pipeline": asked.pipeline,
        "instance": asked.instance,
        "limit": asked.limit,
        "quarantined": False,
    }
    with reading(around.settings, "status") as cursor:
        corrected = values["corrected"] = corrected_runs(cursor)
        if asked.runs:
            found = rows(cursor, _SQL["runs"], values)
            if not found:
                refuse_unknown(cursor, around.settings, asked.pipeline, asked.instance)
            screen.show({"runs": found}, _runs_table(found, asked.limit))
            return 0
        held = rows(cursor, _SQL["runs"], {**values, "quarantined": True, "limit": None})
        for row in held:
            row["corrected"] = row["run_id"] in corrected
        failures = rows(cursor, _SQL["failures"], values)
        instances = rows(cursor, _SQL["instances"], values)
        if not instances:
            refuse_unknown(cursor, around.settings, asked.pipeline, asked.instance)
    now = parse_instant(asked.now, "--now") if asked.now else datetime.now(UTC)
    due = _due(asked, around, screen, now, held)
    known = {(row["pipeline"], row["instance"]) for row in instances}
    instances += [_never_ran(*lane) for lane in due if lane not in known]
    # A run that nobody waits for, such as one of a mistyped interval, has not failed anybody.
    failed = [
        one
        for one in failures
        if one["run_id"] or _interval(one) in due.get((one["pipeline"], one["instance"]), ())
    ]
    failing = {(one["pipeline"], one["instance"]) for one in failed}
    for row in instances:
        lane = row["pipeline"], row["instance"]
        row["state"], row["missing"] = _state(row, due.get(lane), failed=lane in failing)
    instances.sort(key=lambda row: (STATES.index(row["state"]), row["pipeline"], row["instance"]))
    screen.show(
        {"now": now, "quarantined": held, "failed": failed, "instances": instances},
        *_quarantined_blocks(held),
        *_failed_blocks(failed),
        _instances_table(instances),
        *_hints(instances),
    )
    return 0


def _due(
    asked: Namespace, around: Surroundings, screen: Screen, now: datetime, held: Sequence[Row]
) -> dict[tuple[str, str], list[Interval]]:
    """Due runs per instance with a schedule. A quarantined run was on time, its data was not good."""
    on_time = {(row["pipeline"], row["instance"], _interval(row)) for row in held}
    try:
        instances = list(chosen_instances(around.settings, asked.pipeline, asked.instance))
        found = due_intervals(around.settings, instances, now)
    except DefinitionError as exc:
        screen.tell(f"haulier: lateness is not judged, the definitions cannot be read: {exc}")
        return {}
    return {lane: [one for one in due if (*lane, one) not in on_time] for lane, due in found.items()}


def _never_ran(pipeline: str, instance: str) -> Row:
    empty = dict.fromkeys(("interval_start", "interval_end", "status", "loaded_at", "rows"))
    return {"pipeline": pipeline, "instance": instance, **empty, **dict.fromkeys(_COUNTS, 0)}


_COUNTS = ("runs", "quarantined", "open_runs", "open_rejects", "flags")


def _state(row: Row, due: list[Interval] | None, *, failed: bool) -> tuple[str, str]:
    """One word for an instance, and which of its runs are missing; without a schedule none is due."""
    missing = ""
    if due:
        missing = (
            f"{counted(len(due), 'run')} since {interval_name(due[0])}"
            if len(due) > 1
            else interval_name(due[0])
        )
    if row["quarantined"]:
        return "quarantined", missing
    if failed:
        return "failed", missing
    if row["runs"] == 0:
        return "never ran", missing
    if due:
        newest_only = len(due) == 1 and (row["interval_end"] is None or due[0].start >= row["interval_end"])
        return ("waiting" if newest_only else "late"), missing
    if row["open_runs"]:
        return "not loaded", missing
    return ("no schedule" if due is None else "on time"), missing


def _quarantined_blocks(held: Sequence[Row]) -> list[Block]:
    waiting = [row for row in held if not row["corrected"]]
    corrected = len(held) - len(waiting)
    blocks: list[Block] = []
    if waiting:
        blocks.append(
            Table(
                title=f"Quarantined: {counted(len(waiting), 'run')} of which no row entered",
                columns=columns(
                    *("pipeline", "instance", "run", "table", "read#", "rejected#", "held#"),
                    *("filtered#?", "stripped#?", "since"),
                ),
                rows=[
                    (
                        *(row["pipeline"], row["instance"], _name(row), row["target"]),
                        *(row[name] for name in ("read", "rejected_rows", "held", "filtered", "stripped")),
                        row["updated_at"],
                    )
                    for row in waiting
                ],
            )
        )
    if corrected:
        names = [f"{row['pipeline']}/{row['instance']} {_name(row)}" for row in held if row["corrected"]]
        more = f" and {corrected - 5} more" if corrected > 5 else ""
        text = f"Quarantined, and corrected since by the same files sent again: {', '.join(names[:5])}{more}"
        blocks.append(Lines(lines=[text]))
    return blocks


def _failed_blocks(failed: Sequence[Row]) -> list[Block]:
    """Why runs failed, the newest first, said once for all that failed alike."""
    if not failed:
        return []
    alike: dict[tuple[str, int, str], list[Row]] = {}
    for row in failed:
        alike.setdefault((row["step"], row["exit_code"], row["reason"]), []).append(row)
    lines = []
    for (step, code, reason), those in list(alike.items())[:_REASONS_AT_MOST]:
        last = those[0]
        others = f" and {counted(len(those) - 1, 'other')}" if len(those) > 1 else ""
        lines += [
            f"{last['pipeline']}/{last['instance']} {_name(last)}{others}, {step}, exit {code} ({meaning(code)}), "
            f"at {last['failed_at']:%Y-%m-%d %H:%MZ}:",
            f"    {shorten(reason, _REASON_AT_MOST, placeholder=' …')}",
        ]
    if left := sum(map(len, list(alike.values())[_REASONS_AT_MOST:])):
        lines.append(f"and {counted(left, 'other')}: --output json has all")
    return [Lines(title=f"Failed: {counted(len(failed), 'run')}", lines=lines)]


def _instances_table(instances: Sequence[Row]) -> Table:
    return Table(
        title="Instances",
        columns=columns(
            *(
                "pipeline",
                "instance",
                "state!",
                "last run",
                "outcome!",
                "rows#",
                "rejects#",
                "flags#",
                "missing",
            )
        ),
        rows=[
            (
                *(
                    row["pipeline"],
                    row["instance"],
                    row["state"],
                    _name(row) if row["interval_start"] else None,
                ),
                *(row["status"], row["rows"], row["open_rejects"], row["flags"], row["missing"]),
            )
            for row in instances
        ],
        nothing="no run yet",
        note="rows: of the last run, if it is through; rejects: open ones; waiting: the newest run is due; late: older, too",
    )


def _runs_table(found: Sequence[Row], limit: int) -> Table:
    more = f"; the first {limit}, --limit shows more" if len(found) == limit else ""
    after = ("generation", "status", "read", "inserted", "updated", "held", "open_rejects")
    return Table(
        title="Runs",
        columns=columns(
            *("run#", "pipeline", "instance", "interval"),
            *("gen#", "outcome!", "read#", "inserted#", "updated#", "held#?", "rejects#"),
        ),
        rows=[
            (row["run_id"], row["pipeline"], row["instance"], _name(row), *(row[name] for name in after))
            for row in found
        ],
        nothing="no run yet",
        note=f"rejects: open ones{more}",
    )


def _hints(instances: Sequence[Row]) -> list[Block]:
    hints = []
    if any(row["quarantined"] or row["open_rejects"] for row in instances):
        hints.append(f"{me()} rejects list")
    if any(row["missing"] for row in instances):
        hints.append(f"{me()} run --due")
    return [Lines(title="Next:", lines=hints, commands=True)] if hints else []


def _interval(row: Row) -> Interval:
    return Interval(start=row["interval_start"], end=row["interval_end"])


def _name(row: Row) -> str:
    return interval_name(_interval(row))
