"""Reference ranges as laboratories write them, and what they say of a result."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.measuring import measured

from haulier_clinical.ranges import read_range


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        (("3.3", "4.9", ""), "3.3", "4.9"),
        (("3.3", "", ""), "3.3", None),
        (("", "4.9", ""), None, "4.9"),
        (("", "<5", ""), None, "5"),
        ((">60", "", ""), "60", None),
        (("", "", "3.3 - 4.9"), "3.3", "4.9"),
        (("", "", "3.3-4.9"), "3.3", "4.9"),
        (("", "", "3.3 to 4.9"), "3.3", "4.9"),
        (("", "", "-2 - 2"), "-2", "2"),
        (("", "", "<5"), None, "5"),
        (("", "", "≤ 5.0"), None, "5.0"),
        (("", "", "up to 5"), None, "5"),
        (("", "", ">60"), "60", None),
        (("", "", "60-"), "60", None),
        (("3.3 - 4.9", "", ""), "3.3", "4.9"),
        (("", "", ""), None, None),
    ],
)
def test_ranges_are_read_from_two_columns_or_from_one(cells, low, high):
    found = read_range(*cells)

    assert not found.problem
    assert (found.low and found.low.text, found.high and found.high.text) == (low, high)


@pytest.mark.parametrize(
    "cells",
    [
        ("a1", "2", ""),
        ("5", "3", ""),
        ("", "", "5 - 3"),
        ("", "", "3,3 - 4,9"),
        (">5", "<3", ""),
        ("<5", "9", ""),
    ],
)
def test_a_range_that_cannot_be_read_is_a_problem(cells):
    assert read_range(*cells).problem


def test_a_decimal_comma_in_a_range_is_the_sites():
    found = read_range("", "", "3,3 - 4,9", mark=",")

    assert (found.low.number, found.high.number) == (Decimal("3.3"), Decimal("4.9"))


@pytest.mark.parametrize(
    ("result", "low", "high", "expected"),
    [
        ("3.8", "3.3", "4.9", "NORMAL"),
        ("3.3", "3.3", "4.9", "NORMAL"),
        ("3.2", "3.3", "4.9", "LOW"),
        ("5", "3.3", "4.9", "HIGH"),
        ("5", "", "<5", "HIGH"),
        ("5", "", "5", "NORMAL"),
        ("<40", "50", "250", "LOW"),
        ("<0.2", "0.2", "1.2", None),
        ("<3", "", "5", "NORMAL"),
        ("<9", "", "5", None),
        (">60", "60", "", "NORMAL"),
        (">250", "50", "200", "HIGH"),
        (">100", "50", "200", None),
        ("neg", "50", "200", None),
        ("3.8", "", "", None),
    ],
)
def test_a_result_stands_to_its_range_where_that_can_be_told(result, low, high, expected):
    assert measured(code="GLUC", result=result, unit="mg/dL", low=low, high=high).nrind == expected


def test_a_range_is_converted_with_its_result():
    made = measured(code="ALB", result="3.8", unit="g/dL", both="3.3 - 4.9")

    assert (made.ornrlo, made.ornrhi, made.stnrlo, made.stnrhi) == ("3.3", "4.9", Decimal(33), Decimal(49))


@pytest.mark.parametrize("text", ["3.3-4.9 g/dL", "(3.3 - 4.9)", "3.3 to 4.9 G/DL"])
def test_the_results_unit_may_stand_behind_a_range(text):
    made = measured(code="ALB", result="3.8", unit="g/dL", both=text)

    assert (made.ornrlo, made.ornrhi, made.odd) == ("3.3", "4.9", [])


def test_another_unit_behind_a_range_makes_it_unreadable():
    made = measured(code="ALB", result="3.8", unit="g/dL", both="33-49 g/L")

    assert ([odd.rule for odd in made.odd], made.nrind) == (["range-unreadable"], None)


def test_a_range_in_words_is_met_by_the_result_that_it_names():
    assert measured(code="KETONES", result="neg", both="NEGATIVE").nrind == "NORMAL"
    assert measured(code="KETONES", result="2+", both="Negative").nrind == "ABNORMAL"
    assert measured(code="KETONES", result="2+", both="Negative").stnrc == "NEGATIVE"


def test_a_range_that_cannot_be_read_is_flagged_and_the_result_stays():
    made = measured(code="ALB", result="3.8", unit="g/dL", low="x3", high="4.9")

    assert (made.stresn, made.nrind) == (Decimal(38), None)
    assert [(odd.rule, odd.about) for odd in made.odd] == [("range-unreadable", "low")]


@given(*[st.decimals(min_value=-1000, max_value=1000, places=2)] * 2)
def test_every_pair_of_limits_is_read_or_refused_by_their_order(one, other):
    found = read_range("", "", f"{one:f} - {other:f}")

    assert bool(found.problem) == (one > other)
    if one <= other:
        assert (found.low.number, found.high.number) == (one, other)


@pytest.mark.parametrize(
    ("result", "both", "stnrc", "nrind"),
    [
        ("Trace", "Neg/Trace", "NEGATIVE/TRACE", "NORMAL"),
        ("Trace", "Negative or Trace", "NEGATIVE/TRACE", "NORMAL"),
        ("Yellow", "Straw-Yellow", "STRAW/YELLOW", "NORMAL"),
        ("2+", "Negative - Trace", "NEGATIVE/TRACE", "ABNORMAL"),
        ("reactive", "Non-reactive", "NON-REACTIVE", "ABNORMAL"),
        ("neg", "(-)", "NEGATIVE", "NORMAL"),
        ("Yellow", "as usual", "as usual", None),
        ("Yellow", "N/A", None, None),
        ("Yellow", "Not established", None, None),
        ("Yellow", "-", None, None),
    ],
)
def test_a_range_in_words_may_have_several_or_say_that_there_is_none(result, both, stnrc, nrind):
    made = measured(code="COLOR", specimen="URINE", result=result, both=both)

    assert (made.stnrc, made.nrind, made.odd) == (stnrc, nrind, [])


def test_a_limit_that_is_not_given_is_none():
    made = measured(code="ALT", result="41", unit="U/L", low="N/A", high="40")

    assert (made.ornrlo, made.ornrhi, made.stnrc, made.nrind) == (None, "40", None, "HIGH")


@pytest.mark.parametrize(
    ("both", "low", "high", "nrind"),
    [
        ("< or = 40", None, "40", "HIGH"),
        ("40 or less", None, "40", "HIGH"),
        ("40以下", None, "40", "HIGH"),
        ("41未満", None, "41", "HIGH"),
        ("41 or above", "41", None, "NORMAL"),
        ("42以上", "42", None, "LOW"),
        ("> or = 41", "41", None, "NORMAL"),
    ],
)
def test_open_ranges_are_written_in_many_ways(both, low, high, nrind):
    made = measured(code="ALT", result="41", unit="U/L", both=both)

    assert (made.ornrlo, made.ornrhi, made.nrind, made.odd) == (low, high, nrind, [])


@pytest.mark.parametrize("both", ["F: 12.0-15.5 M: 13.5-17.5", "Men 13.5 - 17.5; Women 12.0 - 15.5 g/dL"])
@pytest.mark.parametrize(
    ("sex", "low", "high", "nrind"), [("F", "12.0", "15.5", "NORMAL"), ("male", "13.5", "17.5", "LOW")]
)
def test_of_a_range_for_either_sex_the_subjects_own_counts(both, sex, low, high, nrind):
    made = measured(code="HGB", result="13.1", unit="g/dL", both=both, sex=sex)

    assert (made.ornrlo, made.ornrhi, made.nrind, made.odd) == (low, high, nrind, [])


def test_a_range_for_either_sex_says_nothing_of_a_subject_whose_sex_is_not_sent():
    made = measured(code="HGB", result="13.1", unit="g/dL", both="F: 12.0-15.5 M: 13.5-17.5")

    assert (made.ornrlo, made.ornrhi, made.nrind) == (None, None, None)
    assert [(odd.rule, odd.about) for odd in made.odd] == [("range-unreadable", "both")]
