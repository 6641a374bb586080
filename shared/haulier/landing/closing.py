"""What a load says of the queries before it: which it settles, and which it raises again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries

_SQL = queries("haulier.landing", "load.sql")


def close_superseded(cursor: Cursor, values: Mapping[str, Any], *, is_everything: bool = False) -> None:
    """Settle what this run's content takes the place of, before its own rejects and flags are kept.

    ``is_everything``: its files hold all that there was before them, as cumulative ones do.

    A quarantined one says what it rejects, so it settles the run's older rejects; the rows of files before it, and what is
    odd in rows that entered, stand until it is loaded.
    """
    cursor.execute(_SQL["close_older_generations"], values)
    if values["outcome"] == "loaded":
        for name in ("close_corrected", "close_corrected_flags", "close_older_flags"):
            cursor.execute(_SQL[name], values)
        if is_everything:
            cursor.execute(_SQL["close_former_flags"], values)


def close_unmade(cursor: Cursor, values: Mapping[str, Any]) -> None:
    """Settle what was rejected or flagged on the way into a table that no model makes any more."""
    cursor.execute(_SQL["close_unmade"], values)


def settle(cursor: Cursor, values: Mapping[str, Any], *, is_everything: bool = False) -> None:
    """Once all rejects and flags of this content are kept: which of them are queries that were there before, and which
    came after what corrects them."""
    former, late = (["close_former_rejects"], ["close_late_flags"]) if is_everything else ([], [])
    if values["outcome"] != "loaded":
        former = []
    for name in (*former, "repeat_rejects", "repeat_flags", "close_late", *late):
        cursor.execute(_SQL[name], values)
