"""All that the command prints: the answer on stdout as text or JSON, what to know beside it on stderr."""

from __future__ import annotations

import json
import sys
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from haulier_command.plain import cell_text, clean, plain_table, shown_columns

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from haulier.errors import HaulierError

Form = Literal["text", "json"]

#: How a word of an outcome is coloured at a terminal; every other word is left alone.
STYLES: Mapping[str, str] = {
    "loaded": "green",
    "ok": "green",
    "replayed": "green",
    "on time": "green",
    "already done": "cyan",
    "empty": "dim",
    "not run": "dim",
    "due": "yellow",
    "late": "yellow",
    "waiting": "yellow",
    "open": "yellow",
    "failed again": "yellow",
    "answered": "cyan",
    "released": "green",
    "corrected": "green",
    "elevated": "yellow",
    "high": "bold red",
    "quarantined": "bold red",
    "failed": "bold red",
    "wrong": "bold red",
    "warn": "yellow",
    "fail": "bold red",
    "cancelled": "bold red",
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table."""

    name: str
    number: bool = False
    #: Without, the column is left out when it holds nothing but zeros.
    zeros: bool = True
    #: Its words have colours.
    outcome: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under names; ``note`` stands below them."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[object]]
    note: str = ""
    #: Said instead of a table without rows.
    nothing: str = "none"


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Text as it is, under a title; ``commands``: for copying, so never wrapped."""

    lines: Sequence[str]
    title: str = ""
    commands: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of one thing: name and value, a line each; those without a value are left out."""

    title: str
    facts: Sequence[tuple[str, object]]

    @property
    def known(self) -> list[tuple[str, object]]:
        return [(name, value) for name, value in self.facts if value is not None and value != ""]


#: Cells up to this length are never broken.
_WHOLE = 12

Block = Table | Lines | Facts


def columns(*names: str) -> tuple[Column, ...]:
    """By name: ``"runs#"`` holds numbers, ``"held#?"`` goes when all are zero, ``"state!"`` is coloured."""
    return tuple(
        Column(name=name.rstrip("#?!"), number="#" in name, zeros="?" not in name, outcome="!" in name)
        for name in names
    )


def add_output_option(parser: ArgumentParser, *, nested: bool = False) -> None:
    # A parser below another must not overwrite with its default what was said above it.
    default = SUPPRESS if nested else "text"
    parser.add_argument(
        "--output", choices=("text", "json"), default=default, help="json: one document on stdout"
    )


class Screen:
    """Where a verb's answer goes: one per process."""

    def __init__(
        self,
        form: Form,
        environ: Mapping[str, str],
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
    ) -> None:
        self.form = form
        self._environ = environ
        self._out = stdout or sys.stdout
        self._err = stderr or sys.stderr

    @property
    def live(self) -> bool:
        """Whether someone watches stderr, so that it may move."""
        return self._err.isatty() and self._environ.get("TERM") != "dumb"

    def show(self, document: Mapping[str, Any], *blocks: Block) -> None:
        """The answer: ``document`` as JSON, or ``blocks`` as text for people."""
        if self.form == "json":
            self._out.write(json.dumps(document, indent=2, default=_as_json, ensure_ascii=False) + "\n")
        elif self._out.isatty():
            self._show_styled(blocks)
        else:
            self._out.write("\n".join(plain(block) for block in blocks))
        self._out.flush()

    def show_file(self, text: str) -> None:
        """Text that is itself a file, such as CSV, byte for byte."""
        self._out.write(text)
        self._out.flush()

    def tell(self, line: str) -> None:
        """One line beside the answer."""
        self._err.write(clean(line, keep="\n") + "\n")
        self._err.flush()

    def fail(self, exc: HaulierError) -> None:
        """Why there is no answer: on stderr for people, and as the one document for programs."""
        self.tell(f"haulier: {exc}")
        if self.form == "json":
            self.show({"error": str(exc), "exit_code": exc.exit_code})

    def error_console(self) -> Console:
        """For what moves; only where `live`."""
        from rich.console import Console

        return Console(file=self._err, highlight=False, markup=False, emoji=False)

    def _show_styled(self, blocks: Sequence[Block]) -> None:
        from rich.console import Console
        from rich.text import Text

        console = Console(file=self._out, highlight=False, markup=False, emoji=False)
        for number, block in enumerate(blocks):
            if number:
                console.print()
            if block.title:
                console.print(Text(clean(block.title), style="bold"))
            if isinstance(block, Table):
                self._table(console, block)
            elif isinstance(block, Facts):
                self._facts(console, block)
            else:
                for line in block.lines:
                    text = Text(clean(line))
                    console.print(text, soft_wrap=block.commands or len(line) < console.width)

    @staticmethod
    def _facts(console: Console, facts: Facts) -> None:
        from rich.table import Table as RichTable
        from rich.text import Text

        drawn = RichTable.grid(padding=(0, 2))
        drawn.add_column(style="dim", no_wrap=True)
        drawn.add_column(overflow="fold")
        for name, value in facts.known:
            drawn.add_row(name, Text(cell_text(value, thousands=True)))
        console.print(drawn)

    @staticmethod
    def _table(console: Console, table: Table) -> None:
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        if not table.rows:
            console.print(Text(f"  {table.nothing}", style="dim"))
            return
        shown = shown_columns(table.columns, table.rows)
        lengths = {
            position: max(len(cell_text(row[position], thousands=True)) for row in table.rows)
            for position in shown
        }
        wide = sum(max(length, len(table.columns[n].name)) + 2 for n, length in lengths.items())
        gap = 0 if wide > console.width else 1
        drawn = RichTable(box=box.SIMPLE_HEAD, padding=(0, gap, 0, 0), show_edge=False, header_style="bold")
        for position, longest in lengths.items():
            column = table.columns[position]
            drawn.add_column(
                column.name,
                justify="right" if column.number else "left",
                no_wrap=column.number or longest <= _WHOLE,
                overflow="fold",
            )
        for row in table.rows:
            drawn.add_row(*(_styled(row[position], table.columns[position]) for position in shown))
        console.print(drawn)
        if table.note:
            console.print(Text(clean(table.note), style="dim"))


def _styled(value: object, column: Column) -> Text:
    from rich.text import Text

    text = Text(cell_text(value, thousands=True))
    if column.outcome:
        for word, style in STYLES.items():
            text.highlight_regex(rf"\b{word}\b", style)
    return text


def plain(block: Block) -> str:
    """Whole lines, aligned, without a colour."""
    title = [clean(block.title)] if block.title else []
    if isinstance(block, Facts):
        width = max((len(name) for name, _ in block.known), default=0)
        lines = [f"{name:{width}}  {cell_text(value)}" for name, value in block.known]
        return "".join(f"{line}\n" for line in [*title, *lines])
    if isinstance(block, Lines):
        return "".join(f"{clean(line)}\n" for line in [*title, *block.lines])
    if not block.rows:
        return "".join(f"{clean(line)}\n" for line in [*title, block.nothing])
    body = plain_table(block.columns, block.rows)
    return "".join(f"{line}\n" for line in [*title, *body, *([clean(block.note)] if block.note else [])])


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Path | Decimal):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", errors="backslashreplace")
    return cell_text(value)
