"""What a result's text says, rule by rule; and what is no number is never made one."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.measuring import measured, references

from haulier_clinical.numerals import parse_number, rounded, written
from haulier_clinical.results import read_result
from haulier_clinical.terms import Words

WORDS = Words(references())


def result(text, **more):
    return read_result(text, WORDS, is_unit=lambda unit: unit in ("mg/dL", "%"), **more)


@pytest.mark.requirement("R-25")
@pytest.mark.parametrize(
    ("text", "kind", "number", "operator"),
    [
        ("4.10", "number", "4.10", ""),
        (" 068.5 ", "number", "68.5", ""),
        (".5", "number", "0.5", ""),
        ("−3", "number", "-3", ""),
        ("1.23E+05", "number", "123000", ""),
        ("<0.2", "limit", "0.2", "<"),
        ("< 0.2 mg/dL", "limit", "0.2", "<"),
        ("≤ 5", "limit", "5", "<="),
        ("≥5", "limit", "5", ">="),
        ("=>5", "limit", "5", ">="),
        ("less than 40", "limit", "40", "<"),
        ("Greater than 60", "limit", "60", ">"),
        ("5.2 mg/dL", "number", "5.2", ""),
        ("45%", "number", "45", ""),
        ("5.4 H", "number", "5.4", ""),
        ("5.4 (L)", "number", "5.4", ""),
        ("4.5 (hemolyzed)", "number", "4.5", ""),
        ("ND", "not-done", None, ""),
        ("n/d", "not-done", None, ""),
        ("Not Done", "not-done", None, ""),
        ("Not done - subject refused", "not-done", None, ""),
        ("HEMOLYZED", "condition", None, ""),
        ("Sample was grossly haemolysed", "condition", None, ""),
        ("QNS", "condition", None, ""),
        ("neg", "coded", None, ""),
        ("Trace", "coded", None, ""),
        ("1+", "coded", None, ""),
        ("++", "coded", None, ""),
        ("see comment", "words", None, ""),
        ("1,234", "words", None, ""),
        ("7,4", "words", None, ""),
        ("3-5", "words", None, ""),
        ("1.2.3", "words", None, ""),
        ("12 parsecs", "words", None, ""),
        ("+/-", "words", None, ""),
        ("(+)", "words", None, ""),
        ("±", "words", None, ""),
        ("(1+)", "coded", None, ""),
        ("（－）", "coded", None, ""),
        ("10⁵", "words", None, ""),
        ("5.6*", "number", "5.6", ""),
        ("", "empty", None, ""),
        ("  ", "empty", None, ""),
    ],
)
def test_rules_apply_in_their_order(text, kind, number, operator):
    found = result(text)

    assert (found.kind, found.operator) == (kind, operator)
    assert found.number == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    ("text", "number"), [("7,4", "7.4"), ("1234", "1234"), ("1.234", None), ("7.4", None), ("1.234,5", None)]
)
def test_a_sites_decimal_mark_is_the_only_one(text, number):
    assert result(text, mark=",").number == (None if number is None else Decimal(number))


def test_an_operator_may_have_a_column_of_its_own():
    assert result("0.2", operator="<").operator == "<"
    assert result("<0.2", operator="<").operator == "<"
    assert result("<0.2", operator=">").kind == "words"
    assert result("0.2", operator="~").kind == "words"


def test_a_number_that_is_ambiguous_says_why():
    assert "thousands" in result("1,234").problem
    assert "thousands" in result("1.234", mark=",").problem


@pytest.mark.requirement("R-25")
def test_a_result_that_was_not_done_has_a_status_and_no_result():
    made = measured(code="GLUC", result="ND - specimen clotted", unit="mg/dL")

    assert (made.stat, made.orres, made.stresc, made.orresu) == ("NOT DONE", None, None, None)
    assert (made.reasnd, made.spccnd) == ("specimen clotted", "CLOTTED")


@pytest.mark.requirement("R-25")
def test_a_specimens_condition_in_place_of_a_result_is_kept_as_one():
    made = measured(code="K", result="HEMOLYZED", unit="mmol/L")

    assert (made.stat, made.spccnd, made.reasnd) == ("NOT DONE", "HEMOLYZED", "SPECIMEN HEMOLYZED")
    assert [odd.rule for odd in made.odd] == ["specimen-condition"]


def test_nothing_at_all_is_asked_for_unless_somebody_said_why():
    assert [odd.rule for odd in measured(code="K", unit="mmol/L").odd] == ["result-missing"]
    assert measured(code="K", reason="forgotten").odd == []
    assert measured(code="K", status="NOT DONE").odd == []
    assert measured(code="K", reason="forgotten").reasnd == "forgotten"


def test_a_result_stays_where_the_status_says_there_is_none():
    made = measured(code="K", result="4.1", unit="mmol/L", status="NOT DONE", reason="lost")

    assert (made.stresn, made.stat, made.reasnd) == (Decimal("4.1"), None, None)
    assert [odd.rule for odd in made.odd] == ["status-contradicts"] * 2


@pytest.mark.requirement("R-25")
def test_words_are_kept_and_flagged_and_coded_text_is_not():
    assert measured(code="KETONES", result="neg").stresc == "NEGATIVE"
    assert measured(code="KETONES", result="neg").odd == []
    made = measured(code="COLOR", result="Like Tea")
    assert (made.orres, made.stresc, made.stresn) == ("Like Tea", "Like Tea", None)
    assert [odd.rule for odd in made.odd] == ["result-in-words"]


@pytest.mark.requirement("R-30")
@given(st.decimals(min_value=-(10**9), max_value=10**9, places=6), st.sampled_from([".", ","]))
def test_every_decimal_is_read_exactly(number, mark):
    text = f"{number:f}".replace(".", mark)

    assert parse_number(text, mark) == number
    assert Decimal(written(number)) == number
    assert "E" not in written(number)


@given(st.floats(min_value=1e-3, max_value=1e6))
def test_a_binary_float_written_out_loses_its_noise_and_nothing_else(value):
    number = Decimal(repr(value)) if "e" not in repr(value) else Decimal(value).quantize(Decimal("1e-18"))
    kept = rounded(Fraction(number), digits=15)

    assert abs(kept - number) <= abs(number) * Decimal("1e-14")


@pytest.mark.requirement("R-30")
def test_float_noise_is_no_result():
    assert measured(code="CREAT", result="0.049999999999999996", unit="umol/L").stresc == "0.05"
    assert measured(code="ALB", result="48.8951754817963", unit="g/L").stresc == "48.8951754817963"


@given(st.text(max_size=12))
def test_no_text_fails_and_only_numbers_become_numbers(text):
    found = result(text)

    assert (found.number is not None) == (found.kind in ("number", "limit"))


def test_an_operator_in_a_column_of_its_own_is_part_of_the_result():
    made = measured(code="ALT", result="7", operator="<", unit="U/L")

    assert (made.orres, made.stresc, made.stresn) == ("<7", "<7", None)
    assert measured(code="ALT", result="<7", operator="<", unit="U/L").orres == "<7"
    assert measured(code="ALT", result="ND", operator="<", unit="U/L").stat == "NOT DONE"
