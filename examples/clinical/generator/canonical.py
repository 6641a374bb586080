"""A row as its table holds it once it entered: what becomes of each cell that a site wrote.

This is the generator's own knowledge: of a cell that it spoiled it knows with what, of any other what it measured. It asks no
function of the clinical package.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from generator.conventions import IMPERIAL, MEASURES, Convention
from generator.measurements import PANEL, LabTest, Row
from generator.spoil import SAYS, Line

Values = tuple[str | Decimal | None, ...]
Flagged = tuple[str, str]  # rule, contract column


class Table(NamedTuple):
    """Where the rows of a pipeline are, and which of its columns are compared: those of its key, and the others."""

    name: str
    key: tuple[str, ...]
    others: tuple[str, ...]


TABLES: Mapping[str, Table] = {
    "vitals": Table(
        "clinical.vs",
        ("studyid", "usubjid", "vstestcd", "visitnum", "vsdtc", "vstpt", "vspos"),
        (
            *("visit", "collected_date", "collected_code", "collected_result", "collected_unit"),
            *("vsorres", "vsorresu", "vsstresc", "vsstresn", "vsstresu", "vsstat"),
        ),
    ),
    "labs": Table(
        "clinical.lb",
        ("studyid", "usubjid", "lbtestcd", "lbspec", "visitnum", "lbdtc", "lbtpt"),
        (
            *("visit", "collected_code", "collected_test", "lbtest", "collected_result", "collected_unit"),
            *("collected_low", "collected_high", "collected_date", "comment"),
            *("lborres", "lborresu", "lbornrlo", "lbornrhi", "lbstresc", "lbstresn", "lbstresu", "lbstnrlo", "lbstnrhi"),
            *("lbnrind", "lbstat", "lbreasnd", "lbspccnd"),
        ),
    ),
}  # fmt: skip
RESULT = "collected_result"
NOT_DONE, IN_WORDS, CONDITION = "NOT DONE", "result-in-words", "specimen-condition"
UNIT_UNKNOWN, TEST_UNKNOWN, IMPLAUSIBLE, UNUSUAL = "unit-unknown", "test-unknown", "implausible", "unusual"
# As CDISC writes what the laboratories call otherwise. NA is sodium.
TEST_CODES: Mapping[str, str] = {"NA": "SODIUM"}
UNITS: Mapping[str, str] = {"µmol/L": "umol/L", "µg/L": "ug/L"}
STANDARD_UNITS: Mapping[str, str] = {"L/L": "fraction of 1"}
# Written otherwise, it is another unit of the same size.
OTHER_UNITS = ("IU/L",)
_TESTS: Mapping[str, LabTest] = {test.code: test for test in PANEL}
_CENT = Decimal("0.01")


class Output(NamedTuple):
    """One measurement of a row: the source column it is from, its key, its other values, and what a person is told."""

    column: str
    key: Values
    values: Values
    flags: tuple[Flagged, ...] = ()


class Standard(NamedTuple):
    """A result in its standard form."""

    text: str | None = None
    number: Decimal | None = None
    unit: str | None = None


def measured(pipeline: str, row: Row, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of a row that become a row of the table each."""
    if pipeline == "labs":
        return ("RESULT",)
    return tuple(column for column in MEASURES if column in columns and row[column])


def outputs(pipeline: str, line: Line, columns: tuple[str, ...], convention: Convention) -> Iterator[Output]:
    """The measurements of a row whose key can be read."""
    if pipeline == "labs":
        yield _lab(line, columns, convention)
        return
    for column in measured(pipeline, line.values, columns):
        yield _vital(line, column, convention)


def visit_number(name: str) -> Decimal:
    """As the trial numbers its visits: SCREENING, BASELINE, and each later day by itself."""
    return {"SCREENING": Decimal(1), "BASELINE": Decimal(2)}.get(name) or Decimal(name.removeprefix("DAY "))


