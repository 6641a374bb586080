"""The comparison of a generated trial with its ledger: whatever one side has and the other has not, it names."""

from collections import Counter
from dataclasses import replace

import pytest
from generator.comparison import UNKNOWN, compare, differing, table_of
from generator.events import Event
from generator.telling import told_of
from generator.trial import large_trial

TOLD = told_of(large_trial(sites=12, days=12))
CATEGORIES = sorted({event.category for event in TOLD.events})


def first_of(category):
    return min((event for event in TOLD.events if event.category == category), key=lambda e: (e.where, e.row))


def test_what_says_the_same_does_not_differ():
    lines = compare(TOLD, Counter(TOLD.events))

    assert differing(lines) == []
    assert {line.category for line in lines} == set(CATEGORIES)
    assert sum(line.generator for line in lines) == sum(line.ledger for line in lines) == TOLD.events.total()


def test_the_categories_are_those_that_are_described():
    described = {
        word.strip()
        for line in (Event.__doc__ or "").splitlines()
        if line.strip().startswith("| ") and "---" not in line
        for word in line.split("|")[1].split(",")
    } - {"category"}

    assert described == set(CATEGORIES)


@pytest.mark.parametrize("category", CATEGORIES)
def test_one_event_that_the_ledger_lacks_is_named(category):
    lost = first_of(category)
    found = Counter(TOLD.events)
    found[lost] -= 1

    (wrong,) = differing(compare(TOLD, +found))

    assert (wrong.kind, wrong.category) == (TOLD.kinds[lost], category)
    assert (wrong.first, wrong.only_in) == (lost, "generator")
    assert wrong.generator == wrong.ledger + 1
    assert lost.where in str(wrong)
    assert not lost.row or f"row {lost.row}:" in str(wrong)


@pytest.mark.parametrize("category", CATEGORIES)
def test_one_event_too_many_is_named(category):
    found = Counter(TOLD.events)
    added = first_of(category)._replace(what="something else")
    found[added] += 1

    (wrong,) = differing(compare(TOLD, found))

    assert (wrong.kind, wrong.category, wrong.generator, wrong.ledger) == (UNKNOWN, category, 0, 1)
    assert (wrong.first, wrong.only_in) == (added, "ledger")


@pytest.mark.parametrize("category", ["reject", "flag", "row"])
def test_an_event_at_another_row_differs_on_both_sides(category):
    moved = first_of(category)
    found = Counter(TOLD.events)
    found[moved] -= 1
    found[moved._replace(row=moved.row + 1000)] += 1

    wrong = differing(compare(TOLD, +found))

    assert {(line.kind, line.only_in) for line in wrong} == {
        (TOLD.kinds[moved], "generator"),
        (UNKNOWN, "ledger"),
    }


def test_of_several_the_first_by_file_and_row_is_shown():
    kind = "missing_subject"
    lost = sorted(event for event, of in TOLD.kinds.items() if (of, event.category) == (kind, "reject"))
    assert len(lost) > 1

    (wrong,) = differing(compare(TOLD, Counter(TOLD.events) - Counter(lost)))

    assert wrong.first == lost[0]
    assert wrong.ledger == 0


def test_the_table_has_a_line_for_every_kind():
    lines = compare(TOLD, Counter(TOLD.events))

    told = table_of(lines).splitlines()

    assert len(told) == 1 + len(lines)
    assert told[1].split() == [
        lines[0].kind,
        lines[0].category,
        str(lines[0].generator),
        str(lines[0].ledger),
    ]


def test_another_seed_tells_of_another_trial():
    other = replace(large_trial(sites=12, days=12), seed=7)

    assert told_of(other).events != TOLD.events
