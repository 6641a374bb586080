"""I3: the table equals a pure model, for any order, repetition, crash and replay, in every mode."""

from __future__ import annotations

import dataclasses
import itertools
import uuid
from contextlib import ExitStack, contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import models
from support.databases import fresh_database
from support.hauling import (
    DAY,
    KEYED,
    START,
    Sender,
    deleting,
    ordered,
    partitioned,
    replace_struct,
    versioned,
)
from support.past import Snapshots

import haulier_load.step as step
from haulier.landing.merge import Merge
from haulier.ledger.connection import connect
from haulier.ledger.replays import request_replays, reserved_for_replay
from haulier.ledger.verify import verify
from haulier.settings import Settings
from haulier_load.step import load

KEYLESS = replace_struct(
    KEYED, columns=tuple(replace_struct(c, key_position=None, required=False) for c in KEYED.columns)
)


@dataclasses.dataclass(frozen=True)
class Mode:
    """A mode with its model, and how a test asks for what the model speaks of."""

    load: str
    contract: Any
    model: Any
    columns: str = "thing, colour"
    #: Whether no two instances may send one key.
    apart: bool = False
    #: Which rows count.
    where: str = "true"
    #: Whether every file holds everything, and what it no longer has may go.
    cumulative: bool = False

    def sender(self, environment, by_edit, levels):
        contract = self.contract(ordered(KEYED) if by_edit else KEYED)
        contract = partitioned(contract, **levels) if levels else contract
        return Sender(
            settings=environment,
            contract=contract,
            mode=self.load,
            reject_threshold=1,
            content="cumulative" if self.cumulative else "delta",
            removal_threshold=1 if self.cumulative else None,
        )

    @property
    def query(self):
        return f"SELECT {self.columns} FROM shop.things WHERE {self.where} ORDER BY {', '.join(str(n) for n in range(1, self.columns.count(',') + 2))}"


DELETED_ON = f"(deleted_at::date - date '{START:%Y-%m-%d}') - 1"
MODES = {
    "append": Mode("append", lambda _: KEYLESS, models.append),
    "append by key": Mode("append", lambda contract: contract, models.append_by_key),
    "upsert": Mode("upsert", lambda contract: contract, models.upsert),
    "deletions": Mode("upsert", deleting, models.upsert),
    "marks": Mode(
        "upsert",
        lambda contract: deleting(contract, deleted_at="deleted_at"),
        models.mark,
        f"thing, colour, {DELETED_ON}",
    ),
    "scd2": Mode(
        "scd2",
        lambda contract: versioned(deleting(ordered(KEYED))),
        models.scd2,
        "thing, colour, edited, valid_to",
    ),
    "replace": Mode("replace", lambda contract: contract, models.replace, apart=True),
    "cumulative": Mode("upsert", lambda contract: contract, models.cumulative, apart=True, cumulative=True),
    "cumulative, marks": Mode(
        "upsert",
        lambda contract: replace_struct(contract, deleted_at="deleted_at"),
        models.cumulative,
        apart=True,
        where="deleted_at IS NULL",
        cumulative=True,
    ),
}
#: Modes to which the ordering column means nothing, or everything.
ONLY = {"append": (False,), "append by key": (False,), "scd2": (True,)}
ORDERS = [
    pytest.param(name, by_edit, id=f"{name} by {'ordering column' if by_edit else 'interval'}")
    for name in MODES
    for by_edit in (False, True)
    if by_edit in ONLY.get(name, (False, True))
]

#: Who appends by key comes first or does not: there the order of the loads is what counts.
ANY_ORDER = [one for one in ORDERS if one.values[0] != "append by key"]

