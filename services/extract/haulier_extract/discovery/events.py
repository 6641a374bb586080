"""What a contract has to say besides when its rows are events of another table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haulier.rows import UNAVAILABLE

_OPERATION, _ORDER = "__op", "__lsn"
#: Types whose long values PostgreSQL keeps apart from their row.
_LONG = frozenset({"string", "object", "array"})


def of_events(contract: dict[str, Any]) -> dict[str, Any]:
    """The contract with marks on the columns that say what happened, and when; of columns that are not there, none."""
    (table,) = contract["schema"]
    sources = {_source(one): one["name"] for one in table["properties"]}
    properties = [_marked(one) for one in table["properties"]]
    order = [{"property": "ordering", "value": sources[_ORDER]}] if _ORDER in sources else []
    marks = {"customProperties": order} if order else {}
    head = {name: value for name, value in table.items() if name != "properties"}
    return {**contract, "schema": [{**head, **marks, "properties": properties}]}


def _marked(column: dict[str, Any]) -> dict[str, Any]:
    source = _source(column)
    if source == _OPERATION:
        # What a sample shows is not all that may happen.
        kept = {name: value for name, value in column.items() if name != "enum"}
        return kept | _custom(deletes=["d"], truncates=["t"])
    if source.startswith("__") or column.get("primaryKey") or column["logicalType"] not in _LONG:
        return column
    return column | _custom(unchangedValues=[UNAVAILABLE])


def _custom(**properties: list[str]) -> dict[str, Any]:
    return {"customProperties": [{"property": name, "value": value} for name, value in properties.items()]}


def _source(column: Mapping[str, Any]) -> str:
    """The column's name in what is sent."""
    written = column.get("synonyms")
    return str(written[0]["synonym"] if written else column["name"])
