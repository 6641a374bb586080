"""What sites type as units, and what a result in one is in the test's own."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.measuring import measured, references

from haulier.errors import DefinitionError
from haulier_clinical.folding import unit_key
from haulier_clinical.numerals import rounded
from haulier_clinical.units import Units

UNITS = Units(references())
COUNTS = [
    "10^9/L", "10*9/L", "10E9/L", "10e9/l", "x10^9/L", "x 109/L", "x 109 cells/L", "X10E9/L", "10⁹/L", "10^3/uL", "10*3/uL",
    "10^3/µl", "10^3/μL", "10³/µL", "GI/L", "G/L", "g/l", "THOU/uL", "K/uL", "/nl", "nl", "/nL", "10^3/mm3", "thou/ul",
]  # fmt: skip


@pytest.mark.requirement("R-26")
@pytest.mark.parametrize("typed", COUNTS)
def test_a_count_is_the_same_however_its_unit_is_typed(typed):
    made = measured(code="PLAT", result="250", unit=typed)

    assert (made.stresc, made.stresu, made.orresu, made.odd) == ("250", "10^9/L", "10^9/L", [])


@pytest.mark.requirement("R-26")
@pytest.mark.parametrize(
    ("code", "result", "unit", "expected", "standard"),
    [
        ("BILI", "0.2", "mg/dL", "3.42", "umol/L"),
        ("BILI", "<0.2", "MG/DL", "<3.42", "umol/L"),
        ("GLUC", "<40", "mg/dL", "<2.2204", "mmol/L"),
        ("GLUC", "0.9", "g/L", "4.9959", "mmol/L"),
        ("GLUC", "5.1", "mmol/l", "5.1", "mmol/L"),
        ("HGB", "13.2", "g/dL", "132", "g/L"),
        ("HGB", "132", "G/L", "132", "g/L"),
        ("HGB", "8.2", "mmol/L", "132.13", "g/L"),
        ("ALT", "0.5", "µkat/L", "30", "U/L"),
        ("ALT", "0.5", "ukat/l", "30", "U/L"),
        ("ALT", "500", "nkat/L", "30", "U/L"),
        ("HCT", "45", "%", "0.45", "fraction of 1"),
        ("HCT", "0.45", "L/L", "0.45", "fraction of 1"),
        ("HCT", "0.45", "Proportion of 1.0", "0.45", "fraction of 1"),
        ("HBA1C", "48", "mmol/mol", "0.0654163", "fraction of 1"),
        ("MG", "2", "mEq/L", "1", "mmol/L"),
        ("K", "4.1", "mEq/L", "4.1", "mmol/L"),
        ("TSH", "2.5", "uIU/mL", "2.5", "mIU/L"),
        ("TSH", "2.5", "mU/L", "2.5", "mIU/L"),
        ("CREAT", "1.00", "mg/dl", "88.4", "umol/L"),
        ("GFRE", "90", "ml/min/1.73 m²", "90", "mL/min/1.73 m2"),
        ("RBC", "4.5", "x 1012 cells/L", "4.5", "10^12/L"),
        ("FERRITIN", "100", "ng/mL", "100", "ug/L"),
        ("INR", "1.1", "", "1.1", None),
        ("PH", "5.5", "NO UNITS", "5.5", None),
    ],
)
def test_a_result_becomes_one_in_the_tests_own_unit(code, result, unit, expected, standard):
    made = measured(code=code, result=result, unit=unit)

    assert (made.stresc, made.stresu, made.odd) == (expected, standard, [])
    assert made.stresn == (None if expected.startswith("<") else Decimal(expected))


@pytest.mark.requirement("R-26")
@pytest.mark.parametrize(
    ("code", "unit"),
    [
        ("ALT", "pkat/L"),
        ("GFRE", "μmol/L"),
        ("GLUC", "spoons"),
        ("GLUC", ""),
        ("K", "mg/dL"),
        ("NEUT", "%"),
        ("K", "NO UNITS"),
    ],
)
def test_a_unit_that_leads_nowhere_is_flagged_and_nothing_is_converted(code, unit):
    made = measured(code=code, result="5.1", unit=unit, low="3", high="6")

    assert (made.orres, made.stresc, made.stresn, made.stresu, made.stnrlo) == ("5.1", None, None, None, None)
    assert [odd.rule for odd in made.odd] == ["unit-unknown"]
    assert made.nrind == "NORMAL"


def test_both_habits_can_be_had_and_each_tests_own():
    conventional = {"unit_system": "conventional"}
    assert measured(parameters=conventional, code="GLUC", result="5.551", unit="mmol/L").stresc == "100"
    assert measured(parameters=conventional, code="MG", result="2", unit="mEq/L").stresu == "mg/dL"
    own = {"standard_units": "HGB mmol/L, MCHC mmol/L"}
    assert measured(parameters=own, code="HGB", result="13", unit="g/dL").stresc == "8.0678"
    assert measured(parameters=own, code="ALB", result="4", unit="g/dL").stresu == "g/L"


def test_a_parameter_names_the_unit_that_no_column_does():
    made = measured("VS", {"units": "WEIGHT LB, HEIGHT in"}, code="WEIGHT", result="119.0")

    assert (made.orresu, made.stresc, made.stresu) == ("LB", "53.98", "kg")


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"unit_system": "us"}, "unit_system"),
        ({"decimal_mark": "'"}, "decimal_mark"),
        ({"units": "WEIGHT"}, "names no unit"),
        ({"standard_units": "HGB parsec"}, None),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_refused(parameters, says):
    with pytest.raises(DefinitionError, match=says):
        measured(parameters=parameters, code="HGB", result="1", unit="g/dL")


@pytest.mark.requirement("R-27")
@pytest.mark.parametrize(
    ("code", "result", "unit", "rule"),
    [
        ("HEIGHT", "148.0", "in", "implausible"),
        ("TEMP", "36.2", "F", "implausible"),
        ("TEMP", "98.6", "C", "implausible"),
        ("PULSE", "0", "beats/min", "implausible"),
        ("SYSBP", "230", "mmHg", "unusual"),
        ("HEIGHT", "66.5", "in", None),
        ("TEMP", "98.6", "F", None),
    ],
)
def test_what_a_test_cannot_be_stays_out_of_the_standard_columns(code, result, unit, rule):
    made = measured("VS", code=code, result=result, unit=unit)

    assert [odd.rule for odd in made.odd] == ([rule] if rule else [])
    assert (made.stresn is None, made.stresc is None) == (rule == "implausible",) * 2
    assert made.orres == result


@pytest.mark.parametrize(
    ("code", "result", "unit", "expected"),
    [
        ("TEMP", "96.9", "F", "36.06"),
        ("TEMP", "097.7", "°F", "36.5"),
        ("HEIGHT", "062.3", "IN", "158.24"),
        ("WEIGHT", "119.0", "lbs", "53.98"),
    ],
)
def test_vital_signs_are_rounded_as_people_read_them(code, result, unit, expected):
    assert measured("VS", code=code, result=result, unit=unit).stresc == expected


@given(st.sampled_from(COUNTS), st.sampled_from(["", " "]))
def test_space_never_changes_a_unit(typed, space):
    assert unit_key(space.join(typed)) in (unit_key(typed), unit_key(typed.replace("cells", "c e l l s")))


@given(
    st.sampled_from(
        [("GLUC", "mg/dL", "mmol/L"), ("TEMP", "F", "C"), ("HBA1C", "%", "mmol/mol"), ("", "ukat/L", "U/L")]
    ),
    st.fractions(min_value=-1000, max_value=1000),
)
def test_there_and_back_is_exact(conversion, value):
    testcd, one, other = conversion
    of, to = UNITS.named(one, ""), UNITS.named(other, "")

    assert UNITS.convert(UNITS.convert(value, testcd, of, to), testcd, to, of) == value


@given(st.fractions(min_value=Fraction(1, 100), max_value=10**6), st.integers(3, 15))
def test_rounding_is_off_by_half_a_digit_at_the_most(value, digits):
    kept = rounded(value, digits=digits)

    assert abs(Fraction(kept) - value) <= value / 10 ** (digits - 1) / 2


def test_moving_the_decimal_mark_keeps_every_digit():
    assert measured("VS", code="WEIGHT", result="82549.5", unit="g").stresc == "82.5495"
    assert measured("VS", code="HEIGHT", result="1.7255", unit="m").stresc == "172.55"
    assert measured("VS", code="WEIGHT", result="154", unit="LB").stresc == "69.85"


@pytest.mark.parametrize(
    ("unit", "result", "expected"),
    [
        ("x10(3)/mcL", "250", "250"),
        ("x1000/uL", "250", "250"),
        ("万/μL", "25.0", "250"),
        ("10^4/uL", "25.0", "250"),
        ("10^2/μL", "2500", "250"),
        ("{cells}/uL", "250000", "250"),
        ("10*3/uL{plt}", "250", "250"),
        ("10(9)/L", "250", "250"),
    ],
)
def test_counts_are_given_in_many_powers_of_ten(unit, result, expected):
    made = measured(code="PLAT", result=result, unit=unit)

    assert (made.stresc, made.stresu, made.odd) == (expected, "10^9/L", [])


def test_what_stands_in_braces_alone_is_no_unit():
    assert measured(code="INR", result="1.1", unit="{INR}").stresc == "1.1"
