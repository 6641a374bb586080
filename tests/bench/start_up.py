"""What a small file costs: answers, imports and three cold processes, as ratios measured side by side.

    make bench

Prints a table; judges nothing. The goal for three cold processes on 10,000 rows is under 0.6 of the time it
takes to import pandas, pyarrow, SQLAlchemy, psycopg2 and boto3 three times, doing nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from support.steps import STEPS, command, environ
from support.steps import haul as run_steps
from support.things import day, place

from haulier_command import embedded

ROUNDS = 7
IMPORTS = "import pandas, pyarrow, sqlalchemy, psycopg2, boto3"


def seconds(argv: list[str], environment: dict[str, str] | None = None) -> float:
    started = time.perf_counter()
    subprocess.run(argv, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def side_by_side(candidates: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Medians of rounds in which every candidate takes its turn."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, measure in candidates.items():
            taken[name].append(measure())
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> int:
    python = sys.executable
    answers = side_by_side(
        {
            "python -c pass": lambda: seconds([python, "-c", "pass"]),
            **{
                f"haulier_{step} {verb}": lambda step=step, verb=verb: seconds(
                    [python, "-m", f"haulier_{step}", verb]
                )
                for step in STEPS
                for verb in ("--help", "spec")
            },
        }
    )
    for name, value in answers.items():
        print(f"{name:32} {value * 1000:6.0f} ms  {(value - answers['python -c pass']) * 1000:+6.0f} ms")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        tier = embedded.up(home)
        try:
            three_cold(tier, Path(folder))
        finally:
            embedded.down(home)
    return 0


def three_cold(tier: embedded.Tier, folder: Path) -> None:
    """A fresh place per round, so that each round really loads."""
    parts: dict[str, list[float]] = {step: [] for step in STEPS}

    def haul() -> float:
        with place(tier, folder) as here:
            # The table is there, as on every day but the first: making it costs the import of SQLAlchemy.
            here.write("one", 0, 10)
            run_steps(here.settings, "things", "one", day(0))
            here.write("one", 1, 10_000)
            generation: list[str] = []
            total = 0.0
            for step in STEPS:
                taken = seconds(
                    command(step, "things", "one", day(1), *generation), environ(here.environment)
                )
                parts[step].append(taken)
                total += taken
                generation = ["--generation", "1"]
            return total

    imports = f"three times {IMPORTS}"
    found = side_by_side(
        {
            imports: lambda: sum(seconds([sys.executable, "-c", IMPORTS]) for _ in range(3)),
            "three cold steps, 10,000 rows": haul,
        }
    )
    for name, value in found.items():
        print(f"{name:80} {value * 1000:6.0f} ms")
    print(
        "by step:",
        ", ".join(f"{step} {statistics.median(taken) * 1000:.0f} ms" for step, taken in parts.items()),
    )
    print(f"ratio: {found['three cold steps, 10,000 rows'] / found[imports]:.2f}")


if __name__ == "__main__":
    sys.exit(main())
