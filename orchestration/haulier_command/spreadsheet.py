"""CSV for people, who will open it in a spreadsheet: no cell of it may become a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

# What makes a spreadsheet compute instead of show, at the beginning of a cell; the wide forms are Japan's.
_STARTS = "=+\\-@\t\r\n＝＋－＠"
_FORMULA = re.compile(f"[{_STARTS}]")
# Where a comma is the decimal mark, a spreadsheet splits cells at semicolons, and some split at tabs and line
# ends: the rest of such a cell would begin a new one.
_INNER = re.compile(r'([;\t\r\n]["\s]*)(?=[=+\-@＝＋－＠])')


def harmless(cell: str) -> str:
    """The cell as text to every spreadsheet: an apostrophe goes before what would start a formula."""
    inner = _INNER.sub(r"\1'", cell)
    return f"'{inner}" if _FORMULA.match(cell.lstrip(" \"'")) or _FORMULA.match(cell) else inner


def csv_text(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A whole CSV file, every cell quoted and harmless."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(header)
    for line in lines:
        writer.writerow([harmless("" if cell is None else str(cell)) for cell in line])
    return out.getvalue()
