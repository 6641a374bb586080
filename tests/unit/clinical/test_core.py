"""What is made of the answers of CDISC's engine."""

from __future__ import annotations

from haulier_clinical.judging.core import findings_of, reason_of

RULE = {"core_id": "CORE-000699", "executability": "fully executable"}
HOLDS = {"executionStatus": "success", "dataset": "LB", "errors": []}


def issue(dataset, *values):
    errors = [{"value": value, "USUBJID": "S-1", "SEQ": 7} for value in values]
    return {"executionStatus": "issue reported", "dataset": dataset, "message": "is wrong", "errors": errors}


def test_a_finding_counts_the_records_of_a_domain():
    (finding,) = findings_of(RULE, [HOLDS, issue("VS", {"VSPOS": "A"}, {"VSPOS": "B"})])

    assert (finding.rule, finding.domain, finding.count, finding.says) == ("CORE-000699", "VS", 2, "is wrong")
    assert finding.examples == ("S-1 7: VSPOS 'A'", "S-1 7: VSPOS 'B'")


def test_what_is_said_of_the_study_with_each_dataset_is_one_finding():
    results = [issue("STUDY", {"EX": "Not in dataset"}) for _ in range(3)]

    assert [(finding.domain, finding.count) for finding in findings_of(RULE, results)] == [("STUDY", 1)]


def test_variables_that_the_engine_misses_are_no_issue_of_the_data():
    results = [issue(None, {"ERROR": "Grouping variables not found in dataset: ['VSCAT']"}), HOLDS]

    assert findings_of(RULE, results) == []
    assert reason_of(results) == "needs a variable that is not exported"
