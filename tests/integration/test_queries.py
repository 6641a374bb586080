"""Rejects and flags as queries: what loads settle by themselves, and what people say."""

from __future__ import annotations

from contextlib import closing
from uuid import uuid4

import pytest
from support.databases import Database, administer, environment_of
from support.hauling import Sender, csv_of, settings_of, thing
from support.ledger import findings, findings_by_run
from support.queries import ROWS, queries, told

from haulier.errors import DefinitionError
from haulier.ledger.connection import connect
from haulier.ledger.decisions import say
from haulier.ledger.migrate import upgrade
from haulier_load.step import load


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


@pytest.fixture
def sender(settings):
    return Sender(settings=settings, reject_threshold=1, owner="data management")


@pytest.fixture
def clean(settings):
    """Asks for a clean ledger once the test is over."""
    yield
    assert findings(settings) == []
    assert findings_by_run(settings) == []


@pytest.mark.usefixtures("clean")
class TestLoads:
    """What becomes of queries without anybody's word."""

    def test_a_reject_and_a_flag_are_open_queries_of_the_pipelines_owner(self, sender, database):
        sender.send(0, ROWS, rejects=[("a.csv", 9, "type")], flags=[("a.csv", 3, "odd")])

        columns = "query, kind, instance, target, file, row, rule, column_name, message, owner, status, actor, reason"
        assert queries(database, columns) == [
            ("R1", "reject", "main", "shop.things", "a.csv", 9, "type", "price", "broke type", "data management", "open", None, None),
            ("F1", "flag", "main", "shop.things", "a.csv", 3, "odd", "price", "price is odd: odd", "data management", "open", None, None),
        ]  # fmt: skip

    def test_who_answers_for_the_pipeline_now_answers_for_what_was_raised_before(self, sender, database):
        sender.send(0, ROWS, rejects=[("a.csv", 9, "type")])
        sender.owner = "somebody else"
        sender.send(1, {"b.csv": [thing("z")]})

        assert queries(database, "owner") == [("somebody else",)]

    @pytest.mark.requirement("R-21", "R-22")
    def test_a_corrected_file_corrects_its_queries(self, sender, database):
        sender.send(0, ROWS, rejects=[("a.csv", 9, "type")], flags=[("a.csv", 3, "odd")])
        sender.send(1, {"a.csv": [thing("x"), thing("y", "blue")]})

        assert queries(database, "query, status, actor, reason") == [
            ("R1", "corrected", sender.settings.actor, "corrected: delivery 2"),
            ("F1", "corrected", sender.settings.actor, "corrected: delivery 2"),
        ]

    def test_a_corrected_file_of_the_same_run_corrects_them_too(self, sender, database):
        sender.send(0, ROWS, rejects=[("a.csv", 9, "type")], flags=[("a.csv", 3, "odd")])
        sender.send(0, {"a.csv": [thing("x"), thing("y", "blue")]})

        assert [status for _, status in queries(database)] == ["corrected", "corrected"]

    @pytest.mark.requirement("R-21")
    def test_a_run_made_again_closes_what_it_no_longer_says(self, sender, database):
        sender.send(0, ROWS, rejects=[("a.csv", 9, "type")], flags=[("a.csv", 3, "odd")])
        reservation = sender.reserve(0, {}, reprocess="a better definition")
        sender.seal(0, reservation, ROWS)
        load(sender.task(0, generation=2))

        assert queries(database, "query, status, reason") == [
            ("R1", "closed", "regenerated: generation 2"),
            ("F1", "closed", "regenerated: generation 2"),
        ]

    def test_the_same_fault_in_the_same_line_sent_again_is_the_same_query(self, sender, database):
        said = {"rejects": [("a.csv", 9, "type"), ("a.csv", 10, "type")], "flags": [("a.csv", 3, "odd")]}
        sender.send(0, ROWS, **said)
        opened = queries(database, "opened_at")
        told(sender.settings, "answered", "R1", "F1")
        sender.send(
            1,
            {"a.csv": [thing("x", "blue"), thing("y")]},
            rejects=[("a.csv", 9, "type")],
            flags=[("a.csv", 3, "odd")],
        )

        assert queries(database, "query, status, sequence, raised_id") == [
            ("R1", "answered", 2, 3),
            ("R2", "corrected", 1, 2),
            ("F1", "answered", 2, 2),
        ]
        assert queries(database, "opened_at") == opened

    def test_it_stays_the_same_query_when_its_run_is_made_again(self, sender, database):
        said = {"rejects": [("a.csv", 9, "type")], "flags": [("a.csv", 3, "odd")]}
        sender.send(0, ROWS, **said)
        told(sender.settings, "released", "F1", reason="it is so")
        for generation in (2, 3):
            reservation = sender.reserve(0, {}, reprocess="again")
            sender.seal(0, reservation, ROWS, **said)
            load(sender.task(0, generation=generation))

        assert queries(database, "query, status, generation") == [("R1", "open", 3), ("F1", "released", 3)]

    def test_another_line_or_another_fault_is_another_query(self, sender, database):
        sender.send(0, ROWS, rejects=[("a.csv", 9, "type")], flags=[("a.csv", 3, "odd")])
        changed = {"a.csv": [thing("x"), thing("y", "blue")]}
        sender.send(1, changed, rejects=[("a.csv", 9, "limit")], flags=[("a.csv", 3, "odd")])

        assert queries(database) == [("R1", "corrected"), ("R2", "open"), ("F1", "corrected"), ("F2", "open")]

    def test_lines_that_are_alike_are_a_query_each(self, sender, database):
        twins = {"a.csv": [thing("x", _row=2), thing("x", _row=3), thing("x", _row=4)]}
        sender.send(0, twins, flags=[("a.csv", row, "odd") for row in (2, 3, 4)])
        told(sender.settings, "answered", "F2")
        fewer = {"a.csv": [thing("x", _row=2), thing("x", _row=3), thing("z", _row=5)]}
        sender.send(1, fewer, flags=[("a.csv", row, "odd") for row in (2, 3)])

        assert queries(database) == [("F1", "open"), ("F2", "answered"), ("F3", "corrected")]

    def test_a_file_that_is_quarantined_corrects_nothing(self, sender, database):
        sender.send(0, ROWS, rejects=[("a.csv", 9, "type")], flags=[("a.csv", 3, "odd")])
        sender.reject_threshold = 0
        sender.send(1, {"a.csv": [thing("x", "blue")]}, rejects=[("a.csv", 9, "limit")])

        assert queries(database) == [("R1", "open"), ("R2", "open"), ("F1", "open")]

    def test_what_comes_after_its_own_correction_is_corrected(self, sender, database):
        """Runs go in any order: a file read first may be loaded last."""
        said = {"rejects": [("a.csv", 9, "type")], "flags": [("a.csv", 3, "odd")]}
        reservation = sender.reserve(0, {"a.csv": csv_of(ROWS["a.csv"], [9])})
        sender.send(1, {"a.csv": [thing("x", "blue")]})
        sender.seal(0, reservation, ROWS, **said)
        load(sender.task(0, generation=1))

        assert queries(database, "query, status, reason") == [
            ("R1", "corrected", "corrected: delivery 2"),
            ("F1", "corrected", "corrected: delivery 2"),
        ]

    def test_a_later_cumulative_file_says_again_what_was_said_whatever_its_name(self, sender, database):
        """They are named by their day. A reject that is not said again may still be replayed, so it stays."""
        sender.content = "cumulative"
        said = [("rejects", 8, "type"), ("flags", 3, "odd")]

        def day(number, colour, *more):
            name = f"{number}.csv"
            given = {
                kind: [(name, row, rule) for k, row, rule in (*said, *more) if k == kind]
                for kind in ("rejects", "flags")
            }
            return sender.send(number, {name: [thing("x", colour), thing("y")]}, **given)

        day(0, "red", ("rejects", 9, "type"))
        told(sender.settings, "released", "F1", reason="it is so")
        day(2, "blue")

        assert queries(database, "query, status, file") == [
            ("R1", "open", "2.csv"),
            ("R2", "open", "0.csv"),
            ("F1", "released", "2.csv"),
        ]
        day(1, "green", ("flags", 2, "odd"))
        assert queries(database, "query, status, file") == [
            ("R1", "open", "2.csv"),
            ("R2", "open", "0.csv"),
            ("R4", "open", "1.csv"),
            ("F1", "released", "2.csv"),
            ("F3", "corrected", "1.csv"),
            ("F4", "corrected", "1.csv"),
        ]

    def test_a_later_file_of_its_own_says_nothing_of_others(self, sender, database):
        sender.send(0, ROWS, rejects=[("a.csv", 9, "type")], flags=[("a.csv", 3, "odd")])
        sender.send(1, {"b.csv": [thing("z")]})

        assert queries(database) == [("R1", "open"), ("F1", "open")]

    def test_a_replay_that_brings_the_row_in_closes_its_query_and_keeps_its_flag(self, sender, database):
        sender.send(0, ROWS, rejects=[("a.csv", 8, "type"), ("a.csv", 9, "type")])
        sender.replay({"a.csv": [thing("z", _row=9)]}, flags=[("a.csv", 9, "odd")])

        assert queries(database, "query, row, status, reason") == [
            ("R1", 8, "open", None),
            ("R2", 9, "closed", "replayed: fixed"),
            ("F1", 9, "open", None),
        ]


