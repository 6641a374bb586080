"""A target in partitions: made when rows need them and ahead of that, and no other one touched."""

from __future__ import annotations

import dataclasses
import threading
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from support.hauling import KEYED, Sender, partitioned, replace_struct, settings_of
from support.ledger import findings
from support.monthly import MONTHLY, thing

from haulier.contracts import Partitioning
from haulier.errors import DataError, DefinitionError, HaulierError
from haulier.landing import partitions
from haulier.ledger.connection import connect, transaction
from haulier.partitions import live_tree
from haulier.settings import Settings
from haulier_load.step import load, plan

BY_SITE = replace_struct(
    KEYED,
    columns=(
        replace_struct(KEYED.columns[0], name="site"),
        *(replace_struct(c, key_position=2) if c.name == "thing" else c for c in KEYED.columns),
    ),
    partitions=(Partitioning(column="site", by="list"),),
)


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
