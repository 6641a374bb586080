"""What the clinical example computes and judges itself: functions of a batch, named in its pipelines."""

from decimal import Decimal

import pandas as pd
import pyarrow as pa

from haulier_transform.batch import Batch

# Test -> unit, what is possible, and what is usual. Beyond the possible a value is rejected, beyond the usual
# it enters and is flagged. A sponsor approves such limits; these are the example's.
VITALS = {
    "SYSBP": ("mmHg", (40, 300), (70, 220)),
    "DIABP": ("mmHg", (20, 200), (40, 130)),
    "PULSE": ("beats/min", (20, 300), (40, 160)),
    "TEMP": ("C", (32, 44), (34, 41)),
    "WEIGHT": ("kg", (20, 400), (35, 200)),
}
NUMBER = pd.ArrowDtype(pa.decimal128(18, 6))


def vitals(batch: Batch) -> Batch:
    """Each measurement's unit; impossible values are rejected, unusual ones flagged."""
    batch = batch.assign(unit=batch.rows["testcd"].map({test: unit for test, (unit, _, _) in VITALS.items()}))
    for test, (unit, possible, usual) in VITALS.items():
        impossible = _outside(batch, test, possible)
        text = f"{test} is possible from {possible[0]} to {possible[1]} {unit}; check the value and its unit"
        batch = batch.reject(impossible, rule="impossible", column="result", message=text)
        unusual = _outside(batch, test, usual)
        text = f"{test} is usual from {usual[0]} to {usual[1]} {unit}"
        batch = batch.flag(unusual, rule="unusual", column="result", message=text)
    return batch


def labs(batch: Batch) -> Batch:
    """The result as a number, where it is one; one that is neither a number nor censored is flagged."""
    mark = batch.parameters.get("decimal_mark", ".")
    result = batch.rows["result"].str.strip()
    is_number = result.str.fullmatch(rf"[+-]?[0-9]{{1,12}}([{mark}][0-9]{{1,6}})?")
    is_censored = result.str.fullmatch(rf"[<>]=? ?[0-9]+([{mark}][0-9]+)?")
    number = result.where(is_number).str.replace(mark, ".", regex=False).astype(NUMBER)
    batch = batch.assign(result_numeric=number)
    text = "the result is neither a number nor a limit such as <0.2; it is kept as it is"
    return batch.flag(~(is_number | is_censored), rule="result-in-words", column="result", message=text)


def _outside(batch: Batch, test: str, limits: tuple[int, int]) -> pd.Series:
    low, high = limits
    result = batch.rows["result"]
    return (batch.rows["testcd"] == test) & ((result < Decimal(low)) | (result > Decimal(high)))
