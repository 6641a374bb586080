"""What every table of the page has in common: shares, and how many sites it has room for."""

from __future__ import annotations

#: Beyond so many sites a table shows those that want somebody most.
MOST_SITES = 120


def percent(part: float, whole: float, digits: int = 1) -> float | None:
    """None: of nothing there is no share."""
    return round(100 * part / whole, digits) if whole else None
