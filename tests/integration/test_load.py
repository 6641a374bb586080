"""What load does with a run's rows: every fate, the fence and the table."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from support.hauling import KEYED, Sender, counts, ordered, replace_struct, settings_of, table, thing
from support.ledger import findings, findings_by_run

from haulier.errors import DataError, DefinitionError, FencedError
from haulier.exchange.folder import FolderExchange
from haulier.landing.attempts import acquire
from haulier.ledger.connection import connect
from haulier_load.step import load


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


@pytest.fixture
def sender(settings):
    return Sender(settings=settings)


@pytest.fixture
def clean(settings):
    """Asks for a clean ledger, deeply, once the test is over."""
    yield
    assert findings(settings) == []
    assert findings_by_run(settings) == []


@pytest.mark.usefixtures("clean")
class TestUpsert:
    def test_new_rows_are_inserted(self, sender, database):
        outcome = sender.send(0, {"a.csv": [thing("x"), thing("y", price="2")]})

        assert (outcome.exit_code, *counts(outcome, "produced", "inserted")) == (0, 2, 2)
        assert table(database) == [("x", "red", Decimal("1.5")), ("y", "red", Decimal(2))]

    @pytest.mark.requirement("R-30")
    def test_a_numeric_keeps_the_digits_its_value_has(self, sender, database):
        sender.send(0, {"a.csv": [thing("x", price="38"), thing("y", price="0.0499")]})

        assert database.rows("SELECT price::text FROM shop.things ORDER BY 1") == [("0.0499",), ("38",)]

    def test_a_changed_row_is_updated_and_its_former_self_kept(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]})
        outcome = sender.send(1, {"b.csv": [thing("x", "blue")]})

        assert counts(outcome, "updated", "inserted") == (1, 0)
        assert table(database, "colour") == [("blue",)]
        assert database.rows("SELECT operation, before->>'colour', key->>'thing' FROM haulier.history") == [
            ("update", "red", "x")
        ]

    def test_an_equal_row_is_unchanged_but_advances_its_stamp(self, sender, database):
        """Without the stamp, an older run replayed later would undo the equal one (a known loss)."""
        sender.send(0, {"a.csv": [thing("x", "red")]})
        outcome = sender.send(2, {"c.csv": [thing("x", "red")]})
        sender.send(1, {"b.csv": [thing("x", "blue")]})

        assert counts(outcome, "unchanged", "updated") == (1, 0)
        assert table(database, "colour") == [("red",)]

    def test_an_older_interval_loaded_late_never_overwrites(self, sender, database):
        sender.send(3, {"d.csv": [thing("x", "new")]})
        outcome = sender.send(1, {"b.csv": [thing("x", "old"), thing("y", "old")]})

        assert counts(outcome, "superseded", "inserted") == (1, 1)
        assert table(database, "thing, colour") == [("x", "new"), ("y", "old")]

    def test_a_b_a_ends_as_a(self, sender, database):
        for day, colour in enumerate(["A", "B", "A"]):
            sender.send(day, {"same.csv": [thing("x", colour)]})

        assert table(database, "colour") == [("A",)]
        assert database.rows("SELECT sequence FROM haulier.delivery ORDER BY 1") == [(1,), (2,), (3,)]

    def test_identical_rows_are_duplicates(self, sender, database):
        outcome = sender.send(0, {"a.csv": [thing("x"), thing("x"), thing("x")]})

        assert counts(outcome, "produced", "inserted", "duplicate") == (3, 1, 2)
        assert database.rows("SELECT _haulier_row FROM shop.things") == [(4,)]

    @pytest.mark.parametrize("name", ["id", "content", "top", "instance", "logical_name"])
    def test_a_repeated_key_may_be_called_as_the_statements_call_things(self, sender, name):
        contract = ordered(KEYED)
        sender.contract = replace_struct(
            contract, columns=(replace_struct(contract.columns[0], name=name), *contract.columns[1:])
        )
        outcome = sender.send(0, {"a.csv": [{name: "x", "edited": 1}, {name: "x", "edited": 2}]})

        assert counts(outcome, "inserted", "superseded") == (1, 1)

    def test_two_values_of_one_key_in_one_file_reject_both(self, sender, database):
        sender.reject_threshold = 1
        outcome = sender.send(0, {"a.csv": [thing("x", "red"), thing("y"), thing("x", "blue")]})

        assert counts(outcome, "produced", "inserted", "rejected") == (3, 1, 2)
        assert database.rows(
            "SELECT row_number, rule, step, convert_from(verbatim, 'UTF8') FROM haulier.reject ORDER BY 1"
        ) == [
            (2, "key-conflict", "load", "x,red,1.5"),
            (4, "key-conflict", "load", "x,blue,1.5"),
        ]

    def test_an_ordering_column_decides_between_two_values(self, sender, database):
        sender.contract = ordered(KEYED)
        rows = [thing("x", "new", edited=9), thing("x", "old", edited=3)]
        outcome = sender.send(5, {"a.csv": rows})
        later = sender.send(6, {"b.csv": [thing("x", "older", edited=1)]})

        assert counts(outcome, "inserted", "superseded") == (1, 1)
        assert counts(later, "superseded") == (1,)
        assert table(database, "colour") == [("new",)]

    def test_two_files_of_one_run_are_ordered_by_version(self, sender, database):
        outcome = sender.send(0, {"a.csv": [thing("x", "a")] * 3, "b.csv": [thing("x", "b")]})

        # Same interval, sequence and generation: the greater row number is the newer row.
        assert counts(outcome, "inserted", "superseded", "duplicate") == (1, 1, 2)
        assert table(database, "colour") == [("a",)]

    @pytest.mark.requirement("R-06")
    def test_the_same_run_again_changes_nothing(self, sender, database):
        first = sender.send(0, {"a.csv": [thing("x")]})
        before = database.rows("SELECT * FROM shop.things")
        again = load(sender.task(0, generation=1))

        assert (again.outcome, again.exit_code, again.counts["load"]) == (
            "already done",
            0,
            first.counts["load"],
        )
        assert database.rows("SELECT * FROM shop.things") == before
        assert database.rows("SELECT count(*) FROM haulier.load") == [(1,)]

    def test_a_new_generation_replaces_what_the_run_said(self, sender, database):
        sender.send(0, {"a.csv": [thing("x", "typo")]})
        outcome = sender.send(0, {"a.csv": [thing("x", "fixed")]})

        assert (outcome.generation, outcome.counts["updated"]) == (2, 1)
        assert table(database, "colour") == [("fixed",)]

    def test_a_delivery_another_run_loaded_is_left_out(self, sender, settings, database):
        reservation = sender.reserve(0, {"a.csv": b"1"})
        sender.seal(0, reservation, {"a.csv": [thing("x")]})
        load(sender.task(0, generation=1))
        other = sender.reserve(1, {"b.csv": b"2"})
        twice = replace(other, deliveries=(*reservation.deliveries, *other.deliveries))
        with connect(settings, "test") as connection, connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO haulier.generation_delivery VALUES (%s, 1, %s)",
                [other.run_id, reservation.deliveries[0].delivery_id],
            )
        sender.seal(1, twice, {"a.csv": [thing("x", "again")], "b.csv": [thing("y")]})
        outcome = load(sender.task(1, generation=1))

        assert counts(outcome, "produced", "duplicate", "inserted") == (2, 1, 1)
        assert table(database, "thing, colour") == [("x", "red"), ("y", "red")]

    def test_zero_rows_are_a_load_of_nothing(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]})
        outcome = sender.send(1, {"b.csv": []})

        assert (outcome.exit_code, outcome.counts["produced"]) == (0, 0)
        assert table(database, "thing") == [("x",)]


@pytest.mark.usefixtures("clean")
class TestUnique:
    contract = replace_struct(
        KEYED, columns=(*KEYED.columns[:1], replace_struct(KEYED.columns[1], unique=True), KEYED.columns[2])
    )

    def test_a_value_another_key_has_is_rejected(self, sender, database):
        sender.contract, sender.reject_threshold = self.contract, 1
        sender.send(0, {"a.csv": [thing("x", "red")]})
        outcome = sender.send(1, {"b.csv": [thing("y", "red"), thing("z", "blue"), thing("x", "red")]})

        assert counts(outcome, "rejected", "inserted", "unchanged") == (1, 1, 1)
        assert database.rows("SELECT rule, column_name, row_number FROM haulier.reject") == [
            ("unique", "colour", 2)
        ]

    def test_two_keys_with_one_value_in_one_file_are_both_rejected(self, sender, database):
        sender.contract, sender.reject_threshold = self.contract, 1
        outcome = sender.send(0, {"a.csv": [thing("x", "red"), thing("y", "red"), thing("z", "blue")]})

        assert counts(outcome, "rejected", "inserted") == (2, 1)


@pytest.mark.usefixtures("clean")
class TestAppend:
    contract = replace_struct(
        KEYED, columns=tuple(replace_struct(c, key_position=None, required=False) for c in KEYED.columns)
    )

    @pytest.fixture
    def sender(self, settings):
        return Sender(settings=settings, contract=self.contract, mode="append")

    def test_rows_without_a_key_all_enter(self, sender, database):
        outcome = sender.send(0, {"a.csv": [thing("x"), thing("x")]})

        assert counts(outcome, "inserted", "duplicate") == (2, 0)

    def test_a_new_generation_replaces_the_rows_of_the_old_one(self, sender, database):
        sender.send(0, {"a.csv": [thing("x"), thing("y")]})
        sender.send(1, {"b.csv": [thing("z")]})
        outcome = sender.send(0, {"a.csv": [thing("x", "fixed")]})

        assert counts(outcome, "inserted", "removed") == (1, 2)
        assert table(database, "thing, colour") == [("x", "fixed"), ("z", "red")]
        assert database.rows("SELECT count(*) FROM haulier.history WHERE operation = 'remove'") == [(2,)]

    def test_a_new_generation_without_a_row_replaces_nothing_until_a_row_of_it_is_replayed(
        self, sender, database
    ):
        sender.reject_threshold = 1
        sender.send(0, {"a.csv": [thing("x"), thing("y")]})
        empty = sender.send(0, {"a.csv": []}, reprocess="sent anew")
        rejected = sender.send(0, {"a.csv": []}, rejects=[("a.csv", 2, "type"), ("a.csv", 3, "type")])

        assert [counts(one, "inserted", "removed") for one in (empty, rejected)] == [(0, 0), (0, 0)]
        assert table(database, "thing") == [("x",), ("y",)]

        first, second = database.rows("SELECT reject_id FROM haulier.open_reject ORDER BY row_number")
        sender.replay({"a.csv": [thing("z", _row=2)]}, reject_ids=first)
        sender.replay({"a.csv": [thing("w", _row=3)]}, reject_ids=second)

        assert table(database, "thing") == [("w",), ("z",)]

    def test_with_a_key_a_taken_one_is_a_duplicate_or_rejected(self, sender, database):
        sender.contract, sender.reject_threshold = KEYED, 1
        sender.send(0, {"a.csv": [thing("x")]})
        outcome = sender.send(1, {"b.csv": [thing("x"), thing("y")]})
        other = sender.send(2, {"c.csv": [thing("x", "blue")]})

        assert counts(outcome, "duplicate", "inserted") == (1, 1)
        assert counts(other, "rejected", "inserted") == (1, 0)
        assert table(database, "thing, colour") == [("x", "red"), ("y", "red")]


class TestFence:
    def test_an_older_attempt_stops_once_a_newer_one_took_the_run(self, sender, settings, database):
        reservation = sender.reserve(0, {"a.csv": b"1"})
        manifest = sender.seal(0, reservation, {"a.csv": [thing("x")]})
        task = sender.task(0, generation=1)
        import haulier_load.step as step

        real = step.acquire

        def overtaken(connection, task, manifest):
            mine = real(connection, task, manifest)
            with connect(settings, "newer") as other:
                acquire(other, replace(task, attempt="00000000-0000-4000-8000-000000000001"), manifest)
            return mine

        step.acquire = overtaken
        try:
            with pytest.raises(FencedError):
                load(task)
        finally:
            step.acquire = real

        assert database.rows("SELECT count(*) FROM haulier.load") == [(0,)]
        assert load(sender.task(0, generation=1)).outcome == "loaded"
        assert manifest.rows == 1

    def test_an_older_generation_is_fenced(self, sender):
        reservation = sender.reserve(0, {"a.csv": b"1"})
        sender.seal(0, reservation, {"a.csv": [thing("x")]})
        sender.reserve(0, {}, reprocess="asked")

        with pytest.raises(FencedError, match="generation 2"):
            load(sender.task(0, generation=1))


class TestTarget:
    def test_a_key_too_long_for_an_index_is_the_datas_fault_and_says_the_way_out(self, sender, database):
        long = "".join(hashlib.sha512(bytes([n])).hexdigest() for n in range(60))

        with pytest.raises(DataError, match=r"things_pkey.*maxLength") as error:
            sender.send(0, {"a.csv": [thing("x"), thing(long)]})

        assert long[:20] not in str(error.value)
        assert table(database) == []

    def test_a_slow_exchange_ends_no_attempt_while_nobody_waits_for_it(self, sender, settings, monkeypatch):
        """Parts are read inside the transaction, before any lock: an idle timeout may not end that."""

        class Slow(FolderExchange):
            def get(self, key):
                if key.endswith(".parquet"):
                    time.sleep(1)
                return super().get(key)

        brief = replace(settings, idle_timeout_seconds=0.2)
        reservation = sender.reserve(0, {"a.csv": b"1"})
        sender.seal(0, reservation, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type")])
        folder = settings.exchange.removeprefix("file://")
        monkeypatch.setattr("haulier_load.step.open_exchange", lambda _: Slow(folder))
        sender.reject_threshold = 1

        assert load(replace(sender.task(0), settings=brief)).outcome in ("loaded", "quarantined")

    def test_the_table_carries_comments_key_and_the_change_is_recorded(self, sender, database):
        sender.contract = replace_struct(KEYED, description="What we sell; 100 % real")
        sender.send(0, {"a.csv": [thing("x")]})

        assert database.rows("SELECT obj_description('shop.things'::regclass)") == [
            ("What we sell; 100 % real",)
        ]
        assert database.rows("SELECT kind, target FROM haulier.schema_change") == [("create", "shop.things")]
        assert database.rows(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'shop.things'::regclass AND contype = 'p'"
        ) == [("PRIMARY KEY (thing)",)]

    def test_a_table_of_other_types_is_refused_before_a_byte_is_copied(self, sender, database):
        database.rows(
            "CREATE SCHEMA shop; CREATE TABLE shop.things (thing text, colour text, price double precision)"
        )

        with pytest.raises(DefinitionError, match="price is double precision, the contract says numeric"):
            sender.send(0, {"a.csv": [thing("x")]})

    @pytest.mark.requirement("R-07")
    def test_a_part_of_other_content_than_sealed_is_refused(self, sender):
        reservation = sender.reserve(0, {"a.csv": b"1"})
        manifest = sender.seal(0, reservation, {"a.csv": [thing("x")]})
        sender.exchange.put(manifest.parts[0].key, b"something else")

        with pytest.raises(DataError):
            load(sender.task(0, generation=1))
