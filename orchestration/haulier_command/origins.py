"""Where a version of a row came from: its load and run, its file, and the line in that file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from haulier.errors import DataError, TransientError
from haulier.interval import Interval
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier_command.ledger import Row, rows
from haulier_command.sealed import Sealed, text_of
from haulier_command.words import interval_name

if TYPE_CHECKING:
    from haulier.manifest import Delivery

_SQL = queries("haulier_command.verbs", "trace.sql")


@dataclass(kw_only=True)
class Version:
    """One version of a target row."""

    row: Row
    #: Absent for the present one.
    operation: str = ""
    replaced_by: int | None = None
    replaced_at: object = None
    origin: Row = field(default_factory=dict)
    line: str | None = None
    #: Empty when the line is as it was sent.
    line_is: str = ""

    @property
    def number(self) -> int:
        """The row's number in its file."""
        return int(self.row["_haulier_row"])

    def as_json(self) -> Row:
        return {**vars(self), "file_row": self.number}


def trace_origins(cursor: Cursor, sealed: Sealed, versions: Sequence[Version]) -> None:
    """Fill in where each version came from."""
    asked: dict[str, list[int]] = {"loads": [], "deliveries": []}
    for version in versions:
        asked["loads"].append(version.row["_haulier_load"])
        asked["deliveries"].append(version.row["_haulier_delivery"])
    found = {(row["load_id"], row["delivery_id"]): row for row in rows(cursor, _SQL["origins"], asked)}
    for version in versions:
        version.origin = found[version.row["_haulier_load"], version.row["_haulier_delivery"]]
        version.line, version.line_is = line_of(sealed, version.origin, version.number)


def line_of(sealed: Sealed, origin: Row, number: int) -> tuple[str | None, str]:
    """A line of a kept original as text, and what is not as it was sent."""
    form = sealed.format(origin)
    try:
        verbatim = sealed.line(delivery_of(origin), form, number)
    except (DataError, TransientError) as exc:
        return None, str(exc)
    text, whole = text_of(verbatim, form.encoding)
    return text, "" if whole else f"not all {form.encoding}: the replaced bytes are marked"


def delivery_of(origin: Row) -> Delivery:
    from haulier.manifest import Delivery

    return Delivery(
        delivery_id=origin["delivery_id"],
        logical_name=origin["file"],
        sequence=origin["sequence"],
        sha256=origin["sha256"],
        bytes=origin["bytes"],
        uri=origin["uri"],
        modified_at=origin["modified_at"],
        original=origin["original"],
    )


def run_name(origin: Row) -> str:
    interval = Interval(start=origin["interval_start"], end=origin["interval_end"])
    return f"{origin['pipeline']}/{origin['instance']} {interval_name(interval)}"
