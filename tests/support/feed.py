"""A source table that is written to, the change events that this makes, and a feed's contract to load them under."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from support.databases import Database
from support.hauling import KEYED, Sender, deleting, ordered, replace_struct

from haulier.rows import UNCHANGED
from haulier.settings import Settings

#: Columns whose values an update may leave out.
KEPT = ("colour", "body")


def feed_contract() -> Any:
    """`KEYED` with `edited` as its order, op D and T, and two columns that may say that they did not change."""
    contract = deleting(ordered(KEYED))
    columns = [
        replace_struct(one, truncates=("T",))
        if one.name == "op"
        else replace_struct(one, unchanged_values=("__keep",))
        if one.name in KEPT
        else one
        for one in (
            *contract.columns,
            replace_struct(contract.column("colour"), name="body"),
        )
    ]
    return replace_struct(contract, columns=tuple(columns))


def row(thing: str, edited: int, **cells: Any) -> dict[str, Any]:
    """One event as transform would have it; `keep=("body",)` for columns that it does not carry."""
    keep = cells.pop("keep", ())
    return {
        "thing": thing,
        "edited": edited,
        "op": cells.pop("op", "U"),
        **cells,
        UNCHANGED: json.dumps(list(keep)) if keep else None,
    }


def at(edited: int, **cells: Any) -> dict[str, Any]:
    """A truncation."""
    return {"thing": None, "op": "T", "edited": edited, **cells}


def bare(event: dict[str, Any]) -> dict[str, Any]:
    """An event of a contract whose columns are always there."""
    return {name: cell for name, cell in event.items() if name != UNCHANGED}


def without(contract: Any, **gone: Any) -> Any:
    """A contract whose columns say less: `truncates=()`."""
    return replace_struct(contract, columns=tuple(replace_struct(c, **gone) for c in contract.columns))


def feed_sender(database: Database, folder: Path) -> Sender:
    """Sends events of `feed_contract`, with an archive beside the exchange."""
    places = {"HAULIER_EXCHANGE": f"file://{folder}", "HAULIER_ARCHIVE": f"file://{folder}-cold"}
    settings = Settings.from_env({**database.environment, **places})
    return Sender(settings=settings, contract=feed_contract(), reject_threshold=1)


def table(database: Database, columns: str = "thing, colour, body") -> list[tuple[Any, ...]]:
    return database.rows(f"SELECT {columns} FROM shop.things ORDER BY {columns}")


@dataclass
class SourceTable:
    """What a database's table holds, and the events that its log has of how it came to."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    def write(self, thing: str, **cells: Any) -> None:
        """Insert, or update; an update does not carry what did not change, where it may."""
        before = self.rows.get(thing)
        after = {**(before or {}), **cells}
        keep = [name for name in KEPT if before is not None and name not in cells]
        self.rows[thing] = after
        self._log(row(thing, 0, **{n: v for n, v in after.items() if n not in keep}, keep=keep))

    def delete(self, thing: str) -> None:
        if self.rows.pop(thing, None) is not None:
            self._log(row(thing, 0, op="D"))

    def rename(self, thing: str, other: str) -> None:
        """A change of the key: a deletion and an insertion, as Debezium sends it."""
        if thing in self.rows and other not in self.rows:
            cells = self.rows[thing]
            self.delete(thing)
            self.write(other, **cells)

    def truncate(self) -> None:
        self.rows.clear()
        self._log({"thing": None, "edited": 0, "op": "T", UNCHANGED: None})

    def _log(self, event: dict[str, Any]) -> None:
        self.events.append({**event, "edited": len(self.events) + 1})


_THINGS = st.sampled_from("xyz")
_VALUES = st.sampled_from("rgb")
_CELLS = st.fixed_dictionaries({}, optional={"colour": _VALUES, "body": _VALUES, "price": st.integers(0, 3)})
#: What somebody does to a source table: (what, arguments).
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("write"), _THINGS, _CELLS),
        st.tuples(st.just("write"), _THINGS, _CELLS),
        st.tuples(st.just("delete"), _THINGS),
        st.tuples(st.just("rename"), _THINGS, _THINGS),
        st.tuples(st.just("truncate")),
    ),
    min_size=1,
    max_size=12,
)


def history_of(changes: Iterable[tuple[Any, ...]]) -> SourceTable:
    """The table that saw these changes; a row is inserted with all its cells."""
    source = SourceTable()
    for name, *arguments in changes:
        if name == "write":
            thing, cells = arguments
            whole = {} if thing in source.rows else {"colour": "r", "body": "r", "price": 0}
            source.write(thing, **{**whole, **cells})
        else:
            getattr(source, name)(*arguments)
    return source
