"""Things in a partition a month."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from support.hauling import KEYED, partitioned

MONTHLY = partitioned(KEYED, seen="month")


def thing(name: str, seen: str, colour: str = "red", **more: Any) -> dict[str, Any]:
    """A row."""
    return {"thing": name, "colour": colour, "price": Decimal(1), "seen": date.fromisoformat(seen), **more}
