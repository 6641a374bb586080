"""What the ledger and the tables have to hold after a trial, as events, each of one kind of mess."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

# What is wrong with a row -> rule and column under which the ledger has its reject.
REJECTS: Mapping[str, tuple[str, str | None]] = {
    "bad_date": ("date-unreadable", "collected_date"),
    "ambiguous_date": ("date-unreadable", "collected_date"),
    "missing_subject": ("required", "subjid"),
    "extra_field": ("ragged", None),
    "missing_field": ("ragged", None),
    "nul_byte": ("nul-byte", None),
    "undecodable_byte": ("encoding", None),
    "conflict": ("key-conflict", None),
}
# What the pipelines say of the share of rows that may be rejected, and of those that may leave. The dates of a visit are as
# many as its measurements: one bad row of a vitals file passes a tenth.
REJECT_THRESHOLD, REMOVAL_THRESHOLD = 0.15, 0.05


class Event(NamedTuple):
    """Something that is in the ledger or in a table, in their own words.

    | category | where | what |
    | --- | --- | --- |
    | file | file | loaded, quarantined, resend, copy, waits |
    | refused | file | which pattern was found in it, and how often |
    | late | file | by how many days its first arrival was late |
    | account | file | rows read, accepted, filtered, rejected, stripped |
    | column | file | a column that is new or missing |
    | reject | file, row | rule, column, measurement |
    | flag | file, row | rule, column, measurement |
    | open, corrected | file, row | what became of that reject or flag |
    | row | file, row | a row of a table: its key and its other values |
    | run | run | how it ended, and its target account |
    | duplicate | run | one row that said what another had said |
    | history | run | update or remove, and the version before: its key and its other values |
    | missing | run | no file came |
    """

    category: str
    where: str  # a file below the landing area, or a run: pipeline/site/day
    row: int  # of the file, counted from 1 with the lines before the data; 0: it is of no row
    what: Any


Events = Counter[Event]


class Told(NamedTuple):
    """The generator's own record of what it did."""

    events: Events
    kinds: dict[Event, str]  # of each event: the kind of mess it is of


class Place(NamedTuple):
    """A row of a file."""

    where: str
    row: int
