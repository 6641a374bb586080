"""What of a row its sender may see: where a contract has columns that are blinded, the cells that are known to be none of them.

It is no list of what to hide. A cell is shown when its column is one that the contract knows and does not call blinded; what
nobody knows, what functions read, and what cannot be taken apart is not.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from haulier.errors import HaulierError
from haulier_command.cells import Divided, Divider
from haulier_command.sealed import text_of

if TYPE_CHECKING:
    from datetime import datetime

    from haulier.contracts import Column, Contract
    from haulier.definitions import Instance
    from haulier_command.ledger import Row
    from haulier_command.sealed import Sealed

#: Stands for what the sender may not see.
BLINDED = "[blinded]"
CLASSIFICATION = "blinded"
_WITHHELD = "withheld: the contract has blinded columns, and the row cannot be taken apart"
_UNKNOWN = "withheld: its contract cannot be read, so nobody knows whether it has blinded columns"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A row as its sender may see it."""

    text: str
    #: What is not as it was sent; empty: nothing.
    note: str = ""
    #: Contract column -> its cell, where the row was taken apart.
    cells: Mapping[str, str] = field(default_factory=dict)
    #: Columns whose values may not be told, and whether functions compute one.
    blinded: frozenset[str] = frozenset()
    is_computed: bool = False
    #: Values that are not shown; none: it is not known which they are.
    hidden: frozenset[str] | None = frozenset()
    step: str | None = None

    def message(self, problem: Mapping[str, Any], to_fix: str = "") -> str:
        """What is wrong, in words that tell nothing that is blinded."""
        text = str(problem["message"])
        if not self._tells(problem.get("column"), text):
            return text
        return f"{BLINDED}: breaks the rule {problem['rule']}" + (f". {to_fix}" if to_fix else "")

    def cell(self, column: str | None) -> str:
        """The cell that a problem is about, where there is one."""
        if column is None:
            return ""
        return BLINDED if column in self.blinded else self.cells.get(column, "")

    def _tells(self, column: str | None, text: str) -> bool:
        # What extract says is about how a row is written; it holds no cell.
        if not self.blinded or self.step == "extract":
            return False
        if column in self.blinded or self.hidden is None or (self.is_computed and column is None):
            return True
        return _holds(text, self.hidden)


@dataclass(frozen=True, kw_only=True)
class _Promise:
    """What is known of the columns of one load's files."""

    known: bool
    blinded: frozenset[str]
    is_computed: bool
    #: Folded name of a source column -> contract column, of those that may be shown.
    shown: Mapping[str, str]
    #: Folded names that blinded columns go by.
    hidden: frozenset[str]
    how_to_fix: Mapping[str, str]


