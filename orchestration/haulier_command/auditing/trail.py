"""Events of a table as entries of a trail: who, when, what it was, what it became, and by which line of which file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from haulier_command.auditing.reading import Past
from haulier_command.ledger import Row
from haulier_command.origins import run_name
from haulier_command.tables import SYSTEM

#: What history calls it -> what people do.
ACTIONS = {"insert": "insert", "change": "change", "delete": "delete", "remove": "delete"}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One insert, change or delete of one row."""

    number: int
    action: str
    key: Mapping[str, object]
    #: Column -> (old value, new value), of what differs.
    values: Mapping[str, tuple[object, object]]
    load: Row
    file: str | None
    sequence: int | None
    sha256: str | None
    line: int | None
    #: What is to be said of the line, or why there is none.
    reason: str

    def told(self, table: str) -> dict[str, object]:
        """As a line of the trail: everything by name, nothing by number alone."""
        load = self.load
        return {
            "event": self.number,
            "at": load["loaded_at"].isoformat(),
            "actor": load["actor"],
            "action": self.action,
            "table": table,
            "key": dict(self.key),
            "values": {name: {"old": old, "new": new} for name, (old, new) in self.values.items()},
            "file": self.file,
            "sequence": self.sequence,
            "sha256": self.sha256,
            "line": self.line,
            "reason": self.reason,
            "run": run_name(load),
            "generation": load["generation"],
            "load": load["load_id"],
            "definition": load["definition_digest"],
            "approved": load["versions"].get("approval"),
            "link": load["link"],
            "hash": load["hash"],
        }


def entries(past: Past, first: int, last: int) -> Iterator[Entry]:
    """Raises as `Past.events`."""
    loads = {one["link"]: one for one in past.links}
    for number, event in enumerate(past.events(first, last), start=1):
        load, row = loads[event["link"]], event["new"] or event["old"]
        names = past.target.key or past.target.columns
        yield Entry(
            number=number,
            action=ACTIONS[event["action"]],
            key={name: row.get(name) for name in names},
            values=dict(_differing(past.target.columns, event["old"] or {}, event["new"] or {})),
            load=load,
            file=event["file"],
            sequence=event["sequence"],
            sha256=event["sha256"],
            line=event["line"],
            reason=_reason(event, load),
        )


def _differing(
    columns: Sequence[str], old: Mapping[str, object], new: Mapping[str, object]
) -> Iterator[tuple[str, tuple[object, object]]]:
    """In the table's order; a column that it had once comes last."""
    for name in dict.fromkeys((*columns, *old)):
        if not name.startswith(SYSTEM) and old.get(name) != new.get(name):
            yield name, (old.get(name), new.get(name))


def _reason(event: Row, load: Row) -> str:
    asked = f"{load['reason']}" + (
        f" (asked by {load['asked_by']})" if load["asked_by"] != load["actor"] else ""
    )
    if load["replay_id"] is not None:
        return f"replay {load['replay_id']}: {asked}"
    if event["action"] == "remove":
        why = "replaced by a newer generation of its run" if load["mode"] == "append" else "no longer sent"
        return f"{why}; generation {load['generation']}: {asked}"
    if event["line"] is None:
        return f"by what the run's files say as a whole; generation {load['generation']}: {asked}"
    said = (
        f"the line is of load {event['said_again_by']}, which said the same again; "
        if event["said_again_by"]
        else ""
    )
    return f"{said}generation {load['generation']}: {asked}"
