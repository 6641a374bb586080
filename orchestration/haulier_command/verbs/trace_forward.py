"""Forward: what became of one line of a file, in every delivery of that name."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field

from haulier.errors import DefinitionError
from haulier.interval import Interval
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier_command.ledger import Row, reading, rows
from haulier_command.origins import line_of
from haulier_command.output import Block, Lines, Screen, Table, columns
from haulier_command.sealed import Sealed
from haulier_command.surroundings import Surroundings
from haulier_command.tables import Target, named
from haulier_command.words import interval_name

_SQL = queries("haulier_command.verbs", "trace.sql")


@dataclass(kw_only=True)
class Fate:
    """What became of one output of a line, or of the line itself."""

    what: str
    state: str
    by: str = ""


@dataclass(kw_only=True)
class Forward:
    """One delivery's line."""

    delivery: Row
    loads: list[Row] = field(default_factory=list)
    line: str | None = None
    line_is: str = ""
    fates: list[Fate] = field(default_factory=list)


def forward(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    sealed = Sealed(around.settings)
    values = {"file": asked.file, "pipeline": asked.pipeline, "instance": asked.instance}
    with reading(around.settings, "trace") as cursor:
        found = rows(cursor, _SQL["deliveries"], values)
        if not found:
            raise DefinitionError(
                f"no delivery is named {asked.file}; name the file as it arrived, or as source.files.logical_name calls it"
            )
        traced = [_one(cursor, sealed, delivery, asked.row) for delivery in found]
    screen.show(
        {
            "file": asked.file,
            "row": asked.row,
            "deliveries": [
                {**vars(one), "fates": [vars(fate) for fate in one.fates], "delivery": one.delivery}
                for one in traced
            ],
        },
        *(block for one in traced for block in _blocks(one, asked.row)),
    )
    return 0


def _one(cursor: Cursor, sealed: Sealed, delivery: Row, row: int) -> Forward:
    traced = Forward(delivery=delivery)
    if delivery["disposition"] != "reserved":
        kind = "sent again unchanged" if delivery["disposition"] == "resend" else "a copy under another name"
        same = f"{delivery['same_file']} sequence {delivery['same_sequence']}"
        traced.fates.append(
            Fate(what="the whole file", state=f"{kind}, so it was not loaded", by=f"trace {same}")
        )
        return traced
    at = {"delivery": delivery["delivery_id"], "row": row}
    traced.loads = rows(cursor, _SQL["loads_of_delivery"], at)
    traced.line, traced.line_is = line_of(sealed, {**(traced.loads or [{}])[0], **delivery}, row)
    if not traced.loads:
        traced.fates.append(
            Fate(what="the whole file", state="waiting: reserved for a run that has not loaded yet")
        )
        return traced
    for reject in rows(cursor, _SQL["rejects_of_row"], at):
        output = "" if reject["output"] is None else f", output {reject['output']}"
        where = f" in {reject['column']}" if reject["column"] else ""
        state = f"rejected ({reject['status']}): {reject['rule']}{where}: {reject['message']}"
        traced.fates.append(
            Fate(what=f"reject {reject['reject_id']}{output}", state=state, by=f"load {reject['load_id']}")
        )
    traced.fates += _in_tables(cursor, sealed, traced.loads, delivery, row)
    for flag in rows(cursor, _SQL["flags_of_row"], at):
        state = f"flagged: {flag['rule']}: {flag['message']}"
        traced.fates.append(Fate(what=f"flag {flag['flag_id']}", state=state, by=f"load {flag['load_id']}"))
    if not traced.fates:
        traced.fates.append(_account_only(traced, row))
    return traced


def _in_tables(cursor: Cursor, sealed: Sealed, loads: Sequence[Row], delivery: Row, row: int) -> list[Fate]:
    """Present and former versions that name this line, then outputs that other lines stand for now."""
    fates: list[Fate] = []
    delivery_id = delivery["delivery_id"]
    targets = {load["target"] for load in loads if load["outcome"] == "loaded"}
    values = {"targets": sorted(targets), "delivery": delivery_id, "row": row}
    former = rows(cursor, _SQL["history_from"], values)
    for name in sorted(targets):
        target = Target.of(cursor, name)
        present = target.rows_from(cursor, delivery_id, row)
        seen = [one["key"] for one in present]
        fates += [
            Fate(
                what=f"{name} {named(one['key'])}",
                state="in the table",
                by=f"load {one['row']['_haulier_load']}",
            )
            for one in present
        ]
        for one in former:
            if one["target"] == name and one["key"] not in seen:
                seen.append(one["key"])
                at = f"{one['replaced_at']:%Y-%m-%d %H:%M:%SZ}"
                fates.append(
                    Fate(
                        what=f"{name} {named(one['key'] or {})}",
                        state=f"was in the table until {at}, then replaced"
                        if one["operation"] in ("update", "fill")
                        else f"left the table at {at}",
                        by=f"load {one['replaced_by']}",
                    )
                )
        newest = next(load for load in loads if load["target"] == name and load["outcome"] == "loaded")
        if newest["kind"] != "model":  # whose rows no file holds
            fates += _stood_for(cursor, sealed, target, newest, delivery_id, row, seen)
    held = next((load for load in loads if load["outcome"] == "quarantined"), None)
    if held and held is loads[0]:
        fates.append(
            Fate(what="its run", state="quarantined: no row of it entered", by=f"load {held['load_id']}")
        )
    return fates


def _stood_for(
    cursor: Cursor,
    sealed: Sealed,
    target: Target,
    load: Row,
    delivery_id: int,
    row: int,
    seen: Sequence[object],
) -> list[Fate]:
    """Outputs of the line whose key another line holds: it was equal and newer, or had the newer version."""
    manifest = sealed.manifest(load)
    outputs = sealed.outputs(manifest, delivery_id, row) if manifest and target.key else None
    fates = []
    for output in outputs or []:
        values = {n: None if output[n] is None else str(output[n]) for n in target.columns if n in output}
        for one in target.matching(cursor, {name: values[name] for name in target.key}, 1):
            if one["key"] in seen:
                continue
            other = one["row"]
            at = {"loads": [other["_haulier_load"]], "deliveries": [other["_haulier_delivery"]]}
            file = rows(cursor, _SQL["origins"], at)[0]
            where = f"row {other['_haulier_row']} of {file['file']} sequence {file['sequence']}"
            same = target.matching(cursor, values, 1)
            state = f"the same values stand there from {where}" if same else f"{where} has the newer version"
            what = f"{target.name} {named(one['key'])}"
            fates.append(Fate(what=what, state=state, by=f"load {other['_haulier_load']}"))
    return fates


def _account_only(traced: Forward, row: int) -> Fate:
    load = traced.loads[0]
    account = ", ".join(
        f"{name} {load[name]}" for name in ("read", "accepted", "filtered", "rejected", "stripped")
    )
    if traced.line is None:
        state = f"the file has no row {row}"
    else:
        state = "no row, reject or flag of its own: preamble, header, blank, footer, filtered, or a duplicate"
    return Fate(what="in the account", state=f"{state} ({account})", by=f"load {load['load_id']}")


def _blocks(traced: Forward, row: int) -> list[Block]:
    one = traced.delivery
    number = f" sequence {one['sequence']}" if one["sequence"] else ""
    title = f"{one['pipeline']}/{one['instance']}: {one['file']}{number}, row {row}"
    runs = [
        f"load {load['load_id']}, {load['outcome']} for {interval_name(interval)}"
        for load in traced.loads
        for interval in [Interval(start=load["interval_start"], end=load["interval_end"])]
    ]
    lines = [
        *([traced.line] if traced.line is not None else []),
        *([f"({traced.line_is})"] if traced.line_is else []),
    ]
    return [
        Lines(title=title, lines=lines, commands=True),
        Table(
            title="What became of it",
            columns=columns("what", "state!", "by"),
            rows=[(fate.what, fate.state, fate.by) for fate in traced.fates],
            note="; ".join(runs),
        ),
    ]
