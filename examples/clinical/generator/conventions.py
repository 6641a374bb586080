"""How each site writes its files: what the example's pipeline definitions have to say about them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import NamedTuple

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


class Measure(NamedTuple):
    """A column of vital signs as a test of a large trial; in its standard unit what is possible and what is usual."""

    test: str
    unit: str
    possible: tuple[int, int]
    usual: tuple[int, int]


class Imperial(NamedTuple):
    """What a column of vital signs is in at a site that measures in inches, pounds and degrees Fahrenheit."""

    unit: str
    to_metric: Callable[[Decimal], Decimal]
    from_metric: Callable[[Decimal], Decimal]


HEIGHT = "HEIGHT"  # which only those sites measure
MEASURES: Mapping[str, Measure] = {
    "SYS_BP": Measure("SYSBP", "mmHg", (40, 300), (70, 220)),
    "DIA_BP": Measure("DIABP", "mmHg", (20, 200), (40, 130)),
    "PULSE": Measure("PULSE", "beats/min", (20, 300), (40, 160)),
    "TEMP_C": Measure("TEMP", "C", (32, 44), (34, 41)),
    "WEIGHT_KG": Measure("WEIGHT", "kg", (20, 400), (35, 200)),
    HEIGHT: Measure("HEIGHT", "cm", (76, 255), (120, 215)),
}
# The demo's contract has the same hard limits; a value outside them is impossible, not merely unusual. Its keys are also
# the columns of its vitals rows that become one measurement each.
LIMITS: Mapping[str, tuple[Decimal, Decimal]] = {
    column: (Decimal(measure.possible[0]), Decimal(measure.possible[1]))
    for column, measure in MEASURES.items()
    if column != HEIGHT
}
_KG, _CM = Decimal("0.45359237"), Decimal("2.54")
IMPERIAL: Mapping[str, Imperial] = {
    "TEMP_C": Imperial("F", lambda degrees: (degrees - 32) * 5 / 9, lambda celsius: celsius * 9 / 5 + 32),
    "WEIGHT_KG": Imperial("LB", lambda pounds: pounds * _KG, lambda kilograms: kilograms / _KG),
    HEIGHT: Imperial("in", lambda inches: inches * _CM, lambda centimetres: centimetres / _CM),
}

# The extra column one site starts to send one day, and the column it appears in front of.
NEW_COLUMN, NEW_COLUMN_BEFORE = "DEVICE", "SYS_BP"
# What a new version of a site's export calls a column, which the contract approves; and one that it drops.
RENAMED: Mapping[str, str] = {"SUBJECT": "PATIENT"}
MISSING_COLUMN = "TEST"
# What an export that changed calls a column of labs and one of vitals, which only the definition's word for it says.
CHANGED: Mapping[str, str] = {"RESULT": "FINDING", "VISIT_DATE": "VISITDT"}

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
    imperial: bool = False  # inches, pounds and degrees Fahrenheit, in columns that do not say so
    as_sdtm: bool = False  # hauled by the functions of a large trial, which take more than the demo's

    def columns(
        self, pipeline: str, *, new_column: bool = False, missing_column: bool = False
    ) -> tuple[str, ...]:
        """The canonical columns of one file in their order, with the new one where it appears."""
        columns = [
            column for column in COLUMNS[pipeline] if not (missing_column and column == MISSING_COLUMN)
        ]
        if self.imperial and pipeline == "vitals":
            columns.append(HEIGHT)
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

    @property
    def has_mark(self) -> bool:
        """Whether its files begin with a byte order mark, which those in another encoding cannot be taken for."""
        return self.bom or self.encoding == "utf-16"

    @property
    def later(self) -> "Convention":
        """As the site writes once its export has changed: another encoding, delimiter, decimal mark and date format, and a
        column under another name."""
        is_utf8, is_iso = self.encoding == "utf-8", self.vitals_date == "%Y-%m-%d"
        return replace(
            self,
            encoding="cp1252" if is_utf8 else "utf-8",
            bom=False,
            delimiter=";" if self.delimiter == "," else ",",
            decimal="," if self.decimal == "." else ".",
            vitals_date="%d.%m.%Y" if is_iso else "%Y-%m-%d",
            aliases={**self.aliases, **CHANGED},
        )

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
_MORE: tuple[Convention, ...] = (
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
    replace(
        _PLAIN,
        timezone="America/Chicago",
        sends_at_hour=17,
        newline="\r\n",
        vitals_date="%m/%d/%Y",
        aliases={"TEMP_C": "TEMP", "WEIGHT_KG": "WEIGHT"},
        imperial=True,
    ),
)
MORE = tuple(replace(convention, as_sdtm=True) for convention in _MORE)


def convention_of(site: str) -> Convention:
    """The convention of a site; sites after the first three take turns (704 writes as 701 does), and those from 801
    on among them all."""
    if not (site.isdecimal() and site.isascii() and int(site) >= FIRST_SITE):
        raise ValueError(f"site {site!r} is not a number from {FIRST_SITE} on, such as '{FIRST_SITE}'")
    if int(site) < FIRST_LARGE_SITE:
        return tuple(SITES.values())[(int(site) - FIRST_SITE) % len(SITES)]
    return MORE[(int(site) - FIRST_LARGE_SITE) % len(MORE)]
