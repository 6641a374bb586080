"""What a definition may say of what a delivery is made of: how its bytes become columns."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from haulier.definitions.words import Name, Natural, Section


class Packed(Section, frozen=True, kw_only=True):
    """What a compressed file (.gz, .zip, .zst, .xlsx) may become; one that becomes more is refused."""

    #: Most times its packed bytes: exports shrink 5 to 30 times, a bomb is more than a thousand.
    ratio: Annotated[int, Meta(ge=1)] = 200
    #: Up to so many unpacked bytes any ratio is taken.
    ratio_from_bytes: Natural = 1024**3
    #: Most bytes, unpacked.
    bytes: Annotated[int, Meta(ge=1)] = 1024**4
    #: Most files in an archive, folders and what else is no data among them.
    entries: Annotated[int, Meta(ge=1)] = 10_000


class Footer(Section, frozen=True, kw_only=True):
    """Lines after the data that are not data."""

    #: How many trailing lines are always footer.
    rows: Natural = 0
    #: A trailing line that matches this regular expression is footer; a first group, if it has one,
    #: is the row count the sender claims, which must be right.
    pattern: str | None = None


class Csv(Section, frozen=True, kw_only=True):
    """How the bytes of a delimited text file become cells."""

    section: ClassVar[str] = "csv"

    #: How bytes become characters, by Python's name of it: `utf-8`, `cp1252`, `utf-16`. A byte order mark is
    #: no part of the text.
    encoding: str = "utf-8"
    #: What separates cells.
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    #: The quote character, doubled inside quotes; empty: quotes mean nothing.
    quote: Annotated[str, Meta(max_length=1)] = '"'
    #: Lines before the header that are not data.
    preamble_rows: Natural = 0
    #: Header lines; the first names the columns, the others are dropped.
    header_rows: Annotated[int, Meta(ge=1, le=9)] = 1
    #: Lines after the data that are not data.
    footer: Footer = Footer()
    #: Longest record in bytes; a longer one (a quote never closed) is rejected.
    record_bytes: Annotated[int, Meta(ge=64, le=64 * 1024 * 1024)] = 1024 * 1024
    #: What a compressed file may become.
    packed: Packed = Packed()


class Debezium(Section, frozen=True, kw_only=True):
    """Change events of Debezium, whole: `before`, `after`, `op`; with or without `schema` and `payload` around them."""

    #: What the event says of itself, as columns `__op`, `__lsn`, …: named as in `add.fields` of Debezium's
    #: ExtractNewRecordState, such as `source.ts_ms` for `__source_ts_ms`.
    fields: Annotated[tuple[Name, ...], Meta(min_length=1)] = ("op", "lsn")


#: Of a line, at most.
LINE_BYTES = 64 * 1024 * 1024


class JsonLines(Section, frozen=True, kw_only=True):
    """One JSON object a line: its keys are columns, nested values stay JSON."""

    section: ClassVar[str] = "jsonl"

    #: How bytes become characters, by Python's name of it. A byte order mark is no part of the text.
    encoding: str = "utf-8"
    #: Longest line in bytes; a longer one is rejected.
    record_bytes: Annotated[int, Meta(ge=64, le=LINE_BYTES)] = 1024 * 1024
    #: What a compressed file may become.
    packed: Packed = Packed()
    #: The lines are change events of Debezium, whose rows are inside; none: each line is a row.
    debezium: Debezium | None = None


class Parquet(Section, frozen=True, kw_only=True):
    """Parquet: columns keep their own types, nested ones become JSON."""

    section: ClassVar[str] = "parquet"
    encoding: ClassVar[str] = "utf-8"

    #: Most bytes of one row group, unpacked, as the file itself says; a larger one is refused.
    row_group_bytes: Annotated[int, Meta(ge=1024, le=16 * 1024**3)] = 1024**3


class Excel(Section, frozen=True, kw_only=True):
    """One sheet of an Excel workbook (.xlsx, .xls); docs/adr/0008 says what the text of a cell is."""

    section: ClassVar[str] = "excel"
    encoding: ClassVar[str] = "utf-8"

    #: The sheet's name, or its number counted from 1; hidden sheets count.
    sheet: Name | Annotated[int, Meta(ge=1)] = 1
    #: Rows of the sheet before the header that are not data.
    preamble_rows: Natural = 0
    #: Header rows; the first names the columns, the others are dropped.
    header_rows: Annotated[int, Meta(ge=1, le=9)] = 1
    #: Most bytes of texts that the workbook keeps once for all its cells; they are held in memory.
    shared_bytes: Annotated[int, Meta(ge=1024, le=16 * 1024**3)] = 128 * 1024**2
    #: Most bytes of an old workbook (.xls), which is read as a whole and takes several times as much memory.
    xls_bytes: Annotated[int, Meta(ge=1024, le=1024**3)] = 32 * 1024**2
    #: What a compressed file may become.
    packed: Packed = Packed()


class FixedColumn(Section, frozen=True, kw_only=True):
    """A column of a file of fixed width."""

    #: Its name: such a file has no header to read it from.
    name: Name
    #: How many characters it has.
    width: Annotated[int, Meta(ge=1, le=1024 * 1024)]
    #: Its first character, counted from 1; none: where the column before it ends.
    start: Annotated[int, Meta(ge=1, le=64 * 1024 * 1024)] | None = None


class FixedWidth(Section, frozen=True, kw_only=True):
    """Text whose cells have their places in each line, padded with spaces."""

    section: ClassVar[str] = "fixed"

    #: The columns, from left to right.
    columns: Annotated[tuple[FixedColumn, ...], Meta(min_length=1)]
    #: How bytes become characters, by Python's name of it. A byte order mark is no part of the text.
    encoding: str = "utf-8"
    #: Lines before the first row that are not data.
    header_rows: Natural = 0
    #: A line that ends before its last column does: `reject`; or `pad`, where a sender cuts spaces off.
    short_lines: Literal["reject", "pad"] = "reject"
    #: Longest line in bytes; a longer one is rejected.
    record_bytes: Annotated[int, Meta(ge=64, le=64 * 1024 * 1024)] = 1024 * 1024
    #: What a compressed file may become.
    packed: Packed = Packed()

    @property
    def places(self) -> list[tuple[int, int]]:
        """Where each column begins and ends, counted from 0."""
        found: list[tuple[int, int]] = []
        for column in self.columns:
            begin = column.start - 1 if column.start else found[-1][1] if found else 0
            found.append((begin, begin + column.width))
        return found


#: Formats whose files are text, which may be compressed.
Text = Csv | JsonLines | FixedWidth
#: How a delivery's bytes become columns. Each has a `section`, its key in a definition and in the registries,
#: and an `encoding`, that of its rows' verbatim bytes.
Format = Csv | JsonLines | Excel | Parquet | FixedWidth
