"""What people say of queries, and when they may: each word a sealed line of the ledger, none of it changes a row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from haulier.errors import DefinitionError
from haulier.ledger.connection import Connection, transaction
from haulier.ledger.queries import queries
from haulier.settings import Settings

_SQL = queries("haulier.ledger", "decisions.sql")

Word = Literal["answered", "released", "closed", "reopened"]

#: Statuses a query waits for somebody in.
WAITING = ("open", "answered")
STATUSES = (*WAITING, "released", "corrected", "closed")
#: Word -> the statuses in which it can be said. What a load has settled, no word changes.
FROM: Mapping[Word, tuple[str, ...]] = {
    "answered": WAITING,
    "released": WAITING,
    "closed": WAITING,
    "reopened": ("answered", "released", "closed"),
}
_NAME = re.compile(r"([RF])([1-9][0-9]{0,17})", re.IGNORECASE)


def numbers(names: Iterable[str]) -> dict[str, list[int]]:
    """R12 and F7 as the numbers of rejects and flags. Raises `DefinitionError` for what is no query's name."""
    found: dict[str, list[int]] = {"rejects": [], "flags": []}
    for name in names:
        parts = _NAME.fullmatch(name)
        if parts is None:
            raise DefinitionError(
                f"{name!r} is no query; they are called R12 (of a reject) or F7 (of a flag)"
            )
        found["rejects" if parts[1].upper() == "R" else "flags"].append(int(parts[2]))
    return found


def say(
    connection: Connection, settings: Settings, names: Sequence[str], word: Word, reason: str
) -> list[dict[str, Any]]:
    """One sealed line for each query, all or none; return them as they stand now.

    Raises `DefinitionError` without a reason, for a query there is not, and for one of which that cannot be said.
    """
    if not reason.strip():
        raise DefinitionError("--reason is empty; the ledger wants to know what was found out or decided")
    asked = numbers(dict.fromkeys(name.upper() for name in names))
    with transaction(connection, settings) as cursor:
        cursor.execute(_SQL["pipelines"], asked)
        for (pipeline,) in cursor.fetchall():
            cursor.execute(_SQL["hold"], {"pipeline": pipeline})
        cursor.execute(_SQL["named"], asked)
        columns = [column.name for column in cursor.description or ()]
        found = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        known = {row["query"] for row in found}
        if missing := [name for name in names if name.upper() not in known]:
            raise DefinitionError(
                f"there is no query {', '.join(missing)}; haulier queries list has their numbers"
            )
        for row in found:
            if row["settled_by"] is not None or row["status"] not in FROM[word]:
                raise DefinitionError(_refusal(row, word))
        for row in found:
            cursor.execute(
                _SQL["say"],
                {
                    "reject_id": row["first_id"] if row["kind"] == "reject" else None,
                    "flag_id": row["first_id"] if row["kind"] == "flag" else None,
                    "status": word,
                    "reason": reason,
                    "actor": settings.actor,
                },
            )
            row["event_id"], row["at"] = cursor.fetchone() or (0, None)
            row["before"], row["status"] = row["status"], "open" if word == "reopened" else word
            row["reason"] = reason
            row["actor"] = settings.actor
    return found


def _refusal(row: Mapping[str, Any], word: Word) -> str:
    name, status = row["query"], row["status"]
    if row["settled_by"] is not None:
        return f"query {name} is {status} by load {row['settled_by']} ({row['reason']}): there is nothing left to say of it"
    if word == "reopened":
        return f"query {name} is open"
    return f"query {name} is {status}; reopen it first"
