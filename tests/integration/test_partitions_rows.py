"""Rows of a target in partitions: found, moved and merged where they are, and no other partition opened."""

from __future__ import annotations

import pytest
from support.hauling import Sender, deleting, ordered, replace_struct, settings_of, versioned
from support.ledger import findings
from support.monthly import MONTHLY, thing

from haulier.contracts import Column, Partitioning
from haulier.definitions.drift import Drift
from haulier.errors import DefinitionError
from haulier.landing.merge import Merge


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


@pytest.fixture
def sender(settings):
    return Sender(settings=settings, contract=MONTHLY, reject_threshold=1)


@pytest.fixture(autouse=True)
def clean(settings):
    """Asks for a clean ledger, deeply, once the test is over."""
    yield
    assert findings(settings) == []


def test_rows_of_one_place_in_two_partitions_are_not_mistaken_for_each_other(sender, database):
    """The first row of every partition has the same ctid."""
    sender.send(0, {"a.csv": [thing("x", "2026-01-05"), thing("x", "2026-02-05"), thing("x", "2026-03-05")]})
    assert len(database.rows("SELECT DISTINCT ctid FROM shop.things")) == 1
    outcome = sender.send(
        1, {"b.csv": [thing("x", "2026-01-05"), thing("x", "2026-02-05", "blue"), thing("x", "2026-03-05")]}
    )

    assert (outcome.counts["updated"], outcome.counts["unchanged"]) == (1, 2)
    assert database.rows("SELECT seen::text, colour FROM shop.things ORDER BY 1") == [
        ("2026-01-05", "red"), ("2026-02-05", "blue"), ("2026-03-05", "red"),
    ]  # fmt: skip
    assert database.rows("SELECT key->>'seen', before->>'colour' FROM haulier.history") == [
        ("2026-02-05", "red")
    ]


def test_a_row_that_is_sent_under_another_month_moves_when_the_whole_share_is_sent(sender, database):
    sender.mode = "replace"
    sender.send(0, {"a.csv": [thing("x", "2025-11-05"), thing("y", "2025-11-05")]})
    outcome = sender.send(1, {"b.csv": [thing("x", "2025-10-05"), thing("y", "2025-11-05")]})

    assert (outcome.counts["inserted"], outcome.counts["removed"], outcome.counts["unchanged"]) == (1, 1, 1)
    assert database.rows("SELECT tableoid::regclass::text, thing FROM shop.things ORDER BY 1") == [
        ("shop.things_2025_10", "x"), ("shop.things_2025_11", "y"),
    ]  # fmt: skip


def test_a_row_that_somebody_moves_by_hand_is_found_where_it_is(sender, database):
    sender.send(0, {"a.csv": [thing("x", "2025-11-05"), thing("y", "2025-12-05")]})
    database.rows("UPDATE shop.things SET seen = '2025-12-24' WHERE thing = 'x'")
    outcome = sender.send(1, {"b.csv": [thing("x", "2025-12-24", "blue")]})

    assert outcome.counts["updated"] == 1
    assert database.rows("SELECT tableoid::regclass::text, colour FROM shop.things WHERE thing = 'x'") == [
        ("shop.things_2025_12", "blue")
    ]


def test_a_new_column_comes_into_every_partition_and_into_those_to_come(sender, database):
    sender.send(0, {"a.csv": [thing("x", "2025-11-05")]})
    size = Column(name="size", logical_type="integer", pg_type="integer")
    sender.contract = replace_struct(MONTHLY, columns=(*MONTHLY.columns, size))
    sender.drift = Drift(new_column="evolve")
    sender.send(1, {"b.csv": [thing("x", "2025-11-05", size=1), thing("y", "2024-11-05", size=2)]})

    assert database.rows("SELECT thing, size FROM shop.things ORDER BY 1") == [("x", 1), ("y", 2)]


def test_a_column_that_the_table_is_partitioned_by_is_not_widened(sender, database):
    narrow = tuple(
        replace_struct(c, pg_type="varchar(3)") if c.name == "thing" else c for c in MONTHLY.columns
    )
    by_thing = (Partitioning(column="thing", by="list"),)
    sender.contract = replace_struct(MONTHLY, columns=narrow, partitions=by_thing)
    sender.send(0, {"a.csv": [thing("x", "2025-11-05")]})
    sender.contract = replace_struct(MONTHLY, partitions=by_thing)
    sender.drift = Drift(widened="evolve")

    with pytest.raises(
        DefinitionError, match=r"thing of shop\.things is varchar\(3\), .* the table is partitioned by it"
    ):
        sender.send(1, {"b.csv": [thing("y", "2025-11-05")]})


MODES = {
    "append": (
        "append",
        replace_struct(MONTHLY, columns=tuple(replace_struct(c, key_position=None) for c in MONTHLY.columns)),
    ),
    "append with a key": ("append", MONTHLY),
    "upsert": ("upsert", MONTHLY),
    "deletions": ("upsert", deleting(MONTHLY)),
    "marks": ("upsert", deleting(MONTHLY, deleted_at="deleted_at")),
    "scd2": ("scd2", versioned(deleting(ordered(MONTHLY)))),
}


@pytest.mark.parametrize("name", MODES)
def test_a_merge_opens_the_partitions_of_its_rows_and_no_other(sender, database, monkeypatch, name):
    sender.mode, sender.contract = MODES[name]
    has = {column.name for column in sender.contract.columns}

    def rows(*days, **more):
        named = (thing(f"{n}", day, edited=len(more), op="U", **more) for n, day in enumerate(days))
        return [{column: value for column, value in row.items() if column in has} for row in named]

    history = [f"{year}-{month:02}-15" for year in (2024, 2025) for month in range(1, 13)]
    sender.send(0, {"a.csv": rows(*history)})
    planned = []
    execute = Merge._execute

    def explained(self, statement, values=None, column=None):
        text = self.statements[statement]
        if "{target}" in text:
            from psycopg2 import sql

            composed = sql.SQL(text).format(**self._parts(column))
            self.cursor.execute(sql.SQL("EXPLAIN ") + composed, {**self._values, **(values or {})})
            planned.append((statement, "\n".join(line for (line,) in self.cursor.fetchall())))
        execute(self, statement, values, column)

    monkeypatch.setattr(Merge, "_execute", explained)
    deleted = [{**rows(history[6], colour="blue")[0], "op": "D", "thing": "6"}] if "op" in has else []
    sent = [*rows(history[0], history[1], colour="blue"), *deleted]
    sender.send(1, {"b.csv": sent})

    assert {statement for statement, _ in planned} & {"match", "judge_fates", "insert"}
    touched = {"things_2024_01", "things_2024_02", "things_2024_07"}
    others = {f"things_{day[:7].replace('-', '_')}" for day in history} - touched
    for statement, text in planned:
        assert not [one for one in others if one in text], f"{statement}:\n{text}"
