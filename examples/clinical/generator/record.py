"""What the generator did, in its own words: what an end-to-end test compares the ledger with."""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row that is not simply good."""

    row: int  # data row, from 1: the first after the header
    line: int  # line of the (decompressed) file it begins on, from 1
    rule: str  # a row kind, or cut_row
    column: str  # canonical name; "" where no single column is to blame
    scope: str  # row: it concerns the row as a whole; cell: the row's other measurements can be used; none: it enters
    value: str | None = None  # of the column, as it is in the file
    offset: int | None = None  # of an undecodable byte, in the (decompressed) file


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """read = good + duplicate + conflict + sum(bad). Of the bad, `rejected` are bad as a whole. What is odd and
    enters all the same is good."""

    read: int
    good: int
    duplicate: int  # the later ones of identical rows
    conflict: int  # every row of a key with two values
    bad: dict[str, int]
    rejected: int


@dataclass(frozen=True, kw_only=True)
class OutputCounts:
    """The same for measurements: a vitals row has up to five, a labs row is one, a row rejected as a whole
    has none. produced = good + duplicate + conflict + sum(bad)."""

    produced: int
    good: int
    duplicate: int
    conflict: int
    bad: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """One file that arrived."""

    site: str
    pipeline: str
    business_date: date
    day: int  # index of the day it arrived
    arrival_date: date  # UTC date of `modified`; the folder's date too, except for a completion
    path: str  # below the landing area
    modified: datetime
    bytes: int
    sha256: str
    kinds: tuple[str, ...]  # none: a clean file
    # load; known: the digest of the last delivery of this name; copy: a known digest under another name;
    # incomplete: wait; refused: nothing of it may be kept; quarantine: not a row of it may enter
    fate: str
    stripped: int  # lines before the header and after the last row
    rows: RowCounts
    outputs: OutputCounts
    changed: int  # of a correction: rows that were not, word for word, in what it corrects
    extra_columns: tuple[str, ...]
    findings: tuple[Finding, ...]

    def as_json(self) -> dict[str, Any]:
        return _plain(asdict(self))


@dataclass(frozen=True, kw_only=True)
class Missing:
    """One file that did not arrive on its business day."""

    site: str
    pipeline: str
    business_date: date
    day: int
    kinds: tuple[str, ...]  # late or missing
    arrives: date | None  # None: never; it may be after the trial's last day
    path: None = None

    def as_json(self) -> dict[str, Any]:
        return _plain(asdict(self))


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, date) else value for key, value in record.items()}
