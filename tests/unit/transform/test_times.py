"""Dates and times against Python's own calendar and zones."""

from __future__ import annotations

import locale
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.transforming import outcome

from haulier.errors import DefinitionError
from haulier_transform.arrays import Parsed
from haulier_transform.times import moments
from haulier_transform.zones import open_zone

BERLIN = ZoneInfo("Europe/Berlin")
DIGITS = st.text("0123456789", min_size=1, max_size=4)
DATE_FORMATS = ["%d/%m/%Y", "%m/%d/%y", "%d-%b-%Y", "%B %d, %Y", "%Y%m%d", "%Y %j", "%a %d.%m.%Y"]


def read(pg_type: str, texts: list[str], *forms: str, zone: str = "UTC") -> Parsed:
    return moments(pg_type, forms or ("iso",), open_zone(zone), "x")(pa.array(texts, pa.string()))


def by_strptime(text: str, form: str) -> date | str:
    try:
        found = datetime.strptime(text, form).date() if text.isascii() else "type"
    except ValueError:
        return "type"
    # Python takes day 366 of a common year for the next year's first.
    rolled = isinstance(found, date) and "%j" in form and f"{found.year:04d}" != text[:4]
    return "type" if rolled else found


@st.composite
def dates_as_written(draw: st.DrawFn) -> tuple[str, str]:
    """A format and a text that is often, but not always, a date in it."""
    form = draw(st.sampled_from(DATE_FORMATS))
    if draw(st.booleans()):
        text = draw(st.dates(date(1970, 1, 1), date(2060, 12, 31))).strftime(form)
    else:
        text = form
        for directive, choice in {
            "%d": st.sampled_from(["0", "00", "1", "9", "29", "30", "31", "32", " 5"]),
            "%m": st.sampled_from(["0", "1", "02", "2", "12", "13"]),
            "%Y": st.sampled_from(["0000", "0001", "1900", "2000", "2023", "2024", "9999", "24", "02024"]),
            "%y": DIGITS,
            "%b": st.sampled_from(["Feb", "FEB", "feb", "Sept", "Mai", "Sep"]),
            "%B": st.sampled_from(["February", "MAY", "may", "Juni", "June"]),
            "%a": st.sampled_from(["Mon", "TUE", "Mo"]),
            "%j": st.sampled_from(["0", "1", "001", "59", "365", "366", "367"]),
        }.items():
            text = text.replace(directive, draw(choice))
    changed = draw(
        st.sampled_from([str, str.upper, str.lower, lambda t: t.replace(" ", "  "), lambda t: t + "x"])
    )
    return form, changed(text)


@settings(deadline=None)
@given(st.lists(dates_as_written(), min_size=1, max_size=15))
def test_a_date_is_what_strptime_reads(written: list[tuple[str, str]]) -> None:
    form = written[0][0]
    texts = [text for _, text in written]

    assert outcome(read("date", texts, form), texts) == [by_strptime(text, form) for text in texts]


def test_every_day_of_four_centuries_is_read_back() -> None:
    days = [date(1600, 1, 1) + timedelta(days=n) for n in range(0, 400 * 366)]

    for form in ("%d/%m/%Y", "%Y %j"):
        assert read("date", [day.strftime(form) for day in days], form).values.to_pylist() == days
    assert read("date", [day.isoformat() for day in days]).values.to_pylist() == days


def test_day_366_is_of_leap_years_only() -> None:
    texts = ["2023 366", "2024 366", "2023 365"]

    assert outcome(read("date", texts, "%Y %j"), texts) == ["type", date(2024, 12, 31), date(2023, 12, 31)]


def test_31_february_is_no_day() -> None:
    texts = ["2013-02-31", "2013-02-29", "2012-02-29", "2013-04-31", "2013-00-10", "2013-13-01", "0000-01-01"]

    assert outcome(read("date", texts), texts) == ["type", "type", date(2012, 2, 29), *["type"] * 4]


def test_a_date_is_never_padded_nor_cut() -> None:
    texts = ["2013-12", "2013", "2013-12-26T14:45", "2013-12-26 00:00", "13-12-26", "2013-12-26"]

    assert outcome(read("date", texts), texts) == [*["type"] * 5, date(2013, 12, 26)]


