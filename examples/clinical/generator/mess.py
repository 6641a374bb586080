"""What goes wrong, where and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Self

from generator.dice import Dice

# Each kind, and what it means for the one who receives the file.
FILE_KINDS: Mapping[str, str] = {
    "correction": "the same name again on a later day, with changed or repaired rows",
    "resend": "the same name again on a later day, with the same bytes",
    "copy": "the same bytes again under another name",
    "late": "arrives two days after its business date",
    "half_written": "cut off in the middle of a line; the whole file takes its place the next day",
    "completion": "the whole file, at the path where half of it was",
    "empty": "a header and no row",
    "missing": "never arrives",
    "broken_export": "a third of the dates in another format; a correction follows the next day",
    "new_column": "a column the contract does not know",
}
ROW_KINDS: Mapping[str, str] = {
    "duplicate": "a row given twice, identical",
    "conflict": "a key given twice in one file, with two values",
    "not_a_number": "a letter in a number: 12O",
    "out_of_range": "a value beyond the contract's hard limits: 999",
    "unknown_test": "a test code the contract does not list",
    "bad_date": "the 31st of February",
    "missing_subject": "no subject",
    "extra_field": "one field too many",
    "missing_field": "one field too few",
    "nul_byte": "a NUL byte in a comment",
    "undecodable_byte": "a byte the site's encoding does not have; a correction follows the next day",
}
KINDS: Mapping[str, str] = {**FILE_KINDS, **ROW_KINDS}

ROW_KINDS_OF: Mapping[str, tuple[str, ...]] = {
    "vitals": (
        "duplicate",
        "conflict",
        "not_a_number",
        "out_of_range",
        "bad_date",
        "missing_subject",
        "extra_field",
        "missing_field",
    ),
    "labs": (
        "duplicate",
        "conflict",
        "unknown_test",
        "bad_date",
        "missing_subject",
        "extra_field",
        "missing_field",
        "nul_byte",
        "undecodable_byte",
    ),
}

# A vitals file of 12-15 rows carries one bad row and stays below the 10 % at which the example quarantines.
ROWS_SPOILED_AT_MOST: Mapping[str, int] = {"vitals": 1, "labs": 3}

_STATES = ("missing", "late", "empty", "half_written", "broken_export")  # of one file, at most one
_AGAIN = ("correction", "resend", "copy")  # sent once more, at most one


@dataclass(frozen=True, kw_only=True)
class Mess:
    """How often: the chance that one daily file has each kind (of new_column: that one site ever starts it).

    With `arranged`, the first three sites and five days do not follow chance but the table `ARRANGED`, which
    has every kind at least once and leaves the first two days clean.
    """

    missing: float = 0.02
    late: float = 0.03
    empty: float = 0.01
    half_written: float = 0.01
    broken_export: float = 0.005
    correction: float = 0.05
    resend: float = 0.02
    copy: float = 0.02
    new_column: float = 0.10
    duplicate: float = 0.08
    conflict: float = 0.03
    not_a_number: float = 0.04
    out_of_range: float = 0.04
    unknown_test: float = 0.03
    bad_date: float = 0.03
    missing_subject: float = 0.03
    extra_field: float = 0.02
    missing_field: float = 0.02
    nul_byte: float = 0.01
    undecodable_byte: float = 0.005
    arranged: bool = True

    def __post_init__(self) -> None:
        for kind in RATES:
            if not 0 <= self.rate(kind) <= 1:
                raise ValueError(f"mess: {kind}={self.rate(kind)} is not a chance between 0 and 1")
        for group in (_STATES, _AGAIN):
            if sum(map(self.rate, group)) > 1:
                raise ValueError(f"mess: the chances of {', '.join(group)} exclude one another and exceed 1")

    @classmethod
    def none(cls) -> Self:
        """A trial in which nothing goes wrong."""
        return cls(**dict.fromkeys(RATES, 0.0), arranged=False)

    def rate(self, kind: str) -> float:
        return float(getattr(self, kind))


RATES: tuple[str, ...] = tuple(entry.name for entry in fields(Mess) if entry.name != "arranged")


@dataclass(frozen=True, kw_only=True)
class FilePlan:
    """What is to happen to one daily file."""

    state: str = ""  # one of _STATES, or none
    rows: tuple[str, ...] = ()
    again: Mapping[str, int] = field(default_factory=dict)  # kind -> days after the first arrival


CLEAN = FilePlan()

# (position of the site, pipeline, day) -> plan, for days and sites counted from zero. Nothing dirty arrives
# on the first two days, so that a newcomer sees a clean load before a dirty one.
ARRANGED: Mapping[tuple[int, str, int], FilePlan] = {
    (0, "labs", 0): FilePlan(again={"correction": 3}),
    (0, "labs", 1): FilePlan(again={"copy": 1}),
    (0, "labs", 2): FilePlan(rows=("duplicate", "duplicate")),
    (0, "vitals", 2): FilePlan(state="half_written"),
    (0, "labs", 3): FilePlan(rows=("undecodable_byte",), again={"correction": 1}),
    (0, "labs", 4): FilePlan(rows=("bad_date",)),
    (0, "vitals", 4): FilePlan(rows=("bad_date",)),
    (1, "vitals", 0): FilePlan(again={"resend": 2}),
    (1, "vitals", 1): FilePlan(again={"copy": 2}),
    (1, "labs", 2): FilePlan(rows=("conflict", "unknown_test")),
    (1, "vitals", 2): FilePlan(rows=("not_a_number",)),
    (1, "labs", 3): FilePlan(rows=("extra_field", "missing_field")),
    (1, "vitals", 3): FilePlan(state="empty"),
    (1, "labs", 4): FilePlan(state="missing"),
    (1, "vitals", 4): FilePlan(state="missing"),
    (2, "labs", 2): FilePlan(state="broken_export", again={"correction": 1}),
    (2, "vitals", 2): FilePlan(state="late"),
    (2, "labs", 3): FilePlan(rows=("nul_byte", "missing_subject")),
    (2, "vitals", 3): FilePlan(rows=("out_of_range",)),
}
ARRANGED_SITES, ARRANGED_DAYS = 3, 5
ARRANGED_NEW_COLUMN = {0: 3}  # position of the site -> first day


def file_plan(mess: Mess, seed: int, position: int, site: str, pipeline: str, day: int) -> FilePlan:
    """The plan for one file: arranged in the first corner of the trial, drawn elsewhere."""
    if mess.arranged and position < ARRANGED_SITES and day < ARRANGED_DAYS:
        return ARRANGED.get((position, pipeline, day), CLEAN)
    dice = Dice(seed, "mess", site, pipeline, day)
    state = _one_of(mess, _STATES, dice)
    if state == "broken_export":
        return FilePlan(state=state, again={"correction": 1}) if pipeline == "labs" else CLEAN
    if state not in ("", "late"):
        return FilePlan(state=state)
    drawn = [kind for kind in ROW_KINDS_OF[pipeline] if dice.chance(mess.rate(kind))]
    rows = tuple(dice.sample(drawn, min(len(drawn), ROWS_SPOILED_AT_MOST[pipeline])))
    if "undecodable_byte" in rows:
        return FilePlan(state=state, rows=rows, again={"correction": 1})
    again = _one_of(mess, _AGAIN, dice)
    return FilePlan(state=state, rows=rows, again={again: dice.between(1, 3)} if again else {})


def new_column_from(mess: Mess, seed: int, position: int, site: str, days: int) -> int | None:
    """The first day on which the site's vitals have the new column, if they ever do."""
    if mess.arranged and position < ARRANGED_SITES:
        return ARRANGED_NEW_COLUMN.get(position)
    dice = Dice(seed, "mess", site, "new_column")
    return dice.between(0, days - 1) if dice.chance(mess.new_column) else None


def _one_of(mess: Mess, kinds: tuple[str, ...], dice: Dice) -> str:
    for number, kind in enumerate(kinds):
        # Given that none of the earlier ones fell, so that each keeps the chance it was declared with.
        left = 1 - sum(map(mess.rate, kinds[:number]))
        if left > 0 and dice.chance(mess.rate(kind) / left):
            return kind
    return ""
