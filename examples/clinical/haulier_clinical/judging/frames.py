"""An export read back: each Dataset-JSON file as a pandas frame of texts, integers and decimals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from haulier_clinical.judging.findings import JudgeError


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One file of an export."""

    name: str
    path: Path
    #: A column a variable; texts are empty where there is none, numbers None.
    frame: pd.DataFrame


def read_export(folder: Path) -> dict[str, Domain]:
    """Domain -> what its file holds. Raises `JudgeError` where there is no Dataset-JSON."""
    paths = [path for path in sorted(folder.glob("*.json")) if path.name != "export.json"]
    if not paths:
        raise JudgeError(
            f"{folder}: has no Dataset-JSON; write it with: python -m haulier_clinical export --to {folder}"
        )
    return {domain.name: domain for domain in map(_read, paths)}


def _read(path: Path) -> Domain:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        names = [column["name"] for column in document["columns"]]
        decimals = {column["name"] for column in document["columns"] if column["dataType"] == "decimal"}
        columns = zip(*document["rows"], strict=True) if document["rows"] else [()] * len(names)
        frame = pd.DataFrame(
            {
                name: pd.Series([_value(cell, name in decimals) for cell in cells], dtype=object)
                for name, cells in zip(names, columns, strict=True)
            }
        )
        return Domain(name=document["name"], path=path, frame=frame)
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as exc:
        raise JudgeError(
            f"{path}: is no Dataset-JSON that can be read ({type(exc).__name__}: {exc})"
        ) from exc


def _value(cell: Any, is_decimal: bool) -> Any:
    return Decimal(cell) if is_decimal and isinstance(cell, str) else cell
