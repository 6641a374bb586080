"""How each site writes its files: what the example's pipeline definitions have to say about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

STUDY = "HAUL-301"

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
    footer: str | None = None  # the line after the last row; {rows} is their number
    compressed: frozenset[str] = frozenset()  # the pipelines whose files are .csv.gz
    aliases: Mapping[str, str] = field(default_factory=dict)  # canonical column -> this site's name for it

    def columns(self, pipeline: str, *, new_column: bool = False) -> tuple[str, ...]:
        """The canonical columns of one file in their order, with the new one where it appears."""
        columns = list(COLUMNS[pipeline])
        if new_column:
            columns.insert(columns.index(NEW_COLUMN_BEFORE), NEW_COLUMN)
        return tuple(columns)

    def header(self, columns: tuple[str, ...]) -> list[str]:
        return [self.aliases.get(column, column) for column in columns]

    def file_name(self, pipeline: str, business: date) -> str:
        suffix = ".csv.gz" if pipeline in self.compressed else ".csv"
        return f"{pipeline}_{business.isoformat()}{suffix}"

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


def convention_of(site: str) -> Convention:
    """The convention of a site; sites after the first three take turns (704 writes as 701 does)."""
    if not (site.isdecimal() and site.isascii() and int(site) >= 701):
        raise ValueError(f"site {site!r} is not a number from 701 on, such as '701'")
    return tuple(SITES.values())[(int(site) - 701) % len(SITES)]
