"""What data managers look at: figures of a hauled trial against those counted by hand."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from support.reviewed import DAY, START
from support.reviewing import changed, figures, hauled, of

from haulier_clinical.reviewing import board, completeness, lateness, reconciliation, trends


@pytest.fixture(scope="module")
def trial(tier, tmp_path_factory):
    with hauled(tier, tmp_path_factory.mktemp("review")) as site:
        yield site


@pytest.fixture(scope="module")
def found(trial):
    return figures(trial)


@pytest.mark.requirement("R-24")
def test_the_board_says_of_each_site_and_day_what_became_of_it(found):
    table = of(found["board"]["tables"], table="clinical.lb")
    states = {site["site"]: [cell["state"] for cell in site["cells"]] for site in table["sites"]}

    # The window is 5 to 16 January; at six in the morning of the 16th, the 14th has just been due.
    assert states == {
        "101": [*["arrived"] * 7, "quarantined", "arrived", "arrived", "waiting", "waiting"],
        "102": [*["arrived"] * 3, "missing", "late", *["arrived"] * 5, "waiting", "waiting"],
    }
    first, second = table["sites"]
    assert (first["rows"], second["rows"]) == (60, 72)
    # One date that is none, and all six of the day that was quarantined.
    assert (first["rejected"], first["reject_percent"], second["rejected"]) == (7, 11.7, 0)
    assert second["cells"][4] == {
        **{"day": "2026-01-09", "state": "late", "files": 1, "rows": 8, "rejected": 0, "days_late": 2}
    }


def test_lateness_is_counted_from_collection_to_load(found):
    domain = of(found["lateness"]["domains"], domain="LB")
    first, second = domain["sites"]

    # Loaded in the night after the day: one day; 102 collects four days before, and one of its files came three days later.
    # 101: 60 results, less 7 that were rejected. 102: 64 of 5 days, 8 of 8: nine tenths of the way from one to the other.
    assert (first["records"], first["median"], first["p90"], first["within_percent"]) == (53, 1, 1, 100.0)
    assert (second["records"], second["median"], second["p90"], second["longest"]) == (72, 5, 7.7, 8)
    assert (second["within_percent"], domain["all"]["records"]) == (0.0, 125)
    # One of 101 is of a day after its load, which is none: 52 of 124.
    assert (first["undated"], domain["all"]["within_percent"]) == (1, 41.9)
    # Two subjects and two measurements a day.
    assert of(found["lateness"]["domains"], domain="VS")["all"]["records"] == 76


def test_completeness_tells_what_came_is_missed_overdue_and_to_come(found):
    labs_, vitals_ = (of(found["completeness"]["domains"], domain=name) for name in ("LB", "VS"))
    states = {line["subject"]: [cell["state"] for cell in line["cells"]] for line in labs_["subjects"]}

    assert (labs_["visits"], labs_["not_counted"][:2]) == (["BASELINE", "WEEK 2"], ["SCREENING", "WEEK 4"])
    # 101-1 began on the 5th: WEEK 2 is planned for the 18th. 101-2 came to WEEK 2 and not to its BASELINE.
    # 101-3 had left before WEEK 2. 101-4 never came: its BASELINE, planned for the 5th, was due on the 12th.
    assert states == {
        "101-1": ["received", "to come"],
        "101-2": ["missed", "received"],
        "101-3": ["received", None],
        "101-4": ["overdue", "to come"],
        "102-1": ["received", "to come"],
        "102-2": ["missed", "received"],
        "102-3": ["received", None],
        "102-9": ["overdue", "to come"],
    }
    assert labs_["totals"] == {"received": 6, "missed": 2, "overdue": 2, "to come": 4}
    assert [(one["subject"], one["planned"]) for one in labs_["overdue"]] == [
        ("101-4", "2026-01-05"),
        ("102-9", "2026-01-05"),
    ]
    assert of(labs_["sites"], site="101")["totals"] == {
        "received": 3,
        "missed": 1,
        "overdue": 1,
        "to come": 2,
    }
    assert vitals_["visits"] == ["BASELINE"]


def test_a_wider_window_makes_visits_overdue_later(trial):
    domain = of(figures(trial, "--visit-window", "11")["completeness"]["domains"], domain="LB")

    assert (domain["totals"]["overdue"], domain["totals"]["to come"]) == (0, 6)


@pytest.mark.requirement("R-24")
def test_queries_are_counted_as_the_command_counts_them(trial, found):
    rows = trial.database.rows(
        "SELECT instance, pipeline, count(*) FILTER (WHERE status = 'open'),"
        " count(*) FILTER (WHERE status = 'open' AND opened_at < '2026-01-09T06:00Z')"
        " FROM haulier.query GROUP BY 1, 2 ORDER BY 1, 2"
    )
    one = of(found["queries"]["sites"], site="101", pipeline="lb")

    assert [(q["site"], q["pipeline"], q["open"], q["overdue"]) for q in sorted_queries(found)] == rows
    # The date that is none (8 January, two o'clock) is overdue; the unit and the test nobody knows were raised on the 10th.
    assert (one["open"], one["overdue"]) == (9, 1)
    assert (one["overdue_percent"], one["alert"], one["oldest_days"]) == (11.1, "high", 8)
    assert one["rules"][0] == {"rule": "date-unreadable", "queries": 7}


def sorted_queries(found):
    return sorted(found["queries"]["sites"], key=lambda one: (one["site"], one["pipeline"]))


def test_a_switch_of_units_shows_as_a_step(found):
    domain = of(found["trends"]["domains"], domain="LB")

    (step,) = domain["steps"]
    assert (step["test"], step["site"], step["sent_before"], step["sent_after"]) == (
        *("GLUC", "102", ["mmol/L"], ["mmol/L"]),
    )
    assert (step["before"], step["factor"]) == (5.25, pytest.approx(18, abs=0.1))
    gluc = of(domain["tests"], testcd="GLUC")
    # 101: 27 of 5.1, 5.2, 5.3 less the one of a test that nobody knows; 102: 20 of 36 as before, 16 times 18.
    assert gluc["records"] == 26 + 36
    assert gluc["beyond_percent"] == round(100 * 16 / gluc["records"], 1)
    row = of(domain["beyond"]["tests"], test="GLUC")
    shares = dict(zip(domain["beyond"]["sites"], row["cells"], strict=True))
    assert (shares["101"]["percent"], shares["102"]["percent"]) == (0.0, 44.0)


def test_digits_and_repeats_of_vital_signs(found):
    first, second = found["habits"]["sites"]

    assert (first["digits"], second["digits"]) == ([2] * 10, [18, *[0] * 9])
    assert (second["zero_percent"], first["zero_or_five_percent"]) == (100.0, 20.0)
    # Twenty numbers show nothing.
    assert (first["chi_square"], second["chi_square"], second["prefers"]) == (None, None, False)
    # 102: two subjects, nine days: eight pairs each of pressure and of weight; the weights are all alike, and the pressure is
    # the same on the third and the fifth day, between which nothing came.
    assert (second["pairs"], second["alike"], second["longest"]) == (32, 18, 9)
    assert (first["pairs"], first["alike"]) == (36, 0)


def test_reconciliation_names_who_does_not_agree(found):
    kinds = {kind["kind"]: kind for kind in found["reconciliation"]["kinds"]}

    assert [(line["usubjid"], line["domain"], line["records"]) for line in kinds["stranger"]["rows"]] == [
        ("102-4", "LB", 18)
    ]
    assert [line["usubjid"] for line in kinds["silent"]["rows"]] == ["101-4", "102-9"]
    assert [(line["usubjid"], line["first"]) for line in kinds["future"]["rows"]] == [("101-1", "2026-02-01")]
    # 102 collects four days before it sends: on the first four days its subject 1 had not begun.
    assert Counter(line["domain"] for line in kinds["start"]["rows"]) == {"LB": 1, "VS": 1}
    assert [
        (line["usubjid"], line["records"]) for line in kinds["start"]["rows"] if line["domain"] == "LB"
    ] == [("102-1", 6)]
    assert (kinds["site"]["lines"], kinds["sex"]["lines"], kinds["consent"]["lines"]) == (0, 0, 0)


def test_changes_tell_new_columns_of_files_made_tables_and_definitions(found):
    changes = found["changes"]

    assert [
        (one["column"], one["what"], one["instance"], one["since"], one["runs"]) for one in changes["files"]
    ] == [("COMMENTS", "new", "101", "2026-01-13", 2)]
    assert {one["target"] for one in changes["tables"] if one["kind"] == "create"} == {
        *("clinical.dm", "clinical.lb", "clinical.vs")
    }
    assert {one["pipeline"]: one["approval"] for one in changes["definitions"]} == {
        "dm": None,
        "lb": None,
        "vs": None,
    }
    assert changes["manifests_gone"] == 0


def sites(domain):
    return {one["site"]: one["records"] for one in domain["sites"]}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE clinical.lb SET siteid = ''",
        "CREATE OR REPLACE VIEW sdtm.lb AS SELECT l.studyid, l.usubjid, l.lbtestcd, l.lbdtc FROM clinical.lb AS l",
    ],
)
def test_results_that_say_no_site_are_of_the_one_in_dm(trial, statement):
    if "VIEW" in statement:
        statement = f"DROP VIEW sdtm.lb; {statement}"
    with changed(trial, statement) as other:
        kinds = {kind["kind"]: kind for kind in reconciliation.figures(other)["kinds"]}
        strangers = [line["site"] for line in kinds["stranger"]["rows"]]

    # Nobody knows 102-4, nor its site.
    assert (kinds["site"]["lines"], strangers) == (0, ["?"])


def test_another_site_than_in_dm_is_told_where_both_say_one(trial):
    with changed(
        trial,
        "UPDATE clinical.lb SET siteid = '109' WHERE usubjid = '101-1'",
        "UPDATE clinical.dm SET siteid = '' WHERE usubjid = '101-2'",
    ) as other:
        (kind,) = [kind for kind in reconciliation.figures(other)["kinds"] if kind["kind"] == "site"]

    assert [(line["usubjid"], line["dm"], line["said"]) for line in kind["rows"]] == [("101-1", "101", "109")]


@pytest.mark.parametrize("ended", ["2025-12", "2025", "2025---07", "2025-11-29"])
def test_who_left_in_a_month_is_not_waited_for_behind_its_end(trial, ended):
    with changed(trial, f"UPDATE clinical.dm SET rfpendtc = '{ended}' WHERE usubjid = '101-4'") as other:
        domain = of(completeness.figures(other)["domains"], domain="LB")
    states = {line["subject"]: [cell["state"] for cell in line["cells"]] for line in domain["subjects"]}

    assert states["101-4"] == [None, None]


def test_who_left_in_a_month_is_waited_for_until_its_end(trial):
    with changed(trial, "UPDATE clinical.dm SET rfpendtc = '2026-01' WHERE usubjid = '101-4'") as other:
        domain = of(completeness.figures(other)["domains"], domain="LB")
    states = {line["subject"]: [cell["state"] for cell in line["cells"]] for line in domain["subjects"]}

    assert states["101-4"] == ["overdue", "to come"]


def test_a_start_in_the_year_9999_is_one_subject_nobody_waits_for(trial):
    with changed(trial, "UPDATE clinical.dm SET rfstdtc = '9999-12-31' WHERE usubjid = '101-4'") as other:
        domain = of(completeness.figures(other)["domains"], domain="LB")

    assert domain["totals"]["overdue"] == 1


#: Another name of one file of 101's fourth day; what its day was taken for.
NAMES = ["P20210112_lb_2026-01-08.csv", "lb_2026-01-08_v20260101.csv", "lb_202601-08.csv", "lb_120260108.csv"]


@pytest.mark.parametrize("name", NAMES)
def test_a_number_in_a_name_is_no_day_of_a_file_whose_name_chose_its_run(trial, name):
    with changed(
        trial,
        f"UPDATE haulier.delivery SET logical_name = '{name}' WHERE logical_name = 'lb_2026-01-08.csv' AND instance = '101'",
    ) as other:
        table = of(board.figures(other)["tables"], table="clinical.lb")

    assert of(of(table["sites"], site="101")["cells"], day=START.date() + 3 * DAY)["state"] == "arrived"


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("P20210112_lb_2026-01-08.csv", 8),
        ("lb_20260107_run_120260109.csv", 7),
        ("lb_2026-01-09_20261399.csv", 9),
        ("lb_none.csv", 5),
    ],
)
def test_elsewhere_the_last_date_of_the_name_that_is_one_is_the_day(trial, name, day):
    with changed(
        trial,
        f"UPDATE haulier.delivery SET logical_name = '{name}', uri = '/in/{name}' WHERE instance = '101' AND pipeline = 'lb'"
        " AND logical_name = 'lb_2026-01-05.csv'",
        "DELETE FROM haulier.delivery WHERE logical_name <> '" + name + "'",
    ) as other:
        rows = other.ledger("days", first=START.date() - 2000 * DAY, last=START.date() + 30 * DAY, by_name=[])

    assert [row["day"] for row in rows] == [START.date() + (day - 5) * DAY]


def test_what_was_loaded_after_the_clock_is_not_loaded_yet(trial):
    with changed(trial, as_of="2026-01-10T00:00Z") as other:
        rows = other.ledger(
            "days", first=START.date(), last=START.date() + 30 * DAY, by_name=["lb/101", "lb/102"]
        )
        runs = other.ledger("runs", first=START.date(), last=START.date() + 30 * DAY)

    states = {
        row["day"].day: row["is_waiting"]
        for row in rows
        if (row["pipeline"], row["instance"]) == ("lb", "102")
    }
    # Loads come at two in the night after; that of the ninth, which came three days late, on the thirteenth.
    assert states == {5: False, 6: False, 7: False}
    assert {run["interval_start"].day for run in runs} == {5, 6, 7, 8}


def test_lateness_counts_every_table_behind_a_view_or_says_that_it_cannot(trial):
    union = (
        "CREATE TABLE clinical.lb2 AS SELECT * FROM clinical.lb WHERE siteid = '102';"
        "DELETE FROM clinical.lb WHERE siteid = '102'; DROP VIEW sdtm.lb;"
        "CREATE VIEW sdtm.lb AS SELECT studyid, usubjid, siteid, lbdtc FROM clinical.lb"
        " UNION ALL SELECT studyid, usubjid, siteid, lbdtc FROM clinical.lb2"
    )
    contract = trial.folder / "definitions/contracts/lb2.odcs.yaml"
    text = (trial.folder / "definitions/contracts/lb.odcs.yaml").read_text("utf-8")
    contract.write_text(text.replace("clinical.lb", "clinical.lb2"), "utf-8")
    try:
        with changed(trial, union) as other:
            both = of(lateness.figures(other)["domains"], domain="LB")
        with changed(trial, f"{union}; ALTER TABLE clinical.lb2 RENAME _haulier_since TO since") as other:
            one = of(lateness.figures(other)["domains"], domain="LB")
    finally:
        contract.unlink()

    assert sites(both) == {"101": 53, "102": 72}
    assert one == {"domain": "LB", "unknown": True, "sites": [], "left_out": []}


def test_a_number_that_is_none_is_no_result(trial):
    with changed(trial, "UPDATE clinical.lb SET lbstresn = 'NaN' WHERE usubjid = '101-1'") as other:
        found = trends.figures(other)

    json.dumps(found, default=str, allow_nan=False)
    assert of(of(found["domains"], domain="LB")["tests"], testcd="GLUC")["records"] == 26 - 8 + 36
