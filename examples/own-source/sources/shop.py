"""The shop's own database as a source: orders, a run's interval at a time."""

import sqlite3
from contextlib import closing

from haulier.errors import DefinitionError, TransientError

ORDERS = """
    SELECT order_id, customer, amount, changed_at FROM orders
    WHERE shop = ? AND changed_at >= ? AND changed_at < ?
    ORDER BY changed_at, order_id
"""


def orders(asked):
    """The orders that changed in the interval, one row each.

    `asked` has `start` and `end` in UTC, `instance`, `pipeline`, the definition's `options` and
    `parameters`, `folder` (HAULIER_SOURCE_ROOT), and `secret("NAME")` for HAULIER_SECRET_NAME.
    """
    path = asked.folder / asked.options["database"]
    if not path.is_file():
        raise DefinitionError(f"source.custom.options.database: there is no {path}")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            between = (asked.options["shop"], stamp(asked.start), stamp(asked.end))
            for row in database.execute(ORDERS, between):
                yield dict(row)
    except sqlite3.OperationalError as exc:
        # Exit code 75: whoever started the run tries again later.
        raise TransientError(f"{path} cannot be read now: {exc}") from exc


def stamp(instant):
    """A time as this database writes it."""
    return instant.strftime("%Y-%m-%d %H:%M:%S")
