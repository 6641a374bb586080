"""From an Open Data Contract Standard document to the contract of one table.

The document says more than Haulier acts on; what it acts on is in ``docs/definitions.md``. What it would
have to enforce and does not is refused rather than ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from haulier import documents
from haulier.contracts import Column, Contract
from haulier.errors import DefinitionError
from haulier.odcs.columns import ColumnReader, custom_properties
from haulier.odcs.indexes import read_indexes
from haulier.odcs.partitions import Partitioned
from haulier.odcs.standard import Document, Property, SchemaObject
from haulier.problems import Problem, Trail, listed, quoted, suggestion

_VERSIONS = re.compile(r"v3\.[012]\.\d+")
_POSTGRES = ("postgres", "postgresql")
#: PostgreSQL cuts longer names off.
_NAME_BYTES = 63
#: Every table has these already.
_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
#: Haulier's own columns begin so.
_OURS = "_haulier_"
#: PostgreSQL's own schemas, and the ledger.
_OTHERS_SCHEMAS = frozenset({"information_schema", "haulier"})
#: The standard's two spellings of one service level.
_LATENCY = frozenset({"latency", "ly"})
#: Seconds in the units people write; the standard itself names days and years.
_UNITS = {
    name: seconds
    for names, seconds in (
        ("d day days", 86_400),
        ("h hour hours", 3_600),
        ("m min minute minutes", 60),
        ("s second seconds", 1),
    )
    for name in names.split()
}
_UNORDERED = ("jsonb", "boolean", "uuid")


def load_contract(path: Path, shown: str) -> Contract:
    """Read one contract. Raises `DefinitionError` with all its problems, each beginning with ``shown``."""
    written = documents.read(path, shown)
    try:
        document = msgspec.convert(written, Document)
    except msgspec.ValidationError as exc:
        from haulier.explaining import explain

        problems = explain(written, Document, "a contract", documents.original_texts(path, shown))
        raise _refused(problems, shown, written) from exc
    contract, problems = resolve_contract(document)
    if contract is None:
        raise _refused(problems, shown, written)
    return contract


def resolve_contract(document: Document) -> tuple[Contract | None, list[Problem]]:
    """The contract, or every reason why the document is not one Haulier can keep."""
    problems = list(_of_document(document))
    tables = document.schema or []
    if len(tables) != 1:
        have = f"has {listed([table.name for table in tables], 'and')}" if tables else "has no table"
        problems.append(Problem(("schema",), f"{have}; a contract is about one table, in a list of one", " "))
        return None, problems
    table = tables[0]
    here: Trail = ("schema", 0)
    schema, name = _target(document, table, here, problems)
    columns = _columns(table, here, problems)
    given = custom_properties(table.custom_properties, "table", here, problems)
    ordering = _ordering(given.get("ordering"), columns, problems)
    deleted_at = _deletions(given.get("deletedAt"), columns, here, problems)
    valid_to, is_current = _validity(given, columns, ordering, problems)
    _events(given, columns, here, problems)
    partitioned = Partitioned.read(table.properties or [], columns, given, here, problems)
    indexes = read_indexes(given.get("indexes"), columns, problems)
    latency = _latency(document, problems)
    if problems:
        return None, problems
    purpose = document.description.purpose if document.description else None
    contract = Contract(
        id=document.id,
        version=document.version,
        schema=schema,
        table=name,
        description=table.description or purpose or "",
        columns=tuple(columns),
        ordering=ordering,
        deleted_at=deleted_at,
        valid_to=valid_to,
        is_current=is_current,
        partitions=partitioned.levels,
        partitions_ahead=partitioned.ahead,
        indexes=indexes,
        latency_seconds=latency,
    )
    return contract, []


def _refused(problems: list[Problem], shown: str, written: object) -> DefinitionError:
    return DefinitionError("\n".join(f"{shown}: {problem.words(written)}" for problem in problems))


def _of_document(document: Document) -> Iterator[Problem]:
    if not _VERSIONS.fullmatch(document.api_version):
        yield Problem(
            ("apiVersion",),
            f'{quoted(document.api_version)} is not read; write "v3.2.0" (v3.0 to v3.2 are read)',
        )
    for name in ("id", "version"):
        if not getattr(document, name):
            yield Problem((name,), "is empty", " ")


def _latency(document: Document, problems: list[Problem]) -> float | None:
    """The `latency` among the service levels, in seconds."""
    for position, level in enumerate(document.sla_properties or ()):
        if level.property.lower() not in _LATENCY:
            continue
        trail: Trail = ("slaProperties", position)
        unit = _UNITS.get((level.unit or "d").lower())
        if unit is None:
            problems.append(
                Problem((*trail, "unit"), f"{quoted(level.unit)} is not a unit of time; use d, h, min or s")
            )
        elif isinstance(level.value, bool) or not isinstance(level.value, int | float) or level.value <= 0:
            problems.append(Problem((*trail, "value"), f"{quoted(level.value)} is not a number above 0"))
        else:
            return float(level.value) * unit
        return None
    return None


def _target(document: Document, table: SchemaObject, here: Trail, problems: list[Problem]) -> tuple[str, str]:
    """``physicalName``, else ``name``; one without a schema takes that of the PostgreSQL server."""
    field = "physicalName" if table.physical_name is not None else "name"
    written = table.physical_name if table.physical_name is not None else table.name
    if table.physical_type not in (None, "table"):
        problems.append(
            Problem((*here, "physicalType"), f'{quoted(table.physical_type)} is not loaded; only "table" is')
        )
    *front, name = written.split(".")
    if len(front) > 1:
        problems.append(Problem((*here, field), f"{quoted(written)} is not schema.table"))
        return "", name
    if front:
        schema = front[0]
    else:
        servers = {
            server.schema for server in document.servers or () if server.type in _POSTGRES and server.schema
        }
        if len(servers) != 1:
            why = (
                f"servers name {listed(sorted(servers), 'and')}"
                if servers
                else "no PostgreSQL server here names one"
            )
            text = f"{quoted(written)} has no schema and {why}; write physicalName: schema.{written}"
            problems.append(Problem((*here, field), text))
            return "", name
        schema = servers.pop()
    for part in (schema, name):
        problems += _identifier(part, (*here, field))
    if schema in _OTHERS_SCHEMAS or schema.startswith("pg_"):
        problems.append(Problem((*here, field), f"{quoted(schema)} is not a schema for data; choose another"))
    return schema, name


def _columns(table: SchemaObject, here: Trail, problems: list[Problem]) -> list[Column]:
    properties = table.properties or []
    if not properties:
        problems.append(Problem((*here, "properties"), "has no column", " "))
    positions = _key_positions(properties, here, problems)
    columns, trails = [], []
    for index, written in enumerate(properties):
        trail: Trail = (*here, "properties", index)
        reader = ColumnReader(written, trail)
        column = reader.column(positions.get(index))
        problems += reader.problems
        if column is not None:
            field = "physicalName" if written.physical_name is not None else "name"
            problems += _identifier(column.name, (*trail, field), is_column=True)
            columns.append(column)
            trails.append((*trail, field))
    problems += _twins(columns, trails)
    return columns


def _identifier(name: str, trail: Trail, *, is_column: bool = False) -> Iterator[Problem]:
    length = len(name.encode())
    if not name or name != name.strip() or not name.isprintable():
        yield Problem(trail, f"{quoted(name)} cannot be a name")
    elif length > _NAME_BYTES:
        yield Problem(trail, f"{quoted(name)} has {length} bytes; PostgreSQL keeps {_NAME_BYTES}")
    elif name.lower().startswith(_OURS):
        yield Problem(trail, f"{quoted(name)} begins like Haulier's own columns; choose another name")
    elif is_column and name in _SYSTEM_COLUMNS:
        yield Problem(trail, f"{quoted(name)} is a column every table of PostgreSQL has; choose another name")


def _twins(columns: list[Column], trails: list[Trail]) -> Iterator[Problem]:
    """Two columns that a header could not tell apart."""
    names: dict[str, str] = {}
    for column, trail in zip(columns, trails, strict=True):
        folded = column.name.casefold()
        if folded in names:
            how = (
                "is there already"
                if names[folded] == column.name
                else f"differs from {quoted(names[folded])} only in case"
            )
            yield Problem(trail, f"{quoted(column.name)} {how}")
        names.setdefault(folded, column.name)
    for column, trail in zip(columns, trails, strict=True):
        for alias in column.aliases:
            other = names.setdefault(alias.casefold(), column.name)
            if other != column.name:
                yield Problem(
                    (*trail[:-1], "synonyms"), f"{quoted(alias)} is a name of {quoted(other)} already"
                )


def _key_positions(properties: list[Property], here: Trail, problems: list[Problem]) -> dict[int, int]:
    """Index of a column -> its place in the primary key, counted from 1."""
    found: dict[int, int] = {}
    in_key = [index for index, written in enumerate(properties) if written.primary_key]
    for index, written in enumerate(properties):
        position = written.primary_key_position
        if position is not None and position != -1:
            found[index] = position
            if not written.primary_key:
                trail = (*here, "properties", index, "primaryKeyPosition")
                problems.append(Problem(trail, "stands alone; write primaryKey: true beside it", " "))
    if not found:
        return {index: place for place, index in enumerate(in_key, start=1)}
    if sorted(found.values()) != list(range(1, len(in_key) + 1)):
        given = ", ".join(str(found[index]) if index in found else "none" for index in in_key)
        text = f"primaryKeyPosition is {given}; number the key columns 1 to {len(in_key)}, or none of them"
        problems.append(Problem((*here, "properties"), text))
    return found


def _ordering(
    written: tuple[Any, Trail] | None, columns: list[Column], problems: list[Problem]
) -> str | None:
    if written is None:
        return None
    value, trail = written
    by_name = {column.name: column for column in columns}
    if not isinstance(value, str) or value not in by_name:
        problems.append(Problem(trail, f"{quoted(value)} is not a column{suggestion(str(value), by_name)}"))
        return None
    column = by_name[value]
    if not column.required:
        problems.append(Problem(trail, f"{quoted(value)} must be required, or some rows have no version"))
    if column.key_position is not None:
        problems.append(
            Problem(trail, f"{quoted(value)} is in the primary key, so it is equal wherever it is compared")
        )
    if column.deletes is not None:
        problems.append(Problem(trail, f"{quoted(value)} says which rows are gone, so it is not stored"))
    if column.pg_type in _UNORDERED:
        problems.append(Problem(trail, f"{quoted(value)} is {column.pg_type}, which has no newer and older"))
    return value


def _deletions(
    written: tuple[Any, Trail] | None, columns: list[Column], here: Trail, problems: list[Problem]
) -> str | None:
    """What deletions need beside the column that marks them; the name of the table's own column, if any."""
    markers = [column.name for column in columns if column.deletes is not None]
    if len(markers) > 1:
        text = f"{listed(markers, 'and')} all have deletes; one column says which rows are gone"
        problems.append(Problem((*here, "properties"), text))
    if markers and not any(column.key_position for column in columns):
        text = (
            f"{quoted(markers[0])} has deletes and no column is primaryKey, so nobody knows which row is gone"
        )
        problems.append(Problem((*here, "properties"), text))
    return _own_column(written, columns, problems)


