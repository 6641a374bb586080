"""Preparing what comes next while what came before is still in use."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items; another thread prepares one, never more, while the caller uses the one before.

    pyarrow holds no lock of Python's while it reads text or writes Parquet, so on two processors the
    two take the time of the longer one. What ``items`` raises is raised here.
    """
    wanted: SimpleQueue[bool] = SimpleQueue()
    ready: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def work() -> None:
        while wanted.get():
            try:
                ready.put((next(items), None))
            except BaseException as exc:  # noqa: BLE001 - raised again where it is waited for
                ready.put((None, exc))
                return

    # A daemon, so that a cancelled process need not wait for the store's answer.
    threading.Thread(target=work, name="ahead", daemon=True).start()
    wanted.put(True)
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            wanted.put(True)
            yield item  # type: ignore[misc]  # no error: that was raised above
    finally:
        wanted.put(False)
