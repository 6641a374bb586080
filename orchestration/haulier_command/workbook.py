"""A workbook for people: one sheet of texts, none of which a spreadsheet takes for anything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

#: Excel itself keeps no more of a cell.
CELL_CHARACTERS = 32_767
_CUT = "… (cut)"


def write_workbook(
    path: Path,
    title: str,
    header: Sequence[str],
    lines: Iterable[Sequence[object]],
    *,
    widths: Mapping[str, int],
    created: datetime,
) -> None:
    """The same lines, and the same ``created``, give the same bytes. Whole numbers are numbers, all else is text."""
    from xlsxwriter import Workbook

    as_written = {
        "strings_to_formulas": False,
        "strings_to_numbers": False,
        "strings_to_urls": False,
        "in_memory": True,
    }
    with Workbook(str(path), as_written) as book:
        book.set_properties({"title": title, "created": created.replace(tzinfo=None)})
        wrapped = {"text_wrap": True, "valign": "top"}
        # Marked as text, so that it stays text when somebody edits it or saves it as CSV.
        text = book.add_format({**wrapped, "num_format": "@", "quote_prefix": True})
        number, bold = book.add_format(wrapped), book.add_format({**wrapped, "bold": True, "bottom": 1})
        sheet = book.add_worksheet("queries")
        for at, name in enumerate(header):
            sheet.write_string(0, at, name, bold)
            sheet.set_column(at, at, widths.get(name, 12))
        last = 0
        for last, line in enumerate(lines, start=1):
            for at, cell in enumerate(line):
                if isinstance(cell, int):
                    sheet.write_number(last, at, cell, number)
                else:
                    sheet.write_string(last, at, _text(cell), text)
        sheet.freeze_panes(1, 1)
        sheet.autofilter(0, 0, last, len(header) - 1)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)


def _text(cell: object) -> str:
    text = "" if cell is None else str(cell).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - len(_CUT)] + _CUT
