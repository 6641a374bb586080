"""Cold storage: a partition leaves whole, proved before it is dropped, and comes back as it was."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from hashlib import sha256
from urllib.request import urlopen
from uuid import uuid4

import pytest
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from support.cold import (
    NOVEMBER,
    RICH,
    TARGET,
    count,
    environment_of,
    furnish,
    reader,
    rich,
    snapshot,
    tables,
)
from support.hauling import KEYED, Sender, partitioned, replace_struct
from support.ledger import findings

import haulier.cold.archive as archiving
from haulier.cold.archive import archive
from haulier.cold.restore import restore
from haulier.cold.sealed import open_archive
from haulier.contracts import Column
from haulier.definitions.drift import Drift
from haulier.errors import DataError, DefinitionError, TransientError
from haulier.exchange.folder import FolderExchange
from haulier.ledger.connection import connect
from haulier.ledger.verify import verify
from haulier.settings import Settings
from haulier_command.__main__ import main
from haulier_command.doctor.signing import signed
from haulier_load.step import load


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


@pytest.fixture
def role(database):
    with reader(database) as name:
        yield name


@pytest.mark.requirement("R-18")
def test_a_partition_leaves_and_comes_back_as_it_was(sender, settings, database, role):
    furnish(sender, database, role)
    before = snapshot(database)
    (done,) = archive(settings, TARGET, partition=NOVEMBER)

    assert (done.outcome, done.rows) == ("archived", 3)
    assert database.rows("SELECT to_regclass('shop.things_2025_11')") == [(None,)]
    assert count(database) == 6
    assert findings(settings) == []
    assert findings(settings, run_id=1) == []

    assert restore(settings, TARGET, NOVEMBER).outcome == "restored"
    assert snapshot(database) == before
    assert count(database) == 9
    assert database.rows("SELECT kind, before, after, ddl FROM haulier.schema_change WHERE run_id IS NULL ORDER BY change_id") == [
        ("detach partition", {"partition": NOVEMBER}, None,
         'ALTER TABLE "shop"."things" DETACH PARTITION "shop"."things_2025_11";'),
        ("attach partition", None, {"partition": NOVEMBER},
         'ALTER TABLE "shop"."things" ATTACH PARTITION "shop"."things_2025_11"'
         " FOR VALUES FROM ('2025-11-01') TO ('2025-12-01');"),
    ]  # fmt: skip


def test_what_was_restored_can_be_archived_again(sender, settings, database, role):
    furnish(sender, database, role)
    before = snapshot(database)
    for _ in range(2):
        archive(settings, TARGET, partition="things_2025_11")
        assert archive(settings, TARGET, partition="things_2025_11")[0].outcome == "already done"
        restore(settings, TARGET, "things_2025_11")

    assert snapshot(database) == before
    with pytest.raises(
        DefinitionError, match=r"things_2025_11 of shop\.things is not archived; nothing of it is"
    ):
        restore(settings, TARGET, "things_2025_11")


def test_rows_of_an_archived_partition_wait_in_the_dead_letter_until_it_is_restored(
    sender, settings, database
):
    sender.send(0, {"a.csv": [rich("x", "2025-11-05"), rich("y", "2026-01-05")]})
    archive(settings, TARGET, partition=NOVEMBER)
    late = sender.send(
        1, {"b.csv": [rich("x", "2025-11-05", colour="late"), rich("y", "2026-01-05", colour="late")]}
    )

    assert (late.counts["updated"], late.counts["rejected"]) == (1, 1)
    assert NOVEMBER not in tables(database)
    assert database.rows("SELECT rule, column_name, message FROM haulier.reject") == [
        ("archived", "seen", "its partition shop.things_2025_11 is archived; haulier restore --target shop.things "
         "--partition shop.things_2025_11, then replay"),
    ]  # fmt: skip
    restore(settings, TARGET, NOVEMBER)
    (replayed,) = sender.replay({"b.csv": [rich("x", "2025-11-05", colour="late", _row=2)]})

    assert replayed.counts["updated"] == 1
    assert database.rows("SELECT DISTINCT colour FROM shop.things") == [("late",)]


def test_no_empty_partition_is_made_ahead_over_an_archived_one(sender, settings, database):
    sender.send(0, {"a.csv": [rich("x", "2026-01-05"), rich("x", "2026-02-05")]})
    archive(settings, TARGET, partition="things_2026_02")
    sender.send(1, {"b.csv": [rich("y", "2026-01-05")]})

    assert "shop.things_2026_02" not in tables(database)
    restore(settings, TARGET, "things_2026_02")


def test_all_partitions_before_a_day_are_archived_and_none_that_has_a_later_one(sender, settings, database):
    sender.send(0, {"a.csv": [rich("x", f"2025-{month:02}-05") for month in (8, 9, 10)]})
    done = archive(settings, TARGET, before=date(2025, 10, 31))

    assert [(one.partition, one.outcome) for one in done] == [
        ("shop.things_2025_08", "archived"), ("shop.things_2025_09", "archived"),
    ]  # fmt: skip
    assert archive(settings, TARGET, before=date(2025, 10, 31)) == []


@pytest.mark.parametrize("levels", [{"seen": "month", "thing": "list"}, {"thing": "list", "seen": "month"}])
def test_a_partition_of_partitions_goes_and_comes_as_one(sender, settings, database, levels):
    sender.contract = partitioned(KEYED, **levels)
    rows = [
        {"thing": name, "colour": "red", "seen": date(2025, month, 5)} for name in "xy" for month in (10, 11)
    ]
    sender.send(0, {"a.csv": rows})
    outer = "shop.things_2025_10" if "seen" in list(levels)[:1] else "shop.things_x"
    inner = f"{outer}_x" if outer.endswith("10") else f"{outer}_2025_10"
    database.rows(
        f"CREATE INDEX ON {outer} (colour); CREATE INDEX one ON {inner} (price); COMMENT ON TABLE {inner} IS 'inner'"
    )
    before = [snapshot(database, name) for name in (outer, inner)], tables(database)
    (done,) = archive(settings, TARGET, partition=outer)

    assert done.rows == 2
    assert tables(database) & {outer, inner} == set()
    late = sender.send(1, {"b.csv": rows})
    assert (late.counts["unchanged"], late.counts["rejected"]) == (2, 2)
    restore(settings, TARGET, outer)
    assert ([snapshot(database, name) for name in (outer, inner)], tables(database)) == before
    dated = archive(settings, TARGET, before=date(2025, 11, 1))
    assert {one.partition for one in dated} == (
        {outer} if outer.endswith("10") else {"shop.things_x_2025_10", "shop.things_y_2025_10"}
    )


def test_a_site_can_be_archived_too(sender, settings, database):
    sender.contract = partitioned(KEYED, thing="list")
    sender.send(
        0, {"a.csv": [{"thing": name, "colour": "red", "seen": date(2026, 1, 1)} for name in ("7 'o", "8")]}
    )
    (name,) = database.rows("SELECT tableoid::regclass::text FROM shop.things WHERE thing <> '8'")[0]
    archive(settings, TARGET, partition=name)

    assert database.rows("SELECT thing FROM shop.things") == [("8",)]
    restore(settings, TARGET, name)
    assert count(database) == 2


def test_a_new_generation_does_not_leave_the_archived_rows_of_the_older_one_behind(
    sender, settings, database
):
    keyless = tuple(replace_struct(c, key_position=None) for c in RICH.columns)
    sender.mode, sender.contract = "append", replace_struct(RICH, columns=keyless)
    sender.send(0, {"a.csv": [rich("x", "2025-11-05"), rich("y", "2025-12-05")]})
    archive(settings, TARGET, partition=NOVEMBER)
    with pytest.raises(
        DataError, match=r"are archived in shop\.things_2025_11; haulier restore --target shop\.things"
    ):
        sender.send(
            0, {"a.csv": [rich("x", "2025-11-05", colour="fixed"), rich("y", "2025-12-05", colour="fixed")]}
        )
    restore(settings, TARGET, NOVEMBER)
    outcome = load(sender.task(0, generation=2))

    assert (outcome.counts["removed"], outcome.counts["inserted"]) == (2, 2)


def test_a_new_generation_waits_for_a_partition_that_is_on_its_way(sender, settings, database, monkeypatch):
    """Whose rows are in it is only written down when it has arrived."""
    keyless = tuple(replace_struct(c, key_position=None) for c in RICH.columns)
    sender.mode, sender.contract = "append", replace_struct(RICH, columns=keyless)
    sender.send(0, {"a.csv": [rich("x", "2025-11-05"), rich("y", "2025-12-05")]})

    def died(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(archiving, "_copy_and_drop", died)
    with pytest.raises(KeyboardInterrupt):
        archive(settings, TARGET, partition=NOVEMBER)
    with pytest.raises(
        TransientError, match=r"shop\.things_2025_11, which may hold rows that it replaces, is on its way"
    ):
        sender.send(0, {"a.csv": [rich("y", "2025-12-05", colour="fixed")]})
    restore(settings, TARGET, NOVEMBER)
    outcome = load(sender.task(0, generation=2))

    assert (outcome.counts["removed"], outcome.counts["inserted"], count(database)) == (2, 1, 1)


def test_replace_lets_the_archive_be_and_removes_what_is_no_longer_sent_once_it_is_back(
    sender, settings, database
):
    sender.mode = "replace"
    sender.send(0, {"a.csv": [rich("x", "2025-11-05"), rich("y", "2025-12-05")]})
    archive(settings, TARGET, partition=NOVEMBER)
    outcome = sender.send(1, {"b.csv": [rich("y", "2025-12-05")]})
    assert (outcome.counts["unchanged"], outcome.counts["removed"]) == (1, 0)
    restore(settings, TARGET, NOVEMBER)
    outcome = sender.send(2, {"c.csv": [rich("y", "2025-12-05")]})

    assert (outcome.counts["removed"], count(database)) == (1, 1)


def test_a_table_that_got_a_column_meanwhile_takes_its_partition_back(sender, settings, database):
    sender.send(0, {"a.csv": [rich("x", "2025-11-05"), rich("y", "2025-12-05")]})
    archive(settings, TARGET, partition=NOVEMBER)
    size = Column(name="size", logical_type="integer", pg_type="integer")
    wider = tuple(replace_struct(c, pg_type="numeric") if c.name == "fixed" else c for c in RICH.columns)
    sender.contract = replace_struct(RICH, columns=(*wider, size))
    sender.drift = Drift(new_column="evolve", type_change="evolve")
    sender.send(1, {"b.csv": [rich("y", "2025-12-05", size=3)]})
    restore(settings, TARGET, NOVEMBER)

    assert database.rows("SELECT thing, size FROM shop.things ORDER BY 1") == [("x", None), ("y", 3)]


def test_a_column_that_came_meanwhile_is_filled_in_a_restored_partition_as_in_the_table(
    sender, settings, database
):
    sender.send(0, {"a.csv": [rich("x", "2025-11-05"), rich("y", "2025-12-05")]})
    archive(settings, TARGET, partition=NOVEMBER)
    database.rows(
        "ALTER TABLE shop.things ADD COLUMN twice numeric GENERATED ALWAYS AS (fixed * 2) STORED,"
        " ADD COLUMN origin text DEFAULT 'here'"
    )
    restore(settings, TARGET, NOVEMBER)

    assert database.rows("SELECT thing, twice::text, origin FROM shop.things ORDER BY 1") == [
        ("x", "3.0000", "here"), ("y", "3.0000", "here"),
    ]  # fmt: skip


def test_no_transaction_stays_open_while_verify_asks_a_store(sender, settings, monkeypatch):
    sender.send(0, {"a.csv": [rich("x", "2025-11-05"), rich("y", "2025-12-05")]})
    archive(settings, TARGET, partition=NOVEMBER)
    with connect(settings, "test") as connection:
        seen = []

        def asked(plain):
            def ask(*arguments):
                seen.append(connection.info.transaction_status)
                return plain(*arguments)

            return ask

        for name in ("get", "size", "stream"):
            monkeypatch.setattr(FolderExchange, name, asked(getattr(FolderExchange, name)))
        assert verify(connection, settings, exchange=sender.exchange, deep=True) == []

    assert set(seen) == {TRANSACTION_STATUS_IDLE}


def test_the_archive_may_be_a_bucket_of_its_own(sender, settings, database, exchange_environment):
    aws = Settings.from_env(exchange_environment)
    bucket = f"s3://cold-{uuid4().hex}"
    # Stored under no key, nothing makes the bucket itself.
    make = signed(dataclasses.replace(aws, exchange=bucket), "", b"", sha256=sha256().digest())
    urlopen(make, timeout=10).close()
    of_bucket = dataclasses.replace(
        settings,
        exchange=aws.exchange,
        archive=f"{bucket}/things",
        archive_s3_endpoint=aws.s3_endpoint,
        archive_s3_access_key_id=aws.s3_access_key_id,
        archive_s3_secret_access_key=aws.s3_secret_access_key,
    )
    sender.send(0, {"a.csv": [rich("x", "2025-11-05")]})
    (done,) = archive(of_bucket, TARGET, partition=NOVEMBER)
    assert open_archive(of_bucket).size(done.manifest)
    assert findings(of_bucket, exchange=sender.exchange) == []
    restore(of_bucket, TARGET, NOVEMBER)

    assert count(database) == 1


def test_the_command_says_what_it_did(sender, database, tmp_path, capsys):
    environment = environment_of(database, tmp_path)
    sender.send(0, {"a.csv": [rich("x", "2025-11-05"), rich("y", "2025-12-05")]})
    named = ["--target", TARGET, "--output", "json"]
    assert main(["archive", *named, "--before", "2025-12-01"], environment) == 0
    (one,) = json.loads(capsys.readouterr().out)["partitions"]
    assert (one["partition"], one["rows"], one["outcome"]) == (NOVEMBER, 1, "archived")
    assert main(["restore", *named, "--partition", "things_2025_11"], environment) == 0
    assert json.loads(capsys.readouterr().out)["partitions"][0]["outcome"] == "restored"
    assert main(["archive", *named, "--before", "yesterday"], environment) == 2
    assert "--before: 'yesterday' is not a date" in capsys.readouterr().err