def test_a_date_format_with_a_time_takes_midnight_only() -> None:
    texts = ["8/16/2148 0:00", "8/16/2148 0:01"]

    assert outcome(read("date", texts, "%m/%d/%Y %H:%M"), texts) == [date(2148, 8, 16), "type"]


def test_the_first_format_that_fits_decides() -> None:
    texts = ["03/04/2014", "26/12/2013", "12/26/2013"]

    assert outcome(read("date", texts, "%d/%m/%Y", "%m/%d/%Y"), texts) == [
        date(2014, 4, 3),
        date(2013, 12, 26),
        date(2013, 12, 26),
    ]


def test_two_digits_of_a_year_need_a_format_that_says_so() -> None:
    assert outcome(read("date", ["1/2/14"], "%d/%m/%Y"), ["1/2/14"]) == ["type"]
    assert outcome(read("date", ["1/2/14", "1/2/69"], "%d/%m/%y"), ["", ""]) == [
        date(2014, 2, 1),
        date(1969, 2, 1),
    ]


def test_months_are_english_in_every_locale() -> None:
    before = locale.setlocale(locale.LC_TIME)
    others = [name for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C") if _can_set(name)]
    try:
        locale.setlocale(locale.LC_TIME, others[0])
        assert outcome(read("date", ["26-Dec-2013"], "%d-%b-%Y"), [""]) == [date(2013, 12, 26)]
    finally:
        locale.setlocale(locale.LC_TIME, before)


def _can_set(name: str) -> bool:
    before = locale.setlocale(locale.LC_TIME)
    try:
        locale.setlocale(locale.LC_TIME, name)
    except locale.Error:
        return False
    locale.setlocale(locale.LC_TIME, before)
    return True


MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))


@settings(deadline=None)
@given(
    st.lists(MOMENTS, min_size=1),
    st.sampled_from(["T", " "]),
    st.sampled_from(["auto", "minutes", "seconds"]),
)
def test_an_iso_time_is_what_fromisoformat_reads(many: list[datetime], mark: str, spec: str) -> None:
    texts = [one.isoformat(sep=mark, timespec=spec) for one in many]

    assert outcome(read("timestamp", texts), texts) == [datetime.fromisoformat(text) for text in texts]


@settings(deadline=None)
@given(st.lists(st.tuples(MOMENTS, st.integers(-23 * 60, 23 * 60)), min_size=1), st.sampled_from([":", ""]))
def test_an_offset_gives_the_instant(many: list[tuple[datetime, int]], mark: str) -> None:
    texts = [
        f"{moment.isoformat()}{'-' if east < 0 else '+'}{abs(east) // 60:02d}{mark}{abs(east) % 60:02d}"
        for moment, east in many
    ]
    expected = [moment.replace(tzinfo=UTC) - timedelta(minutes=east) for moment, east in many]

    assert outcome(read("timestamptz", texts, zone="Asia/Tokyo"), texts) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013-12-26T14:45Z", datetime(2013, 12, 26, 14, 45, tzinfo=UTC)),
        ("2013-12-26T14:45z", datetime(2013, 12, 26, 14, 45, tzinfo=UTC)),
        ("2013-12-26T14:45:01.5", datetime(2013, 12, 26, 14, 45, 1, 500_000, tzinfo=UTC)),
        ("2013-12-26T14:45:01.123456000", datetime(2013, 12, 26, 14, 45, 1, 123_456, tzinfo=UTC)),
        ("2013-12-26T14:45:01.1234567", "type"),
        ("2013-12-26T14:45+01", datetime(2013, 12, 26, 13, 45, tzinfo=UTC)),
        ("2013-12-26T24:00", "type"),
        ("2013-12-26T23:59:60", "type"),
        ("2013-12-26T14", "type"),
        ("2013-12-26", "type"),
        ("2013-12-26T14:45+24:00", "type"),
        ("2013-12-26T14:45:00 +01:00", "type"),
        ("2013-02-30T14:45", "type"),
        ("0001-01-01T00:00+00:01", "range"),
        ("9999-12-31T23:59:59.999999", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("9999-12-31T23:59:59-00:01", "range"),
    ],
)
def test_an_instant_as_sites_write_it(text: str, expected: object) -> None:
    assert outcome(read("timestamptz", [text]), [text]) == [expected]


