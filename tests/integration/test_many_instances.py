"""Many instances load one table at once: nobody deadlocks, no row is lost."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from support import models
from support.hauling import KEYED, Sender, deleting, ordered, settings_of
from support.ledger import findings
from support.processes import at_once

from haulier_load.step import load

INSTANCES = 50


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


def rows_of(lines):
    return [
        {"thing": key, "colour": colour, "price": Decimal(1), "edited": edit, "op": "D" if deletes else "U"}
        for key, colour, edit, deletes in lines
    ]


def test_fifty_that_share_their_keys_leave_the_newest_word_on_each(settings, database):
    """Into a table that is not there yet; each sends rows and deletions of the others' keys as well, which is
    where two merges without a common lock would meet each other's rows in a different order."""
    sender = Sender(settings=settings, contract=deleting(ordered(KEYED)), reject_threshold=1)
    dice = random.Random(50)
    sendings, tasks = [], []
    for number in range(INSTANCES):
        name, keys = f"i{number:02}", dice.sample(range(60), 30)
        lines = [(f"k{k:02}", dice.choice("rgb"), dice.randrange(9), dice.random() < 0.2) for k in keys]
        lines += [(f"{name}-{n}", "own", 0, False) for n in range(5)]
        sendings.append((0, name, {"a.csv": lines}))
        reservation = sender.reserve(0, {"a.csv": f"h\n{number}\n{'-' * 9}\n".encode()}, instance=name)
        sender.seal(0, reservation, {"a.csv": rows_of(lines)}, instance=name)
        tasks.append(sender.task(0, instance=name, generation=reservation.generation))

    outcomes = at_once(INSTANCES, lambda number: load(tasks[number]))

    assert {(outcome.outcome, outcome.exit_code) for outcome in outcomes} == {("loaded", 0)}
    assert database.rows("SELECT thing, colour FROM shop.things ORDER BY 1, 2") == models.upsert(
        sendings, True
    )
    assert sum(outcome.counts["produced"] for outcome in outcomes) == INSTANCES * 35
    assert findings(sender.settings) == []


def test_fifty_shares_are_replaced_at_once(settings, database):
    """Twice: the second time each takes away what the first brought, while the others do the same."""
    sender = Sender(settings=settings, contract=KEYED, mode="replace", reject_threshold=1)
    for day in (0, 1):
        tasks = []
        for number in range(INSTANCES):
            name = f"i{number:02}"
            lines = [(f"{name}-{n}", f"day {day}", 0, False) for n in range(day * 3, day * 3 + 6)]
            raw = f"h\n{number} {day}\n{'-' * 9}\n".encode()
            reservation = sender.reserve(day, {f"{day}.csv": raw}, instance=name)
            rows = [{n: row[n] for n in ("thing", "colour", "price")} for row in rows_of(lines)]
            sender.seal(day, reservation, {f"{day}.csv": rows}, instance=name)
            tasks.append(sender.task(day, instance=name, generation=reservation.generation))
        outcomes = at_once(INSTANCES, lambda number, tasks=tasks: load(tasks[number]))
        assert {(outcome.outcome, outcome.exit_code) for outcome in outcomes} == {("loaded", 0)}

    assert [outcome.counts["removed"] for outcome in outcomes] == [3] * INSTANCES
    assert database.rows("SELECT thing, colour FROM shop.things ORDER BY 1") == sorted(
        (f"i{number:02}-{n}", "day 1") for number in range(INSTANCES) for n in range(3, 9)
    )
    assert findings(sender.settings) == []
