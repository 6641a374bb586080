"""Every kind of mess: the ledger says what the generator says it did, kind by kind.

Twenty sites and ten days, which have them all; `make trial` hauls fifty sites and thirty days.
"""

from __future__ import annotations

import pytest
from generator.comparison import differing, table_of
from generator.mess import KINDS, MORE_KINDS
from generator.trial import large_trial
from support.databases import fresh_database
from support.generated import PROCESSES, Answer, answered, at

TRIAL = large_trial(sites=20, days=10)

pytestmark = pytest.mark.requirement("R-37")


@pytest.fixture(scope="module")
def answer(tier, tmp_path_factory):
    with fresh_database(tier) as database:
        yield answered(TRIAL, at(tmp_path_factory.mktemp("trial"), database), database, PROCESSES)


def test_every_site_and_day_was_hauled(answer: Answer) -> None:
    assert answer.runs == len(TRIAL.sites) * TRIAL.days * 2


def test_every_kind_of_mess_happened(answer: Answer) -> None:
    assert {line.kind for line in answer.lines if line.generator} >= {*KINDS, *MORE_KINDS}


@pytest.mark.requirement("R-07")
@pytest.mark.requirement("R-13")
@pytest.mark.requirement("R-32")
def test_the_ledger_says_what_the_generator_did(answer: Answer) -> None:
    wrong = differing(answer.lines)

    assert not wrong, f"{wrong[0]}\n{table_of(answer.lines)}"


def test_the_ledger_verifies(answer: Answer) -> None:
    assert answer.findings == []
