"""Independent judges of exported SDTM: a tidied site of the real trial before them, and what they find where it is spoilt."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.clinical import DATA, needs_data
from support.sdtm import export_pilot, read

from haulier_clinical.references import table

JUDGES = Path(".venv-judges/bin/python")
RULES = DATA / "cdisc_core_rules_sdtmig_3_4.json.gz"

pytestmark = [
    needs_data,
    pytest.mark.skipif(not JUDGES.is_file(), reason="the judges are not installed (make judges)"),
]


@pytest.fixture(scope="module")
def site(tier, tmp_path_factory):
    """The export of one site of the trial: its raw files, in the terms of today by the definitions alone."""
    leave = ("--format", "json", "--leave-out", "VSBLFL", "LBBLFL")
    return export_pilot(tier, tmp_path_factory.mktemp("judged"), ["715"], *leave)


def judge(folder, *arguments):
    """(exit code, judge -> what it says, what it complains of)."""
    command = [sys.executable, "-m", "haulier_clinical", "judge", str(folder), "--output", "json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    verdicts = json.loads(done.stdout) if done.stdout else []
    return done.returncode, {verdict["judge"]: verdict for verdict in verdicts}, done.stderr


def rules(verdict):
    return {(finding["rule"], finding["domain"], finding["count"]) for finding in verdict["findings"]}


@pytest.mark.requirement("R-35")
def test_of_a_tidied_site_only_the_missing_doses_remain(site):
    code, verdicts, complaint = judge(site, "--core-rules", str(RULES))

    assert (code, complaint) == (0, "")
    assert rules(verdicts["Dataset-JSON 1.1"]) == set()
    assert rules(verdicts["terms and values"]) == set()
    assert rules(verdicts["CDISC CORE"]) == {("CORE-000739", "STUDY", 1)}
    assert verdicts["CDISC CORE"]["passed"] == 148
    assert {one["reason"] for one in verdicts["CDISC CORE"]["unrun"]} == {
        "is for other domains or classes",
        "needs a Define-XML",
        "needs a domain that is not exported",
        "needs a variable that is not exported",
        "needs metadata of CDISC's library",
    }


def spoil(site, folder, changes):
    """A copy of the export in which records are changed: (domain, which one, its new values)."""
    folder.mkdir()
    for path in site.glob("*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        if path.name != "export.json":
            names = [column["name"] for column in document["columns"]]
            records = [dict(zip(names, row, strict=True)) for row in document["rows"]]
            for domain, which, values in changes:
                if path.stem == domain:
                    next(filter(which, records)).update(values)
            document["rows"] = [[record[name] for name in names] for record in records]
        (folder / path.name).write_text(json.dumps(document), encoding="utf-8")
    return folder


def first(**values):
    return lambda record: all(record[name] == value for name, value in values.items())


SPOILT = [
    ("lb", first(LBTESTCD="ALB"), {"LBTESTCD": "1ALB"}, ("code LBTESTCD", "term LBTESTCD")),
    ("lb", first(LBTESTCD="ALP"), {"LBTEST": "Alkaline phosphatase"}, ("term LBTEST",)),
    ("lb", first(LBTESTCD="ALT"), {"LBSTRESU": "u/l"}, ("term LBSTRESU",)),
    ("lb", first(LBTESTCD="AST"), {"LBSTRESU": ""}, ("unit-missing",)),
    ("lb", first(LBTESTCD="BASO"), {"LBORRESU": ""}, ("original-unit-missing",)),
    ("lb", first(LBTESTCD="BILI"), {"LBORRESU": "mg/deciliter"}, ("term LBORRESU",)),
    ("lb", first(LBTESTCD="CA"), {"LBNRIND": "ELEVATED"}, ("term LBNRIND", "range-indicator")),
    ("lb", first(LBTESTCD="CHOL", LBNRIND="NORMAL"), {"LBNRIND": "HIGH"}, ("range-indicator",)),
    ("lb", first(LBTESTCD="CK"), {"LBSTRESN": "1.5"}, ("number-of-text",)),
    ("lb", first(LBTESTCD="CL"), {"LBSTRESC": "", "LBSTRESN": None}, ("not-standardised",)),
    ("lb", first(LBTESTCD="CREAT"), {"LBORRES": ""}, ("no-result",)),
    ("lb", first(LBTESTCD="EOS"), {"LBDTC": "2013-02-31"}, ("date LBDTC", "study-day LBDY")),
    ("lb", first(LBTESTCD="GGT"), {"LBDTC": "26-Dec-2013"}, ("date LBDTC", "study-day LBDY")),
    ("lb", first(LBTESTCD="GLUC"), {"LBDY": 0}, ("study-day LBDY",)),
    ("lb", first(LBTESTCD="K"), {"LBSEQ": -1}, ("sequence",)),
    ("lb", first(LBTESTCD="HGB"), {"USUBJID": "01-715-9999"}, ("subject", "study-day LBDY")),
    ("lb", first(LBTESTCD="MCH"), {"USUBJID": ""}, ("required USUBJID", "subject", "study-day LBDY")),
    ("lb", first(LBTESTCD="MCV"), {"LBLOBXFL": "X"}, ("term LBLOBXFL",)),
    ("vs", first(VSTESTCD="SYSBP"), {"VSPOS": "LYING"}, ("term VSPOS",)),
    ("vs", first(VSTESTCD="TEMP"), {"VSSTRESC": "99", "VSSTRESN": "99"}, ("impossible", "unusual")),
    ("vs", first(VSTESTCD="PULSE"), {"VSSTRESC": "39", "VSSTRESN": "39"}, ("unusual",)),
    ("vs", first(VSTESTCD="HEIGHT"), {"EPOCH": "BEFORE"}, ("term EPOCH",)),
    ("vs", first(VSTESTCD="WEIGHT"), {"VISITNUM": "4"}, ("visit",)),
    (
        "vs",
        first(VSTESTCD="DIABP", VSPOS="STANDING"),
        {"VSORRES": "250", "VSSTRESC": "250", "VSSTRESN": "250"},
        ("pressures", "impossible", "unusual"),
    ),
    ("dm", first(SEX="F"), {"SEX": "FEMALE"}, ("term SEX",)),
    ("dm", first(SEX="M"), {"AGE": 200}, ("age",)),
    ("dm", first(DMDY=None), {"DMDY": 0}, ("study-day DMDY",)),
]


@pytest.mark.requirement("R-35")
def test_the_judges_find_what_was_spoilt(site, tmp_path):
    expected = Counter((rule, domain.upper()) for domain, _, _, broken in SPOILT for rule in broken)
    folder = spoil(
        site, tmp_path / "spoilt", [(domain, which, values) for domain, which, values, _ in SPOILT]
    )

    code, verdicts, complaint = judge(folder, "--core-rules", str(RULES))

    found = {
        (finding["rule"], finding["domain"]): finding for finding in verdicts["terms and values"]["findings"]
    }
    # A test's units and a visit's names are judged side by side, so all of the group are told.
    together = {("one-unit", "LB"), ("visit", "VS")}
    assert found.keys() == expected.keys() | together
    assert {rule: found[rule]["count"] for rule in found if rule not in together} == {
        rule: count for rule, count in expected.items() if rule not in together
    }
    assert all(finding["examples"] for finding in found.values())
    # What CDISC's own rules see of it: dates, codes, numbers, subjects, days.
    assert {finding["rule"] for finding in verdicts["CDISC CORE"]["findings"]} > {"CORE-000739"}
    assert (code, complaint) == (65, "")


@pytest.mark.requirement("R-35")
def test_all_nine_sites_are_in_terms_of_today(tier, tmp_path):
    """What remains is explained; JUDGES.md shows it, with what CORE says, which takes minutes."""
    folder = export_pilot(tier, tmp_path, [], "--format", "json")

    code, verdicts, _ = judge(folder, "--explanations", "tests/e2e/trials/pilot/explanations.csv")

    assert rules(verdicts["Dataset-JSON 1.1"]) == set()
    assert rules(verdicts["terms and values"]) == {("not-standardised", "VS", 6), ("unusual", "VS", 14)}
    assert code == 0


def test_what_is_explained_is_no_failure(site, tmp_path):
    folder = spoil(site, tmp_path / "spoilt", [("vs", first(VSTESTCD="SYSBP"), {"VSPOS": "LYING"})])
    said = tmp_path / "explanations.csv"
    said.write_text(
        "rule,domain,explanation\nterm VSPOS,VS,The site's own word; query 12.\n", encoding="utf-8"
    )

    code, verdicts, _ = judge(folder, "--explanations", str(said))

    assert code == 0
    assert [finding["explanation"] for finding in verdicts["terms and values"]["findings"]] == [
        "The site's own word; query 12."
    ]


def test_a_trial_may_have_terms_of_its_own(site, tmp_path):
    own = {"LBTESTCD": "XOURS", "LBTEST": "Our Own Test"}
    folder = spoil(site, tmp_path / "spoilt", [("lb", first(LBTESTCD="ALB"), own)])
    terms = tmp_path / "terms.csv"
    terms.write_text("codelist,value,name\nLBTESTCD,XOURS,Our Own Test\n", encoding="utf-8")

    assert judge(folder)[0] == 65
    assert judge(folder, "--terms", str(terms))[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--core-rules", "README.md"], "is no JSON list of CORE rules"),
        (["--explanations", "README.md"], "has not all of rule, domain, explanation"),
        (["--python", "no/python"], "the judges are not installed: there is no no/python; make judges"),
    ],
)
def test_what_cannot_be_judged_says_why(site, arguments, said):
    code, verdicts, complaint = judge(site, *arguments)

    assert (code, verdicts) == (2, {})
    assert said in complaint


def test_a_folder_without_an_export_says_how_to_make_one(tmp_path):
    code, _, complaint = judge(tmp_path)

    assert code == 2
    assert "has no Dataset-JSON; write it with: python -m haulier_clinical export" in complaint


def test_the_packages_terms_are_current_ones():
    """As far as CDISC's lists are at hand; the ones here are our own."""
    lists = {}
    for row in read("cdisc_ct_vs_lb_subset"):
        lists.setdefault(row["codelist"], []).append(row)
    for codelist in (
        "LBTEST",
        "LBTESTCD",
        "NRIND",
        "ND",
        "NY",
        "POSITION",
        "SPECTYPE",
        "UNIT",
        "VSRESU",
        "VSTESTCD",
    ):
        rows = lists[codelist]
        today = [row for row in rows if row["in_sendct_2026_03_27"]] or rows
        known = {row["submission_value"] for row in today}
        codes = {row["value"] for row in table("terms") if row["codelist"] == codelist}
        # VITDIT is in the list of 2015; today's is the nonclinical one, which has no vitamin D of people.
        assert codes - known <= {"VITDIT"}, codelist
    for codelist, names in (("LBTESTCD", "LBTEST"), ("VSTESTCD", "VSTEST")):
        concept = {row["submission_value"]: row["term_ccode"] for row in lists[codelist]}
        by_age = sorted(lists[names], key=lambda row: row["in_sendct_2026_03_27"])
        name = {row["term_ccode"]: row["submission_value"] for row in by_age}
        for row in table("terms"):
            if row["codelist"] == codelist:
                assert name[concept[row["value"]]] == row["name"]
