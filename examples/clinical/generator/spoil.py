"""Rows that go wrong: from what was measured to the lines a site exports, each with what is wrong with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation

from generator.conventions import HEIGHT, IMPERIAL, LIMITS, Convention
from generator.dice import Dice
from generator.measurements import Row

# Rules that spoil the whole row: none of its measurements can be used.
ROW_RULES = frozenset(
    {
        "bad_date",
        "missing_subject",
        "extra_field",
        "missing_field",
        "nul_byte",
        "undecodable_byte",
        "cut_row",
        "ambiguous_date",
    }
)
# Rules that keep nothing out of a large trial: the value is taken as it is, and a person told of some.
ENTERING_RULES = frozenset(
    {
        "unknown_test",
        "not_a_number",
        "out_of_range",
        "operator",
        "not_done",
        "specimen",
        "coded_result",
        "result_in_words",
        "unit_synonym",
        "unit_unknown",
        "unit_mu",
        "partial_date",
        "fahrenheit",
        "pounds",
        "celsius",
        "kilograms",
        "centimetres",
        "unusual",
    }
)
# The demo's functions reject what they do not know; what is odd elsewhere, its sites do not do.
DEMO_ROW_RULES = ROW_RULES | {"unknown_test"}
# Of what enters, what gives the row a key of its own: a row put right does not take its place.
KEY_RULES = frozenset({"unknown_test", "partial_date"})
# As `surrogateescape` writes it: byte 0x92, a quote in cp1252, is no UTF-8; byte 0x81 is no cp1252.
UNDECODABLE: Mapping[str, str] = {"utf-8": "\udc92", "cp1252": "\udc81", "cp1250": "\udc81"}
OPERATORS = ("<", ">", "<=", ">=")
NOT_DONE = ("ND", "NOT DONE", "Not done", "not performed")
SPECIMENS = ("HEMOLYZED", "specimen clotted", "LIPEMIC", "Insufficient quantity")
CODED_RESULTS = ("NEGATIVE", "TRACE", "1+", "positive")
# What of these CDISC says otherwise.
SAYS: Mapping[str, str] = {
    **{text: text for text in (*SPECIMENS, *CODED_RESULTS)},
    "specimen clotted": "CLOTTED",
    "Insufficient quantity": "QUANTITY NOT SUFFICIENT",
    "positive": "POSITIVE",
}
WORDS = ("see report", "repeat pending", "4.1 (rechecked)", "approx 5")
UNIT_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "10^9/L": ("10*9/L", "GI/L", "G/L", "THOU/uL", "10*3/uL", " 10^9/l "),
    "10^12/L": ("10*12/L", "TI/L", "T/L", "10*6/uL"),
    "U/L": ("IU/L", "u/l"),
    "mmol/L": ("mmol/l", "MMOL/L"),
    "g/L": ("g/l", " g/L"),
}
ADDRESSES = ("jane.roe@example.org", "r.doe@mail.example.com")
UNKNOWN_UNITS = ("Other", "units", "%%", "see lab")
MICRO, GREEK_MU = "\u00b5", "\u03bc"


@dataclass(kw_only=True)
class Line:
    """One row on its way into a file."""

    values: Row
    rule: str = ""  # what is wrong with it; nothing: it is good
    column: str = ""
    repeats: bool = False  # the later one of two
    settled: bool = False  # nothing else may happen to it
    fields_dropped: int = 0
    fields_added: list[str] = field(default_factory=list)

    def fields(self, columns: tuple[str, ...]) -> list[str]:
        given = [self.values[column] for column in columns]
        return given[: len(given) - self.fields_dropped] + self.fields_added

    def settle(self, rule: str, column: str = "", value: str | None = None) -> None:
        self.rule, self.column, self.settled = rule, column, True
        if value is not None:
            self.values[column] = value


@dataclass(frozen=True, kw_only=True)
class Page:
    """The lines of one file, as far as spoiling them needs to know."""

    pipeline: str
    convention: Convention
    business: date
    dice: Dice
    lines: list[Line]

    def draw(self, wanted: Callable[[Line], bool] = lambda line: True) -> Line:
        return self.dice.pick([line for line in self.lines if not line.settled and wanted(line)])

    def draw_number(self, *units: str) -> Line:
        """A row with a plain number, in one of these units if any are named."""
        return self.draw(lambda line: self.is_number(line) and (not units or line.values["UNIT"] in units))

    def repeat(self, line: Line) -> Line:
        """Give a row a second time, somewhat later in the file."""
        position = next(place for place, other in enumerate(self.lines) if other is line)
        line.settled = True
        again = Line(values=dict(line.values), repeats=True, settled=True)
        self.lines.insert(min(position + self.dice.between(1, 6), len(self.lines)), again)
        return again

    @property
    def result(self) -> str:
        return "RESULT" if self.pipeline == "labs" else "PULSE"

    def is_number(self, line: Line) -> bool:
        try:
            Decimal(line.values[self.result].replace(",", "."))
        except InvalidOperation:
            return False
        return True

    def change(self, line: Line) -> None:
        """Another value for the same measurement."""
        old = Decimal(line.values[self.result].replace(self.convention.decimal, "."))
        step = Decimal(self.dice.between(2, 9)).scaleb(int(old.as_tuple().exponent))
        line.values[self.result] = self.convention.number(old + step)


def _duplicate(page: Page) -> None:
    page.repeat(page.draw()).rule = "duplicate"


def _conflict(page: Page) -> None:
    first = page.draw(page.is_number)
    again = page.repeat(first)
    page.change(again)
    first.rule = again.rule = "conflict"
    first.column = again.column = page.result


def _not_a_number(page: Page) -> None:
    line = page.draw()
    line.settle("not_a_number", "SYS_BP", line.values["SYS_BP"][:-1] + "O")


def _out_of_range(page: Page) -> None:
    column = page.dice.pick([column for column in LIMITS if column.endswith("_BP")])
    page.draw().settle("out_of_range", column, "999")


def _unknown_test(page: Page) -> None:
    line = page.draw()
    line.values["TEST"] = "Xylitol"
    line.settle("unknown_test", "TESTCD", "XYL9")


def _bad_date(page: Page) -> None:
    line, year = page.draw(), page.business.year
    if page.pipeline == "vitals":
        line.settle("bad_date", "VISIT_DATE", page.convention.day(year, 2, 31))
    else:
        line.settle("bad_date", "COLLECTED", f"{year}-02-31{line.values['COLLECTED'][10:]}")


def _missing_subject(page: Page) -> None:
    page.draw().settle("missing_subject", "SUBJECT", "")


def _extra_field(page: Page) -> None:
    """A delimiter in a text, without the quotes it needs."""
    line = page.draw()
    if page.pipeline == "labs":
        line.settle("extra_field", "COMMENT", "repeat")
    line.settle("extra_field")
    line.fields_added.append(" fasting")


def _missing_field(page: Page) -> None:
    line = page.draw()
    line.settle("missing_field")
    line.fields_dropped = 1


def _nul_byte(page: Page) -> None:
    page.draw().settle("nul_byte", "COMMENT", "tube 2\x00 relabelled")


def _undecodable_byte(page: Page) -> None:
    byte = UNDECODABLE[page.convention.encoding]
    page.draw().settle("undecodable_byte", "COMMENT", f"subject{byte}s second tube")


def _partial_date(page: Page) -> None:
    line = page.draw()
    line.settle("partial_date", "COLLECTED", line.values["COLLECTED"][: page.dice.pick((4, 7))])


def _ambiguous_date(page: Page) -> None:
    line = page.draw()
    year, _, rest = line.values["COLLECTED"].split("-")
    line.settle("ambiguous_date", "COLLECTED", f"03/04/{year} {rest.split('T')[1]}")


def _operator(page: Page) -> None:
    line = page.draw_number()
    line.settle("operator", "RESULT", page.dice.pick(OPERATORS) + line.values["RESULT"])


def _said_instead(rule: str, words: tuple[str, ...]) -> Callable[[Page], None]:
    def spoil(page: Page) -> None:
        page.draw_number().settle(rule, "RESULT", page.dice.pick(words))

    return spoil


def _unit_synonym(page: Page) -> None:
    line = page.draw_number(*UNIT_SYNONYMS)
    line.settle("unit_synonym", "UNIT", page.dice.pick(UNIT_SYNONYMS[line.values["UNIT"]]))


def _unit_unknown(page: Page) -> None:
    page.draw_number().settle("unit_unknown", "UNIT", page.dice.pick(UNKNOWN_UNITS))


def _unit_mu(page: Page) -> None:
    line = page.draw(lambda line: MICRO in line.values["UNIT"])
    line.settle("unit_mu", "UNIT", line.values["UNIT"].replace(MICRO, GREEK_MU))


def _other_unit(rule: str, column: str, convert: Callable[[Decimal], Decimal]) -> Callable[[Page], None]:
    """A cell in a unit that the column does not have, and nothing that says so."""

    def spoil(page: Page) -> None:
        line = page.draw(lambda line: line.values[column] != "")
        value = Decimal(line.values[column].replace(page.convention.decimal, "."))
        line.settle(rule, column, page.convention.number(convert(value).quantize(Decimal("0.1"))))

    return spoil


def _unusual(page: Page) -> None:
    page.draw().settle("unusual", "PULSE", str(page.dice.between(161, 190)))


SPOILERS: Mapping[str, Callable[[Page], None]] = {
    "duplicate": _duplicate,
    "conflict": _conflict,
    "not_a_number": _not_a_number,
    "out_of_range": _out_of_range,
    "unknown_test": _unknown_test,
    "bad_date": _bad_date,
    "missing_subject": _missing_subject,
    "extra_field": _extra_field,
    "missing_field": _missing_field,
    "nul_byte": _nul_byte,
    "undecodable_byte": _undecodable_byte,
    "partial_date": _partial_date,
    "ambiguous_date": _ambiguous_date,
    "operator": _operator,
    "not_done": _said_instead("not_done", NOT_DONE),
    "specimen": _said_instead("specimen", SPECIMENS),
    "coded_result": _said_instead("coded_result", CODED_RESULTS),
    "result_in_words": _said_instead("result_in_words", WORDS),
    "unit_synonym": _unit_synonym,
    "unit_unknown": _unit_unknown,
    "unit_mu": _unit_mu,
    "fahrenheit": _other_unit("fahrenheit", "TEMP_C", IMPERIAL["TEMP_C"].from_metric),
    "pounds": _other_unit("pounds", "WEIGHT_KG", IMPERIAL["WEIGHT_KG"].from_metric),
    "celsius": _other_unit("celsius", "TEMP_C", IMPERIAL["TEMP_C"].to_metric),
    "kilograms": _other_unit("kilograms", "WEIGHT_KG", IMPERIAL["WEIGHT_KG"].to_metric),
    "centimetres": _other_unit("centimetres", HEIGHT, IMPERIAL[HEIGHT].to_metric),
    "unusual": _unusual,
}


def identify(page: Page) -> None:
    """Somebody to write to, in a comment."""
    page.draw().settle("identifier", "COMMENT", f"result to {page.dice.pick(ADDRESSES)}")


def break_a_third(page: Page) -> None:
    """Every third collection time as a spreadsheet in the United States would write it."""
    for line in page.lines[1::3]:
        year, month, rest = line.values["COLLECTED"].split("-")
        day, clock = rest.split("T")
        line.settle("bad_date", "COLLECTED", f"{month}/{day}/{year} {clock}")


def correct_some(page: Page) -> None:
    """Three results in labs, two in vitals, are not what they were."""
    numbers = [line for line in page.lines if page.is_number(line)]
    for line in page.dice.sample(numbers, 3 if page.pipeline == "labs" else 2):
        page.change(line)
