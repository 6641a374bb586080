"""A file whose columns are not those of the contract: what the definition says to that (`transform.drift`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from haulier import rows
from haulier.contracts import EXTRA, Contract
from haulier.definitions import Transform
from haulier.errors import DataError
from haulier.odcs.widths import kind_of_change
from haulier_transform import kernels as pc
from haulier_transform import parsing
from haulier_transform.arrays import Array, Mask, null, of_texts, positions, quoted, valid_of
from haulier_transform.header import Header
from haulier_transform.judging import Finding, Judge, Judged

#: Arrow's types as PostgreSQL's that hold exactly their values; those that are not here are another thing altogether.
_AS_POSTGRES = {
    "int8": "smallint", "uint8": "smallint", "int16": "smallint", "uint16": "integer", "int32": "integer",
    "uint32": "bigint", "int64": "bigint", "uint64": "numeric(20,0)", "double": "double precision", "bool": "boolean",
    "date32[day]": "date", "string": "text",
}  # fmt: skip
_WORDS = {"widened": "holds more than", "narrowed": "holds less than", "retyped": "is another type than"}


class Drifting:
    """One definition's say in what its files have more, less or otherwise than the contract."""

    def __init__(self, contract: Contract, transform: Transform, judges: Mapping[str, Judge]) -> None:
        self._contract, self._policy, self._judges = contract, transform.drift, judges
        self._values_to = transform.unpivot.values_to if transform.unpivot else None
        fields = self._policy.__struct_fields__
        self._stops = frozenset(kind for kind in fields if getattr(self._policy, kind) == "stop")
        self._markers = of_texts(sorted(transform.null_values))

    def stop(self, header: Header, schema: pa.Schema, where: str) -> None:
        """Raises `DataError` at a difference that the definition stops at; nothing of the run is loaded then."""
        for kind, problem in self._differences(header, schema) if self._stops else ():
            if kind in self._stops:
                raise DataError(f"{where}: {problem}; transform.drift.{kind} is stop")

    def _differences(self, header: Header, schema: pa.Schema) -> Iterator[tuple[str, str]]:
        """(kind, what differs and what to do about it). ``schema`` has the header's columns."""
        contract = f"contract {self._contract.id} {self._contract.version}"
        if header.unknown and header.is_unknown:
            # Without a header its names would be the first row's values: they are not repeated here.
            yield "new_column", f"no column is in {contract}; has it a header?"
        for name in () if header.is_unknown else header.unknown:
            yield (
                "new_column",
                f"column {quoted(name)} is not in {contract}; add it there ({{name: …, logicalType: string}}, or a synonym "
                f"of a column that is), or write keep to have it in {EXTRA}, and run again",
            )
        for name in header.missing:
            yield (
                "missing_column",
                f"it has no column {name}, which {contract} has; ask for it, or approve its new name as a synonym there, "
                "and run again",
            )
        for name, place in header.renamed.items():
            yield (
                "renamed",
                f"column {name} is called {quoted(schema.names[place])}; say so in transform.columns, and run again",
            )
        places = [
            *header.columns.items(),
            *((self._values_to, at) for at in header.unpivoted.values()),
            *((name, at) for (name, _), at in header.beside.items()),
        ]
        for column, place in places:
            if column is None:
                continue
            promised, found = self._contract.column(column).pg_type, schema.field(place).type
            if kind := kind_of_type(found, promised):
                yield (
                    kind,
                    f"column {quoted(schema.names[place])} is {found} there, which {_WORDS[kind]} {promised}, as {contract} "
                    f"has {column}; write another physicalType there, or ask for the former type, and run again",
                )

    def findings(self, text: pa.Table, header: Header) -> dict[str, list[Finding]]:
        """Column -> rows to reject, because of a column the contract does not know or the file does not have."""
        policy, count = self._policy, text.num_rows
        found: dict[str, list[Finding]] = {}

        def reject(rule: str, name: str, which_rows: Mask, message: str) -> None:
            at = positions(which_rows)
            which = np.zeros(len(at), dtype=np.int64)
            finding = Finding(rule=rule, column=name, at=at, which=which, messages=[message])
            found.setdefault(name, []).append(finding)

        if policy.new_column == "reject":
            for name, place in zip(header.unknown, header.unknown_at, strict=True):
                message = (
                    f"there is a value in {quoted(name)}, which the contract does not know. Add the column there, or let "
                    "transform.drift.new_column keep it, and replay; or send the row without."
                )
                reject("new-column", name, valid_of(self._values(text.column(place))), message)
        if policy.missing_column == "reject":
            for name in header.missing:
                message = f"the file has no column {name}. Send it with that, or approve its new name as a synonym and replay."
                reject("missing-column", name, np.ones(count, dtype=bool), message)
        if policy.renamed == "reject":
            for name, place in header.renamed.items():
                message = f"{name} is called {quoted(text.column_names[place])} here. Name that in transform.columns and replay."
                holds = self._judges[name].holds(_texts(text.column(place)))
                reject("renamed-column", name, holds, message)
        return found

    def kept(self, text: pa.Table, header: Header) -> Judged:
        """What stands in columns the contract does not know: one JSON object a row, null where there is nothing."""
        problems, columns = [], []
        for name, place in zip(header.unknown, header.unknown_at, strict=True):
            parsed = parsing.text(self._values(text.column(place)))
            for wrong in parsed.wrong:
                which = np.zeros(len(wrong.at), dtype=np.int64)
                messages = [f"{quoted(name)} {wrong.says}"]
                problems.append(
                    Finding(rule=wrong.rule, column=name, at=wrong.at, which=which, messages=messages)
                )
            columns.append(parsed.values.to_pylist())
        if not columns:
            return Judged(values=pa.nulls(text.num_rows, pa.string()), codes=None)
        held = (_held(header.unknown, values) for values in zip(*columns, strict=True))
        objects = [msgspec.json.encode(row).decode() if row else None for row in held]
        return Judged(values=of_texts(objects), codes=None, problems=problems)

    def _values(self, column: Any) -> Array:
        """The cells of an unknown column as text; null where there is none, or a mark for none."""
        texts = _texts(column)
        if not len(self._markers):
            return texts
        return pc.if_else(pc.is_in(texts, self._markers), null(pa.string()), texts)


def kind_of_type(found: pa.DataType, promised: str) -> str | None:
    """How a source's own type differs from the contract's: `widened`, `narrowed` or `retyped`; ``None``: not at all."""
    if pa.types.is_null(found):
        return None
    if pa.types.is_string(found) and (promised == "jsonb" or promised.startswith("varchar")):
        # No source says how long its texts are, and nested values come as text: each is judged.
        return None
    if pa.types.is_float32(found) and promised == "double precision":
        return "narrowed"
    # A column without a limit has that of the parts its values travel in.
    limited = f"numeric({rows.NUMERIC_PRECISION},{rows.NUMERIC_SCALE})" if promised == "numeric" else promised
    return kind_of_change(limited, _postgres(found))


def _postgres(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    if pa.types.is_time(kind):
        return "time"
    if kind == pa.uuid():
        return "uuid"
    return _AS_POSTGRES.get(str(kind), str(kind))


def _texts(column: Any) -> Array:
    cells = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(cells.type):
        cells = pc.cast(cells, pa.string())
    if pa.types.is_string(cells.type):
        return cells
    from haulier.texts import texts_of

    return texts_of(cells)


def _held(names: Sequence[str], values: Sequence[str | None]) -> dict[str, str]:
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}
