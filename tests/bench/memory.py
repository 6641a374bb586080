"""Peak memory and time of each step on large files: bounded by the batch, whatever the file's size.

.venv/bin/python tests/bench/memory.py [MEGABYTES ...]
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support.steps import STEPS, command, environ
from support.things import Place, day, place

from haulier_command import embedded

SIZES = (100, 1000)


def write_large(here: Place, megabytes: int) -> int:
    """A file of about that size; returns its rows."""
    here.write("one", 0, 200_000)
    path = next(here.landing.glob("one/*.csv"))
    header, *block = path.read_text().splitlines(keepends=True)
    rows = 0
    with path.open("w") as file:
        file.write(header)
        while file.tell() < megabytes * 1_000_000:
            file.writelines(f"{rows // len(block)}-{_widened(line)}" for line in block)
            rows += len(block)
    return rows


def _widened(line: str) -> str:
    """About 200 bytes, as a lab row has."""
    thing, colour, price = line.split(",")
    digest = hashlib.sha256(line.encode()).hexdigest()
    return f"{thing},{colour} {digest}{digest[::-1]},{price}"


def main(sizes: list[int]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        tier = embedded.up(home)
        try:
            for megabytes in sizes:
                with place(tier, Path(folder)) as here:
                    rows = write_large(here, megabytes)
                    for step in STEPS:
                        more = [] if step == "extract" else ["--generation", "1"]
                        started = time.perf_counter()
                        process = subprocess.Popen(
                            command(step, "things", "one", day(0), *more),
                            env=environ(here.environment),
                            stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE,
                        )
                        assert process.stderr
                        log = process.stderr.read()
                        _, status, usage = os.wait4(process.pid, 0)
                        code = os.waitstatus_to_exitcode(status)
                        taken = time.perf_counter() - started
                        print(
                            f"{megabytes:5} MB {rows:10,} rows  {step:9} exit {code}  {taken:6.1f} s  {usage.ru_maxrss / 1024:5.0f} MB",
                            flush=True,
                        )
                        if code:
                            print(log.decode()[-2000:])
        finally:
            embedded.down(home)
    return 0


if __name__ == "__main__":
    sys.exit(main([int(size) for size in sys.argv[1:]] or list(SIZES)))
