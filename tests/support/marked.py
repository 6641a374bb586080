"""A lab whose table is read behind a watermark: what is written there, what arrives, and loads that die."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.lab import INSERT, Lab
from support.things import day

import haulier_load.step as load_step
from haulier.ledger.connection import connect
from haulier.ledger.states import move
from haulier.manifest import Step
from haulier.task import Task


class Died(BaseException):
    """What no handler of the program expects, as little as a kill."""


def put(made: Lab, *rows: tuple[str, str | None]) -> None:
    """(thing, when it was changed)"""
    made.do(INSERT, [(thing, "red", "1", changed) for thing, changed in rows])


def arrived(made: Lab) -> list[str]:
    return [thing for thing, *_ in made.table()]


def read(made: Lab) -> list[int]:
    """How many rows each load read, in the order of loading."""
    return [n for (n,) in made.database.rows("SELECT read FROM haulier.source_account ORDER BY load_id")]


def moved(made: Lab, value: str | None) -> Any:
    """A person's word."""
    after = None if value is None else {"column": "changed", "value": value}
    with connect(made.settings, "test") as connection:
        return move(connection, made.settings, "things", "main", "watermark", after, "test")


@contextmanager
def dying(moment: str) -> Iterator[None]:
    """A load in here dies at the moment."""
    advance, commit = load_step._Load._advance, load_step._Load.commit

    def die_first(*arguments: Any) -> None:
        raise Died

    def die_after(call: Callable[..., Any]) -> Callable[..., None]:
        def dead(*arguments: Any) -> None:
            call(*arguments)
            raise Died

        return dead

    with pytest.MonkeyPatch.context() as patch:
        if moment == "before the rows":
            patch.setattr(load_step._Load, "_judge", die_first)
        elif moment == "between":
            patch.setattr(load_step._Load, "_advance", die_first)
        elif moment == "behind both":
            patch.setattr(load_step._Load, "_advance", die_after(advance))
        elif moment == "committed":
            patch.setattr(load_step._Load, "commit", die_after(commit))
        yield


def task(made: Lab, step: Step, number: int = 0, **asked: Any) -> Task:
    return Task(
        step=step,
        verb="run",
        pipeline="things",
        instance="main",
        interval=day(number),
        settings=made.settings,
        **asked,
    )
