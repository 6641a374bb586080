"""A generated trial of 50 sites and 30 days, hauled here, and its ledger compared with what the generator says it did.

    make trial             the seed that the tests take
    make trial SEED=7      another one

Prints kind by kind how often each side has it. Ends with 1, and with the first file and row that differ, where they do
not say the same.
"""

from __future__ import annotations

import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

from generator.comparison import differing, table_of
from generator.trial import large_trial
from support import servers
from support.databases import fresh_database
from support.generated import PROCESSES, answered, at


def main() -> int:
    given = large_trial()
    parser = ArgumentParser(prog="make trial", description=__doc__)
    parser.add_argument("--seed", type=int, default=given.seed)
    parser.add_argument("--sites", type=int, default=len(given.sites))
    parser.add_argument("--days", type=int, default=given.days)
    asked = parser.parse_args()
    trial = large_trial(seed=asked.seed, sites=asked.sites, days=asked.days)
    home = servers.make_home()
    try:
        tier = servers.up(home, {"fsync": "off", "full_page_writes": "off"})
        with fresh_database(tier) as database, tempfile.TemporaryDirectory() as folder:
            answer = answered(trial, at(Path(folder), database), database, PROCESSES)
    finally:
        servers.remove_home(home)
    sys.stdout.write(
        f"{len(trial.sites)} sites, {trial.days} days, seed {trial.seed}: {answer.runs} runs in {answer.seconds:.0f} s\n"
        f"{table_of(answer.lines)}\n"
    )
    wrong = differing(answer.lines)
    for finding in answer.findings:
        sys.stderr.write(f"verify: {finding}\n")
    if wrong:
        sys.stderr.write(f"{len(wrong)} kinds differ; the first:\n{wrong[0]}\n")
    return 1 if wrong or answer.findings else 0


if __name__ == "__main__":
    sys.exit(main())