@pytest.mark.requirement("R-12")
def test_a_column_without_a_zone_refuses_an_offset() -> None:
    texts = ["2013-12-26T14:45Z", "2013-12-26T14:45"]

    assert outcome(read("timestamp", texts), texts) == ["type", datetime(2013, 12, 26, 14, 45)]
    assert outcome(read("time", ["14:45Z", "14:45:10.25"]), ["", ""]) == ["type", time(14, 45, 10, 250_000)]


def test_twelve_hour_clocks() -> None:
    texts = ["12:00 AM", "12:30 pm", "1:05 PM", "13:00 PM"]

    assert outcome(read("time", texts, "%I:%M %p"), texts) == [time(0), time(12, 30), time(13, 5), "type"]


@settings(deadline=None)
@given(
    st.lists(st.datetimes(datetime(1890, 1, 1), datetime(2050, 1, 1)), min_size=1, max_size=50),
    st.sampled_from(
        ["Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kolkata", "UTC"]
    ),
)
@pytest.mark.requirement("R-12")
def test_a_local_time_is_the_instant_zoneinfo_says(many: list[datetime], name: str) -> None:
    texts = [moment.isoformat() for moment in many]
    zone = ZoneInfo(name)

    found = outcome(read("timestamptz", texts, zone=name), texts)

    assert found == [_instant(moment, zone) for moment in many]


def _instant(local: datetime, zone: ZoneInfo) -> datetime | str:
    instant = local.replace(tzinfo=zone).astimezone(UTC)
    exists = instant.astimezone(zone).replace(tzinfo=None) == local
    return instant if exists else "time-zone"


@settings(deadline=None)
@given(st.integers(1980, 2037), st.sampled_from([3, 10]), st.integers(0, 6), st.integers(0, 24 * 60 - 1))
def test_around_the_change_of_the_clocks(year: int, month: int, back: int, minute: int) -> None:
    """The last week of March and of October, minute by minute, is what zoneinfo says."""
    local = datetime(year, month, 31 - back) + timedelta(minutes=minute)
    text = local.isoformat()

    parsed = read("timestamptz", [text], zone="Europe/Berlin")

    assert outcome(parsed, [text]) == [_instant(local, BERLIN)]
    twice = local.replace(tzinfo=BERLIN).utcoffset() > local.replace(tzinfo=BERLIN, fold=1).utcoffset()
    assert [wrong.rule for wrong in parsed.odd] == (["ambiguous-time"] if twice else [])


def test_an_hour_that_was_twice_is_the_earlier_one_and_flagged() -> None:
    parsed = read("timestamptz", ["2024-10-27T02:30", "2024-10-27T03:30"], zone="Europe/Berlin")

    assert parsed.values.to_pylist()[0] == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)
    assert [(wrong.rule, wrong.at.tolist()) for wrong in parsed.odd] == [("ambiguous-time", [0])]


@pytest.mark.requirement("R-12")
def test_an_hour_that_never_was_is_refused_by_a_rule_of_its_own() -> None:
    parsed = read("timestamptz", ["2024-03-31T02:30"], zone="Europe/Berlin")

    assert outcome(parsed, [""]) == ["time-zone"]
    assert "Europe/Berlin" in parsed.wrong[0].says


@pytest.mark.parametrize(
    ("pg_type", "form"), [("date", "%Y-%m"), ("date", "%d/%m/%Y %I:%M"), ("time", "%d/%m/%Y"), ("date", "%Q")]
)
def test_a_format_that_cannot_give_a_value_is_an_error(pg_type: str, form: str) -> None:
    with pytest.raises(DefinitionError, match=r"^x: "):
        read(pg_type, [], form)


def test_an_unknown_zone_is_an_error() -> None:
    with pytest.raises(DefinitionError, match="Europe/Berln"):
        open_zone("Europe/Berln")
