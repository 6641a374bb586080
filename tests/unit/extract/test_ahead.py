"""The next item is prepared meanwhile: one, in order, and never more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from haulier_extract.ahead import ahead


def helpers() -> int:
    """How many threads still prepare, once those that are about to end have."""
    patience = time.monotonic() + 10
    while (
        left := sum(thread.name == "ahead" for thread in threading.enumerate())
    ) and time.monotonic() < patience:
        time.sleep(0.01)
    return left


def test_the_same_items_in_the_same_order() -> None:
    assert list(ahead(iter(range(100)))) == list(range(100))
    assert list(ahead(iter(()))) == []
    assert helpers() == 0


def test_one_is_prepared_while_the_other_is_used_and_never_two() -> None:
    prepared = threading.Semaphore(0)
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            prepared.release()
            yield number

    for number in ahead(items()):
        while len(made) < min(number + 2, 5):
            assert prepared.acquire(timeout=10), "the next one comes by itself"
        time.sleep(0.01)
        assert len(made) == min(number + 2, 5), "and the one after that does not"


def test_what_goes_wrong_there_is_raised_here() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    prepared = ahead(items())

    assert next(prepared) == 1
    with pytest.raises(ValueError, match="broken"):
        next(prepared)
    assert helpers() == 0


def test_who_stops_early_leaves_no_thread_behind() -> None:
    prepared = ahead(iter(range(1000)))
    next(prepared)

    prepared.close()

    assert helpers() == 0
