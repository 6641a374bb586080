"""I8 holds deletions as well: who forges or removes one is found, also after a newer one took its place."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal

import pytest
from support.hauling import KEYED, Sender, deleting, ordered, settings_of, versioned

from haulier.ledger.connection import connect
from haulier.ledger.verify import verify

WAYS = {
    "leave": ("upsert", deleting(ordered(KEYED))),
    "stay": ("upsert", deleting(ordered(KEYED), deleted_at="deleted_at")),
    "end": ("scd2", versioned(deleting(ordered(KEYED)))),
}


def forged(database, statement):
    """As somebody would who may switch triggers off."""
    with closing(database.connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement)
        assert cursor.rowcount, statement


@pytest.fixture(params=WAYS)
def sender(request, database, tmp_path):
    """Load 1 brings x, y and z, load 2 deletes x and y, load 3 deletes x again."""
    settings = settings_of(database, tmp_path)
    mode, contract = WAYS[request.param]
    made = Sender(settings=settings, mode=mode, contract=contract)
    for day, keys in enumerate(("xyz", "xy", "x")):
        # Of versions the same moment is meant; of rows a later deletion of one key.
        edited = 1 if mode == "scd2" else day
        rows = [
            {"thing": key, "price": Decimal(1), "edited": edited, "op": "D" if day else "U"} for key in keys
        ]
        made.send(day, {f"{day}.csv": rows})
    assert database.rows("SELECT count(*) FROM haulier.tombstone") == [(2,)]
    assert database.rows("SELECT load_id FROM haulier.former_tombstone") == [(2,)]
    assert wrong(made) == []
    return made


def wrong(sender, **which):
    with connect(sender.settings, "test") as connection:
        found = verify(connection, sender.settings, **which)
    return [(one.invariant, one.problem) for one in found]


FORGERIES = {
    "another time": "UPDATE haulier.tombstone SET ordered = ordered - interval '1 day' WHERE load_id = 2",
    "another key": 'UPDATE haulier.tombstone SET key = key || \'{"thing": "z"}\' WHERE load_id = 2',
    "one is gone": "DELETE FROM haulier.tombstone WHERE load_id = 2",
    "a former one is gone": "DELETE FROM haulier.former_tombstone",
    "one too many": 'INSERT INTO haulier.tombstone SELECT target, key || \'{"thing": "z"}\', load_id, delivery_id, row_number,'
    " sequence, generation, ordered, ordering FROM haulier.tombstone WHERE load_id = 2",
}


@pytest.mark.parametrize("name", FORGERIES)
@pytest.mark.requirement("R-03")
def test_a_forged_deletion_is_found(sender, database, name):
    forged(database, FORGERIES[name])

    assert ("I8", "the deletions of load 2 were changed") in wrong(sender)
    assert ("I8", "the deletions of load 2 were changed") in wrong(sender, run_id=2)


def test_a_digest_that_was_taken_away_is_found(sender, database):
    forged(database, "UPDATE haulier.chain SET tombstone_digest = NULL WHERE load_id = 2")

    assert wrong(sender) == [("I8", "load 2 was changed")]


def test_a_link_from_before_deletions_were_sealed_still_holds(sender, database):
    forged(
        database,
        "UPDATE haulier.chain SET tombstone_digest = NULL, hash ="
        " haulier.link_hash(load_id, previous, history_digest, reject_digest, NULL, query_digest, origin_digest) WHERE load_id = 3",
    )

    assert wrong(sender) == []


@pytest.mark.requirement("R-02")
def test_what_a_load_said_of_deletions_cannot_be_taken_away(sender, database):
    with pytest.raises(Exception, match="append-only"):
        database.rows("DELETE FROM haulier.former_tombstone")
