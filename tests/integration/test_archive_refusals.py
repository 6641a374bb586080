"""What keeps a partition from leaving or from coming back: nothing is dropped that was not proved, or guessed."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from decimal import Decimal

import pytest
from support.cold import NOVEMBER, RICH, TARGET, count, environment_of, rich, tables
from support.hauling import Sender
from support.ledger import findings

import haulier.cold.archive as archiving
from haulier.cold.archive import archive
from haulier.cold.restore import restore
from haulier.cold.sealed import open_archive
from haulier.errors import DataError, DefinitionError, TransientError
from haulier.settings import Settings


@pytest.fixture
def settings(database, tmp_path):
    return Settings.from_env(environment_of(database, tmp_path))


@pytest.fixture
def sender(settings):
    return Sender(settings=settings, contract=RICH, reject_threshold=1)


@pytest.fixture(autouse=True)
def clean(settings):
    """Asks for a clean ledger, deeply, once the test is over."""
    yield
    assert findings(settings) == []


def test_a_table_that_was_narrowed_by_hand_never_rounds_what_comes_back(sender, settings, database):
    sender.send(0, {"a.csv": [rich("x", "2025-11-05", fixed=Decimal("1.5555"))]})
    archive(settings, TARGET, partition=NOVEMBER)
    database.rows("ALTER TABLE shop.things ALTER COLUMN fixed TYPE numeric(10,2)")
    with pytest.raises(
        DefinitionError,
        match=r"column fixed was numeric\(12,4\) when shop\.things_2025_11 was archived.*numeric\(10,2\) now",
    ):
        restore(settings, TARGET, NOVEMBER)
    database.rows("ALTER TABLE shop.things ALTER COLUMN fixed TYPE numeric(12,4)")
    restore(settings, TARGET, NOVEMBER)

    assert database.rows("SELECT fixed::text FROM shop.things") == [("1.5555",)]


def test_an_archive_that_cannot_be_asked_is_no_finding(sender, settings):
    sender.send(0, {"a.csv": [rich("x", "2025-11-05")]})
    archive(settings, TARGET, partition=NOVEMBER)

    with pytest.raises(DefinitionError, match="HAULIER_ARCHIVE"):
        findings(dataclasses.replace(settings, archive=""))


STANDING = {
    "a view": ("CREATE VIEW shop.november AS SELECT thing FROM shop.things_2025_11", "view shop.november stands on shop.things_2025_11"),
    "row security": ("ALTER TABLE shop.things_2025_11 ENABLE ROW LEVEL SECURITY", "has row security, which a restore could not"),
    "a rule": ("CREATE RULE no AS ON INSERT TO shop.things_2025_11 DO ALSO NOTHING", "has rules"),
    "replication": ("ALTER TABLE shop.things_2025_11 REPLICA IDENTITY FULL", "has a replica identity"),
}  # fmt: skip


@pytest.mark.parametrize("what", STANDING)
def test_what_could_not_be_brought_back_is_not_taken_away(sender, settings, database, what):
    statement, message = STANDING[what]
    sender.send(0, {"a.csv": [rich("x", "2025-11-05")]})
    database.rows(statement)
    with pytest.raises(DefinitionError, match=message):
        archive(settings, TARGET, partition=NOVEMBER)

    assert NOVEMBER in tables(database)
    assert database.rows("SELECT count(*) FROM haulier.archive") == [(0,)]


def test_a_default_partition_is_not_archived(sender, settings, database):
    """Which rows belong there changes with every other partition."""
    sender.send(0, {"a.csv": [rich("x", "2025-11-05")]})
    database.rows("CREATE TABLE shop.rest PARTITION OF shop.things DEFAULT")
    with pytest.raises(
        DefinitionError, match=r"shop\.rest is DEFAULT: which rows belong there cannot be told"
    ):
        archive(settings, TARGET, partition="rest")


def test_a_reader_of_the_table_holds_the_detaching_up_for_a_moment_only(
    sender, settings, database, monkeypatch
):
    monkeypatch.setattr(archiving, "_DETACH_LOCK_TIMEOUT", "200ms")
    sender.send(0, {"a.csv": [rich("x", "2025-11-05")]})
    with closing(database.connect()) as reader, reader, reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM shop.things")
        with pytest.raises(TransientError, match="55P03"):
            archive(settings, TARGET, partition=NOVEMBER)
    assert archive(settings, TARGET, partition=NOVEMBER)[0].outcome == "archived"


@pytest.mark.requirement("R-18")
def test_a_copy_that_reads_back_otherwise_drops_nothing(sender, settings, database, monkeypatch):
    sender.send(0, {"a.csv": [rich("x", "2025-11-05"), rich("y", "2025-11-05")]})
    parsed = archiving.parsed
    monkeypatch.setattr(archiving, "parsed", lambda lines, schema: parsed(lines[:-1], schema))
    with pytest.raises(
        DataError, match=r"the copy of shop\.things_2025_11 in .* has 1 rows .* nothing was dropped"
    ):
        archive(settings, TARGET, partition=NOVEMBER)
    assert count(database, NOVEMBER) == 2
    assert findings(settings) == []
    with pytest.raises(DataError, match="nothing was dropped"):
        archive(settings, TARGET, partition=NOVEMBER)
    assert restore(settings, TARGET, NOVEMBER).outcome == "restored"
    assert count(database) == 2
    with pytest.raises(DataError, match="nothing was dropped"):
        archive(settings, TARGET, partition=NOVEMBER)
    monkeypatch.undo()

    assert archive(settings, TARGET, partition=NOVEMBER)[0].rows == 2


def test_a_part_that_rots_is_found_and_never_restored(sender, settings, database, tmp_path):
    sender.send(0, {"a.csv": [rich("x", "2025-11-05")]})
    archive(settings, TARGET, partition=NOVEMBER)
    (part,) = (tmp_path / "cold").rglob("part-*.parquet")
    whole = part.read_bytes()
    part.chmod(0o600)
    part.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])

    assert [(one.invariant, one.subject) for one in findings(settings)] == [("I9", NOVEMBER)]
    with pytest.raises(DataError, match="is not what was sealed"):
        restore(settings, TARGET, NOVEMBER)
    assert database.rows("SELECT to_regclass('shop.things_2025_11')") == [(None,)]
    part.write_bytes(whole)


def test_rows_that_left_an_archived_partition_by_other_hands_are_missed(sender, settings, database):
    """I2 counts what is archived: a table that is short of rows is not excused by the archive."""
    sender.send(0, {"a.csv": [rich("x", "2025-11-05"), rich("y", "2025-12-05")]})
    archive(settings, TARGET, partition=NOVEMBER)
    database.rows(
        "CREATE TABLE kept AS SELECT * FROM shop.things WHERE thing = 'y'; DELETE FROM shop.things WHERE thing = 'y'"
    )

    (found,) = findings(settings)
    assert (found.invariant, found.subject) == ("I2", "table shop.things")
    assert found.problem == "holds 1 rows; the ledger left 2"
    database.rows("INSERT INTO shop.things SELECT * FROM kept")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"partition": "things_2025_13"},
            r"shop\.things has no partition shop\.things_2025_13; did you mean",
        ),
        ({"target": "things", "partition": "x"}, "--target: 'things' is not schema.table"),
    ],
)
def test_what_is_no_partition_is_said(sender, settings, asked, message):
    sender.send(0, {"a.csv": [rich("x", "2025-11-05")]})
    with pytest.raises(DefinitionError, match=message):
        archive(settings, **{"target": TARGET, **asked})


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "HAULIER_ARCHIVE is not set"),
        ("exchange", "is the exchange or lies below it"),
        ("exchange/cold", "is the exchange or lies below it"),
        ("ftp://x", "is neither s3"),
    ],
)
def test_a_place_that_is_none_is_refused_before_anything_is_done(settings, where, message):
    settings = dataclasses.replace(settings, archive=where.replace("exchange", settings.exchange))
    with pytest.raises(DefinitionError, match=message):
        open_archive(settings)
