"""What was measured at one site on one day, before anything goes wrong: rows in the site's own spelling."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from generator.conventions import HEIGHT, IMPERIAL, NEW_COLUMN, POSITIONS, STUDY, Convention, convention_of
from generator.dice import Dice

Row = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Day:
    """One site on one day of one trial."""

    seed: int
    site: str
    subjects: int
    start: date
    business: date
    changed: bool = False  # what is written of it is a new version of the site's export

    @property
    def convention(self) -> Convention:
        convention = convention_of(self.site)
        return convention.later if self.changed else convention


class Visit(NamedTuple):
    subject: str
    name: str


class LabTest(NamedTuple):
    """A laboratory test. The reference limits show how many decimals a result has; floor and ceiling are what
    the instrument can tell, so beyond them the result is censored."""

    code: str
    name: str
    unit: str
    low: str
    high: str
    floor: str = ""
    ceiling: str = ""


# NA is sodium. Common adult reference limits, rounded; nothing here comes from a data set.
PANEL = (
    LabTest("ALB", "Albumin", "g/L", "35", "52"),
    LabTest("ALP", "Alkaline Phosphatase", "U/L", "40", "129"),
    LabTest("ALT", "Alanine Aminotransferase", "U/L", "7", "45"),
    LabTest("AST", "Aspartate Aminotransferase", "U/L", "8", "40"),
    LabTest("BILI", "Bilirubin", "µmol/L", "3.4", "20.5"),
    LabTest("CA", "Calcium", "mmol/L", "2.15", "2.55"),
    LabTest("CHOL", "Cholesterol", "mmol/L", "3.10", "5.20"),
    LabTest("CK", "Creatine Kinase", "U/L", "30", "200"),
    LabTest("CL", "Chloride", "mmol/L", "98", "107"),
    LabTest("CREAT", "Creatinine", "µmol/L", "59", "104"),
    LabTest("CRP", "C Reactive Protein", "mg/L", "", "5.0", floor="0.2"),
    LabTest("FERRITIN", "Ferritin", "µg/L", "30", "400", ceiling="500"),
    LabTest("GGT", "Gamma Glutamyl Transferase", "U/L", "8", "61"),
    LabTest("GLUC", "Glucose", "mmol/L", "3.90", "5.60"),
    LabTest("HCT", "Hematocrit", "L/L", "0.36", "0.50"),
    LabTest("HGB", "Hemoglobin", "g/L", "120", "170"),
    LabTest("K", "Potassium", "mmol/L", "3.50", "5.10"),
    LabTest("LDH", "Lactate Dehydrogenase", "U/L", "125", "220"),
    LabTest("NA", "Sodium", "mmol/L", "136", "145"),
    LabTest("PLAT", "Platelets", "10^9/L", "150", "400"),
    LabTest("PROT", "Protein", "g/L", "64", "83"),
    LabTest("RBC", "Erythrocytes", "10^12/L", "4.10", "5.80"),
    LabTest("TRIG", "Triglycerides", "mmol/L", "0.50", "1.70"),
    LabTest("URATE", "Urate", "µmol/L", "140", "420"),
    LabTest("WBC", "Leukocytes", "10^9/L", "4.0", "10.5"),
)
_ALWAYS = ("K", "NA")
_TENTH = Decimal("0.1")

# Commas, semicolons, quotes, a line break, µ and é: what a naive reader breaks on. All of them are in cp1252.
COMMENTS = (
    "slightly haemolysed, repeat requested",
    'lab note: "fasting", 12 h',
    "first tube clotted\nsecond tube used",
    "0.5 µg/kg given before sampling",
    "drawn by Renée; see query 17",
    'André said "no breakfast"; only café au lait, no sugar',
    "NA",
    "repeat",
)


def visits(day: Day) -> list[Visit]:
    """Who came. Every subject comes every other day, half of them on any day, each at their own place in the
    plan: SCREENING, BASELINE (day 1), DAY 3, DAY 5 ..."""
    today = (day.business - day.start).days
    found = []
    for position in range(day.subjects):
        since_screening = today + 2 * (position // 2 % 4) + position % 2
        if since_screening % 2 == 0:
            study_day = since_screening - 1
            name = {-1: "SCREENING", 1: "BASELINE"}.get(study_day, f"DAY {study_day}")
            found.append(Visit(f"{day.site}-{1001 + position}", name))
    return found


def vitals(day: Day) -> list[Row]:
    """Three rows a visit, one a position; weight, temperature and height once, on the first."""
    convention, rows = day.convention, []

    def written(column: str, metric: Decimal) -> str:
        if convention.imperial:
            metric = IMPERIAL[column].from_metric(metric).quantize(_TENTH)
        return convention.number(metric)

    for visit in visits(day):
        usual, now = Dice(day.seed, visit.subject), Dice(day.seed, visit.subject, "vitals", day.business)
        systolic, diastolic, pulse = usual.between(108, 142), usual.between(64, 88), usual.between(56, 84)
        temperature, weight = usual.between(362, 369), usual.between(520, 960)
        device = now.pick(("CUFF-A", "CUFF-B"))
        height = Decimal(Dice(day.seed, visit.subject, HEIGHT).between(150, 198))
        for number, position in enumerate(POSITIONS):
            first = number == 0
            rows.append(
                {
                    "STUDY": STUDY,
                    "SUBJECT": visit.subject,
                    "VISIT": visit.name,
                    "VISIT_DATE": convention.day(day.business.year, day.business.month, day.business.day),
                    "POSITION": position,
                    NEW_COLUMN: device,
                    "SYS_BP": str(now.near(systolic, 9)),
                    "DIA_BP": str(now.near(diastolic, 6)),
                    "PULSE": str(now.near(pulse + 4 * number, 5)),
                    "TEMP_C": written("TEMP_C", _decimal(now.near(temperature, 4), 1)) if first else "",
                    "WEIGHT_KG": written("WEIGHT_KG", _decimal(now.near(weight, 8), 1)) if first else "",
                    HEIGHT: written(HEIGHT, height) if first else "",
                }
            )
    return rows


def labs(day: Day) -> list[Row]:
    """Fifteen to twenty-five rows a visit, one a test, all from one drawing of blood."""
    convention, rows = day.convention, []
    for visit in visits(day):
        now = Dice(day.seed, visit.subject, "labs", day.business)
        collected = f"{day.business.isoformat()}T{now.between(7, 10):02d}:{now.between(0, 11) * 5:02d}"
        optional = [test for test in PANEL if test.code not in _ALWAYS]
        chosen = set(now.sample(optional, now.between(15, 25) - len(_ALWAYS)))
        for test in PANEL:
            if test.code in _ALWAYS or test in chosen:
                usual = _usual(day.seed, visit.subject, test)
                rows.append(
                    {
                        "STUDY": STUDY,
                        "SUBJECT": visit.subject,
                        "VISIT": visit.name,
                        "COLLECTED": collected,
                        "TESTCD": test.code,
                        "TEST": test.name,
                        "RESULT": _result(test, usual, now).replace(".", convention.decimal),
                        "UNIT": test.unit,
                        "LOW": test.low.replace(".", convention.decimal),
                        "HIGH": test.high.replace(".", convention.decimal),
                        "COMMENT": now.pick(COMMENTS) if now.chance(0.08) else "",
                    }
                )
    return rows


MEASURED: Mapping[str, Callable[[Day], list[Row]]] = {"vitals": vitals, "labs": labs}


def _result(test: LabTest, usual: "Usual", now: Dice) -> str:
    """A result around what is usual for the subject, sometimes beyond the reference limits."""
    value = now.near(usual.centre, max(1, usual.span // 5))
    if now.chance(0.06):
        value += now.pick((-1, 1)) * usual.span * 7 // 10
    if test.floor and value < _units(test.floor, usual.places):
        return f"<{test.floor}"
    if test.ceiling and value > _units(test.ceiling, usual.places):
        return f">{test.ceiling}"
    return str(_decimal(max(value, 1), usual.places))


class Usual(NamedTuple):
    """What one subject usually has in one test, in units of the last decimal: so no binary fraction ever
    appears, and trailing zeros stay."""

    centre: int
    span: int  # of the reference limits
    places: int


@cache  # a generator takes random numbers from a fresh seed, which costs more than the row it is for
def _usual(seed: int, subject: str, test: LabTest) -> Usual:
    places = -int(Decimal(test.high).as_tuple().exponent)
    low = _units(test.low or "0", places)
    span = _units(test.high, places) - low
    percent = Dice(seed, subject, test.code).between(15, 115 if test.ceiling else 85)
    return Usual(low + span * percent // 100, span, places)


def _units(text: str, places: int) -> int:
    return int(Decimal(text).scaleb(places))


def _decimal(units: int, places: int) -> Decimal:
    return Decimal(units).scaleb(-places)
