"""How each site writes its files: what the example's pipeline definitions have to say about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

STUDY = "HAUL-301"
FIRST_SITE, FIRST_LARGE_SITE = 701, 801

VITALS = (
    "STUDY",
    "SUBJECT",
    "VISIT",
    "VISIT_DATE",
    "POSITION",
    "SYS_BP",
    "DIA_BP",
    "PULSE",
    "TEMP_C",
    "WEIGHT_KG",
)
LABS = (
    "STUDY",
    "SUBJECT",
    "VISIT",
    "COLLECTED",
    "TESTCD",
    "TEST",
    "RESULT",
    "UNIT",
    "LOW",
    "HIGH",
    "COMMENT",
)
COLUMNS: Mapping[str, tuple[str, ...]] = {"vitals": VITALS, "labs": LABS}

POSITIONS = ("SUPINE", "SITTING", "STANDING")

# The contract's hard limits; a value outside them is impossible, not merely unusual. Its keys are also the
# columns of a vitals row that become one measurement each.
LIMITS: Mapping[str, tuple[Decimal, Decimal]] = {
    "SYS_BP": (Decimal(40), Decimal(300)),
    "DIA_BP": (Decimal(20), Decimal(200)),
    "PULSE": (Decimal(20), Decimal(300)),
    "TEMP_C": (Decimal(32), Decimal(44)),
    "WEIGHT_KG": (Decimal(20), Decimal(400)),
}

# The extra column one site starts to send one day, and the column it appears in front of.
NEW_COLUMN, NEW_COLUMN_BEFORE = "DEVICE", "SYS_BP"
# What a new version of a site's export calls a column, which the contract approves; and one that it drops.
RENAMED: Mapping[str, str] = {"SUBJECT": "PATIENT"}
MISSING_COLUMN = "TEST"

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, kw_only=True)
class Convention:
    """One site's way of writing CSV. Uniform is only that `COLLECTED` is local time in ISO 8601."""

    encoding: str
    timezone: str
    sends_at_hour: int  # local; chosen so that the UTC date is the local date all year round
    bom: bool = False
    delimiter: str = ","
    decimal: str = "."
    newline: str = "\n"
    vitals_date: str = "%d-%b-%Y"  # as strptime spells it
    preamble: tuple[str, ...] = ()  # lines before the header
    labels: bool = False  # a second header line, with each column's name in words
    footer: str | None = None  # the line after the last row; {rows} is their number
    compressed: frozenset[str] = frozenset()  # the pipelines whose files are .csv.gz
    aliases: Mapping[str, str] = field(default_factory=dict)  # canonical column -> this site's name for it
    cumulative: bool = False  # every file holds everything so far, under one name

    def columns(
        self, pipeline: str, *, new_column: bool = False, missing_column: bool = False
    ) -> tuple[str, ...]:
        """The canonical columns of one file in their order, with the new one where it appears."""
        columns = [
            column for column in COLUMNS[pipeline] if not (missing_column and column == MISSING_COLUMN)
        ]
        if new_column:
            columns.insert(columns.index(NEW_COLUMN_BEFORE), NEW_COLUMN)
        return tuple(columns)

    def header(self, columns: tuple[str, ...], *, renamed: bool = False) -> list[str]:
        aliases = {**RENAMED, **self.aliases} if renamed else self.aliases
        return [aliases.get(column, column) for column in columns]

    def file_name(self, pipeline: str, business: date) -> str:
        suffix = ".csv.gz" if pipeline in self.compressed else ".csv"
        return f"{pipeline}_{'all' if self.cumulative else business.isoformat()}{suffix}"

    @property
    def lines_before_data(self) -> int:
        return len(self.preamble) + 1 + self.labels

    def number(self, value: Decimal) -> str:
        return str(value).replace(".", self.decimal)

    def day(self, year: int, month: int, day: int) -> str:
        """A vitals date. Takes the parts, because the mess includes the 31st of February."""
        parts = {"%d": f"{day:02d}", "%m": f"{month:02d}", "%b": _MONTHS[month - 1], "%Y": f"{year:04d}"}
        text = self.vitals_date  # not strftime: its month names follow the locale
        for directive, part in parts.items():
            text = text.replace(directive, part)
        return text


_PLAIN = Convention(encoding="utf-8", timezone="Europe/Dublin", sends_at_hour=19)

SITES: dict[str, Convention] = {
    "701": _PLAIN,
    "702": replace(
        _PLAIN,
        encoding="cp1252",
        timezone="Europe/Berlin",
        sends_at_hour=20,
        delimiter=";",
        decimal=",",
        vitals_date="%d.%m.%Y",
        aliases={"SUBJECT": "PATIENT", "RESULT": "WERT"},
    ),
    "703": replace(
        _PLAIN,
        timezone="America/New_York",
        sends_at_hour=17,
        bom=True,
        newline="\r\n",
        preamble=("# export of {pipeline} at site {site} for {business}", "# created {created}"),
        footer="Total rows: {rows}",
        compressed=frozenset({"labs"}),
    ),
}


# Sites from 801 on are those of a large trial, which write in more ways than the example's three.
MORE: tuple[Convention, ...] = (
    *SITES.values(),
    replace(  # a spreadsheet's "Unicode text"
        _PLAIN,
        encoding="utf-16",
        timezone="Asia/Tokyo",
        sends_at_hour=20,
        delimiter="\t",
        newline="\r\n",
        vitals_date="%Y-%m-%d",
        labels=True,
    ),
    replace(
        _PLAIN,
        encoding="cp1250",
        timezone="Europe/Warsaw",
        sends_at_hour=20,
        delimiter="|",
        decimal=",",
        vitals_date="%d/%m/%Y",
        preamble=("# {pipeline} / {site} / {created}",),
        footer="koniec ({rows})",
    ),
    replace(_PLAIN, timezone="Europe/London", vitals_date="%Y%m%d", cumulative=True),
)


def convention_of(site: str) -> Convention:
    """The convention of a site; sites after the first three take turns (704 writes as 701 does), and those from 801
    on among them all."""
    if not (site.isdecimal() and site.isascii() and int(site) >= FIRST_SITE):
        raise ValueError(f"site {site!r} is not a number from {FIRST_SITE} on, such as '{FIRST_SITE}'")
    if int(site) < FIRST_LARGE_SITE:
        return tuple(SITES.values())[(int(site) - FIRST_SITE) % len(SITES)]
    return MORE[(int(site) - FIRST_LARGE_SITE) % len(MORE)]
