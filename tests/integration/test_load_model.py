"""I3: the table equals a pure model, for any order and repetition of runs, generations and files."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.databases import fresh_database
from support.hauling import KEYED, Sender, ordered

from haulier.ledger.connection import connect
from haulier.ledger.verify import verify
from haulier.settings import Settings
from haulier_load.step import load


@pytest.fixture
def database_factory(tier):
    """A fresh database per example, not per test."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(fresh_database(tier))


KEYS, COLOURS, NAMES = "xyz", "rgb", ("a.csv", "b.csv")

ROWS = st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(COLOURS), st.integers(0, 2)), max_size=4)
#: (day, instance, {logical name: rows}); the same (day, instance) twice is a new generation.
SENDINGS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["one", "two"]),
        st.dictionaries(st.sampled_from(NAMES), ROWS, min_size=1),
    ),
    min_size=1,
    max_size=5,
)


def model(sendings, by_edit):
    """key -> colour: of all rows ever sent, the greatest version wins; a file that contradicts itself
    about a key says nothing about it."""
    table, sequence, generation, content = {}, {}, {}, {}
    for day, instance, files in sendings:
        generation[day, instance] = generation.get((day, instance), 0) + 1
        for name, rows in files.items():
            sequence[instance, name] = sequence.get((instance, name), 0) + 1
            content.setdefault((day, instance), {})[name] = (sequence[instance, name], rows)
        for name, (number, rows) in content[day, instance].items():
            for key in KEYS:
                own = [
                    (edit * by_edit, row, colour) for row, (k, colour, edit) in enumerate(rows, 2) if k == key
                ]
                top = [item for item in own if item[0] == max(own)[0]]
                if len({colour for _, _, colour in top}) != 1:
                    continue
                edit, row, colour = max(own)
                version = (edit if by_edit else day, number, generation[day, instance], row, instance, name)
                table[key] = max(table.get(key, (version, colour)), (version, colour))
    return {key: colour for key, (_, colour) in table.items()}


@pytest.mark.parametrize("by_edit", [False, True], ids=["by interval", "by ordering column"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sendings=SENDINGS, late=st.randoms(use_true_random=False))
def test_the_table_is_the_models_whatever_the_order(
    database_factory, tmp_path_factory, by_edit, sendings, late
):
    """Everything is reserved and sealed in the order it arrived, then loaded in any order, some twice."""
    database = database_factory()
    folder = tmp_path_factory.mktemp("exchange")
    environment = Settings.from_env({**database.environment, "HAULIER_EXCHANGE": f"file://{folder}"})
    sender = Sender(settings=environment, contract=ordered(KEYED), reject_threshold=1)
    if not by_edit:
        sender = Sender(settings=environment, contract=KEYED, reject_threshold=1)
    serial = itertools.count()
    arrived, loads = {}, []
    for day, instance, files in sendings:
        # Contents that repeat would be resends; the serial number in the bytes makes each one news.
        raw = {name: f"h\n{next(serial)}\n-\n-\n-\n".encode() for name in files}
        reservation = sender.reserve(day, raw, instance=instance)
        rows = {
            name: [
                {"thing": k, "colour": c, "price": Decimal(1), **({"edited": e} if by_edit else {})}
                for k, c, e in lines
            ]
            for name, lines in files.items()
        }
        arrived.setdefault((day, instance), {}).update(rows)
        sender.seal(day, reservation, arrived[day, instance], instance=instance)
        loads.append((day, instance, reservation.generation))
        load(sender.task(day, instance=instance, generation=reservation.generation))
    again = loads + loads
    late.shuffle(again)
    before = (
        database.rows("SELECT * FROM shop.things ORDER BY thing")
        if any(r for *_, f in sendings for r in f.values())
        else []
    )
    for day, instance, generation in again:
        if generation == max(g for d, i, g in loads if (d, i) == (day, instance)):
            load(sender.task(day, instance=instance, generation=generation))

    assert dict(database.rows("SELECT thing, colour FROM shop.things")) == model(sendings, by_edit)
    assert before in ([], database.rows("SELECT * FROM shop.things ORDER BY thing"))
    with connect(environment, "test") as connection:
        assert verify(connection, environment, exchange=sender.exchange) == []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sendings=SENDINGS, late=st.randoms(use_true_random=False))
def test_runs_that_load_out_of_order_end_the_same(database_factory, tmp_path_factory, sendings, late):
    """One generation per run, all sealed first, loaded in any order: days never overwrite later days."""
    database = database_factory()
    folder = tmp_path_factory.mktemp("exchange")
    environment = Settings.from_env({**database.environment, "HAULIER_EXCHANGE": f"file://{folder}"})
    sender = Sender(settings=environment, reject_threshold=1)
    runs = list({(day, instance): (day, instance, files) for day, instance, files in sendings}.values())
    for number, (day, instance, files) in enumerate(runs):
        raw = {name: f"h\n{number} {name}\n-\n-\n-\n".encode() for name in files}
        rows = {
            name: [{"thing": k, "colour": c, "price": Decimal(1)} for k, c, _ in lines]
            for name, lines in files.items()
        }
        sender.seal(day, sender.reserve(day, raw, instance=instance), rows, instance=instance)
    order = runs * 2
    late.shuffle(order)
    for day, instance, _ in order:
        load(sender.task(day, instance=instance, generation=1))

    assert dict(database.rows("SELECT thing, colour FROM shop.things")) == model(runs, by_edit=False)
