"""A batch of what a site sent becomes rows as SDTM keeps them."""

import time
from decimal import Decimal

import pandas as pd
import pytest
from support.measuring import applied, batch_of, contract, flags

from haulier.errors import DefinitionError
from haulier_clinical import functions
from haulier_transform.functions import Functions

K = {"collected_code": "K", "collected_result": "4.1", "collected_unit": "mmol/L"}


@pytest.mark.requirement("R-25")
def test_a_result_is_kept_as_sent_beside_its_standard_form():
    sent = {
        "collected_test": "Bilirubin, total",
        "collected_result": "<0.2 mg/dL",
        "collected_range": "0.2 - 1.2",
        "collected_date": "26-Dec-2013",
        "collected_time": "14:45",
    }
    row = applied("lb", sent, date_formats="%d-%b-%Y", usubjid="{studyid}-{instance}-{subjid}").rows.iloc[0]

    assert row["collected_result"] == "<0.2 mg/dL"
    assert (row["lborres"], row["lborresu"], row["lbstresc"], row["lbstresu"]) == (
        "<0.2",
        "mg/dL",
        "<3.42",
        "umol/L",
    )
    assert pd.isna(row["lbstresn"])
    assert (row["lbtestcd"], row["lbtest"], row["lbcat"]) == ("BILI", "Bilirubin", "CHEMISTRY")
    assert (row["usubjid"], row["lbdtc"], row["visitnum"]) == ("T-701-001", "2013-12-26T14:45", Decimal(2))
    assert (row["lbspec"], row["lbtpt"]) == ("", "")


@pytest.mark.requirement("R-28")
def test_a_row_whose_date_cannot_be_read_is_rejected_with_what_the_site_agreed_to():
    batch = applied("lb", K, {**K, "collected_date": "03/04/2014"}, {**K, "collected_time": "noon"})

    assert batch.rejects[["source", "rule", "column"]].to_numpy().tolist() == [
        [1, "date-unreadable", "collected_date"],
        [2, "date-unreadable", "collected_time"],
    ]
    assert batch.rows["lbtestcd"].tolist() == ["K"]


def test_a_date_of_which_nothing_is_known_is_flagged_and_its_row_stays():
    batch = applied("lb", {**K, "collected_date": "UN-UNK-UNKN"}, date_formats="%d-%b-%Y")

    assert batch.rows["lbdtc"].tolist() == [""]
    assert flags(batch) == [(0, "date-unknown", "collected_date")]


def test_vital_signs_have_a_position_and_a_time_point():
    sent = {
        "collected_code": "SYSBP",
        "collected_result": "131",
        "collected_unit": "mmHg",
        "collected_position": "lying down",
        "collected_timepoint": "after Lying Down for 5 Minutes",
    }
    row = applied("vs", sent).rows.iloc[0]

    assert (row["vspos"], row["vstpt"], row["vsstresc"]) == (
        "SUPINE",
        "AFTER LYING DOWN FOR 5 MINUTES",
        "131",
    )


def test_a_contract_may_leave_out_what_is_no_key():
    batch = batch_of("lb", {**K, "collected_unit": "spoons"})
    short = batch.rows[["studyid", "subjid", "usubjid", "visit", "visitnum", "collected_code", "collected_result",
                        "collected_unit", "collected_date", "lbtestcd", "lbspec", "lbdtc", "lbtpt", "lbstresn"]]  # fmt: skip

    made = functions.lb(type(batch).of(short, references=batch.references))

    assert list(made.rows.columns) == list(short.columns)
    assert flags(made) == [(0, "unit-unknown", "collected_unit")]


def test_a_flag_names_the_column_that_somebody_can_look_at():
    odd = [
        {**K, "collected_unit": "spoons"},
        {**K, "collected_result": "see report"},
        {**K, "collected_low": "x9", "collected_high": "10"},
        {**K, "collected_result": "HEMOLYZED"},
        {**K, "collected_code": "UNHEARD"},
    ]
    assert flags(applied("lb", *odd)) == [
        (0, "unit-unknown", "collected_unit"),
        (1, "result-in-words", "collected_result"),
        (2, "range-unreadable", "collected_low"),
        (3, "specimen-condition", "collected_result"),
        (4, "test-unknown", "collected_code"),
    ]


def test_a_template_that_names_nothing_is_the_definitions_mistake():
    with pytest.raises(DefinitionError, match="usubjid"):
        applied("lb", K, usubjid="{patient}")


def test_definitions_name_the_functions_by_the_package(tmp_path):
    Functions.load(["haulier_clinical.lb", "haulier_clinical.vs"], tmp_path)


