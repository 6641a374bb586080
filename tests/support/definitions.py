"""A definitions folder of one pipeline and one contract, written with changes, and what is said of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from haulier import loading
from haulier.contracts import Contract
from haulier.definitions import Instance
from haulier.errors import DefinitionError

PIPELINE: dict[str, Any] = {
    "pipeline": "orders",
    "contract": "../contracts/orders.odcs.yaml",
    "schedule": "@daily",
    "start": "2026-01-05",
    "source": {
        "files": {"path": "{instance}/{pipeline}_*.csv"},
        "csv": {"delimiter": ";", "footer": {"pattern": "Total: ([0-9]+)"}},
    },
    "transform": {
        "columns": {"No": "number", "When": "placed"},
        "date_formats": {"placed": ["%d.%m.%Y"]},
        "null_values": ["-"],
    },
    "load": {"reject_threshold": 0.1},
    "instances": {
        "north": {},
        "south": {
            "description": "The other shop",
            "parameters": {"folder": "s"},
            "source": {
                "files": {"path": "in/{folder}/{instance}-*.csv", "logical_name": "{folder}/{name}"},
                "csv": {"encoding": "cp1252", "footer": None},
            },
            "transform": {"columns": {"Nr": "number", "No": None}, "null_values": ["?"]},
        },
    },
}
CONTRACT: dict[str, Any] = {
    "apiVersion": "v3.2.0",
    "kind": "DataContract",
    "id": "orders",
    "version": "1.0.0",
    "schema": [
        {
            "name": "orders",
            "physicalName": "sales.orders",
            "properties": [
                {"name": "number", "logicalType": "string", "primaryKey": True},
                {"name": "placed", "logicalType": "date"},
                {
                    "name": "kind",
                    "logicalType": "string",
                    "primaryKey": True,
                    "enum": [{"value": "NET"}, {"value": "TAX"}],
                },
                {"name": "amount", "logicalType": "number"},
                {"name": "total", "logicalType": "number", "transformLogic": "sum of it all"},
            ],
        }
    ],
}
WITH_FUNCTION = {"transform.functions": ["shop.total"]}


def changed(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with values set at dotted paths; `...` takes a key away."""
    document = copy.deepcopy(document)
    here: Any
    for path, value in changes.items():
        *front, last = path.split(".")
        here = document
        for key in front:
            here = here[int(key)] if isinstance(here, list) else here.setdefault(key, {})
        if value is ...:
            del here[last]
        else:
            here[last] = value
    return document


def writer(folder: Path) -> Callable[..., Path]:
    """Writes a definitions folder: the documents above, changed."""

    def write(
        pipeline: dict[str, Any] | None = None, contract: dict[str, Any] | None = None, name: str = "orders"
    ) -> Path:
        for kind, file, document in (
            ("pipelines", f"{name}.yaml", changed(PIPELINE, {**WITH_FUNCTION, **(pipeline or {})})),
            ("contracts", "orders.odcs.yaml", changed(CONTRACT, contract or {})),
        ):
            (folder / kind).mkdir(exist_ok=True)
            (folder / kind / file).write_text(yaml.safe_dump(document, sort_keys=False))
        return folder

    return write


def resolve(folder: Path, instance: str = "north") -> tuple[Instance, Contract]:
    return loading.resolve(loading.load_pipeline(folder, "orders"), instance)


def refusal(folder: Path, instance: str = "north") -> str:
    with pytest.raises(DefinitionError) as refused:
        resolve(folder, instance)
    assert refused.value.exit_code == 2
    return str(refused.value)
