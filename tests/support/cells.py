"""The table of docs/landing.md, cell by cell: what is sent, what load counts and what the table then holds.

A file's rows are words: key, colour, moment; the colour ``D`` deletes. The moment is the ordering column's value
where there is one, which only `scd2` has here.
"""

from __future__ import annotations

from dataclasses import dataclass

from support.hauling import KEYED, deleting, ordered, replace_struct, versioned

from haulier.contracts import Contract

KEYLESS = replace_struct(
    KEYED, columns=tuple(replace_struct(c, key_position=None, required=False) for c in KEYED.columns)
)


@dataclass(frozen=True)
class Way:
    """A column of the table: a mode and a contract, and what a test looks at."""

    column: str
    mode: str
    contract: Contract
    query: str = "SELECT thing, colour FROM shop.things ORDER BY 1, 2"


WAYS = {
    "append": Way("append", "append", KEYLESS),
    "append with a key": Way("append", "append", KEYED),
    "upsert": Way("upsert", "upsert", KEYED),
    "deletes": Way("deletes", "upsert", deleting(KEYED)),
    "deletedAt": Way(
        "deletedAt",
        "upsert",
        deleting(KEYED, deleted_at="deleted_at"),
        "SELECT thing, colour, deleted_at IS NOT NULL FROM shop.things ORDER BY 1, 2",
    ),
    "replace": Way("replace", "replace", KEYED),
    "scd2": Way(
        "scd2",
        "scd2",
        versioned(deleting(ordered(KEYED))),
        "SELECT thing, colour, edited, valid_to FROM shop.things ORDER BY 1, 3",
    ),
}

RED, BLUE = ("x", "red"), ("x", "blue")
BEFORE = (0, "x red 1")
GONE = (1, "x D 2")
#: (case, way) -> (files in the order they arrive, each with the day whose run hauls it; fates of the last one; the table).
CELLS: dict[tuple[str, str], tuple[list[tuple[int, str]], dict[str, int], list[tuple[object, ...]]]] = {}


def _cell(
    case: str, ways: str, files: list[tuple[int, str]], fates: dict[str, int], *table: tuple[object, ...]
) -> None:
    for way in ways.split(", "):
        CELLS[case, way] = (files, fates, list(table))


NEW = [BEFORE, (1, "y blue 1")]
_cell("new key", "append, append with a key, upsert, deletes", NEW, {"inserted": 1}, RED, ("y", "blue"))
_cell("new key", "deletedAt", NEW, {"inserted": 1}, (*RED, False), ("y", "blue", False))
_cell(
    "new key",
    "replace",
    [BEFORE, (1, "x red 1, y blue 1")],
    {"inserted": 1, "unchanged": 1},
    RED,
    ("y", "blue"),
)
_cell("new key", "scd2", NEW, {"inserted": 1}, (*RED, 1, None), ("y", "blue", 1, None))

CHANGED = [BEFORE, (1, "x blue 2")]
_cell("changed", "append", CHANGED, {"inserted": 1}, BLUE, RED)
_cell("changed", "append with a key", CHANGED, {"rejected": 1}, RED)
_cell("changed", "upsert, deletes, replace", CHANGED, {"updated": 1}, BLUE)
_cell("changed", "deletedAt", CHANGED, {"updated": 1}, (*BLUE, False))
_cell("changed", "scd2", CHANGED, {"inserted": 1}, (*RED, 1, 2), (*BLUE, 2, None))

LATER = [BEFORE, (1, "x red 1")]
_cell("identical, in a later file", "append", LATER, {"inserted": 1}, RED, RED)
_cell("identical, in a later file", "append with a key", LATER, {"duplicate": 1}, RED)
_cell("identical, in a later file", "upsert, deletes, replace", LATER, {"unchanged": 1}, RED)
_cell("identical, in a later file", "deletedAt", LATER, {"unchanged": 1}, (*RED, False))
_cell("identical, in a later file", "scd2", LATER, {"unchanged": 1}, (*RED, 1, None))

TWICE = [(0, "x red 1, x red 1")]
_cell("repeated", "append", TWICE, {"inserted": 2}, RED, RED)
_cell("repeated", "append with a key, upsert, deletes, replace", TWICE, {"inserted": 1, "duplicate": 1}, RED)
_cell("repeated", "deletedAt", TWICE, {"inserted": 1, "duplicate": 1}, (*RED, False))
_cell("repeated", "scd2", TWICE, {"inserted": 1, "duplicate": 1}, (*RED, 1, None))

LATE = [(2, "x red 5"), (1, "x blue 3")]
_cell("older", "append", LATE, {"inserted": 1}, BLUE, RED)
_cell("older", "append with a key", LATE, {"rejected": 1}, RED)
_cell("older", "upsert, deletes, replace", LATE, {"superseded": 1}, RED)
_cell("older", "deletedAt", LATE, {"superseded": 1}, (*RED, False))
_cell("older", "scd2", LATE, {"inserted": 1}, (*BLUE, 3, 5), (*RED, 5, None))

_cell("deleted", "deletes", [BEFORE, GONE], {"deleted": 1})
_cell("deleted", "deletedAt", [BEFORE, GONE], {"deleted": 1}, (*RED, True))
_cell(
    "deleted",
    "replace",
    [(0, "x red 1, y red 1"), (1, "y red 1")],
    {"unchanged": 1, "removed": 1},
    ("y", "red"),
)
_cell("deleted", "scd2", [BEFORE, GONE], {"unchanged": 1}, (*RED, 1, 2))

AGAIN = [BEFORE, GONE, (2, "x red 3")]
_cell("reinserted", "deletes", AGAIN, {"inserted": 1}, RED)
_cell("reinserted", "deletedAt", AGAIN, {"updated": 1}, (*RED, False))
_cell(
    "reinserted",
    "replace",
    [BEFORE, (1, "y red 1"), (2, "x red 1, y red 1")],
    {"inserted": 1, "unchanged": 1},
    RED,
    ("y", "red"),
)
_cell("reinserted", "scd2", AGAIN, {"inserted": 1}, (*RED, 1, 2), (*RED, 3, None))
