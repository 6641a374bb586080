"""Every query has one status whatever is sent and said: the ledger against a model of it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from support.hauling import Sender, settings_of, thing
from support.queries import queries, told, wrong

from haulier.errors import DefinitionError
from haulier.ledger.connection import connect
from haulier.ledger.decisions import FROM, STATUSES
from haulier_load.step import load


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


@pytest.fixture
def sender(settings):
    return Sender(settings=settings, reject_threshold=1, owner="data management")


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