@pytest.mark.usefixtures("clean")
class TestPeople:
    """What may be said of a query, and when."""

    @pytest.fixture(autouse=True)
    def raised(self, sender):
        sender.send(0, ROWS, rejects=[("a.csv", 9, "type")], flags=[("a.csv", 3, "odd")])

    @pytest.mark.requirement("R-08", "R-21")
    def test_each_word_is_kept_with_who_when_and_why(self, settings, database):
        before = database.rows("SELECT to_jsonb(t) FROM shop.things t ORDER BY thing")
        told(settings, "answered", "F1", reason="the scale was broken")
        told(settings, "released", "F1", "r1", reason="it is so")
        told(settings, "reopened", "R1", reason="it is not")
        told(settings, "closed", "R1", reason="a double of R7")

        assert database.rows(
            "SELECT coalesce('R' || reject_id, 'F' || flag_id), status, reason, actor, at BETWEEN now() - interval '1 minute' AND now()"
            " FROM haulier.query_event ORDER BY link"
        ) == [
            ("F1", "answered", "the scale was broken", settings.actor, True),
            ("R1", "released", "it is so", settings.actor, True),
            ("F1", "released", "it is so", settings.actor, True),
            ("R1", "reopened", "it is not", settings.actor, True),
            ("R1", "closed", "a double of R7", settings.actor, True),
        ]
        assert queries(database, "query, status, actor, reason") == [
            ("R1", "closed", settings.actor, "a double of R7"),
            ("F1", "released", settings.actor, "it is so"),
        ]
        assert database.rows("SELECT to_jsonb(t) FROM shop.things t ORDER BY thing") == before

    def test_what_cannot_be_said_is_refused_and_nothing_of_it_kept(self, settings, database):
        for word, names, reason, said in (
            ("answered", ["R1"], " ", "--reason is empty"),
            ("answered", ["X1"], "seen", "'X1' is no query"),
            ("answered", ["R1", "R99"], "seen", "there is no query R99"),
            ("reopened", ["R1"], "seen", "query R1 is open"),
        ):
            with pytest.raises(DefinitionError, match=said):
                told(settings, word, *names, reason=reason)
        assert database.rows("haulier.query_event") == []

    def test_a_decision_is_taken_back_before_another_is_made(self, settings):
        told(settings, "released", "R1")
        with pytest.raises(DefinitionError, match="query R1 is released; reopen it first"):
            told(settings, "closed", "R1")

    def test_nothing_is_said_of_what_a_load_has_settled(self, sender, settings, database):
        told(settings, "released", "R1")
        sender.send(1, {"a.csv": [thing("x", "blue")]})

        assert queries(database) == [("R1", "corrected"), ("F1", "corrected")]
        with pytest.raises(
            DefinitionError, match=r"query R1 is corrected by load 2 \(corrected: delivery 2\)"
        ):
            told(settings, "reopened", "R1")

    def test_a_released_reject_is_not_replayed(self, sender, settings):
        told(settings, "released", "R1", reason="lost, as agreed")
        assert sender.replay({"a.csv": [thing("z", _row=9)]}) == []

        told(settings, "reopened", "R1", reason="found")
        assert len(sender.replay({"a.csv": [thing("z", _row=9)]})) == 1

    def test_two_people_at_once_speak_one_after_the_other(self, settings, database):
        """The second waits for the first, and sees what was said."""
        with connect(settings, "first") as first, connect(settings, "second") as second:
            with first.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO haulier.query_event (reject_id, status, reason, actor) VALUES (1, 'released', 'so', 'me')"
                )
            with second.cursor() as cursor:
                cursor.execute("SET lock_timeout = '100ms'")
                with pytest.raises(Exception, match="lock timeout"):
                    cursor.execute(
                        "INSERT INTO haulier.query_event (reject_id, status, reason, actor) VALUES (1, 'closed', 'so', 'you')"
                    )
            second.rollback()
            first.commit()
            with pytest.raises(DefinitionError, match="R1 is released"):
                say(second, settings, ["R1"], "closed", "so")
        assert database.rows("SELECT link, status FROM haulier.query_event") == [(1, "released")]


