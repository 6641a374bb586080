"""The clinical product's own tables, and batches made of a few cells."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow as pa

from haulier.contracts import Contract
from haulier.odcs.contract import load_contract
from haulier_clinical import functions
from haulier_clinical.measuring import Measured, Measuring, Sent
from haulier_transform.batch import Batch
from haulier_transform.references import References

FOLDER = Path("examples/clinical/sdtm")
TABLES = ("tests", "units", "conversions", "words", "visits", "limits")


@cache
def references() -> References:
    return References({name: (FOLDER / f"references/{name}.csv").read_text("utf-8") for name in TABLES})


def contract(domain: str) -> Contract:
    return load_contract(FOLDER / f"contracts/{domain}.odcs.yaml", domain)


@cache
def _measuring(domain: str, parameters: tuple[tuple[str, str], ...]) -> Measuring:
    return Measuring(references(), dict(parameters), domain)


def measured(domain: str = "LB", parameters: Mapping[str, str] | None = None, **sent: str) -> Measured:
    return _measuring(domain, tuple((parameters or {}).items()))(Sent(**sent))


def batch_of(domain: str, *rows: Mapping[str, str], **parameters: str) -> Batch:
    """Rows of the contract's columns, with what every row needs filled in."""
    usual = {"studyid": "T", "subjid": "001", "visit": "Baseline", "collected_date": "2026-01-05"}
    names = [column.name for column in contract(domain).columns]
    cells = {name: [{**usual, **row}.get(name) or None for row in rows] for name in names}
    arrays = {name: pd.Series(pd.array(texts, pd.ArrowDtype(pa.string()))) for name, texts in cells.items()}
    frame = pd.DataFrame(arrays)
    return Batch.of(
        frame, instance="701", parameters=parameters, references=references(), reshape=domain == "vs"
    )


def applied(domain: str, *rows: Mapping[str, str], **parameters: str) -> Batch:
    """What the domain's function makes of them."""
    function = functions.lb if domain == "lb" else functions.vs
    return function(batch_of(domain, *rows, **parameters))


def flags(batch: Batch) -> list[tuple[int, str, str]]:
    """(row, rule, column) of each."""
    found = batch.flags
    return list(zip(found["source"], found["rule"], found["column"], strict=True))
