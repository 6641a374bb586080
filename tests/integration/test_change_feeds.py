"""Change feeds in files, from the file to the table: flat CSV, Debezium's events, and its flattened rows."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.databases import fresh_database
from support.feed import CHANGES, SourceTable, history_of
from support.ledger import findings
from support.steps import haul, haul_in_shards

from haulier.interval import Interval
from haulier.ledger.connection import connect
from haulier.ledger.replays import request_replays
from haulier.rows import UNCHANGED
from haulier.settings import Settings
from haulier.task import Task
from haulier_extract.step import plan as plan_extract
from haulier_load.step import plan as plan_load
from haulier_transform.step import plan as plan_transform

START = datetime(2026, 1, 5, tzinfo=UTC)
PLACEHOLDER = "__debezium_unavailable_value"
CELLS = ("colour", "body", "price")
#: Function for a feed whose updates say the key that they had before.
RENAMES = '''
import pandas as pd

def renames(batch):
    """A row whose key changed is two: its old key is gone, the row under the new one is there."""
    rows, old = batch.rows, batch.source["old_thing"]
    gone = rows[old.notna()].assign(thing=old[old.notna()].astype(rows["thing"].dtype), op="D")
    return batch.replace_rows(pd.concat([rows, gone]))
'''


def custom(**properties: Any) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in properties.items()]


def contract(names: dict[str, str], kept: bool, **marks: list[str]) -> dict[str, Any]:
    """`names`: what the feed calls the order and the operation."""
    keeps = {"customProperties": custom(unchangedValues=[PLACEHOLDER])} if kept else {}
    properties = [
        {"name": "thing", "logicalType": "string", "primaryKey": True},
        {"name": "colour", "logicalType": "string", "required": True, **keeps},
        {"name": "body", "logicalType": "string", **keeps},
        {"name": "price", "logicalType": "number", "physicalType": "numeric(6,2)"},
        {
            "name": "edited",
            "logicalType": "integer",
            "required": True,
            "synonyms": [{"synonym": names["edited"]}],
        },
        {
            "name": "op",
            "logicalType": "string",
            "synonyms": [{"synonym": names["op"]}],
            "customProperties": custom(**marks),
        },
    ]
    table = {"name": "things", "physicalName": "shop.things", "properties": properties}
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "things",
        "version": "1.0.0",
        "status": "active",
    }
    return {**document, "schema": [{**table, "customProperties": custom(ordering="edited")}]}


def interval(day: int) -> Interval:
    start = START + timedelta(days=day)
    return Interval(start=start, end=start + timedelta(days=1))


class Feed:
    """A pipeline of one feed, and the folder its files come to."""

    def __init__(self, database, folder, form, document, code="", more=None, **transform):
        """`code`: of the functions that `transform` names; `more` of the pipeline."""
        self.database, self.landing = database, folder / "landing"
        definitions = folder / "definitions"
        for one in ("contracts", "pipelines", "functions"):
            (definitions / one).mkdir(parents=True)
        self.landing.mkdir()
        pipeline = {
            "pipeline": "things",
            "contract": "../contracts/things.yaml",
            "source": {"files": {"path": "*"}, **form},
            "transform": transform,
            "load": {"reject_threshold": 1},
            **(more or {}),
        }
        (definitions / "pipelines/things.yaml").write_text(json.dumps(pipeline))
        (definitions / "contracts/things.yaml").write_text(json.dumps(document))
        (definitions / "functions/feeds.py").write_text(code)
        self.settings = Settings.from_env(
            {
                **database.environment,
                "HAULIER_EXCHANGE": f"file://{folder}/exchange",
                "HAULIER_DEFINITIONS": str(definitions),
                "HAULIER_SOURCE_ROOT": str(self.landing),
                "HAULIER_BATCH_ROWS": "10",
            }
        )

    def send(self, day: int, text: str) -> None:
        path = self.landing / f"changes_{day}"
        path.write_text(text)
        arrived = (START + timedelta(days=day, hours=12)).timestamp()
        os.utime(path, (arrived, arrived))

    def haul(self, day: int):
        return haul(self.settings, "things", "main", interval(day))

    def plan(self, day: int):
        """The counts of a plan, which keeps nothing."""
        exchange = f"{self.settings.exchange}-plan"
        task = Task(
            step="extract",
            verb="plan",
            pipeline="things",
            instance="main",
            interval=interval(day),
            settings=replace(self.settings, exchange=exchange),
        )
        plan_extract(task)
        plan_transform(replace(task, step="transform"))
        return plan_load(replace(task, step="load")).counts

    def replay(self) -> None:
        with connect(self.settings, "test") as connection:
            replays = request_replays(
                connection,
                self.settings,
                "things",
                {"main": lambda _: "d" * 64},
                reason="later",
            )
        for one in replays:
            haul(self.settings, "things", "main", one.interval, replay=one.replay_id)

    def table(self):
        return self.database.rows("SELECT thing, colour, body, price::int FROM shop.things ORDER BY 1")

    def is_clean(self) -> bool:
        return findings(self.settings) == []


def flat(events: list[dict[str, Any]]) -> str:
    """CSV with an operation and a sequence."""
    text = io.StringIO()
    writer = csv.DictWriter(
        text, ["op", "edited", "thing", *CELLS], extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    for event in events:
        writer.writerow({**event, **dict.fromkeys(json.loads(event[UNCHANGED] or "[]"), PLACEHOLDER)})
    return text.getvalue()


def row_of(event: dict[str, Any]) -> dict[str, Any]:
    cells = {name: None if event.get(name) is None else str(event[name]) for name in CELLS}
    return {
        "thing": event["thing"],
        **cells,
        **dict.fromkeys(json.loads(event[UNCHANGED] or "[]"), PLACEHOLDER),
    }


def debezium(events: list[dict[str, Any]]) -> str:
    """Events as its connector for PostgreSQL makes them; a deletion has a tombstone behind it."""
    lines = []
    for event in events:
        op = {"U": "u", "D": "d", "T": "t"}[event["op"]]
        before = {"thing": event["thing"], **dict.fromkeys(CELLS)} if op == "d" else None
        after = row_of(event) if op == "u" else None
        source = {"connector": "postgresql", "lsn": event["edited"], "txId": 7, "table": "things"}
        lines.append(json.dumps({"before": before, "after": after, "source": source, "op": op, "ts_ms": 1}))
        lines += ["null"] * (op == "d")
    return "".join(f"{line}\n" for line in lines)


def wrapped(events: list[dict[str, Any]]) -> str:
    """The same with the schema around each, as Kafka Connect's converter writes by default."""
    fields = [{"field": name, "type": "string", "optional": True} for name in ("thing", *CELLS)]
    structs = [{"field": which, "type": "struct", "fields": fields} for which in ("before", "after")]
    schema = {"type": "struct", "fields": structs}
    return "".join(
        json.dumps({"schema": None if line == "null" else schema, "payload": json.loads(line)}) + "\n"
        for line in debezium(events).splitlines()
    )


