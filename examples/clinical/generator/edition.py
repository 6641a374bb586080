"""One version of one daily file: its bytes, and the account of its rows."""

import hashlib
import struct
import zlib
from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import NamedTuple

from generator.canonical import measured
from generator.conventions import NEW_COLUMN, Convention
from generator.dice import Dice
from generator.measurements import MEASURED, Day, Row
from generator.record import Finding, OutputCounts, RowCounts
from generator.spoil import (
    DEMO_ROW_RULES,
    ENTERING_RULES,
    ROW_RULES,
    SPOILERS,
    UNDECODABLE,
    Line,
    Page,
    break_a_third,
    correct_some,
    identify,
)

_BOM = b"\xef\xbb\xbf"
_DAYS_OF_A_CUT_EXPORT = 3


class Text(NamedTuple):
    """A file as text, with the lines that made it and where each begins."""

    text: str
    lines: list[Line]
    begins: list[int]  # character offset of each line


@dataclass(frozen=True, kw_only=True)
class Edition:
    """What a site wrote on one occasion. It has the same bytes wherever and whenever it is sent."""

    day: Day
    pipeline: str
    earlier: tuple[Day, ...] = ()  # of a cumulative file: the days whose rows come first
    created: date
    state: str = ""
    row_kinds: tuple[str, ...] = ()
    corrected: bool = False  # some values are not what they were
    cut: bool = False
    new_column: bool = False
    renamed: bool = False
    missing_column: bool = False
    gone: tuple[Day, ...] = ()  # days of which a row was deleted at the site since

    @cached_property
    def convention(self) -> Convention:
        return self.day.convention

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return self.convention.columns(
            self.pipeline, new_column=self.new_column, missing_column=self.missing_column
        )

    @property
    def extra_columns(self) -> tuple[str, ...]:
        return (NEW_COLUMN,) if self.new_column else ()

    @property
    def stripped(self) -> int:
        return len(self.convention.preamble) + (self.convention.footer is not None and not self.cut)

    def lines(self) -> list[Line]:
        """The rows of this edition, spoiled as planned."""
        if self.state == "empty":
            return []
        measured = [Line(values=row) for row in self._measured()]
        dice = Dice(self.day.seed, "edition", self.day.site, self.pipeline, self.day.business, self.corrected)
        page = Page(
            pipeline=self.pipeline,
            convention=self.convention,
            business=self.day.business,
            dice=dice,
            lines=measured,
        )
        if self.state == "broken_export":
            break_a_third(page)
        if self.state == "identifier":
            identify(page)
        if self.corrected:
            correct_some(page)
        for kind in self.row_kinds:
            SPOILERS[kind](page)
        return page.lines

    def _measured(self) -> list[Row]:
        earlier = self.earlier[-_DAYS_OF_A_CUT_EXPORT:] if self.state == "cut_export" else self.earlier
        rows = []
        for day in (*earlier, self.day):
            of_day = MEASURED[self.pipeline](day)
            if day in self.gone:
                of_day.remove(Dice(day.seed, "gone", day.site, self.pipeline, day.business).pick(of_day))
            rows += of_day
        return rows

    def row_texts(self) -> Counter[str]:
        return Counter(self._row(line.fields(self.columns)) for line in self.lines())

    def render(self) -> Text:
        lines, convention = self.lines(), self.convention
        written, begins, length = [], [], 0
        facts = {
            "pipeline": self.pipeline,
            "site": self.day.site,
            "business": self.day.business,
            "created": self.created,
        }
        for preamble in convention.preamble:
            written.append(preamble.format_map(facts) + convention.newline)
        written.append(self._row(convention.header(self.columns, renamed=self.renamed)))
        if convention.labels:
            written.append(self._row([column.replace("_", " ").capitalize() for column in self.columns]))
        length = sum(map(len, written))
        for line in lines:
            begins.append(length)
            written.append(self._row(line.fields(self.columns)))
            length += len(written[-1])
        if convention.footer is not None:
            written.append(convention.footer.format(rows=len(lines)) + convention.newline)
        whole = Text("".join(written), lines, begins)
        return self._cut_off(whole) if self.cut else whole

    def data(self, text: str) -> bytes:
        """The bytes of the file: encoded, marked and compressed as the site does."""
        convention = self.convention
        if convention.encoding == "utf-16":
            raw = ("\ufeff" + text).encode("utf-16-le")  # Python's own utf-16 has this machine's byte order
        else:
            mark = _BOM if convention.bom else b""
            raw = mark + text.encode(convention.encoding, "surrogateescape")
        return _gzip(raw) if self.pipeline in convention.compressed else raw

    def findings(self, page: Text) -> tuple[Finding, ...]:
        found = []
        for number, (line, begin) in enumerate(zip(page.lines, page.begins, strict=True), start=1):
            if line.rule:
                found.append(
                    Finding(
                        row=number,
                        line=page.text.count("\n", 0, begin) + 1,
                        rule=line.rule,
                        column=line.column,
                        scope=self.scope_of(line),
                        value=_readable(line.values[line.column]) if line.column else None,
                        offset=self._offset(page.text) if line.rule == "undecodable_byte" else None,
                    )
                )
        return tuple(found)

    def scope_of(self, line: Line) -> str:
        if line.rule in self._entering:
            return "none"
        return "row" if line.rule in self._row_rules or not line.column else "cell"

    def row_counts(self, lines: list[Line]) -> RowCounts:
        rules = Counter("" if line.rule in self._entering else line.rule for line in lines)
        good, duplicate, conflict = rules.pop("", 0), rules.pop("duplicate", 0), rules.pop("conflict", 0)
        return RowCounts(
            read=len(lines),
            good=good,
            duplicate=duplicate,
            conflict=conflict,
            bad=dict(sorted(rules.items())),
            rejected=sum(count for rule, count in rules.items() if rule in self._row_rules),
        )

    def output_counts(self, lines: list[Line]) -> OutputCounts:
        good = duplicate = conflict = 0
        bad: Counter[str] = Counter()
        for line in lines:
            if line.rule in self._row_rules:
                continue
            others = len(measured(self.pipeline, line.values, self.columns))
            if line.rule == "conflict":
                conflict, others = conflict + 1, others - 1
            elif line.rule not in ("", "duplicate", *self._entering):
                bad[line.rule], others = bad[line.rule] + 1, others - 1
            # What a second row says about the other measurements, the first has said.
            if line.repeats:
                duplicate += others
            else:
                good += others
        return OutputCounts(
            produced=good + duplicate + conflict + bad.total(),
            good=good,
            duplicate=duplicate,
            conflict=conflict,
            bad=dict(sorted(bad.items())),
        )

    @property
    def _entering(self) -> frozenset[str]:
        return ENTERING_RULES if self.convention.as_sdtm else frozenset()

    @property
    def _row_rules(self) -> frozenset[str]:
        return ROW_RULES if self.convention.as_sdtm else DEMO_ROW_RULES

    def _row(self, fields: list[str]) -> str:
        # Not csv.writer: which characters it quotes has changed between Python versions.
        delimiter, added = self.convention.delimiter, fields[len(self.columns) :]
        quoted = [_quote(value, delimiter) for value in fields[: len(self.columns)]]
        return delimiter.join(quoted + added) + self.convention.newline

    def _cut_off(self, whole: Text) -> Text:
        """At most two thirds of the rows, and half of the next, which has no quotes and loses fields."""
        keep = len(whole.lines) * 2 // 3
        while '"' in whole.text[whole.begins[keep] : whole.begins[keep + 1]]:
            keep -= 1
        begin, end = whole.begins[keep], whole.begins[keep + 1]
        last = whole.lines[keep]
        last.settle("cut_row")
        return Text(
            whole.text[: begin + (end - begin) // 2], whole.lines[: keep + 1], whole.begins[: keep + 1]
        )

    def _offset(self, text: str) -> int:
        before = text[: text.index(UNDECODABLE[self.convention.encoding])]
        return len(before.encode(self.convention.encoding)) + (len(_BOM) if self.convention.bom else 0)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _quote(value: str, delimiter: str) -> str:
    if delimiter in value or '"' in value or "\n" in value or "\r" in value:
        return '"' + value.replace('"', '""') + '"'
    return value


def _readable(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _gzip(raw: bytes) -> bytes:
    """A gzip file of stored blocks. What a compressor makes of the same bytes depends on the zlib that Python
    was built with (zlib-ng on some), and the same seed has to give the same bytes everywhere."""
    blocks = [raw[start : start + 0xFFFF] for start in range(0, len(raw), 0xFFFF)] or [b""]
    stored = b"".join(
        struct.pack("<BHH", number == len(blocks), len(block), len(block) ^ 0xFFFF) + block
        for number, block in enumerate(blocks, start=1)
    )
    head = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"
    return head + stored + struct.pack("<II", zlib.crc32(raw), len(raw) & 0xFFFFFFFF)
