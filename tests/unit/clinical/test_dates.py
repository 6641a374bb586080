"""Dates become ISO 8601: truncated where parts are not known, never padded, and never guessed."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.measuring import applied

from haulier.errors import DefinitionError
from haulier_clinical.dates import read_moment

K = {"collected_code": "K", "collected_result": "4.1", "collected_unit": "mmol/L"}
CLOCKS = ("%H:%M", "%H:%M:%S")


def read(day, *formats, clock=""):
    return read_moment(day, clock, formats or ("iso",), CLOCKS).text


def problem(day, *formats, clock=""):
    return read_moment(day, clock, formats or ("iso",), CLOCKS).problem


@pytest.mark.requirement("R-28")
@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("26-Dec-2013", "%d-%b-%Y", "2013-12-26"),
        ("26-DEC-2013", "%d-%b-%Y", "2013-12-26"),
        ("6 December 2013", "%d %B %Y", "2013-12-06"),
        ("12/26/2013", "%m/%d/%Y", "2013-12-26"),
        ("26.12.2013 14:45", "%d.%m.%Y %H:%M", "2013-12-26T14:45"),
        ("8/16/2013 0:00", "%m/%d/%Y %H:%M", "2013-08-16T00:00"),
        ("12/26/2013 02:05 PM", "%m/%d/%Y %I:%M %p", "2013-12-26T14:05"),
        ("26.12.13", "%d.%m.%y", "2013-12-26"),
        ("26Dec2013", "%d%b%Y", "2013-12-26"),
        ("20131226", "%Y%m%d", "2013-12-26"),
        ("2013-12-26", "iso", "2013-12-26"),
        ("2013-12-26T14:45", "iso", "2013-12-26T14:45"),
        ("2013-12-26 14:45:30.123", "iso", "2013-12-26T14:45:30"),
        ("2013-12-26T14:45+0100", "iso", "2013-12-26T14:45+01:00"),
        ("2013-12", "iso", "2013-12"),
        ("2013", "iso", "2013"),
        ("UN-UNK-2013", "%d-%b-%Y", "2013"),
        ("UN-DEC-2013", "%d-%b-%Y", "2013-12"),
        ("12-UNK-2013", "%d-%b-%Y", "2013"),
        ("UNK/12/2013", "%d/%m/%Y", "2013-12"),
        ("00/12/2013", "%d/%m/%Y", "2013-12"),
        ("2013-12", "%d-%b-%Y", "2013-12"),
        ("26-Dec-2013 UN:UN", "%d-%b-%Y %H:%M", "2013-12-26"),
        ("UN-UNK-UNKN", "%d-%b-%Y", ""),
        ("", "%d-%b-%Y", ""),
    ],
)
def test_dates_are_read_by_the_sites_format_as_far_as_they_are_known(text, form, expected):
    assert (read(text, form), problem(text, form)) == (expected, "")


@pytest.mark.requirement("R-28")
@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("03/04/2014", ("iso",)),
        ("03/04/2014", ("%d/%m/%Y", "%m/%d/%Y")),
        ("31-Feb-2014", ("%d-%b-%Y",)),
        ("2014-02-30", ("iso",)),
        ("12-Foo-2014", ("%d-%b-%Y",)),
        ("2014-13", ("iso",)),
        ("26-Dec-2013 25:00", ("%d-%b-%Y %H:%M",)),
        ("yesterday", ("%d-%b-%Y", "iso")),
    ],
)
def test_a_date_that_may_mean_two_or_none_is_a_problem(text, formats):
    assert read(text, *formats) == ""
    assert problem(text, *formats)


def test_several_formats_read_what_only_one_of_them_can():
    formats = ("%d/%m/%Y", "%m/%d/%Y")

    assert read("26/12/2013", *formats) == "2013-12-26"
    assert read("12/26/2013", *formats) == "2013-12-26"
    assert read("05/05/2013", *formats) == "2013-05-05"


def test_a_time_beside_the_date_is_local_and_as_it_was_collected():
    assert read("2013-12-26", clock="8:50") == "2013-12-26T08:50"
    assert read("2013-12-26", clock="UN:UN") == "2013-12-26"
    assert read("2013-12", clock="08:50") == "2013-12"
    assert problem("2013-12-26T07:00", clock="08:50") == "it is 08:50, and the date has 07:00"


def test_a_time_that_is_none_is_a_problem_of_the_time():
    found = read_moment("2013-12-26", "after lunch", ("iso",), CLOCKS)

    assert found.problem
    assert found.in_time


def test_a_format_nobody_reads_is_the_definitions_mistake():
    with pytest.raises(DefinitionError, match="date_formats"):
        read("x", "%Q")
    with pytest.raises(DefinitionError, match="twice"):
        read("x", "%d %d")


@given(
    st.dates(min_value=date(1900, 1, 1)),
    st.sampled_from(["%d-%b-%Y", "%Y/%m/%d", "%m.%d.%Y", "%B %d, %Y", "%Y-%m-%d"]),
)
def test_every_day_comes_back_from_every_format(day, form):
    assert read(day.strftime(form), form) == day.isoformat()


@given(st.text(max_size=20))
def test_no_text_is_read_as_a_day_that_does_not_exist(text):
    found = read(text, "%d/%m/%Y", "%d-%b-%Y", "iso")

    if len(found) >= 10:
        date.fromisoformat(found[:10]) + timedelta()


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("5. März 2026", "%d. %B %Y", "2026-03-05"),
        ("03.Dez.2025", "%d.%b.%Y", "2025-12-03"),
        ("14-févr.-2026", "%d-%b-%Y", "2026-02-14"),
        ("15-AOÛT-2026", "%d-%b-%Y", "2026-08-15"),
        ("UN-Mai-2026", "%d-%b-%Y", "2026-05"),
        ("31 de diciembre de 2026", "%d de %B de %Y", "2026-12-31"),
        ("5 Okt 2026", "%d %b %Y", "2026-10-05"),
        ("5 Sept 2026", "%d %b %Y", "2026-09-05"),
    ],
)
def test_months_have_the_names_of_the_reference_words(text, form, expected):
    row = applied("lb", {**K, "collected_date": text}, date_formats=form).rows.iloc[0]

    assert row["lbdtc"] == expected


def test_a_word_that_begins_like_a_month_is_none():
    assert problem("5 Junk 2026", "%d %b %Y")
    assert problem("5 Marsupial 2026", "%d %B %Y")


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [
        ("2026-01-05 00:00:00", "9:00", "2026-01-05T09:00"),
        ("2026-01-05T00:00", "09:00:30", "2026-01-05T09:00:30"),
        ("2026-01-05 09:00:30", "09:00", "2026-01-05T09:00:30"),
        ("2026-01-05 00:00:00", "", "2026-01-05T00:00:00"),
        ("2026-01-05", "UNK", "2026-01-05"),
        ("2026-01-05", "--", "2026-01-05"),
        ("2026-01", "09:00", "2026-01"),
        ("UNK", "09:00", ""),
        ("Unknown", "", ""),
    ],
)
def test_a_time_beside_a_date_is_the_time_of_a_cell_that_was_a_day(day, clock, expected):
    assert read(day, clock=clock) == expected
    assert not problem(day, clock=clock)


def test_two_times_of_one_moment_are_none():
    found = read_moment("2026-01-05 10:15", "09:00", ("iso",), CLOCKS)

    assert found.in_time
    assert found.problem == "it is 09:00, and the date has 10:15"


def test_halves_of_the_day_are_written_in_several_ways():
    form = "%m/%d/%Y %I:%M %p"
    for half in ("AM", "a.m.", "a. m.", "am"):
        assert read(f"1/3/2026 8:15 {half}", form) == "2026-01-03T08:15"
    assert read("1/3/2026 8:15 P.M.", form) == "2026-01-03T20:15"