@pytest.mark.parametrize("domain", ["lb", "vs"])
def test_every_derived_column_of_the_contract_is_filled_by_the_function(domain):
    code = {"lb": "K", "vs": "SYSBP"}[domain]
    batch = applied(domain, {"collected_code": code, "collected_result": "4.1", "collected_unit": "mmol/L"})
    missing = object()
    derived = [column.name for column in contract(domain).columns if column.derived and column.key_position]

    assert missing not in [batch.rows[name].get(0, missing) for name in derived]
    assert not batch.rows[derived].isna().any().any()


def test_thirty_five_thousand_rows_take_seconds():
    """A guard against a slip by orders of magnitude: it was 1.1 s where this was written."""
    rows = [
        {
            "collected_code": code,
            "collected_result": f"{number / 100}",
            "collected_unit": "mmol/L",
            "subjid": f"{number % 200}",
        }
        for number in range(3500)
        for code in ("K", "SODIUM", "CL", "CA", "MG", "GLUC", "UREAN", "CHOL", "TRIG", "PHOS")
    ]
    batch = batch_of("lb", *rows)
    began = time.process_time()

    functions.lb(batch)

    assert time.process_time() - began < 30


def test_a_status_that_says_done_beside_no_result_is_flagged():
    batch = applied(
        "lb",
        {**K, "collected_result": None, "collected_status": "Yes"},
        {**K, "collected_result": None, "collected_status": "No"},
    )

    assert batch.rows["lbstat"].tolist() == ["NOT DONE"] * 2
    assert flags(batch) == [(0, "result-missing", "collected_result")]


BP = {"collected_test": "Blood pressure", "collected_unit": "mmHg"}


def test_a_cell_with_the_results_of_two_tests_becomes_a_row_of_each():
    pulse = {"collected_code": "PULSE", "collected_result": "70", "collected_unit": "/min"}
    batch = applied(
        "vs",
        {**BP, "collected_result": "120 / 80"},
        pulse,
        {**BP, "collected_result": "131/ND"},
        {**BP, "collected_result": "not done - refused"},
        {**BP, "collected_result": "16/9.5 kPa", "collected_unit": ""},
    )
    names = ["vstestcd", "vsorres", "vsorresu", "vsstresc", "vsstat", "vsreasnd", "collected_result"]
    rows = batch.rows[names].astype(object).where(batch.rows[names].notna(), None)

    assert [tuple(row) for row in rows.to_numpy().tolist()] == [
        ("SYSBP", "120", "mmHg", "120", None, None, "120 / 80"),
        ("DIABP", "80", "mmHg", "80", None, None, "120 / 80"),
        ("PULSE", "70", "beats/min", "70", None, None, "70"),
        ("SYSBP", "131", "mmHg", "131", None, None, "131/ND"),
        ("DIABP", None, None, None, "NOT DONE", None, "131/ND"),
        ("SYSBP", None, None, None, "NOT DONE", "refused", "not done - refused"),
        ("DIABP", None, None, None, "NOT DONE", "refused", "not done - refused"),
        ("SYSBP", "16", "kPa", "120.01", None, None, "16/9.5 kPa"),
        ("DIABP", "9.5", "kPa", "71.2559", None, None, "16/9.5 kPa"),
    ]
    assert batch.rows.index.tolist() == [0, 0, 1, 2, 2, 3, 3, 4, 4]
    assert flags(batch) == []


def test_a_cell_that_is_not_as_many_results_as_tests_is_rejected():
    batch = applied("vs", {**BP, "collected_result": "120"}, {**BP, "collected_result": "120/80/60"})

    assert batch.rejects[["source", "rule", "column"]].to_numpy().tolist() == [
        [0, "parts-unreadable", "collected_result"],
        [1, "parts-unreadable", "collected_result"],
    ]
    assert batch.rejects["message"][0] == "it is not 2 results divided by /, of SYSBP, DIABP"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"decimalmark": ","}, "parameter decimalmark is none that is read here; did you mean decimal_mark?"),
        (
            {"date_format": "%d"},
            "parameter date_format is none that is read here; did you mean date_formats?",
        ),
        (
            {"units": "TEMPP C"},
            "parameter units: 'TEMPP' is no test of the reference tests; did you mean TEMP?",
        ),
    ],
)
def test_a_parameter_that_is_almost_one_is_refused(parameters, message):
    with pytest.raises(DefinitionError) as refused:
        applied("vs", {"collected_code": "TEMP", "collected_result": "36.6"}, **parameters)

    assert str(refused.value) == message
    applied("vs", {"collected_code": "TEMP", "collected_result": "36.6"}, folder="north")
