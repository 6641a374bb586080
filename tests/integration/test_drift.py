"""A table that is not yet what its contract says: evolved where the definition says so, else the load stops."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal

import psycopg2.errors
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg2 import sql
from support.hauling import KEYED, Sender, deleting, ordered, replace_struct, settings_of, thing, versioned
from support.ledger import findings

from haulier.contracts import Column, with_extra
from haulier.definitions.drift import Drift
from haulier.errors import DataError, DefinitionError, TransientError
from haulier.landing.drift import fits
from haulier_load.step import plan

EVOLVE, STOP = Drift(new_column="evolve", type_change="evolve"), Drift()
SIZE = Column(
    name="size", logical_type="integer", pg_type="integer", description="How big; 100 %", required=True
)


def typed(**pg_types):
    """The contract with other types."""
    return replace_struct(
        KEYED,
        columns=tuple(replace_struct(c, pg_type=pg_types.get(c.name, c.pg_type)) for c in KEYED.columns),
    )


WITH_SIZE = replace_struct(KEYED, columns=(*KEYED.columns, SIZE))


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


@pytest.fixture
def sender(settings):
    return Sender(settings=settings, drift=EVOLVE)


@pytest.fixture(autouse=True)
def clean(settings):
    """Asks for a clean ledger, deeply, once the test is over."""
    yield
    assert findings(settings) == []


def recorded(database):
    return database.rows(
        "SELECT kind, before, after, ddl, run_id FROM haulier.schema_change WHERE kind <> 'create' ORDER BY change_id"
    )


def test_a_new_column_is_added_empty_and_recorded(sender, database):
    sender.send(0, {"a.csv": [thing("x")]})
    sender.contract = WITH_SIZE
    sender.send(1, {"b.csv": [thing("y", size=3)]})

    assert database.rows("SELECT thing, size FROM shop.things ORDER BY 1") == [("x", None), ("y", 3)]
    ddl = """ALTER TABLE "shop"."things" ADD COLUMN "size" integer; COMMENT ON COLUMN "shop"."things"."size" IS 'How big; 100 %';"""
    assert recorded(database) == [("add column", {"size": None}, {"size": "integer"}, ddl, 2)]
    described = (
        "SELECT col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'shop.things'::regclass"
    )
    assert database.rows(f"{described} AND attname = 'size'") == [("How big; 100 %",)]


def test_the_column_of_deletions_is_added_too(sender, database):
    sender.send(0, {"a.csv": [thing("x")]})
    sender.contract = deleting(KEYED, deleted_at="gone_at")
    sender.send(1, {"b.csv": [{"thing": "x", "op": "D"}]})

    assert database.rows("SELECT thing, gone_at IS NULL FROM shop.things") == [("x", False)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"colour": "varchar(5)"}, {"colour": "text"}),
        ({"colour": "varchar(5)"}, {"colour": "varchar(9)"}),
        ({"price": "numeric(8,2)"}, {"price": "numeric(12,4)"}),
        ({"price": "numeric(8,2)"}, {"price": "numeric"}),
    ],
)
def test_a_wider_type_widens_the_table_and_an_earlier_contract_still_loads(sender, database, before, after):
    sender.contract = typed(**before)
    sender.send(0, {"a.csv": [thing("x"), thing("y")]})
    sender.contract = typed(**after)
    sender.send(2, {"c.csv": [thing("x")]})
    sender.contract = typed(**before)
    late = sender.send(1, {"b.csv": [thing("y", "blue"), thing("x", "late")]})

    assert (late.counts["updated"], late.counts["superseded"]) == (1, 1)
    assert database.rows("SELECT thing, colour, price FROM shop.things ORDER BY 1") == [
        ("x", "red", Decimal("1.5")),
        ("y", "blue", Decimal("1.5")),
    ]
    assert [(kind, was, becomes) for kind, was, becomes, *_ in recorded(database)] == [
        ("widen column", before, after)
    ]


def test_a_narrower_contract_leaves_the_table_as_wide_as_it_is(sender, database):
    sender.send(0, {"a.csv": [thing("x")]})
    sender.contract = typed(colour="varchar(5)", price="numeric(8,2)")
    sender.send(1, {"b.csv": [thing("y", price="2.5")]})

    assert database.rows("SELECT thing, price FROM shop.things ORDER BY 1") == [
        ("x", Decimal("1.5")),
        ("y", Decimal("2.5")),
    ]
    assert recorded(database) == []


def test_another_type_stops_the_load(sender, database):
    sender.send(0, {"a.csv": [thing("x")]})
    price = replace_struct(KEYED.columns[2], pg_type="double precision")
    sender.contract = replace_struct(KEYED, columns=(*KEYED.columns[:2], price))

    with pytest.raises(DefinitionError, match="price is numeric, the contract says double precision"):
        sender.send(1, {"b.csv": [{**thing("y"), "price": 1.5}]})
    assert recorded(database) == []


def test_what_the_definition_does_not_let_evolve_stops_with_the_statement_to_run(sender, database):
    sender.drift = STOP
    sender.send(0, {"a.csv": [thing("x")]})
    sender.contract = WITH_SIZE

    with pytest.raises(DefinitionError, match=r'ALTER TABLE shop\.things ADD COLUMN "size" integer'):
        sender.send(1, {"b.csv": [thing("y", size=3)]})
    sender.contract = typed(price="numeric(8,2)")
    with pytest.raises(DefinitionError, match=r"price is numeric, the contract says numeric\(8,2\)"):
        sender.send(2, {"c.csv": [thing("y")]})
    assert recorded(database) == []


def test_a_column_of_the_key_is_never_added(sender, database):
    sender.send(0, {"a.csv": [thing("x")]})
    key = replace_struct(SIZE, key_position=2)
    sender.contract = replace_struct(KEYED, columns=(*KEYED.columns, key))

    with pytest.raises(DefinitionError, match="it has no column size"):
        sender.send(1, {"b.csv": [thing("y", size=3)]})


def test_views_grants_and_readers_live_through_it(sender, database):
    sender.contract = typed(colour="varchar(5)")
    sender.send(0, {"a.csv": [thing("x")]})
    database.rows("CREATE VIEW shop.named AS SELECT thing, price FROM shop.things")
    sender.contract = WITH_SIZE
    sender.send(1, {"b.csv": [thing("y", "a long colour", size=3)]})

    assert database.rows("SELECT thing FROM shop.named ORDER BY 1") == [("x",), ("y",)]
    assert [kind for kind, *_ in recorded(database)] == ["widen column", "add column"]


def test_a_view_on_a_column_that_would_be_widened_stops_the_load_and_nothing_is_dropped(sender, database):
    sender.contract = typed(colour="varchar(5)")
    sender.send(0, {"a.csv": [thing("x")]})
    database.rows("CREATE VIEW shop.coloured AS SELECT colour FROM shop.things")
    sender.contract = KEYED

    with pytest.raises(
        DefinitionError, match=r"colour of shop.things is varchar\(5\), the contract says text, and a view"
    ):
        sender.send(1, {"b.csv": [thing("y")]})
    assert database.rows("SELECT * FROM shop.coloured") == [("red",)]
    assert recorded(database) == []


@pytest.fixture
def impatient(monkeypatch):
    """A change that comes again at once."""
    monkeypatch.setattr("haulier.landing.evolving.PAUSE_SECONDS", 0)


def test_nobody_waits_behind_a_change_that_waits_for_a_long_reader(sender, database, impatient):
    sender.send(0, {"a.csv": [thing("x")]})
    sender.contract = WITH_SIZE
    with ThreadPoolExecutor(1) as pool, closing(database.connect()) as long, long, long.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM shop.things")
        loading = pool.submit(sender.send, 1, {"b.csv": [thing("y", size=1)]})
        with closing(database.connect()) as reader, reader.cursor() as short:
            reader.autocommit = True
            # Behind a change that waited as long as a load may, the first of these would fail.
            short.execute("SET lock_timeout = '10s'")
            while not loading.done():
                short.execute("SELECT count(*) FROM shop.things")
        with pytest.raises(
            TransientError, match=rf"shop.things .* in use by backend {long.info.backend_pid}"
        ):
            loading.result()
    assert recorded(database) == []
    assert sender.send(1, {"b.csv": [thing("y", size=1)]}).outcome == "loaded"


def test_a_change_is_made_as_soon_as_a_try_finds_the_table_free(sender, database, monkeypatch):
    sender.send(0, {"a.csv": [thing("x")]})
    sender.contract = WITH_SIZE
    with closing(database.connect()) as reader:
        with reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM shop.things")
        tries = []
        monkeypatch.setattr("haulier.landing.evolving.time.sleep", lambda _: tries.append(reader.rollback()))
        assert sender.send(1, {"b.csv": [thing("y", size=1)]}).outcome == "loaded"
    assert len(tries) == 1
    assert [kind for kind, *_ in recorded(database)] == ["add column"]


def test_a_change_that_gave_up_ends_75_and_loses_nothing(sender, database, impatient):
    sender.send(0, {"a.csv": [thing("x")]})
    sender.contract = WITH_SIZE
    with closing(database.connect()) as writer, writer, writer.cursor() as cursor:
        cursor.execute("UPDATE shop.things SET colour = 'blue'")
        with pytest.raises(TransientError) as ended:
            sender.send(1, {"b.csv": [thing("y", size=1)]})
        writer.rollback()
    assert ended.value.exit_code == 75
    assert database.rows("SELECT thing, colour FROM shop.things") == [("x", "red")]


def test_a_column_that_says_what_holds_is_computed_in_a_table_that_gets_it_later(sender, database):
    """No load writes it: a plain column would be empty for ever."""
    contract = versioned(ordered(KEYED))
    sender.mode, sender.contract = "scd2", replace_struct(contract, is_current=None)
    sender.send(0, {"a.csv": [thing("x", edited=1)]})
    sender.contract, sender.drift = contract, Drift(new_column="evolve")
    sender.send(1, {"b.csv": [thing("x", "blue", edited=2)]})

    assert database.rows("SELECT colour, is_current FROM shop.things ORDER BY 1") == [
        ("blue", True),
        ("red", False),
    ]


def test_a_plan_shows_the_statements_and_counts_as_if_they_had_run(sender, settings, database, monkeypatch):
    sender.contract = typed(colour="varchar(5)")
    sender.send(0, {"a.csv": [thing("x")]})
    sender.contract = WITH_SIZE
    reservation = sender.reserve(1, {"b.csv": b"1"})
    manifest = sender.seal(1, reservation, {"b.csv": [thing("x", size=1), thing("y", size=2)]})
    monkeypatch.setattr("haulier_load.step.read_manifest", lambda *_: manifest)
    planned = plan(dataclasses.replace(sender.task(1, generation=1), verb="plan"))

    assert planned.notes[0] == 'ALTER TABLE "shop"."things" ALTER COLUMN "colour" TYPE text;'
    assert planned.notes[1].startswith('ALTER TABLE "shop"."things" ADD COLUMN "size" integer;')
    assert (planned.counts["inserted"], planned.counts["updated"]) == (1, 1)
    assert recorded(database) == []
    assert database.rows("SELECT count(*) FROM pg_attribute WHERE attrelid = 'shop.things'::regclass AND attname = 'size'") == [(0,)]  # fmt: skip


def test_a_plan_shows_the_column_for_what_the_contract_does_not_know(sender, database, monkeypatch):
    sender.drift = STOP
    sender.send(0, {"a.csv": [thing("x"), thing("z")]})
    sender.contract = with_extra(KEYED)
    reservation = sender.reserve(1, {"b.csv": b"1"})
    manifest = sender.seal(1, reservation, {"b.csv": [thing("x", _extra='{"size": "1"}'), thing("z")]})
    monkeypatch.setattr("haulier_load.step.read_manifest", lambda *_: manifest)
    planned = plan(dataclasses.replace(sender.task(1, generation=1), verb="plan"))

    assert planned.notes[0].startswith('ALTER TABLE "shop"."things" ADD COLUMN "_extra" jsonb;')
    assert (planned.counts["updated"], planned.counts["unchanged"]) == (1, 1)
    assert recorded(database) == []


def test_a_column_that_may_be_empty_now_names_the_statement_that_lets_it(sender, database):
    colour = {column.name: column for column in KEYED.columns}["colour"]
    rest = tuple(column for column in KEYED.columns if column.name != "colour")
    sender.contract = replace_struct(KEYED, columns=(*rest, replace_struct(colour, required=True)))
    sender.send(0, {"a.csv": [thing("x")]})
    sender.contract = replace_struct(KEYED, columns=(*rest, replace_struct(colour, required=False)))

    with pytest.raises(DataError) as refused:
        sender.send(1, {"b.csv": [thing("y", colour=None)]})

    statement = str(refused.value).partition("be empty: ")[2].partition("; else")[0]
    assert statement == 'ALTER TABLE "shop"."things" ALTER COLUMN "colour" DROP NOT NULL'
    database.rows(statement)
    sender.send(1, {"b.csv": [thing("y", colour=None)]})
    assert database.rows("SELECT thing, colour FROM shop.things WHERE colour IS NULL") == [("y", None)]


def test_a_plan_counts_the_rows_that_the_table_has_no_place_for(sender, database, monkeypatch):
    sender.drift = Drift(new_column="reject", widened="reject")
    sender.contract = typed(colour="varchar(5)", price="numeric(4,1)")
    sender.send(0, {"a.csv": [thing("x")]})
    sender.contract = replace_struct(KEYED, columns=(*KEYED.columns, replace_struct(SIZE, required=False)))
    rows = [
        thing("a"),
        thing("b", "orange"),
        thing("c", price="1.25"),
        thing("d", price="1000"),
        thing("e", size=1),
    ]
    reservation = sender.reserve(1, {"b.csv": b"1"})
    manifest = sender.seal(1, reservation, {"b.csv": rows})
    monkeypatch.setattr("haulier_load.step.read_manifest", lambda *_: manifest)
    planned = plan(dataclasses.replace(sender.task(1, generation=1), verb="plan"))

    assert (planned.counts["inserted"], planned.counts["rejected"]) == (1, 4)
    assert recorded(database) == []


TEXTS = st.tuples(st.text("aé ", max_size=5), st.sampled_from(["varchar(1)", "varchar(3)"]), st.just("text"))
NUMBERS = st.tuples(
    st.decimals(-(2**64), 2**64, places=0) | st.decimals(-99999, 99999, places=3),
    st.sampled_from(["smallint", "integer", "bigint", "numeric(4,0)", "numeric(4,1)", "numeric(6,3)"]),
    st.just("numeric"),
)


@given(TEXTS | NUMBERS)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_value_fits_where_postgresql_keeps_it_as_it_is(database, wide):
    value, live, promised = wide
    relation = sql.SQL("(SELECT {}::{} AS x) v").format(sql.Literal(value), sql.SQL(promised))
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {} FROM {}").format(fits(sql.Identifier("v", "x"), live), relation))
        (said,) = cursor.fetchone()
        try:
            cursor.execute(sql.SQL("SELECT v.x::{} = v.x FROM {}").format(sql.SQL(live), relation))
            (is_kept,) = cursor.fetchone()
        except psycopg2.errors.NumericValueOutOfRange:
            is_kept = False

    assert said == is_kept
