"""A row as its table holds it once it entered: what the contracts make of what a site wrote."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import NamedTuple
from zoneinfo import ZoneInfo

from generator.conventions import Convention
from generator.measurements import Row

Values = tuple[str | date | Decimal | None, ...]

# The columns of each table: those of its key, and the others.
TABLES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "vitals": (
        ("study", "subject", "visit", "visit_date", "position", "testcd"),
        ("result", "unit"),
    ),
    "labs": (
        ("study", "subject", "collected", "testcd"),
        ("visit", "test", "result", "result_numeric", "unit", "low", "high", "comment"),
    ),
}
# Column of a vitals row -> test, its unit, and what is usual.
TESTS: Mapping[str, tuple[str, str, tuple[int, int]]] = {
    "SYS_BP": ("SYSBP", "mmHg", (70, 220)),
    "DIA_BP": ("DIABP", "mmHg", (40, 130)),
    "PULSE": ("PULSE", "beats/min", (40, 160)),
    "TEMP_C": ("TEMP", "C", (34, 41)),
    "WEIGHT_KG": ("WEIGHT", "kg", (35, 200)),
}


class Output(NamedTuple):
    """One measurement of a row: the source column it is from, its key and its other values."""

    column: str
    key: Values
    values: Values
    is_unusual: bool = False


def outputs(pipeline: str, row: Row, columns: tuple[str, ...], convention: Convention) -> Iterator[Output]:
    """The measurements of a row whose key can be read."""
    if pipeline == "vitals":
        yield from _vitals(row, convention)
        return
    collected = datetime.fromisoformat(row["COLLECTED"]).replace(tzinfo=ZoneInfo(convention.timezone))
    yield Output(
        "RESULT",
        (row["STUDY"], row["SUBJECT"], collected.astimezone(UTC), row["TESTCD"]),
        (
            row["VISIT"],
            row["TEST"] if "TEST" in columns else None,
            row["RESULT"],
            _number(row["RESULT"], convention),
            row["UNIT"] or None,
            _number(row["LOW"], convention),
            _number(row["HIGH"], convention),
            row["COMMENT"] or None,
        ),
    )


def _vitals(row: Row, convention: Convention) -> Iterator[Output]:
    visit_date = datetime.strptime(row["VISIT_DATE"], convention.vitals_date).date()  # noqa: DTZ007 (a day)
    for column, (test, unit, (low, high)) in TESTS.items():
        if row[column]:
            value = _number(row[column], convention)
            yield Output(
                column,
                (row["STUDY"], row["SUBJECT"], row["VISIT"], visit_date, row["POSITION"], test),
                (value, unit),
                is_unusual=value is not None and not low <= value <= high,
            )


def _number(text: str, convention: Convention) -> Decimal | None:
    try:
        return Decimal(text.replace(convention.decimal, "."))
    except InvalidOperation:
        return None
