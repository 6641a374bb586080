"""What goes wrong, where and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Self

from generator.conventions import Convention, convention_of
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

# What a large trial has beside them: `Mess.everything()`.
MORE_FILE_KINDS: Mapping[str, str] = {
    "identifier": "an e-mail address in a comment; the next day a file without it takes its place",
    "cleared": "the file without it",
    "renamed_column": "a column under a name that the contract approves",
    "missing_column": "a column that the contract can do without is gone",
    "changed_export": "another encoding, delimiter, decimal mark, date format and name of a column",
    "deleted_row": "a cumulative file without a row it had the day before, which stays away",
    "cut_export": "a cumulative file of the last days alone",
}
MORE_ROW_KINDS: Mapping[str, str] = {
    "operator": "a limit in a result's place: <0.2",
    "not_done": "a result's place says that the test was not done",
    "specimen": "a result's place says what was wrong with the specimen",
    "coded_result": "a result that is a code: NEGATIVE, 1+",
    "result_in_words": "a result in words that no list has",
    "unit_synonym": "a unit in another spelling: 10*9/L",
    "unit_unknown": "a unit that is none: Other",
    "unit_mu": "a unit with the Greek letter mu for the micro sign",
    "partial_date": "a month or a year in a date's place",
    "ambiguous_date": "03/04/2026, which is a day in March or in April",
    "fahrenheit": "a temperature in Fahrenheit among Celsius",
    "pounds": "a weight in pounds among kilograms",
    "celsius": "a temperature in Celsius among Fahrenheit",
    "kilograms": "a weight in kilograms among pounds",
    "centimetres": "a height in centimetres among inches",
    "unusual": "a value that is possible and not usual",
}
MORE_KINDS: Mapping[str, str] = {**MORE_FILE_KINDS, **MORE_ROW_KINDS}

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

# Cells that are not in their column's unit, at the sites that measure in metric units and at those that do not.
_NOT_METRIC, _METRIC = ("fahrenheit", "pounds"), ("celsius", "kilograms", "centimetres")
_MORE_OF_VITALS = (*_NOT_METRIC, *_METRIC, "unusual")
MORE_ROW_KINDS_OF: Mapping[str, tuple[str, ...]] = {
    "vitals": _MORE_OF_VITALS,
    "labs": tuple(kind for kind in MORE_ROW_KINDS if kind not in _MORE_OF_VITALS),
}

# A vitals file of 12-15 rows carries one bad row and stays below the 10 % at which the example quarantines.
ROWS_SPOILED_AT_MOST: Mapping[str, int] = {"vitals": 1, "labs": 3}

_STATES = ("missing", "late", "empty", "half_written", "broken_export", "identifier")  # of one, at most one
_AGAIN = ("correction", "resend", "copy")  # sent once more, at most one
_STATES_OF_CUMULATIVE = ("missing", "half_written", "cut_export")
_FROM_SOME_DAY = ("new_column", "renamed_column", "missing_column", "changed_export")
# What the day before an export changes has none of: its file of the next day is the same, or begins in the same way.
_NOT_BEFORE_A_CHANGE = ("half_written", "identifier")
DAYS_LATE = 2
# Before, a single row of a cumulative file is too large a share of all.
FIRST_DAY_OF_DELETIONS = 10


@dataclass(frozen=True, kw_only=True)
class Mess:
    """How often: the chance that one daily file has each kind (of new_column, renamed_column, missing_column and
    changed_export: that one site ever starts it; of deleted_row and cut_export: that one file of a cumulative site has it).

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
    identifier: float = 0.0
    renamed_column: float = 0.0
    missing_column: float = 0.0
    changed_export: float = 0.0
    deleted_row: float = 0.0
    cut_export: float = 0.0
    operator: float = 0.0
    not_done: float = 0.0
    specimen: float = 0.0
    coded_result: float = 0.0
    result_in_words: float = 0.0
    unit_synonym: float = 0.0
    unit_unknown: float = 0.0
    unit_mu: float = 0.0
    partial_date: float = 0.0
    ambiguous_date: float = 0.0
    fahrenheit: float = 0.0
    pounds: float = 0.0
    celsius: float = 0.0
    kilograms: float = 0.0
    centimetres: float = 0.0
    unusual: float = 0.0
    arranged: bool = True

    def __post_init__(self) -> None:
        for kind in RATES:
            if not 0 <= self.rate(kind) <= 1:
                raise ValueError(f"mess: {kind}={self.rate(kind)} is not a chance between 0 and 1")
        for group in (_STATES, _STATES_OF_CUMULATIVE, _AGAIN):
            if sum(map(self.rate, group)) > 1:
                raise ValueError(f"mess: the chances of {', '.join(group)} exclude one another and exceed 1")

    @classmethod
    def none(cls) -> Self:
        """A trial in which nothing goes wrong."""
        return cls(**dict.fromkeys(RATES, 0.0), arranged=False)

    @classmethod
    def everything(cls) -> Self:
        """Every kind there is, each by chance alone, at the rates of a large trial."""
        from_some_day = dict.fromkeys(_FROM_SOME_DAY, 0.2)
        return cls(
            **from_some_day,
            **{**dict.fromkeys(MORE_ROW_KINDS, 0.04), **dict.fromkeys(_METRIC, 0.10)},
            identifier=0.01,
            deleted_row=0.05,
            cut_export=0.03,
            arranged=False,
        )

    def rate(self, kind: str) -> float:
        return float(getattr(self, kind))


