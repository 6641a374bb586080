"""How schedules cut time into runs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulier.errors import DefinitionError
from haulier.interval import Interval
from haulier_command.schedule import NAMED, cut, due, latest, ticks


def at(day: int, hour: int = 0, minute: int = 0, month: int = 1, **more: int) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC, **more)


def starts(intervals: list[Interval]) -> list[datetime]:
    return [interval.start for interval in intervals]


def test_a_day_begins_and_ends_at_midnight_utc() -> None:
    assert list(cut("@daily", at(5), at(7))) == [
        Interval(start=at(5), end=at(6)),
        Interval(start=at(6), end=at(7)),
    ]


def test_a_range_holds_whole_runs_only() -> None:
    assert starts(list(cut("0 6 * * *", at(5), at(8)))) == [at(5, 6), at(6, 6)]


@pytest.mark.parametrize(
    ("name", "end"), [("@hourly", at(1, 1)), ("@daily", at(2)), ("@monthly", at(1, month=2))]
)
def test_names_mean_what_they_say(name: str, end: datetime) -> None:
    assert next(cut(name, at(1), at(1, month=3))) == Interval(start=at(1), end=end)


def test_a_week_begins_on_sunday() -> None:
    assert next(cut("@weekly", at(5), at(31))) == Interval(start=at(11), end=at(18))


def test_a_run_is_due_at_the_moment_it_ends() -> None:
    assert list(due("@daily", date(2026, 1, 5), True, at(6))) == [Interval(start=at(5), end=at(6))]
    assert list(due("@daily", date(2026, 1, 5), True, at(5, 23, 59))) == []


def test_without_catchup_only_the_newest_is_due() -> None:
    assert starts(list(due("@daily", date(2026, 1, 5), False, at(9, 12)))) == [at(8)]


def test_nothing_is_due_before_the_start() -> None:
    assert list(due("@daily", date(2026, 1, 9), False, at(9, 12))) == []
    assert starts(list(due("@daily", None, True, at(9, 12)))) == [at(8)]


def test_a_misspelt_name_is_told_its_nearest() -> None:
    with pytest.raises(DefinitionError, match="did you mean @daily"):
        list(cut("@dayly", at(5), at(7)))


@pytest.mark.parametrize("line", ["0 0 * *", "0 25 * * *", "0 0 31 2 *", "0 0 * * * *", ""])
def test_what_is_no_cron_line_is_refused(line: str) -> None:
    with pytest.raises(DefinitionError, match="cron line"):
        list(cut(line, at(5), at(7)))
    with pytest.raises(DefinitionError, match="cron line"):
        latest(line, at(5))


moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
schedules = st.sampled_from([*NAMED, "*/7 * * * *", "30 4 * * 1-5", "0 0 1,15 * *", "15 10 29 2 *"])


@given(schedule=schedules, moment=moments)
def test_ticks_never_go_back_and_meet_end_to_end(schedule: str, moment: datetime) -> None:
    found = list(islice(ticks(schedule, moment), 4))
    assert found[0] >= moment
    assert found == sorted(set(found))
    runs = list(islice(cut(schedule, moment, moment + timedelta(days=3000)), 3))
    assert all(one.end == other.start for one, other in pairwise(runs))


@given(schedule=schedules, moment=moments)
def test_the_latest_run_has_ended_and_the_next_has_not(schedule: str, moment: datetime) -> None:
    newest = latest(schedule, moment)
    assert newest.end <= moment
    assert next(ticks(schedule, newest.end + timedelta(seconds=1))) > moment
    assert newest in list(cut(schedule, newest.start, newest.end))
