"""Other trials' layouts load with a contract and site files alone: an item export, and long rows without codes."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from support.clinical import (
    DAY,
    account,
    by_site,
    flags,
    haul_day,
    make_definitions,
    needs_data,
    read,
    settings_of,
    write_file,
)
from support.databases import fresh_database

from haulier.ledger.connection import connect
from haulier.ledger.verify import verify

pytestmark = [
    needs_data,
    pytest.mark.requirement("R-31"),
]


def hauled(name, files, tier, root):
    """The trial hauled: settings and database. ``files``: (pipeline, file) -> site -> its rows."""
    make_definitions(name, root / "definitions")
    for (_, file), sites in files.items():
        for site, rows in sites.items():
            write_file(root / f"landing/{site}/{file}_{DAY:%Y-%m-%d}.csv", rows)
    with fresh_database(tier) as database:
        settings = settings_of(database, tier, root)
        for pipeline in ("lb", "vs"):
            haul_day(
                settings,
                pipeline,
                sorted({site for key in files if key[0] == pipeline for site in files[key]}),
            )
        yield settings, database


@pytest.fixture(scope="module")
def clinsight(tier, tmp_path_factory):
    files = {}
    for pipeline, form in (("lb", "LBHM"), ("lb", "LBSER"), ("vs", "VS")):
        rows = read(f"clinsight_raw_{form}")
        labels, items = rows[0], rows[1:]
        sites = by_site(items, "sitecode", 0, 5)
        # The second header row is every site's.
        files[pipeline, form.lower()] = {site: [labels, *found] for site, found in sites.items()}
    yield from hauled("clinsight", files, tier, tmp_path_factory.mktemp("clinsight"))


@pytest.fixture(scope="module")
def rho(tier, tmp_path_factory):
    files = {
        (domain, domain): by_site(read(f"rho_sdtm_{domain}"), "USUBJID", 0, 2) for domain in ("lb", "vs")
    }
    yield from hauled("rho", files, tier, tmp_path_factory.mktemp("rho"))


def test_every_item_of_the_export_is_accounted_for(clinsight):
    settings, database = clinsight
    source, target = account(database)

    # 971 results of six items each, one of which, its significance, is left out; 429 measurements of two.
    assert source == {
        "clinical.lb": (5826, 0, 4855, 971, 0),
        "clinical.vs": (858, 0, 858, 0, 0),
    }
    assert target == {"clinical.lb": (971, 971), "clinical.vs": (429, 429)}
    with connect(settings, "test") as connection:
        assert verify(connection, settings) == []


def test_every_result_of_the_export_is_there_as_it_was_sent(clinsight):
    _, database = clinsight
    sent = Counter(
        (row["subjectid"], row["eventname"], row["eventdate"], row["itemname"], row["itemvalue"])
        for form in ("LBHM", "LBSER", "VS")
        for row in read(f"clinsight_raw_{form}", 2)
        if row["itemid"].endswith("ORRES")
    )
    found = Counter(
        database.rows(
            "SELECT subjid, visit, collected_date, collected_test, coalesce(collected_result, 'NA') FROM clinical.lb"
            " UNION ALL"
            " SELECT subjid, visit, collected_date, collected_test, coalesce(collected_result, 'NA') FROM clinical.vs"
        )
    )

    assert found == sent


@pytest.mark.requirement("R-26", "R-31")
@pytest.mark.parametrize(
    ("subject", "visit", "code", "expected"),
    [
        ("BEL_08_885", "Screening", "NEUT", ("0.73", "10^9/L", "0.73", "10^9/L", "LOW")),
        ("BEL_07_193", "Screening", "NEUT", ("0.85", "10^9/L", "0.85", "10^9/L", "LOW")),
        ("DEU_02_866", "Screening", "PLAT", ("160", "10^9/L", "160", "10^9/L", "NORMAL")),
        ("DEU_02_866", "Visit 1", "PLAT", ("209", "10^9/L", "209", "10^9/L", "NORMAL")),
        ("DEU_02_866", "Visit 2", "MONO", ("32.51", "10^9/L", "32.51", "10^9/L", "HIGH")),
        ("BEL_08_885", "Screening", "HCT", ("0.25", "fraction of 1", "0.25", "fraction of 1", "LOW")),
        ("BEL_09_361", "Screening", "HCT", ("0.251", "L/L", "0.251", "fraction of 1", "LOW")),
        # 23.9 / 100
        ("DEU_02_866", "Screening", "HCT", ("23.9", "%", "0.239", "fraction of 1", "LOW")),
        # 9 x 10
        ("NLD_06_755", "Screening", "HGB", ("9", "g/dL", "90", "g/L", "LOW")),
        # 0.31 x 60, 0.32 x 60
        ("BEL_09_361", "Screening", "AST", ("0.31", "ukat/L", "18.6", "U/L", "NORMAL")),
        ("BEL_09_361", "Screening", "GGT", ("0.32", "ukat/L", "19.2", "U/L", "NORMAL")),
        # 1.77 x 88.4, 6.2 x 59.48, 0.54 x 1000
        ("DEU_02_866", "Screening", "CREAT", ("1.77", "mg/dL", "156.468", "umol/L", "HIGH")),
        ("DEU_02_866", "Screening", "URATE", ("6.2", "mg/dL", "368.776", "umol/L", "NORMAL")),
        ("BEL_08_885", "Screening", "URATE", ("0.54", "mmol/L", "540", "umol/L", "HIGH")),
        ("BEL_08_885", "Screening", "GFRE", ("93", "mL/min/1.73 m2", "93", "mL/min/1.73 m2", "NORMAL")),
    ],
)
def test_units_as_sites_typed_them_become_each_tests_own(clinsight, subject, visit, code, expected):
    _, database = clinsight

    assert database.rows(
        "SELECT lborres, lborresu, lbstresc, lbstresu, lbnrind FROM clinical.lb"
        " WHERE (subjid, visit, lbtestcd) = (%s, %s, %s)",
        [subject, visit, code],
    ) == [expected]


def test_what_is_odd_in_the_export_is_flagged_and_nothing_is_lost(clinsight):
    _, database = clinsight

    # Percentages of leukocytes under the name of the count; two results that nobody explains.
    assert flags(database, "clinical.lb") == {"unit-unknown": 11, "result-missing": 2}
    assert flags(database, "clinical.vs") == {}
    assert database.rows(
        "SELECT lbstat, count(*), count(lbstresn), count(lbreasnd) FROM clinical.lb GROUP BY 1 ORDER BY 1 NULLS FIRST"
    ) == [(None, 960, 949, 0), ("NOT DONE", 11, 0, 9)]


def test_every_long_row_is_accounted_for(rho):
    settings, database = rho
    source, target = account(database)

    assert source == {"clinical.lb": (13708, 0, 13708, 0, 0), "clinical.vs": (3170, 0, 3170, 0, 0)}
    assert target == {"clinical.lb": (13708, 13708), "clinical.vs": (3170, 3170)}
    with connect(settings, "test") as connection:
        assert verify(connection, settings) == []


def test_numbers_without_a_conversion_are_the_ones_sent(rho):
    _, database = rho
    sent = {
        (row["USUBJID"], Decimal(row["VISITNUM"]), row["LBDT"], row["LBTEST"]): Decimal(row["LBSTRESN"])
        for row in read("rho_sdtm_lb")
        if row["LBSTRESN"] and "kat" not in row["LBSTRESU"] and "eGFR" not in row["LBTEST"]
    }
    found = {
        tuple(key): number
        for *key, number in database.rows(
            "SELECT usubjid, visitnum, lbdtc, collected_test, lbstresn FROM clinical.lb"
            " WHERE lbstresn IS NOT NULL AND lbtestcd <> 'ALP'"
        )
    }

    assert found.keys() == sent.keys()
    # To the fifteen digits that a binary float has.
    assert all(abs(found[key] - number) <= abs(number) * Decimal("1e-14") for key, number in sent.items())


def test_tests_named_in_words_have_their_codes(rho):
    _, database = rho
    codes = dict(database.rows("SELECT DISTINCT collected_test, lbtestcd || ' ' || lbspec FROM clinical.lb"))

    assert codes == {
        "Albumin": "ALB SERUM",
        "Albumin/Creatinine": "ALBCREAT URINE",
        "Alkaline phosphatase (ALP)": "ALP SERUM",
        "Aminotransferase, alanine (ALT)": "ALT SERUM",
        "Aminotransferase, aspartate (AST)": "AST SERUM",
        "Bicarbonate": "BICARB SERUM",
        "Blood Urea Nitrogen": "UREAN SERUM",
        "Calcium": "CA SERUM",
        "Chloride": "CL SERUM",
        "Creatinine": "CREAT SERUM",
        "Cystatin C": "CYSTATC SERUM",
        "Direct Bilirubin": "BILDIR SERUM",
        "IgE": "IGE SERUM",
        "Magnesium": "MG SERUM",
        "Phosphorus": "PHOS SERUM",
        "Platelet count": "PLAT BLOOD",
        "Potassium": "K SERUM",
        "RBC count": "RBC BLOOD",
        "Sodium": "SODIUM SERUM",
        "Total Bilirubin": "BILI SERUM",
        "WBC count": "WBC BLOOD",
        "eGFR": "GFRE SERUM",
        "eGFRcys": "GFRBSCYC SERUM",
    }


@pytest.mark.requirement("R-26", "R-31")
def test_units_that_cannot_be_meant_are_flagged_and_their_results_kept(rho):
    _, database = rho

    # Picokatals, and filtration in micromoles: 591 ALT, 505 AST, 532 eGFR and 586 eGFRcys that have a result.
    assert flags(database, "clinical.lb") == {"unit-unknown": 2214, "result-missing": 1765}
    assert flags(database, "clinical.vs") == {"result-missing": 314, "unusual": 29, "implausible": 1}
    assert database.rows(
        "SELECT lbtestcd, count(*), count(lborres), count(lbstresn) FROM clinical.lb"
        " WHERE lbtestcd IN ('ALT', 'AST', 'GFRE', 'GFRBSCYC') GROUP BY 1 ORDER BY 1"
    ) == [("ALT", 596, 591, 0), ("AST", 596, 505, 0), ("GFRBSCYC", 596, 586, 0), ("GFRE", 596, 532, 0)]
    # 0.353441557756458 ukat/L x 60
    assert database.rows(
        "SELECT lborres, lborresu, lbstresc, lbstresu FROM clinical.lb WHERE (usubjid, visit, lbtestcd)"
        " = ('01-001', 'Screening', 'ALP')"
    ) == [("0.353441557756458", "ukat/L", "21.2064934653875", "U/L")]
