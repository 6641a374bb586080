"""The ledger after loads: append-only, and tampering past that is found."""

from __future__ import annotations

import pytest
from support.hauling import Sender, interval, settings_of, thing

from haulier.ledger.connection import connect
from haulier.ledger.verify import verify
from haulier_load.step import load


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


@pytest.fixture
def sender(settings):
    return Sender(settings=settings)


class TestLedger:
    @pytest.mark.parametrize(
        "table", ["load", "delivery", "reject", "reject_event", "chain", "source_account", "history"]
    )
    @pytest.mark.requirement("R-02")
    def test_it_is_append_only(self, sender, database, table):
        sender.reject_threshold = 1
        sender.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type")])
        sender.send(1, {"a.csv": [thing("x", "blue")]})

        for statement in (f"DELETE FROM haulier.{table}", f"TRUNCATE haulier.{table} CASCADE"):
            with pytest.raises(Exception, match="append-only"):
                database.rows(statement)

    @pytest.mark.parametrize(
        ("tampering", "invariant"),
        [
            (
                "UPDATE haulier.load SET inserted = inserted + 1, produced = produced + 1 WHERE load_id = 1",
                "I8",
            ),
            ("UPDATE haulier.reject SET message = 'nothing to see'", "I8"),
            ("UPDATE haulier.history SET before = '{}'", "I8"),
            ("DELETE FROM haulier.reject_event", "I8"),
            ("DELETE FROM shop.things", "I2"),
            ("UPDATE shop.things SET _haulier_load = 99", "I2"),
            ("UPDATE haulier.run SET generation = 9", "I5"),
            (
                "UPDATE haulier.source_account SET read = read + 1, accepted = accepted + 1 WHERE load_id = 1",
                "I8",
            ),
        ],
    )
    @pytest.mark.requirement("R-03")
    def test_tampering_past_the_triggers_is_found(self, sender, settings, database, tampering, invariant):
        sender.reject_threshold = 1
        sender.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type")])
        sender.send(1, {"a.csv": [thing("x", "blue")]})
        database.rows(f"SET session_replication_role = replica; {tampering}")

        with connect(settings, "test") as connection:
            assert invariant in {finding.invariant for finding in verify(connection, settings)}

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