def test_flags_from_before_are_settled_by_the_migration_as_loads_would_have_settled_them(tier):
    """A file sent twice, in two runs; a run made twice; a run whose second generation was quarantined."""
    run = "INSERT INTO haulier.run (pipeline, instance, interval_start, interval_end, status) SELECT 'p', 'i', '2026-01-01'::timestamptz"
    load_row = (
        "INSERT INTO haulier.load (kind, target, run_id, generation, input_digest, manifest, definition_digest, outcome, exit_code,"
        " mode, fence, attempt_id, actor, versions, produced, inserted, updated, unchanged, superseded, duplicate, deleted, rejected,"
        " held, removed, started_at) SELECT 'run', 's.t', {run}, {generation}, 'd', 'm', 'd', '{outcome}',"
        " CASE '{outcome}' WHEN 'loaded' THEN 0 ELSE 65 END, 'upsert', 1, gen_random_uuid(), 'me', '{{}}', 0,0,0,0,0,0,0,0,0,0, now()"
    )
    statements = [
        f"{run} + n * interval '1 day', '2026-01-02'::timestamptz + n * interval '1 day', 'loaded' FROM generate_series(0, 3) n",
        "INSERT INTO haulier.generation (run_id, generation, definition_digest, reason, actor) VALUES"
        " (1, 1, 'd', 'r', 'a'), (2, 1, 'd', 'r', 'a'), (3, 1, 'd', 'r', 'a'), (3, 2, 'd', 'r', 'a'), (4, 1, 'd', 'r', 'a'), (4, 2, 'd', 'r', 'a')",
        "INSERT INTO haulier.delivery (pipeline, instance, logical_name, sequence, sha256, bytes, uri, modified_at, original,"
        " disposition, run_id) SELECT 'p', 'i', name, sequence, repeat('0', 64), 1, 'u', now(), 'o', 'reserved', run"
        " FROM (VALUES ('a', 1, 1), ('a', 2, 2), ('b', 1, 3), ('c', 1, 4)) v (name, sequence, run)",
        "INSERT INTO haulier.generation_delivery VALUES (1, 1, 1), (2, 1, 2), (3, 1, 3), (3, 2, 3), (4, 1, 4), (4, 2, 4)",
        *(
            load_row.format(run=run_id, generation=generation, outcome=outcome)
            for run_id, generation, outcome in (
                *((1, 1, "loaded"), (2, 1, "loaded"), (3, 1, "loaded"), (3, 2, "loaded")),
                *((4, 1, "loaded"), (4, 2, "quarantined")),
            )
        ),
        "INSERT INTO haulier.flag (load_id, delivery_id, row_number, rule, message)"
        " SELECT load, delivery, 2, 'odd', 'm' FROM (VALUES (1, 1), (2, 2), (3, 3), (4, 3), (5, 4)) v (load, delivery)",
    ]
    name = f"test_{uuid4().hex}"
    administer(tier, "CREATE DATABASE {}", name)
    try:
        environment = environment_of(tier, name)
        upgrade(environment, "0010")
        with (
            closing(Database(environment=environment).connect()) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
        upgrade(environment)

        assert Database(environment=environment).rows(
            "SELECT query, status, reason FROM haulier.query ORDER BY first_id"
        ) == [
            ("F1", "corrected", "corrected: delivery 2"),
            ("F2", "open", None),
            ("F3", "closed", "regenerated: generation 2"),
            ("F4", "open", None),
            ("F5", "open", None),
        ]
    finally:
        administer(tier, "DROP DATABASE {} WITH (FORCE)", name)
