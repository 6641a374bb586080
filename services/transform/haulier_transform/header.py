"""Which column of a source's header feeds which column of the contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from haulier.contracts import EXTRA, Contract
from haulier.definitions import Transform
from haulier.errors import DefinitionError
from haulier_transform.arrays import quoted

#: What files called CSV are divided by, the frequent ones first.
_DELIMITERS = (";", ",", "\t", "|")
#: Policy for new columns -> what becomes of one.
_BECOMES = {
    "note": "not loaded",
    "keep": f"kept in {EXTRA}",
    "reject": "rows with a value in it are rejected",
}


@dataclass(frozen=True, kw_only=True)
class Header:
    """A header matched to the contract; positions are those in the header."""

    #: Contract column -> position.
    columns: Mapping[str, int]
    #: Place in `unpivot.columns` -> position.
    unpivoted: Mapping[int, int]
    #: (contract column, place in `unpivot.columns`) -> position of what goes along.
    beside: Mapping[tuple[str, int], int]
    #: Columns of the contract, and of `unpivot`, that the header does not have.
    missing: tuple[str, ...]
    #: Contract column -> position, where only an approved synonym of it stands there.
    renamed: Mapping[str, int]
    #: Columns of the header that nobody asked for, and their positions.
    unknown: tuple[str, ...]
    unknown_at: tuple[int, ...]
    #: Columns of the header that the pipeline computes itself.
    computed: tuple[str, ...]
    #: Of a header that is one unknown cell: what would divide it into columns that are known.
    delimiter: str | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether it has no column that is asked for: then it may be no header at all."""
        return not self.columns and not self.unpivoted

    def notes(self, delivery: str, new_column: str = "note") -> Iterator[str]:
        """What a person should know about this delivery's header; ``new_column``: the policy for unknown ones."""
        if self.is_unknown:
            # Without a header its names would be the first row's values: they are not repeated here.
            if self.delimiter:
                found = f"its cells seem to be divided by {self.delimiter!r}: see source.csv.delimiter"
                yield f"no column in {delivery} is in the contract; {found}"
            else:
                yield f"no column in {delivery} is in the contract; has it a header?"
            return
        for name in self.unknown:
            yield f"new column {_shown(name)} in {delivery}: not in the contract, {_BECOMES[new_column]}"
        for name in self.computed:
            yield f"column {_shown(name)} in {delivery}: computed by the pipeline, not loaded"
        for name in self.missing:
            yield f"column {name} is missing from the header of {delivery}"


def match(names: Sequence[str], contract: Contract, transform: Transform) -> Header:
    """Match by `transform.columns`, else the contract's names and aliases, without regard to case.

    Raises `DefinitionError` when two columns of the header claim one column of the contract, or one does
    that the definition fills itself.
    """
    matched = _matched(names, contract, transform)
    if not matched.is_unknown or len(names) != 1:
        return matched
    for delimiter in _DELIMITERS:
        divided = names[0].split(delimiter)
        try:
            other = _matched(divided, contract, transform) if len(divided) > 1 else matched
        except DefinitionError:
            continue
        if not other.is_unknown:
            return replace(matched, delimiter=delimiter)
    return matched


def _matched(names: Sequence[str], contract: Contract, transform: Transform) -> Header:
    places: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        places.setdefault(folded(name), []).append(number)
    used: set[int] = set()
    missing: list[str] = []

    def claim(sources: Iterable[str], target: str) -> int | None:
        """The place of the one free column that has one of these names."""
        wanted = dict.fromkeys(folded(source) for source in sources)
        found = [place for name in wanted for place in places.get(name, ()) if place not in used]
        if len(found) > 1:
            both = " and ".join(quoted(names[place]) for place in found)
            raise DefinitionError(
                f"{both} in the header both mean {target}; say which does in transform.columns"
            )
        used.update(found)
        return found[0] if found else None

    unpivot = transform.unpivot
    unpivoted: dict[int, int] = {}
    for ordinal, source in enumerate(unpivot.columns if unpivot else ()):
        if (place := claim([source], f"the unpivoted column {source}")) is None:
            missing.append(source)
        else:
            unpivoted[ordinal] = place
    beside: dict[tuple[str, int], int] = {}
    along: dict[str, int | None] = {}
    for target, by_label in unpivot.beside.items() if unpivot else ():
        for ordinal, label in enumerate(unpivot.columns.values() if unpivot else ()):
            if (given := by_label.get(label)) is None:
                continue
            # One column may go along with several labels.
            if (name := folded(given)) not in along:
                along[name] = claim([given], f"the column {given} that goes along with unpivoted ones")
                missing += [given] if along[name] is None else []
            if (place := along[name]) is not None:
                beside[target, ordinal] = place
    columns: dict[str, int] = {}
    by_synonym: dict[str, int] = {}
    renamed: dict[str, list[str]] = {}
    for source, target in transform.columns.items():
        renamed.setdefault(target, []).append(source)
    for target, sources in renamed.items():
        if (place := claim(sources, target)) is not None:
            columns[target] = place
    filled = {unpivot.names_to, unpivot.values_to} if unpivot else set()
    said = dict.fromkeys(unpivot.along if unpivot else (), "transform.unpivot")
    said |= dict.fromkeys(transform.constants, "transform.constants")
    for column in contract.columns:
        if column.name in said:
            if (place := claim((column.name, *column.aliases), column.name)) is not None:
                raise DefinitionError(
                    f"{quoted(names[place])} is in the header, and {said[column.name]} says {column.name} already; remove "
                    "it there, or name that column in transform.columns as what else it is"
                )
            continue
        if column.name in columns or column.name in filled or column.derived or column.gathers:
            continue
        if (place := claim((column.name, *column.aliases), column.name)) is None:
            missing.append(column.name)
        else:
            columns[column.name] = place
            if folded(names[place]) != folded(column.name):
                by_synonym[column.name] = place
    derived = {folded(column.name) for column in contract.columns if column.derived}
    rest = {number: name for number, name in enumerate(names) if number not in used}
    unknown = {number: name for number, name in rest.items() if folded(name) not in derived}
    return Header(
        columns=columns,
        unpivoted=unpivoted,
        beside=beside,
        missing=tuple(missing),
        renamed=by_synonym,
        unknown=tuple(unknown.values()),
        unknown_at=tuple(unknown),
        computed=tuple(name for number, name in rest.items() if number not in unknown),
    )


def folded(name: str) -> str:
    """A column's name as headers are matched by."""
    return name.strip().casefold()


def _shown(name: str) -> str:
    return quoted(name)[1:-1]
