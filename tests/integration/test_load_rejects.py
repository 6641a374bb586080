"""Runs past their threshold, and rejects: closed by a corrected file or replayed, each once."""

from __future__ import annotations

import pytest
from support.hauling import Sender, counts, settings_of, table, thing
from support.ledger import findings, findings_by_run

from haulier.ledger.connection import connect
from haulier.ledger.replays import request_replays, reserved_for_replay
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
class TestQuarantine:
    def test_a_run_past_its_threshold_commits_no_row_but_all_its_rejects(self, sender, database):
        outcome = sender.send(0, {"a.csv": [thing("x"), thing("y")]}, rejects=[("a.csv", 9, "type")])

        assert (outcome.outcome, outcome.exit_code) == ("quarantined", 65)
        assert counts(outcome, "produced", "held", "inserted", "rejected") == (2, 2, 0, 0)
        assert database.rows("SELECT count(*) FROM shop.things") == [(0,)]
        assert database.rows("SELECT rule, row_number FROM haulier.reject") == [("type", 9)]
        assert database.rows("SELECT status FROM haulier.run") == [("quarantined",)]

    def test_asked_again_it_says_the_same(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type")])
        again = load(sender.task(0, generation=1))

        assert (again.outcome, again.exit_code) == ("quarantined", 65)

    @pytest.mark.requirement("R-08")
    def test_a_corrected_file_of_the_run_closes_its_rejects(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type")])
        outcome = sender.send(0, {"a.csv": [thing("x"), thing("y")]})

        assert (outcome.outcome, outcome.generation) == ("loaded", 2)
        assert database.rows("SELECT status FROM haulier.reject_event") == [("regenerated",)]
        assert database.rows("SELECT count(*) FROM haulier.open_reject") == [(0,)]

    def test_another_definition_opens_a_new_generation(self, sender):
        sender.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type")])
        sender.definition_digest = "e" * 64

        assert sender.reserve(0, {}).generation == 2


@pytest.mark.usefixtures("clean")
class TestDeadLetter:
    @pytest.fixture
    def sender(self, settings):
        return Sender(settings=settings, reject_threshold=1)

    @pytest.mark.requirement("R-08")
    def test_a_later_file_of_the_same_name_closes_rejects(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type")])
        sender.send(1, {"a.csv": [thing("x"), thing("y")]})

        assert database.rows("SELECT status, message FROM haulier.reject_event") == [
            ("corrected", "delivery 2")
        ]

    @pytest.mark.requirement("R-08")
    def test_a_replay_resolves_each_reject_once_and_keeps_the_version(self, sender, database):
        sender.send(0, {"a.csv": [thing("x", "day 0")]}, rejects=[("a.csv", 8, "type"), ("a.csv", 9, "type")])
        sender.send(1, {"b.csv": [thing("y", "day 1")]})
        rows = [thing("y", "day 0", _row=8), thing("z", "day 0", _row=9)]
        (outcome,) = sender.replay({"a.csv": rows})

        assert counts(outcome, "produced", "inserted", "superseded", "failed_again") == (2, 1, 1, 0)
        assert table(database, "thing, colour") == [("x", "day 0"), ("y", "day 1"), ("z", "day 0")]
        assert database.rows("SELECT status FROM haulier.reject_event") == [("replayed",), ("replayed",)]
        assert sender.replay({"a.csv": rows}) == []

    def test_what_fails_again_stays_open(self, sender, database):
        sender.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 8, "type"), ("a.csv", 9, "type")])
        (outcome,) = sender.replay({"a.csv": [thing("y", _row=9)]})

        assert counts(outcome, "produced", "inserted", "rejected", "failed_again") == (2, 1, 1, 1)
        assert database.rows("SELECT row_number FROM haulier.open_reject") == [(8,)]
        assert database.rows("SELECT count(*) FROM haulier.reject") == [(2,)]

    def test_two_replays_of_one_reject_bring_its_row_in_once(self, sender, settings, database):
        sender.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type")])
        with connect(settings, "test") as connection:
            asked = [
                request_replays(
                    connection,
                    settings,
                    "things",
                    {"main": lambda _: "d" * 64},
                    reason="fixed",
                )[0]
                for _ in range(2)
            ]
            outcomes = []
            for replay in asked:
                task = sender.task(0, replay=replay.replay_id)
                reservation = reserved_for_replay(connection, task)
                sender.seal(0, reservation, {"a.csv": [thing("y", _row=9)]})
                outcomes.append(load(task))

        assert [counts(o, "inserted", "duplicate") for o in outcomes] == [(1, 0), (0, 1)]
        assert database.rows("SELECT count(*) FROM haulier.reject_event WHERE status = 'replayed'") == [(1,)]

    def test_a_reason_with_a_nul_is_told_with_its_picture_when_it_fails_again(
        self, sender, settings, database
    ):
        """A function may say in it what it found."""
        bad = [("a.csv", 9, "type of b\0d")]
        sender.send(0, {"a.csv": [thing("x")]}, rejects=bad)
        with connect(settings, "test") as connection:
            (replay,) = request_replays(
                connection, settings, "things", {"main": lambda _: "d" * 64}, reason="again"
            )
            task = sender.task(0, replay=replay.replay_id)
            sender.seal(0, reserved_for_replay(connection, task), {"a.csv": []}, rejects=bad)

        assert counts(load(task), "produced", "rejected", "failed_again") == (1, 1, 1)
        assert database.rows("SELECT message FROM haulier.reject") == [("broke type of b␀d",)]
        assert database.rows("SELECT message FROM haulier.reject_event") == [("broke type of b␀d",)]

    def test_what_a_replay_rejects_beside_its_rejects_is_kept(self, sender, settings, database):
        """A row that failed whole now gives two rows, one of them bad: that one waits in its own name."""
        sender.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type")])
        with connect(settings, "test") as connection:
            (replay,) = request_replays(
                connection, settings, "things", {"main": lambda _: "d" * 64}, reason="fixed"
            )
            task = sender.task(0, replay=replay.replay_id)
            reservation = reserved_for_replay(connection, task)
        rows = {"a.csv": [thing("y", _row=9, _output=0)]}
        sender.seal(0, reservation, rows, rejects=[("a.csv", 9, "limit", 1)])
        outcome = load(task)

        assert counts(outcome, "produced", "inserted", "rejected", "failed_again") == (2, 1, 1, 0)
        assert database.rows("SELECT row_number, output, rule FROM haulier.open_reject") == [(9, 1, "limit")]

    def test_more_own_rejects_than_fit_at_once_are_kept_with_their_lines(self, sender, database):
        double = [thing(f"t{n}", colour) for colour in ("red", "blue") for n in range(1_100)]
        outcome = sender.send(0, {"a.csv": double})

        assert counts(outcome, "produced", "inserted", "rejected") == (2_200, 0, 2_200)
        assert database.rows("SELECT count(*), count(DISTINCT verbatim) FROM haulier.reject") == [
            (2_200, 2_200)
        ]

    def test_rejects_of_a_quarantined_run_want_reprocessing_not_replay(self, sender):
        sender.reject_threshold = 0
        sender.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type")])

        assert sender.replay({}) == []
