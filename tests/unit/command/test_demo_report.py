"""What the demo says of a run that is kept out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from haulier_command.verbs.demo_report import explained

HELD: dict[str, Any] = {"rule": "type", "message": "", "file": None, "filtered": 0, "stripped": 0}


@pytest.mark.parametrize(
    ("counts", "numbers"),
    [
        ({"read": 93, "rows": 31, "rejects": 31, "stripped": 1, "held": 61}, [31, 93, 31, 1, 61]),
        ({"read": 40, "rows": 10, "rejects": 12, "filtered": 8, "held": 20}, [10, 40, 2, 12, 8, 20]),
        ({"read": 32, "rows": 12, "rejects": 12, "held": 20}, [12, 32, 12, 20]),
    ],
)
def test_every_row_that_was_read_is_named(counts: dict[str, int], numbers: list[int]) -> None:
    (line,) = explained({**HELD, **counts})

    assert [int(number) for number in re.findall(r"\d+", line)] == numbers