class Blinding:
    """Shows rows to their senders; asks for each contract and each header once."""

    def __init__(self, sealed: Sealed) -> None:
        self._sealed = sealed
        self._divider = Divider(sealed)
        self._promises: dict[tuple[Any, ...], _Promise] = {}
        self._current: dict[tuple[str, str, datetime], tuple[Instance, Contract] | None] = {}

    def shown(self, row: Row, verbatim: bytes, size: int, *, divide: bool = False) -> Shown:
        """A row of which ``verbatim`` is the beginning and ``size`` the whole length.

        ``divide``: take it apart also where nothing is blinded, to know its cells.
        """
        form = self._sealed.format(row)
        text, decoded = text_of(verbatim, form.encoding)
        notes = [] if decoded else [f"not all {form.encoding}: the replaced bytes are marked"]
        if size > len(verbatim):
            notes.append(f"cut: it has {size} bytes")
        promise = self._promise(row)
        if not promise.known:
            return Shown(text="", note=_UNKNOWN, blinded=frozenset({""}), hidden=None, step=row["step"])
        about = {"blinded": promise.blinded, "is_computed": promise.is_computed, "step": row["step"]}
        if not promise.blinded and not divide:
            return Shown(text=text, note="; ".join(notes), **about)
        # What extract could not read has no cells; nor has a beginning.
        is_whole = row["step"] != "extract" and size <= len(verbatim)
        divided = self._divider.divided(row, form, text) if is_whole else None
        if divided is None:
            if promise.blinded:
                return Shown(text="", note=_WITHHELD, hidden=None, **about)
            return Shown(text=text, note="; ".join(notes), **about)
        return self._of_cells(divided, promise, text, notes, about)

    def _of_cells(
        self, divided: Divided, promise: _Promise, text: str, notes: list[str], about: Mapping[str, Any]
    ) -> Shown:
        folded = [_folded(name) for name in divided.names]
        columns = {
            at: promise.shown[name]
            for at, name in enumerate(folded)
            if folded.count(name) == 1 and name in promise.shown
        }
        sources = list(columns.values())
        # Of several that become rows of one column, nobody says here which is meant.
        cells = {column: at for at, column in columns.items() if sources.count(column) == 1}
        if not promise.blinded:
            texts = {column: divided.texts[at] for column, at in cells.items()}
            return Shown(text=text, note="; ".join(notes), cells=texts, **about)
        covered = {at for at in range(len(divided.names)) if at not in columns and divided.texts[at].strip()}
        # Cells that were sent one column further, and the like.
        secrets = _said(divided.texts[at] for at in covered if folded[at] in promise.hidden)
        covered |= {at for at in columns if _holds(divided.texts[at], secrets)}
        if covered:
            notes = [*notes, f"what may not be shown is marked {BLINDED}"]
        return Shown(
            text=divided.written(covered, BLINDED),
            note="; ".join(notes),
            cells={column: BLINDED if at in covered else divided.texts[at] for column, at in cells.items()},
            hidden=_said(divided.texts[at] for at in covered),
            **about,
        )

    def withheld(self, row: Row, note: str) -> Shown:
        """A row that is not there to be shown."""
        promise = self._promise(row)
        hidden = None if promise.blinded or not promise.known else frozenset[str]()
        blinded = promise.blinded if promise.known else frozenset({""})
        return Shown(
            text="",
            note=note,
            blinded=blinded,
            is_computed=promise.is_computed,
            hidden=hidden,
            step=row["step"],
        )

    def how_to_fix(self, row: Row, column: str | None) -> str:
        """What the contract tells the sender of a column."""
        return self._promise(row).how_to_fix.get(column or "", "")

    def _promise(self, row: Row) -> _Promise:
        key = tuple(
            row[name]
            for name in ("pipeline", "instance", "interval_start", "interval_end", "generation", "replay_id")
        )
        if key not in self._promises:
            self._promises[key] = self._made(row)
        return self._promises[key]

    def _made(self, row: Row) -> _Promise:
        """As sealed with the load, and as it is now: what was blinded since is blinded in what came before."""
        run = (row["pipeline"], row["instance"], row["interval_start"])
        if run not in self._current:
            self._current[run] = self._now(*run)
        now, manifest = self._current[run], self._sealed.manifest(row)
        sealed = (manifest.definition, manifest.contract) if manifest else None
        said = [one for one in (sealed, now) if one is not None]
        columns = [column for instance, contract in said for column in _columns(instance, contract)]
        blinded = [column for column in columns if _is_blinded(column)]
        names = frozenset(column.name for column in blinded)
        instance, contract = said[0] if said else (None, None)
        return _Promise(
            known=bool(said),
            blinded=names,
            is_computed=any(column.derived for column in blinded),
            shown={} if instance is None or contract is None else shown_sources(instance, contract, blinded),
            hidden=frozenset() if instance is None else _hidden(instance, blinded),
            how_to_fix={column.name: column.how_to_fix for column in reversed(columns) if column.how_to_fix},
        )

    def _now(self, pipeline: str, instance: str, begins: datetime) -> tuple[Instance, Contract] | None:
        """What a run that begins then would obey if it ran now: a change of its instance may give a header another meaning."""
        from haulier import loading

        try:
            file = loading.load_pipeline(self._sealed.settings.definitions, pipeline)
            return loading.resolve(file, instance, begins)
        except HaulierError:
            return None


def _columns(instance: Instance, contract: Contract) -> Iterable[Column]:
    """Of the files' contract and of those that models merge into."""
    yield from contract.columns
    for model in instance.models:
        if model.contract is not None:
            yield from model.contract.columns


def _is_blinded(column: Column) -> bool:
    return (column.classification or "").strip().casefold() == CLASSIFICATION


def shown_sources(instance: Instance, contract: Contract, blinded: Iterable[Column]) -> dict[str, str]:
    """Source columns that feed columns of the contract, none of which is blinded."""
    names = {column.name for column in blinded}
    hidden = _hidden(instance, blinded)
    # What a pivot reads as items' cells is many columns in one.
    if instance.transform.pivot:
        hidden |= {_folded(instance.transform.pivot.values_from)}
    return {
        source: min(targets)
        for source, targets in _feeds(instance, contract.columns).items()
        if not targets & names and source not in hidden
    }


def _hidden(instance: Instance, blinded: Iterable[Column]) -> frozenset[str]:
    """The names that blinded columns go by in a source."""
    names = {column.name: column for column in blinded}
    fed = (source for source, targets in _feeds(instance, names.values()).items() if targets & names.keys())
    own = (_folded(name) for column in names.values() for name in (column.name, *column.aliases))
    return frozenset((*fed, *own))


def _feeds(instance: Instance, columns: Iterable[Column]) -> dict[str, set[str]]:
    """Folded name of a source column -> the contract columns it may fill."""
    feeds: dict[str, set[str]] = defaultdict(set)
    for column in columns:
        if not (column.derived or column.gathers):
            for name in (column.name, *column.aliases):
                feeds[_folded(name)].add(column.name)
    for source, target in instance.transform.columns.items():
        feeds[_folded(source)].add(target)
    if unpivot := instance.transform.unpivot:
        for source in unpivot.columns:
            feeds[_folded(source)] |= {unpivot.names_to, unpivot.values_to}
        for target, by_label in unpivot.beside.items():
            for source in by_label.values():
                feeds[_folded(source)].add(target)
    return feeds


def _said(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(text.strip() for text in texts if text.strip())


def _holds(text: str, values: Iterable[str]) -> bool:
    """Whether one of the values stands in the text as a word."""
    return any(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE) for value in values)


def _folded(name: str) -> str:
    return name.strip("\ufeff \t\r\n\xa0").strip().casefold()
