"""Functions of a user's own, written for a test and applied to a table of subjects."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.transforming import column, transformed

from haulier_transform.canonical import Result
from haulier_transform.functions import Functions

COLUMNS = [
    column("subject", required=True),
    column("weight", "numeric(6,2)"),
    column("height", "numeric(6,2)", soft_maximum="220"),
    column("bmi", "numeric(6,1)", derived=True, maximum="90"),
    column("taken", "date", derived=True),
    column("id", "uuid"),
]
HEADER = ["subject", "weight", "height", "id"]
UUID = "123e4567-e89b-12d3-a456-426614174000"
ROWS: list[list[str | None]] = [
    ["S0", "70", "175", UUID],
    ["S1", "80", None, None],
    ["S2", "90", "230", None],
    ["S3", "x", "180", None],
]


def writer(folder: Path) -> Callable[..., Functions]:
    """Writes a module into the functions folder and loads functions of it."""

    def written(body: str, *names: str, module: str = "labs") -> Functions:
        (folder / f"{module}.py").write_text(
            "import pandas as pd\nimport pyarrow as pa\nfrom decimal import Decimal\n" + textwrap.dedent(body)
        )
        return Functions.load(names or (f"{module}.run",), folder)

    return written


def applied(functions: Functions, rows: list[list[str | None]] = ROWS, **more: Any) -> Result:
    return transformed(HEADER, rows, COLUMNS, functions=functions, **more)


BMI = """
    def run(batch):
        batch = batch.reject(batch.rows["height"].isna(), rule="no-height", column="height", message="no height")
        square = batch.rows["height"] * batch.rows["height"]
        return batch.assign(bmi=(batch.rows["weight"] * Decimal(10000) / square).round(1))
"""
