"""docs/guarantees.md names each invariant and says what holds it."""

from __future__ import annotations

import re
from pathlib import Path

from haulier.ledger.verify import HELD_BY_TESTS, INVARIANTS

PAGE = Path(__file__).parents[3] / "docs" / "guarantees.md"


def test_every_invariant_has_its_row_and_what_shows_it() -> None:
    rows = dict(re.findall(r"^\| \*\*(I\d+)\*\* .*\| (.+) \|$", PAGE.read_text(), re.MULTILINE))

    assert list(rows) == [f"I{number}" for number in range(1, len(rows) + 1)]
    assert {name for name, shown in rows.items() if shown.startswith("`haulier verify")} == set(INVARIANTS)
    assert {name for name, shown in rows.items() if shown.startswith("`tests/")} == set(HELD_BY_TESTS)