RATES: tuple[str, ...] = tuple(entry.name for entry in fields(Mess) if entry.name != "arranged")


@dataclass(frozen=True, kw_only=True)
class FilePlan:
    """What is to happen to one daily file."""

    state: str = ""  # one of _STATES, or none
    rows: tuple[str, ...] = ()
    again: Mapping[str, int] = field(default_factory=dict)  # kind -> days after the first arrival
    deletes_row: bool = False  # of a cumulative file: a row of the day before is gone from here on


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


def file_plan(
    mess: Mess, seed: int, position: int, site: str, pipeline: str, day: int, changes: int | None = None
) -> FilePlan:
    """The plan for one file: arranged in the first corner of the trial, drawn elsewhere. ``changes``: from which day on the
    site's export is another."""
    if mess.arranged and position < ARRANGED_SITES and day < ARRANGED_DAYS:
        return ARRANGED.get((position, pipeline, day), CLEAN)
    convention = convention_of(site)
    dice = Dice(seed, "mess", site, pipeline, day)
    if convention.cumulative:
        return _cumulative_plan(mess, seed, site, pipeline, day)
    state = _one_of(mess, _STATES, dice)
    if state in _NOT_BEFORE_A_CHANGE and changes == day + 1:
        return CLEAN
    arrives = day + (DAYS_LATE if state == "late" else 0)
    if changes is not None and arrives >= changes:
        convention = convention.later
    if state == "broken_export":
        return FilePlan(state=state, again={"correction": 1}) if pipeline == "labs" else CLEAN
    if state == "identifier":
        return FilePlan(state=state) if pipeline == "labs" else CLEAN  # vitals have no room for words
    if state not in ("", "late"):
        return FilePlan(state=state)
    drawn = [kind for kind in ROW_KINDS_OF[pipeline] if dice.chance(mess.rate(kind))]
    drawn = [kind for kind in drawn if _can_write(convention, kind)]
    rows = tuple(dice.sample(drawn, min(len(drawn), ROWS_SPOILED_AT_MOST[pipeline])))
    more = _more_rows(mess, seed, site, pipeline, day, convention)
    if "undecodable_byte" in rows:
        return FilePlan(state=state, rows=rows + more, again={"correction": 1})
    again = _one_of(mess, _AGAIN, dice)
    if not again:
        return FilePlan(state=state, rows=rows + more)
    later = dice.between(1, 3)
    if (
        again != "correction"
        and convention.has_mark
        and changes is not None
        and arrives < changes <= arrives + later
    ):
        return FilePlan(state=state, rows=rows + more)  # such a file would stop the run it comes to
    return FilePlan(state=state, rows=rows + more, again={again: later})


def _cumulative_plan(mess: Mess, seed: int, site: str, pipeline: str, day: int) -> FilePlan:
    """A file that holds everything so far is never late, sent again or corrected: the next one is all that."""
    dice = Dice(seed, "mess of everything so far", site, pipeline, day)
    state = _one_of(mess, _STATES_OF_CUMULATIVE, dice)
    if state:
        return FilePlan(state=state)
    deletes = dice.chance(mess.deleted_row) and day >= FIRST_DAY_OF_DELETIONS
    drawn = [kind for kind in ROW_KINDS_OF[pipeline] if dice.chance(mess.rate(kind))]
    rows = tuple(dice.sample(drawn, min(len(drawn), 1)))
    return FilePlan(
        rows=rows + _more_rows(mess, seed, site, pipeline, day, convention_of(site)), deletes_row=deletes
    )


def _more_rows(
    mess: Mess, seed: int, site: str, pipeline: str, day: int, convention: Convention
) -> tuple[str, ...]:
    """Dice of their own: without these kinds, the others fall as they always did."""
    dice = Dice(seed, "more mess", site, pipeline, day)
    kinds = [kind for kind in MORE_ROW_KINDS_OF[pipeline] if _can_write(convention, kind)]
    return tuple(kind for kind in kinds if dice.chance(mess.rate(kind)))


def _can_write(convention: Convention, kind: str) -> bool:
    """Whether a site's encoding, and what it measures in, let it make this mistake."""
    if kind in _NOT_METRIC or kind in _METRIC:
        return convention.imperial is (kind in _METRIC)
    if kind == "undecodable_byte":
        return convention.encoding != "utf-16"
    return kind != "unit_mu" or convention.encoding.startswith("utf")


def first_day_of(mess: Mess, seed: int, position: int, site: str, days: int, kind: str) -> int | None:
    """The first day of a new version of the site's export, if there ever is one."""
    if mess.arranged and position < ARRANGED_SITES:
        return ARRANGED_NEW_COLUMN.get(position) if kind == "new_column" else None
    dice = Dice(seed, "mess", site, kind)
    return dice.between(0, days - 1) if dice.chance(mess.rate(kind)) else None


def _one_of(mess: Mess, kinds: tuple[str, ...], dice: Dice) -> str:
    for number, kind in enumerate(kinds):
        # Given that none of the earlier ones fell, so that each keeps the chance it was declared with.
        left = 1 - sum(map(mess.rate, kinds[:number]))
        if kind in MORE_KINDS and not mess.rate(kind):
            continue  # without a throw: what follows falls as it did before there was such a kind
        if left > 0 and dice.chance(mess.rate(kind) / left):
            return kind
    return ""
