"""A target in partitions: made when rows need them and ahead of that, and no other one touched."""

from __future__ import annotations

import dataclasses
import threading
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from support.hauling import KEYED, Sender, deleting, ordered, partitioned, replace_struct, versioned
from support.ledger import findings

from haulier.contracts import Column, Partitioning
from haulier.definitions.drift import Drift
from haulier.errors import DataError, DefinitionError, HaulierError
from haulier.landing import partitions
from haulier.landing.merge import Merge
from haulier.ledger.connection import connect, transaction
from haulier.partitions import live_tree
from haulier.settings import Settings
from haulier_load.step import load, plan

MONTHLY = partitioned(KEYED, seen="month")
BY_SITE = replace_struct(
    KEYED,
    columns=(
        replace_struct(KEYED.columns[0], name="site"),
        *(replace_struct(c, key_position=2) if c.name == "thing" else c for c in KEYED.columns),
    ),
    partitions=(Partitioning(column="site", by="list"),),
)


def thing(name, seen, colour="red", **more):
    return {"thing": name, "colour": colour, "price": Decimal(1), "seen": date.fromisoformat(seen), **more}


@pytest.fixture
def settings(database, tmp_path):
    return Settings.from_env({**database.environment, "HAULIER_EXCHANGE": f"file://{tmp_path}/exchange"})


@pytest.fixture
def sender(settings):
    return Sender(settings=settings, contract=MONTHLY, reject_threshold=1)


@pytest.fixture(autouse=True)
def clean(settings):
    """Asks for a clean ledger, deeply, once the test is over."""
    yield
    assert findings(settings) == []


def parts(database, table="shop.things"):
    """Partition -> its bounds, at every level."""
    return dict(
        database.rows(
            "SELECT relid::regclass::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_partition_tree(%s) p"
            " JOIN pg_class c ON c.oid = p.relid WHERE level > 0",
            [table],
        )
    )


def test_a_month_is_made_when_a_row_needs_it_and_the_next_ahead_of_need(sender, database):
    sender.send(0, {"a.csv": [thing("x", "2025-11-30"), thing("y", "2026-01-01")]})

    assert parts(database) == {
        "shop.things_2025_11": "FOR VALUES FROM ('2025-11-01') TO ('2025-12-01')",
        "shop.things_2026_01": "FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "shop.things_2026_02": "FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
    }
    assert database.rows("SELECT thing FROM shop.things_2025_11") == [("x",)]


def test_what_is_made_is_recorded_with_its_run(sender, database):
    sender.send(0, {"a.csv": [thing("x", "2026-01-05")]})
    sender.send(1, {"b.csv": [thing("y", "2025-01-05")]})

    made = database.rows(
        "SELECT run_id, after->>'partition', ddl FROM haulier.schema_change WHERE kind = 'add partition' ORDER BY change_id"
    )
    assert [one[:2] for one in made] == [
        (1, "shop.things_2026_01"),
        (1, "shop.things_2026_02"),
        (2, "shop.things_2025_01"),
    ]
    assert made[2][2] == (
        'CREATE TABLE "shop"."things_2025_01" (LIKE "shop"."things" INCLUDING ALL EXCLUDING IDENTITY);\n'
        'ALTER TABLE "shop"."things" ATTACH PARTITION "shop"."things_2025_01"'
        " FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');"
    )


@pytest.mark.parametrize("zone", ["timestamptz", "timestamp"])
def test_the_month_of_a_time_is_that_of_utc(sender, database, zone):
    seen = replace_struct(MONTHLY.column("seen"), logical_type="timestamp", pg_type=zone)
    sender.contract = replace_struct(MONTHLY, columns=(*KEYED.columns, seen), partitions_ahead=0)
    moment = datetime(2025, 12, 31, 23, 59, 59, 999999, UTC if zone == "timestamptz" else None)
    # The day after the run's own, whose month is made in any case.
    sender.send(0, {"a.csv": [thing("x", "2026-01-01") | {"seen": moment}]})

    assert database.rows("SELECT thing FROM shop.things_2025_12") == [("x",)]


def site(name, where):
    return {"thing": name, "site": where, "colour": "red", "price": Decimal(1)}


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=70)


