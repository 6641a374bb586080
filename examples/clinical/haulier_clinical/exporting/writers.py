"""The three formats, each written batch by batch: Dataset-JSON 1.1, CSV, Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from haulier.errors import DataError
from haulier_clinical import __version__
from haulier_clinical.exporting.datasets import Column, Dataset, Kind

#: A record: text, int, Decimal, or None where there is no value.
Row = Sequence[Any]


class Writer(Protocol):
    """One file being written."""

    def write(self, rows: Sequence[Row]) -> None: ...

    def close(self) -> None: ...


#: CDISC Dataset-JSON 1.1: a decimal is a JSON string, so that no reader makes a binary float of it unasked; dates and
#: times are texts, so that partial ones stay what they are.
_TYPES: Mapping[Kind, Mapping[str, str]] = {
    "text": {"dataType": "string"},
    "moment": {"dataType": "datetime"},
    "integer": {"dataType": "integer"},
    "decimal": {"dataType": "decimal", "targetDataType": "decimal"},
}


class DatasetJson:
    """CDISC Dataset-JSON 1.1."""

    def __init__(
        self, path: Path, dataset: Dataset, created: datetime, changed: datetime | None, source: str
    ) -> None:
        self._kinds = [column.kind for column in dataset.columns]
        self._file = path.open("w", encoding="utf-8", newline="\n")
        keys = sorted(column.variable.key for column in dataset.columns if column.variable.key)
        head: dict[str, Any] = {
            "datasetJSONCreationDateTime": f"{created:%Y-%m-%dT%H:%M:%SZ}",
            "datasetJSONVersion": "1.1.0",
            "fileOID": f"{dataset.study}.{dataset.domain}.{created:%Y%m%dT%H%M%SZ}",
            **({"dbLastModifiedDateTime": f"{changed:%Y-%m-%dT%H:%M:%SZ}"} if changed else {}),
            "originator": source,
            "sourceSystem": {"name": "haulier-clinical", "version": __version__},
            "studyOID": dataset.study,
            "metaDataVersionOID": "MDV.SDTMIG.3.4",
            "itemGroupOID": f"IG.{dataset.domain}",
            "records": dataset.rows,
            "name": dataset.domain,
            "label": dataset.label,
            "columns": [_described(column, keys) for column in dataset.columns],
        }
        self._file.write(json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "rows": [')
        self._separator = "\n"

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            cells = [_cell(value, kind) for value, kind in zip(row, self._kinds, strict=True)]
            self._file.write(self._separator + json.dumps(cells, ensure_ascii=False, separators=(",", ":")))
            self._separator = ",\n"

    def close(self) -> None:
        self._file.write("\n ]\n}\n")
        self._file.close()


def _described(column: Column, keys: Sequence[int]) -> dict[str, Any]:
    """``keys``: the places of the key's variables that are exported, which are numbered anew without gaps."""
    variable = column.variable
    return {
        "itemOID": f"IT.{variable.domain}.{variable.name}",
        "name": variable.name,
        "label": variable.label,
        **_TYPES[column.kind],
        **({"length": column.length} if column.kind == "text" else {}),
        **({"keySequence": keys.index(variable.key) + 1} if variable.key else {}),
    }


def _cell(value: Any, kind: Kind) -> Any:
    """No value is an empty text among texts and null among numbers, as the standard has it."""
    if value is None:
        return "" if kind in ("text", "moment") else None
    return format(value, "f") if kind == "decimal" else value


class Csv:
    """Comma, UTF-8, variable names in the first line, plain decimals; no value is an empty cell."""

    def __init__(self, path: Path, dataset: Dataset) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow([column.name for column in dataset.columns])
        self._kinds = [column.kind for column in dataset.columns]

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            cells = [_cell(value, kind) for value, kind in zip(row, self._kinds, strict=True)]
            self._writer.writerow(["" if cell is None else cell for cell in cells])

    def close(self) -> None:
        self._file.close()


class Parquet:
    """Typed: texts, 64-bit integers, decimals as wide as the widest value; labels beside the columns."""

    def __init__(self, path: Path, dataset: Dataset) -> None:
        fields = [
            pa.field(column.name, _arrow_type(column), metadata={"label": column.variable.label})
            for column in dataset.columns
        ]
        about = {"dataset": dataset.domain, "label": dataset.label, "study": dataset.study}
        self._schema = pa.schema(fields, metadata=about)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: Sequence[Row]) -> None:
        arrays = [
            pa.array(cells, field.type)
            for cells, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _arrow_type(column: Column) -> Any:
    if column.kind == "integer":
        return pa.int64()
    if column.kind != "decimal":
        return pa.string()
    digits = max(column.length + column.scale, 1)
    if digits > 76:
        raise DataError(f"{column.name}: a value has {digits} digits; Parquet's decimals have up to 76")
    return pa.decimal128(digits, column.scale) if digits <= 38 else pa.decimal256(digits, column.scale)


#: Format -> how its files end.
ENDINGS = {"json": ".json", "csv": ".csv", "parquet": ".parquet"}


def open_writer(
    form: str, path: Path, dataset: Dataset, created: datetime, changed: datetime | None, source: str
) -> Writer:
    """The writer of one format of `ENDINGS`."""
    made: Mapping[str, Callable[[], Writer]] = {
        "json": lambda: DatasetJson(path, dataset, created, changed, source),
        "csv": lambda: Csv(path, dataset),
        "parquet": lambda: Parquet(path, dataset),
    }
    return made[form]()
