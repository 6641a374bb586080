"""Waiting for a run's first file, without holding a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.triggers.base import BaseTrigger, TriggerEvent

from haulier.interval import Interval, parse_instant
from haulier.paths import PathPattern
from haulier_airflow.orders import interval_of
from haulier_command.words import utc

_LOOK_EVERY_SECONDS = 10.0


def arrived(root: str, path: str, interval: Interval) -> bool:
    """Whether a file whose name's date lies in the interval is there."""
    pattern = PathPattern(path)
    base = Path("/") if path.startswith("/") else Path(root)
    dates = (pattern.date(text) for _, text in pattern.paths(base))
    return any(date is not None and interval.start <= date < interval.end for date in dates)


class Arrival(BaseOperator):
    """Succeeds when a file is there, or when waiting is over: extract then records the empty run.

    ``paths``: from which beginning of an interval on which path is waited for how many minutes, oldest first; ``None``: from
    the first.
    """

    def __init__(
        self,
        *,
        paths: Sequence[tuple[datetime | None, str, int]],
        source_root: Path,
        schedule: str | None,
        **options: Any,
    ) -> None:
        # A deferred task can be lost between its trigger and its next start (apache/airflow#67287).
        super().__init__(**{"retries": 3, **options})
        self.paths = paths
        self.source_root = str(source_root)
        self.schedule = schedule

    def execute(self, context: Context) -> None:
        interval = interval_of(context, self.schedule)
        *_, (_, path, minutes) = (one for one in self.paths if one[0] is None or one[0] <= interval.start)
        if not minutes:
            return
        # Most files are there when their run begins, and a deferral takes seconds.
        if arrived(self.source_root, path, interval):
            self.log.info("a file of %s is there", interval)
            return
        self.defer(
            trigger=ArrivalTrigger(
                root=self.source_root,
                path=path,
                start=utc(interval.start),
                end=utc(interval.end),
                seconds=minutes * 60,
            ),
            method_name="resume",
            timeout=timedelta(minutes=minutes + 5),
        )

    def resume(self, context: Context, event: dict[str, Any]) -> None:
        if event["arrived"]:
            self.log.info("a file arrived")
        else:
            self.log.warning("no file came in time; the run goes on without and a later one finds it")


class ArrivalTrigger(BaseTrigger):
    """Looks every few seconds until a file is there or the time is over."""

    def __init__(self, *, root: str, path: str, start: str, end: str, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of Airflow
        self.asked = {"root": root, "path": path, "start": start, "end": end, "seconds": seconds}
        self.root, self.path, self.seconds = root, path, seconds
        self.interval = Interval(start=parse_instant(start, "start"), end=parse_instant(end, "end"))

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.{type(self).__name__}", self.asked

    async def run(self) -> AsyncIterator[TriggerEvent]:
        left = self.seconds
        while (
            not (found := await asyncio.to_thread(arrived, self.root, self.path, self.interval)) and left > 0
        ):
            await asyncio.sleep(min(_LOOK_EVERY_SECONDS, left))
            left -= _LOOK_EVERY_SECONDS
        yield TriggerEvent({"arrived": found})  # type: ignore[no-untyped-call]  # of Airflow
