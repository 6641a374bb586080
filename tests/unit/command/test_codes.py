"""One exit code out of many."""

from __future__ import annotations

import pytest

from haulier.errors import EXIT_CODES, SEVERITY, worst
from haulier_command.codes import retried, stops_instance


@pytest.mark.parametrize(
    ("codes", "merged"),
    [
        ([], 0),
        ([0, 0], 0),
        ([99, 99], 0),
        ([0, 99], 0),
        ([0, 75, 65, 99], 65),
        ([75, 77], 77),
        ([65, 2], 2),
        ([2, 143], 143),
        ([143, 1], 1),
        ([0, 75], 75),
        ([65, -9], 1),
        ([65, 137], 1),
    ],
)
def test_the_worst_code_speaks_for_all(codes: list[int], merged: int) -> None:
    assert worst(codes) == merged


def test_every_published_code_has_its_rank() -> None:
    assert sorted(SEVERITY) == sorted(EXIT_CODES)


@pytest.mark.parametrize(
    ("code", "again"),
    [
        (0, False),
        (2, False),
        (65, False),
        (77, False),
        (99, False),
        (1, True),
        (75, True),
        (143, True),
        (-9, True),
    ],
)
def test_what_airflow_retries_is_retried(code: int, again: bool) -> None:
    assert retried(code) is again


def test_a_quarantined_run_does_not_stop_the_next_one() -> None:
    assert not stops_instance(65)
    assert stops_instance(2)
    assert stops_instance(75)
