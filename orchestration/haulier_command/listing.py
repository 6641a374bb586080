"""Queries as the sender of the files needs them: where each row is, as it was sent, what is wrong and what to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from haulier.errors import DataError
from haulier_command.blinding import Blinding, Shown
from haulier_command.sealed import Sealed, delivery_of

if TYPE_CHECKING:
    from haulier_command.ledger import Row

LISTING = (
    *("query", "status", "pipeline", "instance", "file", "row", "original line", "column", "original cell"),
    *("rule", "what is wrong", "how to fix it", "opened", "age in days", "original line is"),
)
#: Characters; what is not here takes 12.
WIDTHS = {
    **{"file": 28, "original line": 48, "original cell": 18, "what is wrong": 48, "how to fix it": 44},
    **{"row": 8, "query": 8, "opened": 18, "age in days": 8, "original line is": 20},
}
_TO_FIX = {
    "reject": "Correct the row and send the file again.",
    "flag": "Check the value. If it is wrong, correct it and send the file again; if it is right, say so.",
}
_GONE = "not shown: the original file is no longer kept"
#: Row number -> its bytes, of one file.
_Lines = dict[int, bytes] | None


def listing(found: Sequence[Row], sealed: Sealed) -> Iterator[tuple[object, ...]]:
    """A line for each query, as `LISTING` names its cells."""
    blinding = Blinding(sealed)
    lines = _flagged_lines(found, sealed)
    for row in found:
        shown = _shown(row, blinding, lines)
        wrong, to_fix = _words(row, shown, blinding)
        yield (
            *(row["query"], row["status"], row["pipeline"], row["instance"], row["file"], row["row"]),
            *(shown.text, row["column"], shown.cell(row["column"]), row["rule"], wrong, to_fix),
            *(f"{row['opened_at']:%Y-%m-%d %H:%M}Z", row["age_days"], shown.note or "as sent"),
        )


def _shown(row: Row, blinding: Blinding, lines: dict[tuple[object, ...], _Lines]) -> Shown:
    if row["kind"] == "reject":
        return blinding.shown(row, bytes(row["verbatim"]), row["verbatim_bytes"], divide=True)
    kept = lines[_file(row)]
    if kept is None:
        # Without the row nobody knows what is not to be told.
        return blinding.withheld(row, _GONE)
    line = kept[row["row"]]
    return blinding.shown(row, line, len(line), divide=True)


def _words(row: Row, shown: Shown, blinding: Blinding) -> tuple[str, str]:
    """What is wrong, and how to fix it, apart; all that is wrong with a rejected row."""
    wrong, fixes = [], []
    for place, problem in enumerate(row["problems"] or [row]):
        column = problem.get("column")
        to_fix = blinding.how_to_fix(row, column)
        said = shown.message(problem).removesuffix(to_fix).rstrip()
        wrong.append(f"{column}: {said}" if place and column else said)
        fixes.append(to_fix)
    return " / ".join(wrong), " / ".join(dict.fromkeys(fix for fix in fixes if fix)) or _TO_FIX[row["kind"]]


def _flagged_lines(found: Sequence[Row], sealed: Sealed) -> dict[tuple[object, ...], _Lines]:
    """The rows of flags, which the ledger does not keep, from the kept originals: each file is read once."""
    wanted: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in found:
        if row["kind"] == "flag":
            wanted[_file(row)].append(row)
    return {file: _lines(rows, sealed) for file, rows in wanted.items()}


def _lines(rows: Sequence[Row], sealed: Sealed) -> _Lines:
    from haulier.exchange import ObjectMissing
    from haulier.originals import VerbatimRows

    numbers = sorted({row["row"] for row in rows})
    try:
        reader = VerbatimRows(sealed.exchange, delivery_of(rows[0]), sealed.format(rows[0]))
        return dict(zip(numbers, reader.take(numbers), strict=True))
    except (ObjectMissing, DataError):
        return None


def _file(row: Row) -> tuple[object, ...]:
    """A file as one definition reads it."""
    return row["delivery_id"], row["interval_start"], row["interval_end"], row["generation"], row["replay_id"]
