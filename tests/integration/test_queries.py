"""Rejects and flags as queries: what loads settle by themselves, what people say, and that neither can be rewritten unseen."""

from __future__ import annotations

import itertools
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from support.databases import Database, administer, environment_of
from support.hauling import Sender, csv_of, settings_of, thing
from support.ledger import findings, findings_by_run

from haulier.errors import DefinitionError
from haulier.ledger.connection import connect
from haulier.ledger.decisions import FROM, STATUSES, say
from haulier.ledger.migrate import upgrade
from haulier.ledger.verify import verify
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


def queries(database, columns="query, status"):
    return database.rows(f"SELECT {columns} FROM haulier.query ORDER BY kind DESC, first_id")


def told(settings, word, *names, reason="seen"):
    with connect(settings, "test") as connection:
        return say(connection, settings, names, word, reason)


ROWS = {"a.csv": [thing("x"), thing("y")]}


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


def wrong(settings):
    with connect(settings, "test") as connection:
        return {one.invariant for one in verify(connection, settings)}


@dataclass(kw_only=True)
class Model:
    """What is known of a query without a ledger."""

    kind: str
    file: str
    row: int
    rule: str
    line: str
    day: int
    sequence: int
    status: str = "open"
    is_settled: bool = False

    def is_same(self, other: Model) -> bool:
        mine, its = ((q.kind, q.row, q.rule, q.line) for q in (self, other))
        return mine == its


@dataclass(kw_only=True)
class Story:
    """Files of one instance and words, told to the ledger and to a model of it."""

    sender: Sender
    instance: str
    known: list[Model] = field(default_factory=list)
    #: day -> (file, sequence, generation, rows)
    runs: dict[int, Any] = field(default_factory=dict)
    #: file -> the newest sequence that was loaded
    newest: dict[str, int] = field(default_factory=dict)

    def send(self, file: str, content: Any, quarantined: bool) -> None:
        day = len(self.runs)
        sequence = 1 + sum(1 for name, *_ in self.runs.values() if name == file)
        reservation = self.sender.reserve(
            day, {file: f"{self.instance} {day}".encode()}, instance=self.instance
        )
        self._load(day, file, sequence, reservation, content, quarantined)

    def again(self, which: int, content: Any, quarantined: bool) -> None:
        if not self.runs:
            return
        day = which % len(self.runs)
        file, sequence = self.runs[day]
        reservation = self.sender.reserve(day, {}, instance=self.instance, reprocess="again")
        self._load(day, file, sequence, reservation, content, quarantined)

    def _load(
        self, day: int, file: str, sequence: int, reservation: Any, content: Any, quarantined: bool
    ) -> None:
        self.runs[day] = file, sequence
        rejects, flags, colour = content
        rows = [thing(f"{self.instance} {n}", colour) for n in range(3)]
        raised = [
            Model(kind="reject", file=file, row=row, rule=rule, line="", day=day, sequence=sequence)
            for row, rule in sorted(rejects.items())
        ]
        quarantined = quarantined and bool(raised)
        if not quarantined:
            raised += [
                Model(kind="flag", file=file, row=row, rule=rule, line=colour, day=day, sequence=sequence)
                for row, rule in sorted(flags)
            ]
        self.sender.reject_threshold = 0 if quarantined else 1
        self.sender.seal(
            day,
            reservation,
            {file: rows},
            instance=self.instance,
            rejects=[(file, row, rule) for row, rule in sorted(rejects.items())],
            flags=[(file, row, rule) for row, rule in sorted(flags)],
        )
        load(self.sender.task(day, instance=self.instance, generation=reservation.generation))
        former = [
            q for q in self.known if not q.is_settled and self._gives_way(q, day, file, sequence, quarantined)
        ]
        for one in raised:
            found = next((q for q in former if q.is_same(one)), None)
            if found:
                former.remove(found)
                found.day, found.sequence = day, sequence
            else:
                self.known.append(one)
        for gone in former:
            gone.is_settled, gone.status = True, "closed" if gone.day == day else "corrected"
        if sequence < self.newest.get(file, 0):
            for late in self.known:
                if (late.day, late.is_settled) == (day, False) and not (late.kind == "flag" and quarantined):
                    late.is_settled, late.status = True, "corrected"
        if not quarantined:
            self.newest[file] = max(sequence, self.newest.get(file, 0))

    @staticmethod
    def _gives_way(query: Model, day: int, file: str, sequence: int, quarantined: bool) -> bool:
        if query.day == day:
            return query.kind == "reject" or not quarantined
        return query.file == file and query.sequence < sequence and not quarantined

    def say(self, word: Any, which: int) -> None:
        names = self.names()
        if not names:
            return
        place = which % len(names)
        query = self.told()[place]
        if query.is_settled or query.status not in FROM[word]:
            with pytest.raises(DefinitionError):
                told(self.sender.settings, word, names[place])
        else:
            told(self.sender.settings, word, names[place])
            query.status = "open" if word == "reopened" else word

    def told(self) -> list[Model]:
        """In the order of the ledger's numbers."""
        return [q for kind in ("reject", "flag") for q in self.known if q.kind == kind]

    def names(self) -> list[str]:
        return [row[0] for row in self.listed("query")]

    def listed(self, columns: str) -> list[tuple[Any, ...]]:
        with connect(self.sender.settings, "test") as connection, connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {columns} FROM haulier.query WHERE instance = %s ORDER BY kind DESC, first_id",
                [self.instance],
            )
            return list(cursor.fetchall())