def _events(
    given: dict[str, tuple[Any, Trail]], columns: list[Column], here: Trail, problems: list[Problem]
) -> None:
    """What truncations and values that did not change need of the table."""
    for what, names in (
        ("truncates", [column.name for column in columns if column.truncates]),
        ("unchangedValues", [column.name for column in columns if column.unchanged_values]),
    ):
        if not names:
            continue
        trail: Trail = (*here, "properties")
        if "ordering" not in given or not any(column.key_position for column in columns):
            text = f"{quoted(names[0])} has {what}, which needs a primary key and ordering: which event came first?"
            problems.append(Problem(trail, text))
        for other in ("deletedAt", "validTo"):
            if other in given:
                text = (
                    f"{quoted(names[0])} has {what}, which only a table of live rows can keep; remove {other}"
                )
                problems.append(Problem(trail, text))
    for column in columns:
        if column.unchanged_values and (
            column.deletes is not None or given.get("ordering", ("",))[0] == column.name
        ):
            text = f"{quoted(column.name)} has unchangedValues, and what it says of the event has to be known"
            problems.append(Problem((*here, "properties"), text))
        if twice := sorted(set(column.truncates) & set(column.deletes or ())):
            text = f"{quoted(twice[0])} both deletes and truncates; it can mean one of the two"
            problems.append(Problem((*here, "properties"), text))


