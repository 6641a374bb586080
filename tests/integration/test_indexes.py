"""Indexes of the contract, and statistics for the planner: where a load leaves them."""

from __future__ import annotations

import dataclasses

import pytest
from support.hauling import KEYED, Sender, partitioned, replace_struct, settings_of

from haulier.contracts import Column, Index
from haulier.definitions.drift import Drift
from haulier_load.step import plan

WANTED = (
    Index(columns=("colour", "price")),
    Index(columns=("price",), using="brin"),
    Index(columns=("more",), using="gin"),
)
INDEXED = replace_struct(
    KEYED,
    columns=(*KEYED.columns, Column(name="more", logical_type="object", pg_type="jsonb")),
    indexes=WANTED,
)


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


@pytest.fixture
def sender(settings):
    return Sender(settings=settings, contract=INDEXED, reject_threshold=1)


def named(number):
    return {"thing": f"{number}", "colour": "red", "more": "{}"}


def indexes(database):
    return [
        text.partition(" USING ")[2]
        for (text,) in database.rows(
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'things' AND indexname ~ '(btree|brin|gin)$'"
        )
    ]


def test_the_first_load_makes_them_once_its_rows_are_there(sender, database):
    sender.send(0, {"a.csv": [named(1)]})

    assert sorted(indexes(database)) == ["brin (price)", "btree (colour, price)", "gin (more)"]
    assert database.rows("SELECT run_id, ddl FROM haulier.schema_change WHERE kind = 'add index' ORDER BY change_id")[0] == (
        1, 'CREATE INDEX "things_colour_price_btree" ON "shop"."things" USING btree ("colour", "price");'
    )  # fmt: skip
    sender.send(1, {"b.csv": [named(2)]})
    assert database.rows("SELECT count(*) FROM haulier.schema_change WHERE kind = 'add index'") == [(3,)]


def test_a_new_table_has_none_while_its_first_rows_come_in(sender, database):
    sender.reject_threshold = 0
    sender.send(0, {"a.csv": [named(1)]}, rejects=[("a.csv", 9, "type")])

    assert indexes(database) == []


def test_one_that_is_there_under_another_name_is_enough(sender, database):
    sender.contract = replace_struct(INDEXED, indexes=())
    sender.send(0, {"a.csv": [named(1)]})
    database.rows(
        "CREATE INDEX mine ON shop.things (colour, price); CREATE INDEX half ON shop.things USING brin (price) WHERE price > 0"
    )
    sender.contract = INDEXED
    sender.send(1, {"b.csv": [named(2)]})

    assert sorted(indexes(database)) == ["brin (price)", "gin (more)"]


def test_every_partition_has_them_those_to_come_too(sender, database):
    from datetime import date

    sender.contract = partitioned(INDEXED, seen="month")
    sender.send(0, {"a.csv": [named(1) | {"seen": date(2026, 1, 5)}]})
    sender.send(1, {"b.csv": [named(1) | {"seen": date(2020, 1, 5)}]})

    for table in ("things_2026_01", "things_2020_01"):
        found = database.rows("SELECT count(*) FROM pg_indexes WHERE tablename = %s", [table])
        assert found == [(5,)], table


def test_a_column_that_the_table_does_not_have_yet_gets_no_index(sender, database):
    sender.contract = replace_struct(INDEXED, columns=KEYED.columns, indexes=())
    sender.send(0, {"a.csv": [{"thing": "1", "colour": "red"}]})
    sender.contract, sender.drift = INDEXED, Drift(new_column="reject")
    outcome = sender.send(1, {"b.csv": [named(2), {"thing": "3", "colour": "red"}]})

    assert (outcome.counts["inserted"], outcome.counts["rejected"]) == (1, 1)
    assert sorted(indexes(database)) == ["brin (price)", "btree (colour, price)"]


def test_a_plan_shows_them_and_makes_none(sender, database, monkeypatch):
    sender.contract = replace_struct(INDEXED, indexes=())
    sender.send(0, {"a.csv": [named(1)]})
    sender.contract = INDEXED
    manifest = sender.seal(1, sender.reserve(1, {"b.csv": b"1"}), {"b.csv": [named(2)]})
    monkeypatch.setattr("haulier_load.step.read_manifest", lambda *_: manifest)
    planned = plan(dataclasses.replace(sender.task(1, generation=1), verb="plan"))

    assert 'CREATE INDEX "things_more_gin" ON "shop"."things" USING gin ("more");' in planned.notes
    assert indexes(database) == []


@pytest.mark.parametrize("levels", [{}, {"seen": "month"}])
def test_a_merge_that_wrote_a_tenth_of_the_table_is_followed_by_analyze(sender, database, levels):
    from datetime import date

    contract = replace_struct(INDEXED, indexes=())
    sender.contract = partitioned(contract, **levels) if levels else contract

    def rows(start, end):
        more = {"seen": date(2026, 1, 5)} if levels else {}
        return [named(number) | more for number in range(start, end)]

    def known():
        return database.rows("SELECT reltuples::bigint FROM pg_class WHERE oid = 'shop.things'::regclass")[0][
            0
        ]

    sender.send(0, {"a.csv": rows(0, 5000)})
    assert known() == 5000
    for (relation,) in database.rows(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'shop'::regnamespace"
    ):
        database.rows(f"ALTER TABLE {relation} SET (autovacuum_enabled = off)")  # what load did is asked
    sender.send(1, {"b.csv": rows(5000, 5999)})
    assert known() == 5000
    sender.send(2, {"c.csv": rows(6000, 7000)})
    assert known() == 6999
