"""What the end of a test session says about the tests that did not run."""

from __future__ import annotations

import pytest
from support import unrun


def skipped(nodeid: str, reason: str) -> pytest.CollectReport:
    return pytest.CollectReport(
        nodeid, "skipped", ("file.py", 1, f"Skipped: {reason}"), []
    )  # as a skip is told


def test_tests_are_listed_under_their_reason():
    reasons = unrun.by_reason([skipped("b", "no moon"), skipped("a", "no moon"), skipped("c", "too late")])

    assert unrun.lines(reasons) == [
        "2 tests did not run here: no moon",
        "    a",
        "    b",
        "1 test did not run here: too late",
        "    c",
    ]


def test_only_known_reasons_are_accepted():
    known = unrun.ALLOWED[0]

    assert unrun.refused({known: ["a"], f"{known}: /data": ["b"], "it was raining": ["c"]}) == [
        "it was raining"
    ]