CONTENT = st.tuples(
    st.dictionaries(st.sampled_from([8, 9]), st.sampled_from(["type", "limit"])),
    st.sets(st.tuples(st.sampled_from([2, 3]), st.sampled_from(["odd", "far"])), max_size=2),
    st.sampled_from(["red", "blue"]),
)
STEP = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(["a.csv", "b.csv"]), CONTENT, st.booleans()),
    st.tuples(st.just("again"), st.integers(0, 9), CONTENT, st.booleans()),
    st.tuples(st.just("say"), st.sampled_from(sorted(FROM)), st.integers(0, 9)),
    st.tuples(st.just("say"), st.sampled_from(sorted(FROM)), st.integers(0, 9)),
)
INSTANCES = itertools.count()


@examples(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=4, max_size=12))
def test_every_query_has_one_status_whatever_is_sent_and_said(sender, settings, database, steps):
    story = Story(sender=sender, instance=f"i{next(INSTANCES)}")
    for name, *values in steps:
        getattr(story, name)(*values)

    assert story.listed("kind, file, row, rule, status, sequence") == [
        (q.kind, q.file, q.row, q.rule, q.status, q.sequence) for q in story.told()
    ]
    assert set(queries(database, "status")) <= {(status,) for status in STATUSES}
    # Every reject and every flag belongs to exactly one query, and each word to one.
    for table in ("reject", "flag"):
        assert (
            database.rows(
                f"SELECT count(*) FROM haulier.{table} one LEFT JOIN haulier.query_repeat p USING ({table}_id)"
                f" LEFT JOIN haulier.query q ON q.kind = '{table}' AND q.first_id = coalesce(p.first_id, one.{table}_id)"
                " GROUP BY one.*, q.query HAVING count(q.query) <> 1"
            )
            == []
        )
    assert (
        database.rows(
            "SELECT e.event_id FROM haulier.query_event e LEFT JOIN haulier.query q ON q.first_id = coalesce(e.reject_id, e.flag_id)"
            " AND q.kind = CASE WHEN e.flag_id IS NULL THEN 'reject' ELSE 'flag' END GROUP BY 1 HAVING count(q.query) <> 1"
        )
        == []
    )
    assert wrong(settings) == set()


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
