"""What tests do at once or in processes of their own: race, and measure memory from a clean start."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, TypeVar

from haulier.exchange import open_exchange
from haulier.settings import Settings

Result = TypeVar("Result")

_SPAWN = multiprocessing.get_context("spawn")


def peak_bytes() -> int:
    """The most memory this process has had in use; a parent's own does not count."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def at_once(count: int, work: Callable[[int], Result]) -> list[Result]:
    """What each of so many threads gives, all let go in the same moment; whatever one raises is raised."""
    start = threading.Barrier(count)

    def one(number: int) -> Result:
        start.wait(120)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def in_process(work: Callable[..., Any], *arguments: object) -> Any:
    """What ``work``, a function of an importable module, returns in a new process."""
    with _SPAWN.Pool(1) as pool:
        return pool.apply(work, arguments)


def memory_of_large_objects(environment: Mapping[str, str], megabytes: int) -> tuple[int, int]:
    """Upload a large object and stream it back; bytes that came back, and memory that took."""
    exchange = open_exchange(Settings.from_env(environment))
    exchange.put("warm/up", b"x")
    exchange.get("warm/up")
    chunk = bytes(range(256)) * 4096
    before = peak_bytes()
    assert exchange.upload("large/object", (chunk for _ in range(megabytes))) == megabytes * len(chunk)
    streamed = sum(len(piece) for piece in exchange.stream("large/object", 4 * 1024 * 1024))
    return streamed, peak_bytes() - before


def race(environment: Mapping[str, str], processes: int, threads: int, rounds: int) -> list[list[bytes]]:
    """Let everybody create the same key at once, several times; the bytes of whoever was told it won."""
    barrier = _SPAWN.Barrier(processes * threads)
    answers = _SPAWN.SimpleQueue()
    racers = [
        _SPAWN.Process(target=_race, args=(dict(environment), number, threads, rounds, barrier, answers))
        for number in range(processes)
    ]
    for racer in racers:
        racer.start()
    winners: list[list[bytes]] = [[] for _ in range(rounds)]
    for _ in range(processes * threads * rounds):
        round_number, won, data = answers.get()
        if won:
            winners[round_number].append(data)
    for racer in racers:
        racer.join(30)
        assert racer.exitcode == 0
    return winners


def _race(
    environment: dict[str, str], number: int, threads: int, rounds: int, barrier: Barrier, answers: Any
) -> None:
    exchange = open_exchange(Settings.from_env(environment))

    def run(thread: int) -> None:
        for round_number in range(rounds):
            data = f"process {number}, thread {thread}, round {round_number}".encode()
            barrier.wait(60)
            answers.put((round_number, exchange.create(f"race/{round_number}", data), data))

    runners = [threading.Thread(target=run, args=(thread,)) for thread in range(threads)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