def _vital(line: Line, column: str, convention: Convention) -> Output:
    row, text = line.values, line.values[column]
    measure = MEASURES[column]
    unit = IMPERIAL[column].unit if convention.imperial and column in IMPERIAL else measure.unit
    day = datetime.strptime(row["VISIT_DATE"], convention.vitals_date).date()  # noqa: DTZ007 (a day)
    key = (
        *(row["STUDY"], row["SUBJECT"], measure.test, visit_number(row["VISIT"])),
        *(day.isoformat(), "", row["POSITION"]),
    )
    flags: tuple[Flagged, ...] = ()
    if line.rule == "not_a_number" and line.column == column:
        standard, flags = Standard(text), ((IN_WORDS, RESULT),)
    else:
        number = _number(text, convention)
        if unit != measure.unit:
            number = IMPERIAL[column].to_metric(number).quantize(_CENT, ROUND_HALF_UP)
        standard = Standard(_plain(number), number, measure.unit)
        if not measure.possible[0] <= number <= measure.possible[1]:
            standard, flags = Standard(), ((IMPLAUSIBLE, RESULT),)
        elif not measure.usual[0] <= number <= measure.usual[1]:
            flags = ((UNUSUAL, RESULT),)
    sent = (row["VISIT"], row["VISIT_DATE"], measure.test, text, unit)
    return Output(column, key, (*sent, text, unit, *standard, None), flags)


def _lab(line: Line, columns: tuple[str, ...], convention: Convention) -> Output:
    row, rule = line.values, line.rule
    name = row["TEST"] if "TEST" in columns else None
    code = TEST_CODES.get(row["TESTCD"], row["TESTCD"])
    test = _TESTS.get(row["TESTCD"])
    key = (row["STUDY"], row["SUBJECT"], code, "", visit_number(row["VISIT"]), row["COLLECTED"], "")
    sent = (
        *(row["VISIT"], row["TESTCD"], name, test.name if test else name or code),
        *(row["RESULT"], row["UNIT"], row["LOW"] or None, row["HIGH"] or None, row["COLLECTED"]),
        row["COMMENT"] or None,
    )
    flags: tuple[Flagged, ...] = () if test else ((TEST_UNKNOWN, "collected_code"),)
    result: Values
    if rule == "not_done":
        result = (*[None] * 10, NOT_DONE, None, None)
    elif rule == "specimen":
        term = SAYS[row["RESULT"]]
        result = (*[None] * 10, NOT_DONE, f"SPECIMEN {term}", term)
        flags = ((CONDITION, RESULT),)
    else:
        asked = row["UNIT"] if test is None or row["UNIT"] in OTHER_UNITS else test.unit
        unit = UNITS.get(asked, asked)
        number, low, high = None, _limit(row["LOW"], convention), _limit(row["HIGH"], convention)
        standard, indicator = Standard(), None
        if rule == "coded_result":
            standard = Standard(SAYS[row["RESULT"]])
        elif rule == "result_in_words":
            standard, flags = Standard(row["RESULT"]), ((IN_WORDS, RESULT),)
        else:
            operator = row["RESULT"][: len(row["RESULT"]) - len(row["RESULT"].lstrip("<>="))]
            number = _number(row["RESULT"].removeprefix(operator), convention)
            indicator = _indicator(operator, number, low, high)
            if rule == "unit_unknown":
                unit, flags, number = row["UNIT"], ((UNIT_UNKNOWN, "collected_unit"),), None
            else:
                wanted = STANDARD_UNITS.get(unit, unit) if test else unit
                wanted = "U/L" if wanted in OTHER_UNITS else wanted
                standard = Standard(f"{operator}{_plain(number)}", None if operator else number, wanted)
        limits = (low, high) if number is not None else (None, None)
        result = (
            *(row["RESULT"], unit, row["LOW"] or None, row["HIGH"] or None),
            *(*standard, *limits, indicator, None, None, None),
        )
    return Output("RESULT", key, (*sent, *result), flags)


def _indicator(operator: str, number: Decimal, low: Decimal | None, high: Decimal | None) -> str | None:
    """Whether it is low or high; of a result that is itself a limit, where that can be told."""
    is_less, is_more = operator.startswith("<"), operator.startswith(">")
    if not is_more and low is not None and number < low:
        return "LOW"
    if not is_less and high is not None and number > high:
        return "HIGH"
    if is_less:
        return "NORMAL" if low is None and high is not None and number <= high else None
    if is_more:
        return "NORMAL" if high is None and low is not None and number >= low else None
    return "NORMAL"


def _plain(number: Decimal) -> str:
    """Without the zeros behind its last digit."""
    text = str(number)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _limit(text: str, convention: Convention) -> Decimal | None:
    return _number(text, convention) if text else None


def _number(text: str, convention: Convention) -> Decimal:
    return Decimal(text.replace(convention.decimal, "."))
