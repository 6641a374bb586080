"""A contract of the standard, written with other fields of its own, of its table or with more columns, and loaded."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from haulier.contracts import Column, Contract
from haulier.errors import DefinitionError
from haulier.odcs.contract import load_contract

BASE: dict[str, Any] = {
    "apiVersion": "v3.2.0",
    "kind": "DataContract",
    "id": "things",
    "version": "2.1.0",
    "description": {"purpose": "To know all things."},
    "schema": [
        {
            "name": "things",
            "physicalName": "shop.things",
            "properties": [{"name": "thing", "logicalType": "string", "primaryKey": True}],
        }
    ],
}


def loader(folder: Path) -> Callable[..., Contract]:
    """Loads the document above with other fields of the contract, the table, or with more columns."""

    def load(*columns: Any, table: dict[str, Any] | None = None, **document: Any) -> Contract:
        written = copy.deepcopy(BASE) | document
        if written["schema"] and written["schema"] is not ...:
            written["schema"][0] |= table or {}
            written["schema"][0].setdefault("properties", []).extend(columns)
        written = {key: value for key, value in written.items() if value is not ...}
        path = folder / "things.odcs.yaml"
        path.write_text(yaml.safe_dump(written, sort_keys=False))
        return load_contract(path, "contracts/things.odcs.yaml")

    return load


def adder(load: Callable[..., Contract]) -> Callable[..., Column]:
    """Loads one more column, named x unless it says otherwise."""

    def column(**written: Any) -> Column:
        return load({"name": "x", **written}).columns[-1]

    return column


def refuser(load: Callable[..., Contract]) -> Callable[..., str]:
    """What is said of one more column named x, after its place."""

    def refusal(**written: Any) -> str:
        with pytest.raises(DefinitionError) as refused:
            load({"name": "x", **written})
        place = "contracts/things.odcs.yaml: schema[things].properties[x]."
        lines = str(refused.value).splitlines()
        assert all(line.startswith(place) for line in lines), lines
        return "\n".join(line.removeprefix(place) for line in lines)

    return refusal


def custom(**values: Any) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in values.items()]


def keyed(name: str, **written: Any) -> dict[str, Any]:
    return {"name": name, "logicalType": "string", **written}


def marking(values: Any, **written: Any) -> dict[str, Any]:
    return {"name": "op", "logicalType": "string", "customProperties": custom(deletes=values), **written}