#: (key, colour, edit, whether it deletes)
ROW = st.tuples(st.sampled_from("xyz"), st.sampled_from("rgb"), st.integers(0, 2), st.booleans())
ROWS = st.lists(ROW, max_size=4)
#: Which rows of a file transform rejects at first.
FAILING = st.frozensets(st.integers(2, 5), max_size=2)
SENDINGS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["one", "two"]),
        st.dictionaries(st.sampled_from(["a.csv", "b.csv"]), ROWS, min_size=1),
    ),
    min_size=1,
    max_size=5,
)
#: How the target is partitioned; not at all, too. What a thing is called says when it was seen.
LEVELS = st.sampled_from(
    [
        {},
        {},
        {"seen": "month"},
        {"thing": "list"},
        {"seen": "year", "thing": "list"},
        {"thing": "list", "seen": "day"},
    ]
)
SEEN = {"x": date(2025, 12, 31), "y": date(2026, 1, 1), "z": date(2026, 2, 28)}
#: Before which statement of its merge a load dies; 0: once it has committed; None: not at all.
CRASH = st.one_of(st.none(), st.integers(0, 14))
EXAMPLES = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Died(BaseException):
    """What no handler of the program expects, as little as a kill."""


@pytest.fixture
def database_factory(tier):
    """A fresh database per example, not per test."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(fresh_database(tier))


@pytest.fixture
def place(database_factory, tmp_path_factory):
    def made():
        database = database_factory()
        folder = tmp_path_factory.mktemp("exchange")
        return database, Settings.from_env({**database.environment, "HAULIER_EXCHANGE": f"file://{folder}"})

    return made


@contextmanager
def dying(moment):
    """A load in here dies at the moment, if it gets that far."""
    statements = itertools.count(1)
    execute, commit = Merge._execute, step._Load.commit

    def counting(self, *arguments, **named):
        if next(statements) == moment:
            raise Died
        execute(self, *arguments, **named)

    def committed(self, connection):
        commit(self, connection)
        raise Died

    with pytest.MonkeyPatch.context() as patch:
        if moment:
            patch.setattr(Merge, "_execute", counting)
        elif moment == 0:
            patch.setattr(step._Load, "commit", committed)
        yield


def replay(sender, sent, crash):
    """Haul again whatever is open, of both instances; what the model is told of it."""
    for instance in ("one", "two"):
        with connect(sender.settings, "test") as connection:
            asked = request_replays(
                connection,
                sender.settings,
                "things",
                {instance: lambda _: "d" * 64},
                reason="fixed",
            )
        for one in asked:
            day = (one.interval.start - START) // DAY
            task = sender.task(day, instance=instance, replay=one.replay_id)
            with connect(sender.settings, "test") as connection:
                reservation = reserved_for_replay(connection, task)
            files = {
                (d.logical_name, d.sequence): {
                    n: sent[instance, d.logical_name][d.sequence - 1][n - 2] for n, _ in d.replayed
                }
                for d in reservation.deliveries
            }
            rows = {
                name: [
                    {**row, "_row": n} for n, row in zip(lines, rows_of(sender, lines.values()), strict=True)
                ]
                for (name, _), lines in files.items()
            }
            sender.seal(day, reservation, rows, instance=instance)
            load_in_spite_of(crash, task)
            yield models.Replay(day, instance, one.generation, files)


def load_in_spite_of(moment, task):
    try:
        with dying(moment):
            load(task)
    except Died:
        load(dataclasses.replace(task, attempt=str(uuid.uuid4())))


def meant_for(mode, sendings):
    """The sendings as the mode can be sent them."""
    return [
        (
            day,
            instance,
            {
                name: [
                    (instance + k if mode.apart else k, c, e, d and mode.contract(KEYED).marker is not None)
                    for k, c, e, d in rows
                ]
                for name, rows in files.items()
            },
        )
        for day, instance, files in sendings
    ]


def rows_of(sender, lines):
    has = {column.name for column in sender.contract.columns}
    for key, colour, edit, deletes in lines:
        row = {
            "thing": key,
            "colour": colour,
            "price": Decimal(1),
            "edited": edit,
            "op": "D" if deletes else "U",
            "seen": SEEN[key[-1]],
        }
        yield {name: value for name, value in row.items() if name in has}


def numbered(sender, lines):
    return [{**row, "_row": n} for n, row in enumerate(rows_of(sender, lines), 2)]


def is_clean(environment, **how):
    with connect(environment, "test") as connection:
        return verify(connection, environment, **how) == []


@pytest.mark.requirement("R-09")
@pytest.mark.parametrize(("name", "by_edit"), ORDERS)
@EXAMPLES
@given(
    levels=LEVELS,
    sendings=SENDINGS,
    late=st.randoms(use_true_random=False),
    crashes=st.lists(CRASH, min_size=5, max_size=5),
    failing=st.lists(FAILING, min_size=5, max_size=5),
    replays=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_the_table_is_the_models_as_files_arrive(
    place, name, by_edit, levels, sendings, late, crashes, failing, replays
):
    """Sent, corrected, rejected, replayed, loaded and crashed in the order of arrival; afterwards everything is asked
    for again, and the table as it was after each load."""
    mode = MODES[name]
    database, environment = place()
    sender = mode.sender(environment, by_edit, levels)
    #: Of each file its lines and which of them fail, by (day, instance) and name; what was sent, by (instance, name).
    arrived, sent, events, loads = {}, {}, [], []
    snapshots = Snapshots(database)
    for serial, (day, instance, files) in enumerate(meant_for(mode, sendings)):
        # Contents that repeat would be resends; the serial number in the bytes makes each one news.
        raw = {name: f"h\n{serial}\n-\n-\n-\n".encode() for name in files}
        reservation = sender.reserve(day, raw, instance=instance)
        run = arrived.setdefault((day, instance), {})
        for name, lines in files.items():
            run[name] = (lines, failing[serial])
            sent.setdefault((instance, name), []).append(lines)
        sender.seal(
            day,
            reservation,
            {
                name: [row for row in numbered(sender, lines) if row["_row"] not in bad]
                for name, (lines, bad) in run.items()
            },
            instance=instance,
            rejects=[
                (name, n, "type") for name, (lines, bad) in run.items() for n in bad if n - 2 < len(lines)
            ],
        )
        generation = reservation.generation
        loads.append((day, instance, generation))
        load_in_spite_of(crashes[serial], sender.task(day, instance=instance, generation=generation))
        passed = {
            name: [None if n in failing[serial] else line for n, line in enumerate(lines, 2)]
            for name, lines in files.items()
        }
        events.append((day, instance, passed))
        assert is_clean(environment)
        assert database.rows(mode.query) == mode.model(events, by_edit)
        snapshots.take()
        if replays[serial]:
            events.extend(replay(sender, sent, crashes[serial]))
            assert is_clean(environment)
            assert database.rows(mode.query) == mode.model(events, by_edit)
            snapshots.take()
    before = database.rows("SELECT * FROM shop.things ORDER BY 1, 2, _haulier_delivery, _haulier_row")
    again = list(loads)
    late.shuffle(again)
    for day, instance, generation in again:
        if generation == max(g for d, i, g in loads if (d, i) == (day, instance)):
            load(sender.task(day, instance=instance, generation=generation))

    assert before == database.rows("SELECT * FROM shop.things ORDER BY 1, 2, _haulier_delivery, _haulier_row")
    assert is_clean(environment, exchange=sender.exchange)
    snapshots.check(environment)


@pytest.mark.parametrize(("name", "by_edit"), ANY_ORDER)
@EXAMPLES
@given(
    levels=LEVELS,
    sendings=SENDINGS,
    late=st.randoms(use_true_random=False),
    crashes=st.lists(CRASH, min_size=10, max_size=10),
)
def test_runs_that_load_out_of_order_end_the_same(place, name, by_edit, levels, sendings, late, crashes):
    """One generation per run, all sealed first, loaded in any order: days never overwrite later days."""
    mode = MODES[name]
    database, environment = place()
    sender = mode.sender(environment, by_edit, levels)
    runs = {(day, instance): (day, instance, files) for day, instance, files in meant_for(mode, sendings)}
    for number, (day, instance, files) in enumerate(runs.values()):
        raw = {name: f"h\n{number} {name}\n-\n-\n-\n".encode() for name in files}
        rows = {name: list(rows_of(sender, lines)) for name, lines in files.items()}
        sender.seal(day, sender.reserve(day, raw, instance=instance), rows, instance=instance)
    order = list(runs) * 2
    late.shuffle(order)
    for crash, (day, instance) in zip(crashes, order, strict=False):
        load_in_spite_of(crash, sender.task(day, instance=instance, generation=1))

    assert database.rows(mode.query) == mode.model(list(runs.values()), by_edit)
    assert is_clean(environment, exchange=sender.exchange)