@examples(max_examples=5, deadline=None)
@given(
    st.lists(
        st.sampled_from(["%", "%s", "%(x)s", "{}", "a'b", "\\", "", "a b", "A b"]) | TEXT,
        min_size=1,
        max_size=8,
    )
)
@example(["%(x)s", "{}", "a'b", "\\", ""])
def test_whatever_a_site_is_called_it_has_a_partition_of_its_own(tier, tmp_path_factory, names):
    from support.databases import fresh_database

    with fresh_database(tier) as database:
        folder = tmp_path_factory.mktemp("exchange")
        environment = Settings.from_env({**database.environment, "HAULIER_EXCHANGE": f"file://{folder}"})
        sender = Sender(settings=environment, contract=BY_SITE)
        rows = [site(f"{n}", where) for n, where in enumerate(names)]
        sender.send(0, {"a.csv": rows})
        again = sender.send(1, {"b.csv": rows})

        assert again.counts["unchanged"] == len(rows)
        held = database.rows("SELECT tableoid, count(DISTINCT site) FROM shop.things GROUP BY tableoid")
        assert [number for _, number in held] == [1] * len(set(names))
        with connect(environment, "test") as connection, transaction(connection, environment) as cursor:
            tree = live_tree(cursor, "shop", "things")
        assert {one.bounds[0].values for one in tree.partitions} == {(name,) for name in names}


def test_sites_within_months_and_months_within_sites(sender, database):
    by = {"seen": "month", "thing": "list"}
    for number, levels in enumerate((by, dict(reversed(by.items())))):
        sender.contract = replace_struct(
            partitioned(KEYED, **levels), table=f"things{number}", partitions_ahead=0
        )
        sender.send(number, {f"{number}.csv": [thing("701", "2025-11-30"), thing("702", "2025-11-01")]})

    assert set(parts(database, "shop.things0")) >= {
        "shop.things0_2025_11", "shop.things0_2025_11_701", "shop.things0_2025_11_702", "shop.things0_2026_01_701",
    }  # fmt: skip
    assert set(parts(database, "shop.things1")) >= {
        "shop.things1_701", "shop.things1_701_2025_11", "shop.things1_702_2025_11", "shop.things1_702_2026_01",
    }  # fmt: skip


def test_a_plan_shows_the_partitions_first_and_makes_none(sender, settings, database, monkeypatch):
    for there in (False, True):
        day, late = int(there), "2020-02-29" if there else "2024-02-29"
        if there:
            sender.send(0, {"a.csv": [thing("x", "2026-01-05")]})
        before = parts(database) if there else {}
        reservation = sender.reserve(day + 3, {"b.csv": late.encode()})
        manifest = sender.seal(day + 3, reservation, {"b.csv": [thing("x", "2026-01-05"), thing("y", late)]})
        monkeypatch.setattr("haulier_load.step.read_manifest", lambda *_, manifest=manifest: manifest)
        planned = plan(dataclasses.replace(sender.task(day + 3, generation=1), verb="plan"))
        monkeypatch.undo()

        made = [note for note in planned.notes if "ATTACH PARTITION" in note]
        assert any(f'"shop"."things_{late[:4]}_02"' in note for note in made)
        assert len(made) == (1 if there else 3)
        assert planned.counts["inserted"] == (1 if there else 2)
        if there:
            assert parts(database) == before
        load(sender.task(day + 3, generation=1))


def test_a_quarantined_run_makes_no_partition(sender, database):
    sender.send(0, {"a.csv": [thing("x", "2026-01-05")]})
    before = parts(database)
    sender.reject_threshold = 0
    outcome = sender.send(1, {"b.csv": [thing("y", "2020-01-05")]}, rejects=[("b.csv", 9, "type")])

    assert outcome.outcome == "quarantined"
    assert parts(database) == before


def test_partitions_made_by_hand_are_used(sender, database):
    sender.contract = replace_struct(MONTHLY, partitions_ahead=0)
    sender.send(0, {"a.csv": [thing("x", "2026-01-05")]})
    database.rows(
        "CREATE TABLE shop.old PARTITION OF shop.things FOR VALUES FROM (MINVALUE) TO ('2025-07-01')"
    )
    database.rows(
        "CREATE TABLE shop.half PARTITION OF shop.things FOR VALUES FROM ('2025-07-01') TO ('2026-01-01')"
    )
    outcome = sender.send(1, {"b.csv": [thing("y", "2025-11-05"), thing("z", "1999-01-01")]})

    assert outcome.counts["inserted"] == 2
    assert set(parts(database)) == {"shop.things_2026_01", "shop.old", "shop.half"}