def flattened(events: list[dict[str, Any]]) -> str:
    """Rows as ExtractNewRecordState leaves them, with `add.fields: op,lsn` and `delete.tombstone.handling.mode: rewrite`."""
    lines = []
    for event in events:
        op = {"U": "u", "D": "d", "T": "t"}[event["op"]]
        about = {"__op": op, "__lsn": event["edited"], "__deleted": str(op == "d").lower()}
        lines.append(json.dumps({**(row_of(event) if op != "t" else {}), **about}))
    return "".join(f"{line}\n" for line in lines)


OWN, THEIRS = {"edited": "seq", "op": "operation"}, {"edited": "__lsn", "op": "__op"}
FEEDS = {
    "flat": (flat, {}, contract(OWN, True, deletes=["D"], truncates=["T"])),
    "debezium": (
        debezium,
        {"jsonl": {"debezium": {}}},
        contract(THEIRS, True, deletes=["d"], truncates=["t"]),
    ),
    "wrapped": (wrapped, {"jsonl": {"debezium": {}}}, contract(THEIRS, True, deletes=["d"], truncates=["t"])),
    "flattened": (flattened, {"jsonl": {}}, contract(THEIRS, True, deletes=["d"], truncates=["t"])),
}


@pytest.fixture
def database(tier):
    with fresh_database(tier) as made:
        yield made


def told() -> SourceTable:
    source = SourceTable()
    source.write("gone", colour="r", body="b", price=1)
    source.truncate()
    for thing in ("a", "b", "c"):
        source.write(thing, colour="red", body="long", price=1)
    source.write("a", price=2)
    source.write("b", colour="blue")
    source.delete("c")
    source.rename("b", "bb")
    source.write("a", body="longer")
    return source


@pytest.mark.parametrize("name", FEEDS)
def test_a_feed_in_order_makes_the_source_table(name, database, tmp_path):
    write, form, document = FEEDS[name]
    feed, source = Feed(database, tmp_path, form, document), told()
    feed.send(0, write(source.events[:5]))
    feed.send(1, write(source.events[5:]))
    first, second = feed.haul(0)["load"], feed.haul(1)["load"]

    assert feed.table() == [("a", "red", "longer", 2), ("bb", "blue", "long", 1)]
    assert (first.counts["inserted"], second.counts["deleted"], second.counts["rejected"]) == (3, 2, 0)
    assert feed.is_clean()


