"""Another reader of the clinical sample data, which knows how sites write and nothing of how files are made."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from generator import LIMITS, PANEL, ROW_KINDS, Delivered, Mess, Trial, convention_of

ROW_KEY = {
    "vitals": ("STUDY", "SUBJECT", "VISIT", "VISIT_DATE", "POSITION"),
    "labs": ("STUDY", "SUBJECT", "COLLECTED", "TESTCD"),
}

MANY_ACCIDENTS = Trial(
    seed=7,
    sites=("701", "702", "703", "704", "705", "706"),
    days=9,
    subjects=12,
    mess=Mess(
        missing=0.1,
        late=0.1,
        empty=0.05,
        half_written=0.1,
        broken_export=0.1,
        correction=0.3,
        resend=0.2,
        copy=0.2,
        new_column=0.5,
        **dict.fromkeys(ROW_KINDS, 0.2),
        arranged=False,
    ),
)
TRIALS = {"default": Trial(), "many accidents": MANY_ACCIDENTS}


class Arrived(NamedTuple):
    """A file as it was on the day it arrived, before a later day could replace it."""

    record: Delivered
    data: bytes
    modified: float


@dataclass(frozen=True)
class Read:
    """What another reader makes of a file."""

    header: list[str]
    rows: list[list[str]]
    lines: list[int]  # the physical line each row begins on
    stripped: int


def arrive(trial: Trial, landing: Path) -> Iterator[Arrived]:
    for day in range(trial.days):
        for record in trial.deliver(day, landing):
            path = landing / record.path
            yield Arrived(record, path.read_bytes(), path.stat().st_mtime)


def plain(arrived: Arrived) -> bytes:
    return gzip.decompress(arrived.data) if arrived.record.path.endswith(".gz") else arrived.data


def read(arrived: Arrived) -> Read:
    convention = convention_of(arrived.record.site)
    text = plain(arrived).decode(convention.encoding, "surrogateescape").removeprefix("\ufeff")
    records: list[list[str]] = []
    begins: list[int] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=convention.delimiter)
    last_line = 0
    for record in reader:
        records.append(record)
        begins.append(last_line + 1)
        last_line = reader.line_num
    start = len(convention.preamble)
    assert all(record[0].startswith("# ") for record in records[:start])
    names = {alias: name for name, alias in convention.aliases.items()}
    end = len(records)
    if convention.footer is not None and arrived.record.fate != "incomplete":
        end -= 1
        assert records[end] == [f"Total rows: {end - start - 1}"]
    return Read(
        header=[names.get(name, name) for name in records[start]],
        rows=records[start + 1 : end],
        lines=begins[start + 1 : end],
        stripped=start + len(records) - end,
    )


def number(text: str, decimal: str) -> Decimal | None:
    """The number, if it is one as this site writes it."""
    if decimal == "," and "." in text:
        return None
    try:
        return Decimal(text.replace(decimal, "."))
    except InvalidOperation:
        return None


def is_date(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def row_rule(fields: list[str], file: Read, record: Delivered) -> str:
    """What is wrong with a row by itself."""
    convention = convention_of(record.site)
    if len(fields) != len(file.header):
        if record.fate == "incomplete":
            return "cut_row"
        return "extra_field" if len(fields) > len(file.header) else "missing_field"
    row = dict(zip(file.header, fields, strict=True))
    text = "".join(fields)
    if "\0" in text:
        return "nul_byte"
    if any("\udc80" <= character <= "\udcff" for character in text):
        return "undecodable_byte"
    if not row["SUBJECT"]:
        return "missing_subject"
    if record.pipeline == "labs":
        if not is_date(row["COLLECTED"], "%Y-%m-%dT%H:%M"):
            return "bad_date"
        return "" if row["TESTCD"] in {test.code for test in PANEL} else "unknown_test"
    if not is_date(row["VISIT_DATE"], convention.vitals_date):
        return "bad_date"
    return next(filter(None, (cell_rule(row, column, convention.decimal) for column in LIMITS)), "")


def cell_rule(row: dict[str, str], column: str, decimal: str) -> str:
    if not row[column]:
        return ""
    value = number(row[column], decimal)
    if value is None:
        return "not_a_number"
    low, high = LIMITS[column]
    return "" if low <= value <= high else "out_of_range"


def judge(file: Read, record: Delivered) -> list[str]:
    """The rule each row breaks, in order; nothing for a good one."""
    rules = [row_rule(fields, file, record) for fields in file.rows]
    place = [file.header.index(column) for column in ROW_KEY[record.pipeline]]
    values: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    seen: set[tuple[str, ...]] = set()
    for at_row, fields in enumerate(file.rows):
        if not rules[at_row]:
            values.setdefault(tuple(fields[index] for index in place), set()).add(tuple(fields))
    for at_row, fields in enumerate(file.rows):
        if not rules[at_row]:
            if tuple(fields) in seen:
                rules[at_row] = "duplicate"
            elif len(values[tuple(fields[index] for index in place)]) > 1:
                rules[at_row] = "conflict"
            seen.add(tuple(fields))
    return rules


def measurements(file: Read, record: Delivered) -> tuple[Counter[str], int]:
    """The long form: how many measurements come to which end, and how many rows have none at all."""
    ends: Counter[str] = Counter()
    rejected = 0
    found: dict[tuple[str, ...], list[str]] = {}
    columns = tuple(LIMITS) if record.pipeline == "vitals" else ("RESULT",)
    for fields in file.rows:
        rule = row_rule(fields, file, record)
        if rule not in ("", "not_a_number", "out_of_range"):
            rejected += 1
            continue
        row = dict(zip(file.header, fields, strict=True))
        for column in columns:
            wrong = (
                cell_rule(row, column, convention_of(record.site).decimal)
                if record.pipeline == "vitals"
                else ""
            )
            if wrong:
                ends[wrong] += 1
            elif row[column]:
                key = (*(row[part] for part in ROW_KEY[record.pipeline]), column)
                found.setdefault(key, []).append(row[column])
    for given in found.values():
        if len(set(given)) > 1:
            ends["conflict"] += len(given)
        else:
            ends["good"] += 1
            ends["duplicate"] += len(given) - 1
    return +ends, rejected
