"""What people said of queries cannot be rewritten unseen."""

from __future__ import annotations

from contextlib import closing

import pytest
from support.hauling import Sender, settings_of, thing
from support.queries import ROWS, told, wrong


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


@pytest.fixture
def sender(settings):
    return Sender(settings=settings, reject_threshold=1, owner="data management")


#: What somebody who may switch triggers off could want to be otherwise -> the invariant that tells.
FORGERIES = {
    "UPDATE haulier.query_event SET reason = 'as agreed' WHERE link = 1": "I10",
    "UPDATE haulier.query_event SET actor = 'somebody' WHERE link = 3": "I10",
    "UPDATE haulier.query_event SET at = at - interval '1 day' WHERE link = 2": "I10",
    "UPDATE haulier.query_event SET status = 'closed' WHERE link = 2": "I10",
    "UPDATE haulier.query_event SET reject_id = NULL, flag_id = 1 WHERE link = 1": "I10",
    # The first, one in the middle, the last, all.
    "DELETE FROM haulier.query_event WHERE link = 1": "I10",
    "DELETE FROM haulier.query_event WHERE link = 2": "I10",
    "DELETE FROM haulier.query_event WHERE link = 3": "I10",
    "DELETE FROM haulier.query_event": "I10",
    "DELETE FROM haulier.query_tail": "I10",
    "INSERT INTO haulier.query_event (reject_id, status, reason, actor, at, pipeline, link, previous, hash)"
    " SELECT reject_id, 'closed', reason, actor, at, pipeline, 4, hash, hash FROM haulier.query_event WHERE link = 3": "I10",
    "INSERT INTO haulier.query_repeat (reject_id, first_id, load_id) VALUES (1, 0, 1)": "I10",
    "DELETE FROM haulier.query_repeat": "I8",
    "DELETE FROM haulier.flag_event": "I8",
    "DELETE FROM haulier.flag WHERE load_id = 2": "I8",
    "UPDATE haulier.flag SET message = 'nothing to see' WHERE load_id = 1": "I8",
    "UPDATE haulier.flag SET line = NULL WHERE load_id = 2": "I8",
    "UPDATE haulier.chain SET query_digest = NULL": "I8",
}
TABLES = ("query_event", "query_tail", "query_repeat", "flag_event", "flag", "chain")


class TestSeal:
    @pytest.fixture(autouse=True)
    def said(self, sender, settings):
        sender.send(0, ROWS, rejects=[("a.csv", 9, "type")], flags=[("a.csv", 3, "odd")])
        told(settings, "answered", "R1", reason="one")
        told(settings, "released", "R1", reason="two")
        told(settings, "reopened", "R1", reason="three")
        sender.send(1, {"a.csv": [thing("x", "blue"), thing("y")]}, flags=[("a.csv", 3, "odd")])
        assert wrong(settings) == set()

    def test_what_is_forged_or_taken_away_is_found(self, settings, database):
        with closing(database.connect()) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SET session_replication_role = replica; CREATE SCHEMA kept")
                for table in TABLES:
                    cursor.execute(f"CREATE TABLE kept.{table} AS TABLE haulier.{table}")
                found = {}
                for forgery in FORGERIES:
                    cursor.execute(forgery)
                    assert cursor.rowcount, forgery
                    found[forgery] = wrong(settings)
                    for table in TABLES:
                        cursor.execute(
                            f"DELETE FROM haulier.{table}; INSERT INTO haulier.{table} OVERRIDING SYSTEM VALUE TABLE kept.{table}"
                        )
                    assert wrong(settings) == set()
        assert {forgery: tells & {FORGERIES[forgery]} for forgery, tells in found.items()} == {
            forgery: {invariant} for forgery, invariant in FORGERIES.items()
        }

    def test_it_is_append_only(self, database):
        for table in ("query_event", "query_tail", "query_repeat", "flag_event"):
            for statement in (f"DELETE FROM haulier.{table}", f"TRUNCATE haulier.{table} CASCADE"):
                with pytest.raises(Exception, match="append-only"):
                    database.rows(statement)
        with pytest.raises(Exception, match="never become fewer"):
            database.rows("UPDATE haulier.query_tail SET link = link - 1")
