"""The ledger after loads: append-only, and tampering past that is found."""

from __future__ import annotations

import pytest
from support.hauling import Sender, interval, settings_of, thing
from support.ledger import findings

from haulier.ledger.connection import connect
from haulier.ledger.verify import verify
from haulier_load.step import load

#: What moves on by rules of its own, and is never removed.
MOVING = {"run", "query_tail", "tombstone"}
#: No records: what is being worked at, and a person's setting, each change of which is one.
WORK = {"alembic_version", "staged_shard", "state"}

#: What somebody who may switch triggers off could want to be otherwise, and the invariant that tells.
FORGERIES = [
    (
        "UPDATE haulier.load SET inserted = inserted + 1, produced = produced + 1 WHERE load_id = 1",
        "I8",
    ),
    ("UPDATE haulier.load SET actor = 'somebody' WHERE load_id = 2", "I8"),
    ("UPDATE haulier.load SET loaded_at = loaded_at - interval '1 day' WHERE load_id = 2", "I8"),
    ("UPDATE haulier.load SET versions = jsonb_build_object('approval', 'Grace') WHERE load_id = 2", "I8"),
    ("UPDATE haulier.generation SET reason = 'as agreed' WHERE run_id = 2", "I8"),
    ("UPDATE haulier.replay SET reason = 'as agreed'", "I8"),
    ("UPDATE haulier.replay SET actor = 'somebody'", "I8"),
    ("UPDATE haulier.delivery SET logical_name = 'other.csv' WHERE delivery_id = 1", "I8"),
    ("UPDATE haulier.delivery SET sha256 = repeat('0', 64) WHERE delivery_id = 1", "I8"),
    ("UPDATE haulier.reject SET message = 'nothing to see'", "I8"),
    ("UPDATE haulier.reject_event SET at = at - interval '1 day'", "I8"),
    ("UPDATE haulier.history SET before = '{}'", "I8"),
    ("DELETE FROM haulier.history", "I8"),
    ("DELETE FROM haulier.reject WHERE load_id = 3", "I8"),
    ("DELETE FROM haulier.reject_event", "I8"),
    ("DELETE FROM haulier.load WHERE load_id = 1", "I8"),
    ("DELETE FROM haulier.load WHERE load_id = 2; DELETE FROM haulier.chain WHERE load_id = 2", "I8"),
    ("DELETE FROM shop.things WHERE thing = 'x'", "I2"),
    ("UPDATE shop.things SET _haulier_load = 99", "I2"),
    ("UPDATE haulier.run SET generation = 9", "I5"),
    (
        "UPDATE haulier.source_account SET read = read + 1, accepted = accepted + 1 WHERE load_id = 1",
        "I8",
    ),
]


def forged(database, statement):
    database.rows(f"SET session_replication_role = replica; {statement}")


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


@pytest.fixture
def sender(settings):
    return Sender(settings=settings)


class TestLedger:
    @pytest.mark.requirement("R-02")
    def test_whatever_is_recorded_is_append_only(self, sender, database):
        """Of every table that is there: a new one is no exception unless it is named here."""
        sender.reject_threshold = 1
        sender.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type")])
        sender.send(1, {"a.csv": [thing("x", "blue")]})
        columns = dict(
            database.rows(
                "SELECT c.relname::text, min(a.attname)::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
                " WHERE c.relnamespace = 'haulier'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND a.attgenerated = ''"
                " AND a.attidentity = '' AND NOT a.attisdropped GROUP BY 1"
            )
        )
        assert columns.keys() >= {*WORK, *MOVING, "load", "history", "reject", "flag", "chain"}

        for table in columns.keys() - WORK:
            column = columns[table]
            changes = [f"DELETE FROM haulier.{table}", f"TRUNCATE haulier.{table} CASCADE"]
            if table not in MOVING:
                changes.append(f"UPDATE haulier.{table} SET {column} = {column}")
            for change in changes:
                with pytest.raises(Exception, match="append-only"):
                    database.rows(change)

    @pytest.mark.parametrize(("tampering", "invariant"), FORGERIES)
    @pytest.mark.requirement("R-03")
    def test_tampering_past_the_triggers_is_found(self, sender, settings, database, tampering, invariant):
        sender.reject_threshold = 1
        sender.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type")])
        sender.send(1, {"a.csv": [thing("x", "blue")]})
        sender.send(2, {"b.csv": [thing("y")]}, rejects=[("b.csv", 9, "type")])
        sender.replay({"b.csv": [thing("z", _row=9)]})
        with connect(settings, "test") as connection:
            assert verify(connection, settings) == []
        forged(database, tampering)

        with connect(settings, "test") as connection:
            assert invariant in {finding.invariant for finding in verify(connection, settings)}

    @pytest.mark.requirement("R-04")
    def test_an_original_that_was_changed_is_found(self, sender, settings, database):
        sender.send(0, {"a.csv": [thing("x")]})
        ((original, uri),) = database.rows("SELECT original, uri FROM haulier.delivery")
        assert findings(settings) == []

        sender.exchange.put(original, b"h\nanother\n")

        assert [(f.invariant, f.subject) for f in findings(settings)] == [("I7", uri)]

    def test_a_link_from_before_origins_were_sealed_still_holds(self, sender, settings, database):
        sender.send(0, {"a.csv": [thing("x")]})
        forged(
            database,
            "UPDATE haulier.chain SET origin_digest = NULL, hash = haulier.link_hash(load_id, previous, history_digest,"
            " reject_digest, tombstone_digest, query_digest, NULL)",
        )

        with connect(settings, "test") as connection:
            assert verify(connection, settings) == []

    @pytest.mark.requirement("R-12")
    def test_every_time_it_has_is_an_instant(self, database):
        times = database.rows(
            "SELECT DISTINCT data_type FROM information_schema.columns WHERE table_schema = 'haulier' AND data_type LIKE 'time%'"
        )

        assert times == [("timestamp with time zone",)]

    @pytest.mark.requirement("R-07")
    def test_a_lost_part_is_found(self, sender, settings):
        reservation = sender.reserve(0, {"a.csv": b"1"})
        manifest = sender.seal(0, reservation, {"a.csv": [thing("x")]})
        load(sender.task(0, generation=1))
        sender.exchange.delete(manifest.parts[0].key)

        with connect(settings, "test") as connection:
            found = verify(connection, settings, exchange=sender.exchange)
        assert [(f.invariant, f.problem) for f in found] == [("I4", "is gone"), ("I4", "is gone")]
        assert interval(0).key in manifest.parts[0].key
