"""What a definition may not say of its contract's columns: which it fills, and from what."""

from __future__ import annotations

from collections.abc import Iterator

from haulier.contracts import EXTRA, Contract
from haulier.definitions import Transform
from haulier.formats import problem_for
from haulier.problems import Problem, Trail, listed, quoted, suggestion

_DATED = ("date", "timestamp", "time")


def columns_in(transform: Transform, contract: Contract, shown: str) -> Iterator[Problem]:
    """What a definition cannot fill of a contract."""
    columns = {column.name: column for column in contract.columns}
    for source, target in transform.columns.items():
        yield from fed(target, contract, shown, ("transform", "columns", source))
        if transform.unpivot and target in transform.unpivot.fills:
            yield Problem(
                ("transform", "columns", source), f"{quoted(target)} is filled by transform.unpivot"
            )
    for target in transform.constants:
        yield from _constant(target, transform, contract, shown)
    for target in transform.date_formats:
        trail: Trail = ("transform", "date_formats", target)
        if target not in columns:
            yield Problem(trail, f"is not a column of {shown}{suggestion(target, columns)}", " ")
        elif columns[target].logical_type not in _DATED:
            yield Problem(
                trail, f"is a column of {columns[target].pg_type}; formats are for dates and times", " "
            )
        else:
            for position, text in enumerate(transform.date_formats[target]):
                if reason := problem_for(text, columns[target].logical_type):
                    yield Problem((*trail, position), reason)


def derived_in(transform: Transform, contract: Contract, shown: str) -> Iterator[Problem]:
    """What no function fills of a contract."""
    derived = [column.name for column in contract.columns if column.derived]
    if derived and not transform.functions:
        yield Problem(
            ("transform", "functions"),
            f"{listed(derived, 'and')} of {shown} {'is' if len(derived) == 1 else 'are'} derived "
            "(transformLogic), so name the function that computes what the source does not have",
        )


def _constant(target: str, transform: Transform, contract: Contract, shown: str) -> Iterator[Problem]:
    """A column of the contract that nothing else fills."""
    trail: Trail = ("transform", "constants", target)
    yield from fed(target, contract, shown, trail)
    sources = [source for source, filled in transform.columns.items() if filled == target]
    if sources:
        yield Problem(
            trail, f"is filled from {quoted(sources[0])} in transform.columns; remove one of the two", " "
        )
    if transform.unpivot and target in transform.unpivot.fills:
        yield Problem(trail, "is filled by transform.unpivot; remove one of the two", " ")


def fed(target: str, contract: Contract, shown: str, trail: Trail) -> Iterator[Problem]:
    """A column of the contract that source values may go to."""
    columns = {column.name: column for column in contract.columns}
    if target not in columns:
        yield Problem(trail, f"{quoted(target)} is not a column of {shown}{suggestion(target, columns)}")
    elif columns[target].derived:
        yield Problem(
            trail, f"{quoted(target)} is derived (transformLogic in {shown}), so nothing is read into it"
        )


def extra_in(transform: Transform, contract: Contract, shown: str) -> Iterator[Problem]:
    """Whether there is room for the cells of new columns."""
    names = [column.name for column in contract.columns]
    names += [name for name in (contract.deleted_at, contract.valid_to, contract.is_current) if name]
    if transform.drift.new_column == "keep" and EXTRA in (name.casefold() for name in names):
        yield Problem(
            ("transform", "drift", "new_column"),
            f'"keep" fills the column {EXTRA}, which {shown} has for something else; rename that one',
        )
