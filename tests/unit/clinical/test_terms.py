"""Tests, specimens and visits by whatever name sites know them."""

from decimal import Decimal

import pytest
from support.measuring import applied, flags, measured, references

from haulier_clinical.records import records
from haulier_clinical.references import table
from haulier_clinical.terms import Topics, Visits, Words

WORDS = Words(references())
LB = Topics(references(), "LB", WORDS)


@pytest.mark.parametrize(
    ("code", "name", "testcd"),
    [
        ("ALT", "", "ALT"),
        ("alt", "", "ALT"),
        ("BUN", "Blood Urea Nitrogen", "UREAN"),
        ("NA", "", "SODIUM"),
        ("EGFR", "", "GFRE"),
        ("", "Platelet count", "PLAT"),
        ("", "PLATELETS", "PLAT"),
        ("", "Aminotransferase, alanine (ALT)", "ALT"),
        ("", "Alkaline phosphatase (ALP)", "ALP"),
        ("", "Haemoglobin", "HGB"),
        ("", "Hämoglobin", "HGB"),
        ("", "Créatinine", "CREAT"),
        ("", "Novel Marker", "X"),
        ("", "gGT", "GGT"),
        ("", "Total Bilirubin", "BILI"),
        ("", "Bilirubin, total", "BILI"),
        ("", "Direct Bilirubin", "BILDIR"),
        ("", "Neutrophils %", "NEUTLE"),
        ("", "Neutrophils", "NEUT"),
        ("", "Serum Albumin", "ALB"),
        ("", "HbA1c", "HBA1C"),
        ("", "Albumin/Creatinine", "ALBCREAT"),
        ("", "eGFRcys", "GFRBSCYC"),
        ("XYZ", "Sodium", "SODIUM"),
    ],
)
def test_a_test_is_known_by_code_by_name_and_by_synonym(code, name, testcd):
    found = LB.find(code, name).test

    assert found.testcd.startswith(testcd)
    assert found.is_known == (testcd != "X")


def test_glucose_in_urine_is_another_test_than_glucose_in_blood():
    assert LB.find("GLUC", "").test.si_unit == "mmol/L"
    assert LB.find("GLUC", "", "URINE").test.si_unit == "*"
    assert LB.find("GLUC", "", "", "URINALYSIS").test.si_unit == "*"
    assert LB.find("", "Glucose, urine").specimen == "URINE"
    assert LB.find("", "Urine glucose").test.si_unit == "*"
    assert measured(code="GLUC", specimen="urine", result="neg").stresc == "NEGATIVE"
    assert measured(code="GLUC", specimen="urine", result="100 mg/dL").stresu == "mg/dL"


def test_a_test_nobody_knows_has_a_code_of_its_own_and_is_flagged():
    made = measured(code="", test="Novel Marker 17", result="5", unit="mg/L")
    other = measured(code="", test="Novel Marker 18", result="5", unit="mg/L")

    assert made.testcd != other.testcd
    assert (made.test, made.orres, made.orresu, made.stresc) == ("Novel Marker 17", "5", "mg/L", "5")
    assert [odd.rule for odd in made.odd] == ["test-unknown"]
    assert measured(code="FOO12", result="neg").testcd == "FOO12"


def test_no_name_means_two_tests():
    """`Topics` refuses a table where one does."""
    for domain in ("LB", "VS"):
        Topics(references(), domain, WORDS)


def test_every_unit_a_test_has_is_a_unit():
    units = {row["unit"] for row in records(references(), "units", ("unit",))} | {"*"}
    rows = records(references(), "tests", ("testcd",))

    assert {row[system] for row in rows for system in ("si_unit", "conventional_unit")} <= units


def test_tests_and_units_are_terms_that_the_judge_knows():
    terms = {(row["codelist"], row["value"]): row["name"] for row in table("terms")}
    units = {value for codelist, value in terms if codelist in ("UNIT", "VSRESU")} | {""}

    for row in records(references(), "tests", ("testcd",)):
        assert terms[f"{row['domain']}TESTCD", row["testcd"]] == row["test"]
    assert {row["unit"] for row in records(references(), "units", ("unit",))} <= units


def test_every_conversion_belongs_to_a_test():
    tests = {row["testcd"] for row in records(references(), "tests", ("testcd",))}

    assert {row["testcd"] for row in records(references(), "conversions", ("testcd",))} <= tests


@pytest.mark.parametrize(
    ("name", "number", "visitnum"),
    [
        ("Baseline", "", "2"),
        ("BASELINE", "", "2"),
        ("week 2", "", "3"),
        ("Unscheduled 4.1", "", "4.1"),
        ("Week 99", "", None),
        ("", "", None),
        ("", "2", "2"),
        ("Anything", "7.5", "7.5"),
        ("Baseline", "four", None),
    ],
)
def test_a_visit_has_the_number_sent_else_that_of_its_name(name, number, visitnum):
    found = Visits(references()).find(name, number)

    assert (found and found.visitnum) == (None if visitnum is None else Decimal(visitnum))


def test_a_visit_nobody_knows_is_flagged_and_its_rows_stay():
    batch = applied(
        "lb",
        {"collected_code": "K", "collected_result": "4.1", "collected_unit": "mmol/L", "visit": "Brunch"},
    )

    assert batch.rows["visitnum"].tolist() == [Decimal(0)]
    assert batch.rows["visit"].tolist() == ["Brunch"]
    assert flags(batch) == [(0, "visit-unknown", "visit")]
