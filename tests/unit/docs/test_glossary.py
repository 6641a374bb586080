"""docs/glossary.md has an entry for each word that the code says of something."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from haulier.accounts import SOURCE, TARGET
from haulier.ledger.decisions import STATUSES, Word
from haulier.task import Ending
from haulier_command.summary import OUTCOMES
from haulier_command.verbs.status import STATES

ROOT = Path(__file__).parents[3]
WORDS = re.findall(r"^\| (?!word |---)(.+?) \| .+ \|$", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
#: ``status text NOT NULL CHECK (status IN ('open', …))``, as the ledger holds what stands in it.
CHECK = re.compile(r"CHECK \((status|outcome|disposition|event) IN \((.+?)\)\)")


def of_the_ledger() -> set[str]:
    migrations = (ROOT / "shared/haulier/ledger/migrations/versions").glob("*.sql")
    lists = [words for path in migrations for _, words in CHECK.findall(path.read_text())]
    return {word for words in lists for word in re.findall("'(.+?)'", words)}


def test_every_status_and_outcome_has_its_entry() -> None:
    said = {
        *SOURCE,
        *TARGET,
        *STATUSES,
        *OUTCOMES,
        *STATES,
        *get_args(Word),
        *get_args(Ending),
        *of_the_ledger(),
    }

    assert {"quarantined", "resend", "failed again", "restored", "built"} <= of_the_ledger()
    assert said - set(WORDS) == set()


def test_entries_are_in_alphabetic_order_and_none_twice() -> None:
    assert sorted(set(WORDS)) == WORDS
