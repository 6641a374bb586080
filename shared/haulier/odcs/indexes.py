"""The indexes a contract asks for: `indexes` of its table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from haulier.contracts import Column, Index
from haulier.problems import Problem, Trail, listed, quoted, suggestion

_USING = ("btree", "brin", "gin")
_KEYS = ("columns", "using")
#: What PostgreSQL itself takes.
_MOST_COLUMNS = 32


def read_indexes(
    written: tuple[Any, Trail] | None, columns: list[Column], problems: list[Problem]
) -> tuple[Index, ...]:
    """What a contract says; what makes no index is added to the problems."""
    if written is None:
        return ()
    value, trail = written
    if not isinstance(value, list):
        problems.append(Problem(trail, f"{quoted(value)} is not a list; write [{{columns: [subject]}}]"))
        return ()
    found: list[Index] = []
    for number, one in enumerate(value):
        place: Trail = (*trail, number)
        wrong = list(_problems(one, columns, place))
        problems += wrong
        if not wrong:
            index = Index(columns=tuple(one["columns"]), using=one.get("using", "btree"))
            if index in found:
                problems.append(Problem(place, "is there already", " "))
            found.append(index)
    return tuple(found)


def _problems(one: Any, columns: list[Column], place: Trail) -> Iterator[Problem]:
    if not isinstance(one, dict) or not isinstance(one.get("columns"), list) or not one["columns"]:
        yield Problem(place, f"{quoted(one)} names no columns; write {{columns: [subject]}}")
        return
    for key in one:
        if key not in _KEYS:
            yield Problem((*place, key), f"is not known; an index has {listed(list(_KEYS), 'and')}", " ")
    names, using = one["columns"], one.get("using", "btree")
    if using not in _USING:
        yield Problem((*place, "using"), f"{quoted(using)} is not one of {listed(list(_USING))}")
    if len(names) > _MOST_COLUMNS or len(set(map(str, names))) < len(names):
        yield Problem((*place, "columns"), f"names a column twice, or more than {_MOST_COLUMNS}", " ")
    by_name = {column.name: column for column in columns if column.deletes is None}
    for name in names:
        column = by_name.get(name) if isinstance(name, str) else None
        if column is None:
            hint = suggestion(str(name), by_name)
            yield Problem((*place, "columns"), f"{quoted(name)} is not a column of the table{hint}")
        elif (column.pg_type == "jsonb") != (using == "gin") and using in _USING:
            right = "gin" if column.pg_type == "jsonb" else "btree or brin"
            yield Problem((*place, "using"), f"{quoted(name)} is {column.pg_type}, which {right} indexes")