def test_what_stands_where_a_partition_belongs_stops_the_load(sender, database):
    sender.send(0, {"a.csv": [thing("x", "2026-01-05")]})
    database.rows("CREATE TABLE shop.things_2025_11 (n int)")
    with pytest.raises(
        DefinitionError, match=r"partition things_2025_11 of shop\.things cannot be made: relation"
    ):
        sender.send(1, {"b.csv": [thing("y", "2025-11-05")]})
    database.rows("DROP TABLE shop.things_2025_11")
    database.rows(
        "CREATE TABLE shop.odd PARTITION OF shop.things FOR VALUES FROM ('2025-11-03') TO ('2025-11-04')"
    )
    with pytest.raises(
        DefinitionError, match=r"things_2025_11 of shop\.things cannot be made: partition .* would overlap"
    ):
        load(sender.task(1, generation=1))
    database.rows("DROP TABLE shop.odd")
    assert load(sender.task(1, generation=1)).counts["inserted"] == 1


def test_a_column_full_of_wrong_dates_makes_no_thousands_of_partitions(sender, database, monkeypatch):
    monkeypatch.setattr(partitions, "MOST_NEW", 3)
    with pytest.raises(
        DataError, match=r"need 5 new partitions of shop.things, more than the 3 of one load; give seen"
    ):
        sender.send(0, {"a.csv": [thing("x", f"{year}-01-05") for year in (1026, 1206, 2062)]})
    monkeypatch.undo()
    load(sender.task(0, generation=1))


@pytest.mark.parametrize("made", ["", "PARTITION BY LIST (thing)"])
def test_a_live_table_that_is_not_partitioned_as_the_contract_says_stops_the_load(sender, database, made):
    sender.contract = replace_struct(MONTHLY, partitions=())
    sender.send(0, {"a.csv": [thing("x", "2026-01-05")]})
    columns = "LIKE shop.plain INCLUDING ALL EXCLUDING INDEXES"
    database.rows("ALTER TABLE shop.things RENAME TO plain")
    database.rows(f"CREATE TABLE shop.things ({columns}) {made}")
    if made:
        database.rows("CREATE TABLE shop.things_x PARTITION OF shop.things FOR VALUES IN ('x')")
    database.rows("INSERT INTO shop.things SELECT * FROM shop.plain")
    sender.contract = MONTHLY
    now = "by list of thing" if made else "not partitioned"
    with pytest.raises(
        DefinitionError, match=f"table shop.things is {now}, contract things says by range of seen"
    ):
        sender.send(1, {"b.csv": [thing("y", "2026-01-05")]})


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


def test_loads_that_need_the_same_new_partition_take_turns(sender, settings, database):
    """Eight at once, each with rows of the same new months, in another order."""
    sender.contract = replace_struct(partitioned(KEYED, seen="month", thing="list"), partitions_ahead=2)
    sender.send(0, {"0.csv": [thing("x", "2026-01-05")]})
    tasks = []
    for number in range(1, 9):
        months = [f"2024-{(number + n) % 12 + 1:02}-05" for n in range(12)]
        rows = [thing(name, month) for month in months for name in (f"{number % 3}", "x")]
        name = f"site{number}"
        files = {f"{number}.csv": b"%d" % number}
        sender.seal(
            number, sender.reserve(number, files, instance=name), {f"{number}.csv": rows}, instance=name
        )
        tasks.append(sender.task(number, instance=name, generation=1))
    failed: list[HaulierError] = []
    barrier = threading.Barrier(len(tasks))

    def run(task):
        barrier.wait()
        try:
            load(task)
        except HaulierError as exc:
            failed.append(exc)

    threads = [threading.Thread(target=run, args=[task]) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert database.rows("SELECT count(*), count(DISTINCT seen) FROM shop.things") == [(12 * 4 + 1, 13)]


def test_a_reader_neither_waits_for_a_new_partition_nor_holds_it_up(sender, database):
    sender.send(0, {"a.csv": [thing("x", "2026-01-05")]})
    with closing(database.connect()) as reader, reader, reader.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT count(*) FROM shop.things")
        sender.send(1, {"b.csv": [thing("y", "2020-01-05")]})
        cursor.execute("SELECT count(*) FROM shop.things")
        assert cursor.fetchall() == [(1,)]
