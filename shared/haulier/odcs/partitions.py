"""How a contract's table is partitioned: `partitioned` of its columns, and what the standard cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from haulier.contracts import Column, Partitioning
from haulier.odcs.standard import Property
from haulier.problems import Problem, Trail, listed, quoted, suggestion

_PERIODS = ("day", "month", "year")
_TIMES = ("date", "timestamptz", "timestamp")
#: Types whose values can be named one by one, and are the same however they are written.
_LISTED = ("text", "smallint", "integer", "bigint", "boolean", "uuid")
_MOST_AHEAD = 100

Given = Mapping[str, tuple[Any, Trail]]


@dataclass(frozen=True, kw_only=True)
class Partitioned:
    """The levels of a table, outer first; none: it is not partitioned."""

    levels: tuple[Partitioning, ...] = ()
    ahead: int = 1

    @classmethod
    def read(
        cls,
        properties: list[Property],
        columns: list[Column],
        given: Given,
        here: Trail,
        problems: list[Problem],
    ) -> Partitioned:
        """What a contract says; what PostgreSQL or Haulier could not keep is added to the problems."""
        chosen = _chosen(properties, here, problems)
        by_name = {column.name: column for column in columns}
        names = [name for name in chosen if name in by_name]
        ways, trail = _ways(given.get("partitions"), names, problems)
        levels = tuple(
            Partitioning(column=name, by=cast(Any, ways.get(name, _usual(by_name[name])))) for name in names
        )
        place: Trail = trail or (*here, "properties")
        for level in levels:
            problems += _of_level(by_name[level.column], level.by, place)
        problems += _together(levels, columns, place)
        return cls(levels=levels, ahead=_ahead(given.get("partitionsAhead"), levels, problems))


def _chosen(properties: list[Property], here: Trail, problems: list[Problem]) -> list[str]:
    """The partitioned columns, outer first."""
    found = []
    for index, one in enumerate(properties):
        position = None if one.partition_key_position == -1 else one.partition_key_position
        name = one.physical_name if one.physical_name is not None else one.name
        if one.partitioned and name is not None:
            found.append((position, index, name))
        elif position is not None:
            trail = (*here, "properties", index, "partitionKeyPosition")
            problems.append(Problem(trail, "stands alone; write partitioned: true beside it", " "))
    positions = [position for position, *_ in found if position is not None]
    if positions and sorted(positions) != list(range(1, len(found) + 1)):
        text = f"number the partitioned columns 1 to {len(found)} by partitionKeyPosition, or none of them"
        problems.append(Problem((*here, "properties"), text))
    return [name for *_, name in sorted(found, key=lambda one: (one[0] or 0, one[1]))]


def _ways(
    written: tuple[Any, Trail] | None, names: list[str], problems: list[Problem]
) -> tuple[dict[str, str], Trail | None]:
    if written is None:
        return {}, None
    value, trail = written
    if not isinstance(value, dict):
        problems.append(Problem(trail, f"{quoted(value)} is not a mapping; write {{collected: month}}"))
        return {}, trail
    found = {}
    for name, way in value.items():
        if name not in names:
            hint = suggestion(str(name), names) if names else ""
            problems.append(Problem((*trail, name), f"is not a column with partitioned: true{hint}", " "))
        elif way not in (*_PERIODS, "list"):
            choices = listed([*_PERIODS, "list"])
            problems.append(Problem((*trail, name), f"{quoted(way)} is not one of {choices}"))
        else:
            found[name] = way
    return found, trail


def _usual(column: Column) -> str:
    return "month" if column.pg_type in _TIMES else "list"


def _of_level(column: Column, by: str, place: Trail) -> Iterator[Problem]:
    name, base = quoted(column.name), column.pg_type.partition("(")[0].replace("varchar", "text")
    if by in _PERIODS and column.pg_type not in _TIMES:
        yield Problem(place, f"{name} is {column.pg_type}, which has no {by}; partition it by list")
    if by == "list" and base not in _LISTED:
        yield Problem(
            place, f"{name} is {column.pg_type}, whose values are not listed; choose another column"
        )
    if column.deletes is not None:
        yield Problem(place, f"{name} says which rows are gone, so it is not stored")
    if not column.required:
        yield Problem(place, f"{name} must be required, or some rows have no partition")


def _together(levels: tuple[Partitioning, ...], columns: list[Column], place: Trail) -> Iterator[Problem]:
    names = [level.column for level in levels]
    if len(levels) > 1 and sorted(level.by == "list" for level in levels) != [False, True]:
        text = f"{listed(names, 'and')} partition the table; it may be one date or time, one list, or one in the other"
        yield Problem(place, text)
    key = [column.name for column in columns if column.key_position]
    if key and (outside := [name for name in names if name not in key]):
        text = (
            f"{listed(outside, 'and')} must be in the primary key ({', '.join(key)}): PostgreSQL holds a key within each "
            "partition only"
        )
        yield Problem(place, text)
    if names and (unique := [c.name for c in columns if c.unique and [c.name] not in (key, names)]):
        text = (
            f"{listed(unique, 'and')} must be unique, which PostgreSQL holds within each partition only; make it the key, "
            "or check it in a query"
        )
        yield Problem(place, text)


def _ahead(
    written: tuple[Any, Trail] | None, levels: tuple[Partitioning, ...], problems: list[Problem]
) -> int:
    if written is None:
        return 1
    value, trail = written
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_AHEAD:
        problems.append(Problem(trail, f"{quoted(value)} is not a whole number from 0 to {_MOST_AHEAD}"))
        return 1
    if all(level.by == "list" for level in levels):
        problems.append(Problem(trail, "has no day, month or year to make ahead", " "))
    return value
