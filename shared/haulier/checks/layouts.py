"""What a definition may not say of unpivoting and pivoting although its structure is right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from haulier.checks.columns import fed
from haulier.contracts import Contract
from haulier.definitions import Pivot, Transform, Unpivot
from haulier.definitions.sources import Source
from haulier.patterns import problems_of_regex
from haulier.placeholders import problems_of_template
from haulier.problems import Problem, Trail, listed, quoted, suggestion


def of_unpivot(unpivot: Unpivot, columns: Mapping[str, str], filled: set[str]) -> Iterator[Problem]:
    """What can be judged of unpivoted columns without their contract."""
    trail: Trail = ("transform", "unpivot")
    if not unpivot.columns:
        yield Problem((*trail, "columns"), "names no column", " ")
    if unpivot.names_to == unpivot.values_to:
        yield Problem(
            (*trail, "values_to"), f"{quoted(unpivot.values_to)} receives the labels already (names_to)"
        )
    for source, label in unpivot.columns.items():
        if source in columns:
            yield Problem(
                ("transform", "columns", source),
                "is unpivoted, so it has no column of its own; remove one of the two",
                " ",
            )
        twins = [other for other, same in unpivot.columns.items() if same == label]
        if source != twins[0]:
            yield Problem((*trail, "columns", source), f"{quoted(label)} is the label of {twins[0]} already")
    yield from _along(unpivot, columns, filled)


def _along(unpivot: Unpivot, columns: Mapping[str, str], filled: set[str]) -> Iterator[Problem]:
    """What goes along with cells: of labels there are, from columns that are nothing else."""
    labels = list(unpivot.columns.values())
    for word in ("beside", "constants"):
        for target, by_label in getattr(unpivot, word).items():
            for label in by_label:
                trail: Trail = ("transform", "unpivot", word, target, label)
                if label not in labels:
                    yield Problem(
                        trail, f"is no label of transform.unpivot.columns{suggestion(label, labels)}", " "
                    )
                elif word == "constants" and label in unpivot.beside.get(target, ()):
                    yield Problem(trail, "is in transform.unpivot.beside as well; remove one of the two", " ")
    for target, by_label in unpivot.beside.items():
        for label, source in by_label.items():
            places = {"columns": columns, "unpivot.columns": unpivot.columns}
            for place in (place for place, named in places.items() if source in named):
                yield Problem(
                    ("transform", "unpivot", "beside", target, label),
                    f"{quoted(source)} is in transform.{place} as well; remove one of the two",
                )
    for target, by_label in unpivot.constants.items():
        for label, text in by_label.items():
            yield from problems_of_template(
                text, ("transform", "unpivot", "constants", target, label), filled
            )


def of_pivot(pivot: Pivot, source: Source, transform: Transform) -> Iterator[Problem]:
    """What can be judged of pivoted rows without their contract."""
    trail: Trail = ("transform", "pivot")
    if transform.unpivot is not None:
        yield Problem(("transform", "unpivot"), "stands beside transform.pivot; remove one of the two", " ")
    if source.sends_events or (source.sql and source.sql.watermark):
        yield Problem(
            trail,
            "needs all rows of a group together, and this source brings those that changed; remove it",
            " ",
        )
    for word, what in (("by", "column"), ("items", "item")):
        if not getattr(pivot, word):
            yield Problem((*trail, word), f"names no {what}", " ")
    for item in pivot.ignore:
        if item in pivot.items:
            yield Problem(
                (*trail, "ignore"),
                f"{quoted(item)} is in transform.pivot.items as well; remove one of the two",
            )
    problems = list(problems_of_regex(pivot.pattern, (*trail, "pattern"), only_regular=True))
    yield from problems
    groups: list[str] = []
    if not problems:
        pattern = re.compile(pivot.pattern)
        groups = list(pattern.groupindex)
        if "item" not in groups:
            yield Problem(
                (*trail, "pattern"), f"{quoted(pivot.pattern)} has no group item; write it as (?P<item>…)"
            )
        if pattern.groups > len(groups):
            yield Problem(
                (*trail, "pattern"),
                f"{quoted(pivot.pattern)} has a group without a name; name it, or write (?:…)",
            )
    yield from _pivoted_twice(pivot, groups)


def _pivoted_twice(pivot: Pivot, groups: Iterable[str]) -> Iterator[Problem]:
    """Columns of which there would be two: among those that are read, and among those that are made."""
    trail: Trail = ("transform", "pivot")
    read: list[tuple[Trail, str]] = [((*trail, "by", at), name) for at, name in enumerate(pivot.by)]
    read += [((*trail, word), getattr(pivot, word)) for word in ("names_from", "values_from")]
    made: list[tuple[Trail, str]] = [((*trail, "pattern"), name) for name in groups if name != "item"]
    made += [((*trail, "items", item), column) for item, column in pivot.items.items()]
    for columns, known in ((read, ()), (made, pivot.by)):
        seen = {name.strip().casefold() for name in known}
        for place, name in columns:
            folded = name.strip().casefold()
            if folded in seen:
                yield Problem(place, f"{quoted(name)} is a column of transform.pivot already; choose another")
            seen.add(folded)


def unpivot_in(
    unpivot: Unpivot, functions: Sequence[str], contract: Contract, shown: str
) -> Iterator[Problem]:
    """What unpivoted cells cannot fill of a contract."""
    trail: Trail = ("transform", "unpivot")
    columns = {column.name: column for column in contract.columns}
    yield from fed(unpivot.names_to, contract, shown, (*trail, "names_to"))
    yield from fed(unpivot.values_to, contract, shown, (*trail, "values_to"))
    for target in unpivot.along:
        yield from _along_in(target, unpivot, contract, shown)
    for at, name in enumerate(unpivot.keep_empty):
        place: Trail = (*trail, "keep_empty", at)
        yield from fed(name, contract, shown, place)
        if name in (unpivot.names_to, unpivot.values_to) or name in {*unpivot.constants} - {*unpivot.beside}:
            yield Problem(
                place, f"{quoted(name)} has a value for every cell; name a column that a file fills"
            )
    if unpivot.keep_empty and any(c.required for c in contract.columns if c.name == unpivot.values_to):
        text = f"makes rows without {quoted(unpivot.values_to)}, which is required in {shown}"
        yield Problem((*trail, "keep_empty"), text, " ")
    labelled = columns.get(unpivot.names_to)
    if labelled is None:
        return
    if labelled.logical_type != "string":
        yield Problem(
            (*trail, "names_to"), f"{quoted(labelled.name)} is {labelled.pg_type} in {shown}; labels are text"
        )
    # Functions may make the key of the label, as a code of the name that a column's label is.
    of_functions = bool(functions) and any(
        column.key_position and column.derived for column in contract.columns
    )
    if contract.key and labelled.key_position is None and not of_functions:
        yield Problem(
            (*trail, "names_to"),
            f"{quoted(labelled.name)} must be in the primary key of {shown}, "
            "or the rows made of one row have the same key",
        )
    for source, label in unpivot.columns.items():
        if labelled.enum is not None and label not in labelled.enum:
            place = (*trail, "columns", source)
            yield Problem(
                place,
                f"{quoted(label)} is not in the enum of {labelled.name} in {shown}"
                f"{suggestion(label, labelled.enum)}",
            )


def _along_in(target: str, unpivot: Unpivot, contract: Contract, shown: str) -> Iterator[Problem]:
    trail: Trail = ("transform", "unpivot", "beside" if target in unpivot.beside else "constants", target)
    yield from fed(target, contract, shown, trail)
    if target in (unpivot.names_to, unpivot.values_to):
        yield Problem(trail, "is filled by transform.unpivot itself (names_to, values_to); remove it", " ")
    named = {*unpivot.beside.get(target, ()), *unpivot.constants.get(target, ())}
    without = [label for label in unpivot.columns.values() if label not in named]
    required = [
        c for c in contract.columns if c.name == target and (c.required or c.key_position is not None)
    ]
    if required and without:
        yield Problem(
            trail,
            f"is required in {shown} and has nothing for {listed(without, 'and')}; name a column or a constant",
            " ",
        )
