"""A column that must be unique beside the key is judged in the content as a load leaves it, in whatever order rows change."""

from __future__ import annotations

from contextlib import ExitStack
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.databases import fresh_database
from support.hauling import KEYED, Sender, deleting, replace_struct

from haulier.ledger.connection import connect
from haulier.ledger.verify import verify
from haulier.settings import Settings

GONE = "gone"
UNIQUE = replace_struct(
    KEYED, columns=(KEYED.columns[0], replace_struct(KEYED.columns[1], unique=True), KEYED.columns[2])
)
#: What one calls it -> mode, contract.
WAYS = {
    "upsert": ("upsert", UNIQUE),
    "deletions": ("upsert", deleting(UNIQUE)),
    "replace": ("replace", UNIQUE),
}


def lands(table, sent, whole):
    """(the table afterwards, rejected keys): nobody gets a value that somebody else still has or claims as well."""
    claims = {k: v for k, v in sent.items() if v not in (None, GONE) and table.get(k) != v}
    left = {} if whole else {k: v for k, v in table.items() if k not in sent}
    wrong = {
        k
        for k, v in claims.items()
        if v in left.values() or any(other != k and v == value for other, value in sent.items())
    }
    while not whole:
        back = {table[k] for k in wrong if k in table}
        more = {k for k, v in claims.items() if v in back} - wrong
        if not more:
            break
        wrong |= more
    if whole and len(wrong) == len(sent):
        # A content of which nothing is left says nothing, so nothing is taken away either.
        return table, wrong
    rest = {} if whole else {k: v for k, v in table.items() if k not in sent or k in wrong}
    return rest | {k: v for k, v in sent.items() if k not in wrong and v != GONE}, wrong


@pytest.fixture
def sender_of(tier, tmp_path_factory):
    """A sender to a database of its own, as often as it is asked for."""
    with ExitStack() as opened:

        def made(way):
            database = opened.enter_context(fresh_database(tier))
            folder = tmp_path_factory.mktemp("exchange")
            environment = {**database.environment, "HAULIER_EXCHANGE": f"file://{folder}"}
            mode, contract = WAYS[way]
            sender = Sender(
                settings=Settings.from_env(environment), contract=contract, mode=mode, reject_threshold=1
            )
            return database, sender

        yield made


def send(sender, day, sent):
    rows = [
        {"thing": k, "colour": None if v == GONE else v, "price": Decimal(1)}
        | ({"op": "D" if v == GONE else "U"} if sender.contract.marker else {})
        for k, v in sent.items()
    ]
    return sender.send(day, {f"{day}.csv": rows})


def is_clean(sender):
    with connect(sender.settings, "test") as connection:
        return verify(connection, sender.settings, exchange=sender.exchange) == []


SENT = st.dictionaries(st.sampled_from("vwxyz"), st.sampled_from([*"rgby", None, GONE]), min_size=1)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=st.lists(SENT, min_size=2, max_size=4))
def test_the_table_is_the_models(sender_of, way, days):
    database, sender = sender_of(way)
    table = {}
    for day, sent in enumerate(days):
        if way != "deletions":
            sent = {k: None if v == GONE else v for k, v in sent.items()}
        table, wrong = lands(table, sent, whole=way == "replace")
        outcome = send(sender, day, sent)
        assert outcome.counts["rejected"] == len(wrong)
        assert dict(database.rows("SELECT thing, colour FROM shop.things")) == table
    assert is_clean(sender)


@pytest.mark.parametrize("way", WAYS)
def test_values_change_hands_within_a_file(sender_of, way):
    database, sender = sender_of(way)
    send(sender, 0, {"x": "red", "y": "blue", "z": "green"})
    outcome = send(sender, 1, {"x": "blue", "y": "red", "z": "green"})

    assert (outcome.counts["updated"], outcome.counts["unchanged"], outcome.counts["rejected"]) == (2, 1, 0)
    assert database.rows("SELECT thing, colour FROM shop.things ORDER BY 1") == [
        ("x", "blue"),
        ("y", "red"),
        ("z", "green"),
    ]
    assert is_clean(sender)


@pytest.mark.parametrize("way", ["upsert", "deletions"])
def test_a_row_that_cannot_let_go_of_its_value_keeps_those_behind_it_waiting(sender_of, way):
    """Each wants the next one's value, and the last one that of a row nobody sent."""
    database, sender = sender_of(way)
    send(sender, 0, {"w": "1", "x": "2", "y": "3", "z": "4"})
    outcome = send(sender, 1, {"w": "2", "x": "3", "y": "4"})

    assert outcome.counts["rejected"] == 3
    assert dict(database.rows("SELECT thing, colour FROM shop.things")) == {
        "w": "1",
        "x": "2",
        "y": "3",
        "z": "4",
    }
    assert is_clean(sender)


@pytest.mark.parametrize("way", WAYS)
def test_an_index_that_looks_at_each_row_by_itself_rejects_what_would_change_hands(sender_of, way):
    """Somebody's own index: the rows wait in the dead letter instead of failing the whole load."""
    database, sender = sender_of(way)
    send(sender, 0, {"x": "red", "y": "blue", "z": "green"})
    database.rows("CREATE UNIQUE INDEX ON shop.things (colour)")
    outcome = send(sender, 1, {"x": "blue", "y": "red", "z": "pink"})

    assert (outcome.counts["updated"], outcome.counts["rejected"]) == (1, 2)
    assert database.rows("SELECT rule, row_number FROM haulier.reject ORDER BY 2") == [
        ("unique", 2),
        ("unique", 3),
    ]
    assert is_clean(sender)


def test_an_index_of_several_columns_keeps_nobody_from_changing_hands(sender_of):
    database, sender = sender_of("upsert")
    send(sender, 0, {"x": "red", "y": "blue"})
    database.rows("CREATE UNIQUE INDEX ON shop.things (colour, thing)")
    database.rows("CREATE UNIQUE INDEX ON shop.things (thing) INCLUDE (colour)")
    outcome = send(sender, 1, {"x": "blue", "y": "red"})

    assert (outcome.counts["updated"], outcome.counts["rejected"]) == (2, 0)
    assert is_clean(sender)


def test_an_older_row_that_changes_nothing_claims_nothing(sender_of):
    _, sender = sender_of("upsert")
    send(sender, 2, {"x": "red", "y": "blue"})
    outcome = send(sender, 1, {"y": "red"})

    assert (outcome.counts["superseded"], outcome.counts["rejected"]) == (1, 0)
    assert is_clean(sender)