def test_a_plan_counts_what_the_load_then_does(database, tmp_path):
    write, form, document = FEEDS["debezium"]
    feed, source = Feed(database, tmp_path, form, document), SourceTable()
    for thing in "ab":
        source.write(thing, colour="red", body="long", price=1)
    source.write("a", price=2)
    feed.send(0, write(source.events))
    source.truncate()
    source.write("a", colour="blue", body="new", price=3)
    source.write("a", price=4)
    feed.send(1, write(source.events[3:]))
    counted = ("inserted", "updated", "unchanged", "superseded", "deleted", "rejected", "removed")

    for day in (0, 1):
        planned, before = feed.plan(day), database.rows("SELECT count(*) FROM haulier.tombstone")
        assert database.rows("SELECT count(*) FROM haulier.load") == [(day,)]
        loaded = feed.haul(day)["load"].counts

        assert [planned[name] for name in counted] == [loaded[name] for name in counted]
        assert before == [(0,)]
    assert [loaded[name] for name in counted] == [0, 1, 1, 1, 0, 0, 1]
    assert feed.table() == [("a", "blue", "new", 4)]


def test_a_run_in_shards_hears_its_events_together(database, tmp_path):
    """What an event does not carry stands in another shard, and the truncation in one of them counts for all."""
    write, form, document = FEEDS["flat"]
    feed, source = Feed(database, tmp_path, form, document, more={"split": {"rows": 20}}), SourceTable()
    things = [f"t{n}" for n in range(10, 30)]
    for thing in things:
        source.write(thing, colour="red", body="long", price=1)
    source.truncate()
    for thing in things[:15]:
        source.write(thing, colour="blue", body=thing, price=2)
    for thing in things[:10]:
        source.write(thing, price=3)
    source.delete(things[0])
    feed.send(0, write(source.events))
    loaded = haul_in_shards(feed.settings, "things", "main", interval(0))

    assert (loaded.counts["inserted"], loaded.counts["superseded"], loaded.counts["rejected"]) == (14, 31, 0)
    assert feed.table() == sorted((t, c["colour"], c["body"], c["price"]) for t, c in source.rows.items())
    assert feed.is_clean()


def test_tombstones_of_the_log_are_counted_and_said(database, tmp_path):
    write, form, document = FEEDS["debezium"]
    feed = Feed(database, tmp_path, form, document)
    feed.send(0, write(told().events))
    extracted = feed.haul(0)["extract"]

    assert database.rows("SELECT read, accepted, stripped FROM haulier.source_account") == [(13, 11, 2)]
    assert any("2 lines of" in note and "tombstone" in note for note in extracted.notes)


def test_a_feed_may_say_the_old_key_of_a_row_whose_key_changed(database, tmp_path):
    document = contract(OWN, False, deletes=["D"])
    feed = Feed(database, tmp_path, {}, document, RENAMES, functions=["feeds.renames"], reshape=True)
    feed.send(0, "op,edited,thing,old_thing,colour,body,price\nI,1,a,,red,long,1\nI,2,b,,blue,,2\n")
    feed.send(
        1, "op,edited,thing,old_thing,colour,body,price\nU,3,aa,a,red,long,1\nU,4,bb,b,blue,,2\nD,5,bb,,,,\n"
    )
    feed.haul(1)
    feed.haul(0)

    assert feed.table() == [("aa", "red", "long", 1)]
    assert feed.is_clean()


def test_an_update_of_a_row_that_is_not_there_waits_and_can_be_replayed(database, tmp_path):
    write, form, document = FEEDS["debezium"]
    feed, source = Feed(database, tmp_path, form, document), SourceTable()
    source.write("a", colour="red", body="long", price=1)
    source.write("a", colour="blue")
    feed.send(0, write(source.events[:1]))
    feed.send(1, write(source.events[1:]))
    feed.haul(1)
    assert database.rows(
        "SELECT rule, row_number, convert_from(verbatim, 'UTF8') FROM haulier.open_reject"
    ) == [("unchanged", 1, write(source.events[1:]).strip())]
    feed.haul(0)
    feed.replay()

    assert feed.table() == [("a", "blue", "long", 1)]
    assert feed.is_clean()


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, chance=st.randoms(use_true_random=False))
@pytest.mark.parametrize("name", ["flat", "debezium"])
def test_files_in_any_order_make_the_source_table(tier, tmp_path_factory, name, changes, chance):
    """Events shuffled, repeated and spread over three files, whose runs come in any order; what waited is replayed."""
    write, form, document = FEEDS[name]
    source = history_of(changes)
    # Without an event there is nothing to load, and no table.
    assume(source.events)
    events = [*source.events, *source.events[:2]]
    chance.shuffle(events)
    days = [0, 1, 2]
    chance.shuffle(days)
    with fresh_database(tier) as database:
        feed = Feed(database, tmp_path_factory.mktemp("feed"), form, document)
        for day in days:
            feed.send(day, write(events[day::3]))
        for day in days:
            feed.haul(day)
        for _ in range(len(events)):
            if not database.rows("SELECT 1 FROM haulier.open_reject"):
                break
            feed.replay()

        assert feed.table() == sorted((t, c["colour"], c["body"], c["price"]) for t, c in source.rows.items())
        assert database.rows("SELECT rule, message FROM haulier.open_reject") == []
        assert feed.is_clean()
