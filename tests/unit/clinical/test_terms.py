"""Tests, specimens and visits by whatever name sites know them."""

from decimal import Decimal

import pytest
from support.measuring import applied, flags, measured, references

from haulier_clinical.records import records
from haulier_clinical.references import table
from haulier_clinical.terms import Topics, Visits, Words
from haulier_transform.references import References

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
        if "/" in row["testcd"]:  # several tests in one cell
            assert all(("VSTESTCD", part) in terms for part in row["testcd"].split("/"))
            continue
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


@pytest.mark.parametrize(
    ("name", "planned", "counted"),
    [
        ("Unscheduled 1.1", "1.1", "901.1"),
        ("Unscheduled (8)", "8", "908"),
        ("UNS-12", "12", "912"),
        ("uns#12", "12", "912"),
        # Visit 3 is Week 2, and without a number there is nothing to tell two of them apart.
        ("Unscheduled 3", None, "903"),
        ("Unscheduled", None, "900"),
        ("Unscheduled phone call", None, None),
    ],
)
def test_an_unscheduled_visit_is_counted_from_where_the_table_says_and_never_taken_for_a_planned_one(
    name, planned, counted
):
    base = References({"visits": "visit,visitnum,visitdy,synonyms\nWEEK 2,3,14,\nUNSCHEDULED *,900,,UNS *\n"})
    for visits, expected in ((references(), planned), (base, counted)):
        found = Visits(visits).find(name, "")

        assert (found and found.visitnum) == (None if expected is None else Decimal(expected))
        assert found is None or (found.visit, found.visitdy) == (name, None)


def test_a_place_or_a_specimen_that_is_no_word_of_the_tables_is_kept_and_flagged():
    sent = {"collected_code": "PULSE", "collected_result": "70", "collected_unit": "/min"}
    batch = applied(
        "vs", {**sent, "collected_position": "upside down"}, {**sent, "collected_position": "Supine"}
    )

    assert batch.rows["vspos"].tolist() == ["UPSIDE DOWN", "SUPINE"]
    assert flags(batch) == [(0, "position-unknown", "collected_position")]
    made = measured(code="K", result="4", unit="mmol/L", specimen="Broth")
    assert (made.spec, [odd.rule for odd in made.odd]) == ("BROTH", ["specimen-unknown"])


def test_a_row_that_does_not_say_which_test_it_is_is_rejected():
    batch = applied("lb", {"collected_result": "4.1"}, {"collected_code": "K", "collected_result": "4.1"})

    assert batch.rejects[["source", "rule", "column"]].to_numpy().tolist() == [
        [0, "test-missing", "collected_test"]
    ]
    assert batch.rows["lbtestcd"].tolist() == ["K"]


@pytest.mark.parametrize(
    ("code", "test", "result", "unit", "testcd", "stresc"),
    [
        ("", "Neutrophils", "55", "%", "NEUTLE", "0.55"),
        ("", "Neutrophils", "55 %", "", "NEUTLE", "0.55"),
        ("NEUT", "", "55", "%", "NEUT", None),
        ("", "Neutrophils", "3.1", "x10E3/uL", "NEUT", "3.1"),
        ("", "Lymphozyten", "30", "%", "LYMLE", "0.3"),
        ("", "Neutrophils, absolute", "55", "%", "NEUT", None),
        ("", "Neutrophils", "55", "", "NEUT", None),
    ],
)
def test_of_two_tests_with_one_name_the_unit_says_which(code, test, result, unit, testcd, stresc):
    made = measured(code=code, test=test, result=result, unit=unit)

    assert (made.testcd, made.stresc) == (testcd, stresc)


@pytest.mark.parametrize(
    ("loinc", "test", "testcd", "spec"),
    [
        ("2823-3", "", "K", ""),
        ("5792-7", "", "GLUC", "URINE"),
        ("2345-7", "Something of ours", "GLUC", ""),
        ("2823-3", "Sodium", "SODIUM", ""),
    ],
)
def test_a_loinc_code_says_the_test_where_nothing_else_does(loinc, test, testcd, spec):
    made = measured(loinc=loinc, test=test, result="4", unit="mmol/L")

    assert (made.testcd, made.spec) == (testcd, spec)


def test_a_loinc_code_that_is_in_no_table_is_a_test_of_its_own():
    made = [measured(loinc=loinc, result="4", unit="mmol/L") for loinc in ("99999-9", "88888-8")]

    assert made[0].testcd != made[1].testcd
    assert [(odd.rule, odd.about) for odd in made[0].odd] == [("test-unknown", "loinc")]


def test_a_category_is_a_term_where_the_words_know_it():
    assert measured(code="K", result="4", unit="mmol/L", category="Klinische Chemie").cat == "CHEMISTRY"
    assert measured(code="K", result="4", unit="mmol/L", category="Panel 7").cat == "Panel 7"
    assert measured(test="Urine glucose", result="neg", category="Chemistry").test == "Glucose"
    assert measured(test="Urine glucose", result="neg", category="Chemistry").spec == "URINE"


@pytest.mark.parametrize(
    ("name", "visitnum"),
    [
        ("Day 1", "2"),
        ("Day-1", "2"),
        ("Day -1", "1.5"),
        ("Day −1", "1.5"),
        ("Visit 1.1", "1.1"),
        ("VISIT 11", "11"),
        ("Visit 1 1", None),
        ("Week -2", None),
    ],
)
def test_a_visits_name_keeps_its_minus_and_its_point(name, visitnum):
    text = "visit,visitnum,visitdy,synonyms\nDAY 1,2,1,\nDAY -1,1.5,-1,\nVISIT 11,11,,\nVISIT 1.1,1.1,,\nWEEK 2,3,14,\n"
    found = Visits(References({"visits": text})).find(name, "")

    assert (found and found.visitnum) == (None if visitnum is None else Decimal(visitnum))
