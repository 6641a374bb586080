"""One record's fields, one by one: for the few that pyarrow is not asked to read."""

from __future__ import annotations

import re

from haulier.definitions.formats import Csv


class Fields:
    """Splits a record that `haulier.records.frame` has cut, as pyarrow and Python's csv module do.

    Python's csv module cannot tell an empty cell from a quoted one before Python 3.12; here the
    first is ``None`` and the second is ``""``.
    """

    def __init__(self, csv: Csv) -> None:
        self._delimiter, self._quote = csv.delimiter, csv.quote
        # Without a quote character none of this is asked; NUL is in no record that is.
        quote, other = re.escape(csv.quote or "\0"), f"[^{re.escape(csv.delimiter)}]*"
        quoted = f"{quote}([^{quote}]*(?:{quote}{quote}[^{quote}]*)*){quote}({other})"
        self._field = re.compile(f"{quoted}|{other}")

    def split(self, record: str) -> list[str | None]:
        """The cells; what follows a closing quote belongs to the cell."""
        if not self._quote or self._quote not in record:
            return [cell or None for cell in record.split(self._delimiter)]
        cells: list[str | None] = []
        at = -1
        while at < len(record):
            found = self._field.match(record, at + 1)
            assert found is not None, "the pattern matches nothing, too"
            if found[1] is None:
                cells.append(found[0] or None)
            else:
                cells.append(found[1].replace(self._quote * 2, self._quote) + found[2])
            at = found.end()
        return cells