def _validity(
    given: dict[str, tuple[Any, Trail]], columns: list[Column], ordering: str | None, problems: list[Problem]
) -> tuple[str | None, str | None]:
    """The table's columns of versions: until when each holds, and whether it holds still."""
    ends, current = given.get("validTo"), given.get("isCurrent")
    names = _own_column(ends, columns, problems), _own_column(current, columns, problems)
    if ends is None:
        if current is not None:
            problems.append(Problem(current[1], "stands alone; give validTo as well", " "))
        return None, None
    if ordering is None or not any(column.key_position for column in columns):
        text = "needs a primary key and ordering, the column from which a version holds"
        problems.append(Problem(ends[1], text, " "))
    if "deletedAt" in given:
        problems.append(Problem(ends[1], "says already what deletedAt would; keep one of the two", " "))
    if names[0] is not None and names[0] == names[1]:
        problems.append(Problem(ends[1], f"{quoted(names[0])} is isCurrent, too; choose another name"))
    if unique := [column.name for column in columns if column.unique and not column.key_position]:
        text = f"keeps every version of a row, and {listed(unique, 'and')} must be unique"
        problems.append(Problem(ends[1], text, " "))
    return names


def _own_column(
    written: tuple[Any, Trail] | None, columns: list[Column], problems: list[Problem]
) -> str | None:
    """The name of a column that load fills, beside those that are read."""
    if written is None:
        return None
    value, trail = written
    if not isinstance(value, str):
        problems.append(Problem(trail, f"{quoted(value)} is not the name of a column"))
        return None
    if value.casefold() in {column.name.casefold() for column in columns}:
        problems.append(Problem(trail, f"{quoted(value)} is a column that is read; choose another name"))
    problems += _identifier(value, trail, is_column=True)
    return value
