"""The SDTM views of the clinical example: numbers, study days, baseline flags and epochs, against the real trial's."""

from __future__ import annotations

import pytest
from support.clinical import needs_data
from support.databases import fresh_database
from support.sdtm import haul_demographics, make_sdtm, make_tables, make_views, read

FINDINGS = {
    "vs": "usubjid, vstestcd, visitnum, vsdtc, coalesce(vstpt, ''), coalesce(vspos, '')",
    "lb": "usubjid, lbtestcd, visitnum, lbdtc, coalesce(lbtpt, ''), coalesce(lbspec, '')",
}


@pytest.fixture(scope="module")
def pilot(tier):
    with fresh_database(tier) as database:
        make_sdtm(database)
        yield database


def answers(domain, *names):
    """Key -> what the finished trial says."""
    upper = domain.upper()
    place = ("USUBJID", f"{upper}TESTCD", "VISITNUM", f"{upper}DTC")
    return {
        (*(row[name] for name in place), row.get(f"{upper}TPT", ""), row.get(f"{upper}POS", "")): tuple(
            row[name] for name in names
        )
        for row in read(f"pilot_sdtm_{domain}")
    }


def found(database, domain, *expressions):
    rows = database.rows(f"SELECT {FINDINGS[domain]}, {', '.join(expressions)} FROM sdtm.{domain}")
    return {(*row[:2], str(row[2]), *row[3:6]): tuple(row[6:]) for row in rows}


@needs_data
@pytest.mark.requirement("R-29")
@pytest.mark.parametrize("domain", ["vs", "lb"])
def test_study_days_and_baseline_flags_are_the_trials_own(pilot, domain):
    upper = domain.upper()
    expected = answers(domain, f"{upper}DY", f"{upper}BLFL", "VISITDY")

    assert (
        found(
            pilot,
            domain,
            f"coalesce({domain}dy::text, '')",
            f"coalesce({domain}blfl, '')",
            "coalesce(visitdy::text, '')",
        )
        == expected
    )


@needs_data
def test_demographics_are_the_trials_own(pilot):
    # A subject who failed screening has no arm, and ARMNRS says so; the trial is older than that.
    expected = {
        row["USUBJID"]: (row["DMDY"], "" if row["ARMNRS"] else row["ARMCD"], row["ARMNRS"], row["AGE"])
        for row in read("pilot_sdtm_dm")
    }

    rows = pilot.rows(
        "SELECT usubjid, coalesce(dmdy::text, ''), coalesce(armcd, ''), coalesce(armnrs, ''), age::text FROM sdtm.dm"
    )

    assert {usubjid: tuple(rest) for usubjid, *rest in rows} == expected


@needs_data
@pytest.mark.parametrize("domain", ["dm", "vs", "lb"])
def test_columns_come_in_sdtmigs_order(pilot, domain):
    from haulier_clinical.exporting.datasets import variables

    columns = [
        name
        for (name,) in pilot.rows(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            [f"sdtm.{domain}"],
        )
    ]

    order = [variable.name.lower() for variable in variables(domain.upper())]
    assert [name for name in columns if name in order] == [name for name in order if name in columns]
    assert set(columns) - set(order) <= {"siteid"}


@needs_data
@pytest.mark.requirement("R-29")
@pytest.mark.parametrize("domain", ["vs", "lb"])
def test_numbers_run_from_one_without_a_gap_and_are_the_same_again(pilot, domain):
    numbers = f"SELECT {FINDINGS[domain]}, {domain}seq FROM sdtm.{domain} ORDER BY 1, 7"
    before = pilot.rows(numbers)
    pilot.rows(f"CREATE TABLE again AS SELECT * FROM clinical.{domain} ORDER BY random()")
    pilot.rows(
        f"TRUNCATE clinical.{domain}; INSERT INTO clinical.{domain} SELECT * FROM again; DROP TABLE again"
    )

    assert pilot.rows(numbers) == before
    of_subject = {}
    for usubjid, *_, number in before:
        of_subject.setdefault(usubjid, []).append(number)
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in of_subject.values())


@needs_data
def test_one_record_of_each_test_is_the_last_before_the_first_dose(pilot):
    twice = "SELECT usubjid, {0}testcd FROM sdtm.{0} WHERE {0}lobxfl = 'Y' GROUP BY 1, 2 HAVING count(*) > 1"
    late = (
        "SELECT count(*) FROM sdtm.{0} f JOIN sdtm.dm d USING (studyid, usubjid)"
        " WHERE f.{0}lobxfl = 'Y' AND left(f.{0}dtc, 10) > d.rfxstdtc"
    )

    for domain in ("vs", "lb"):
        assert pilot.rows(twice.format(domain)) == []
        assert pilot.rows(late.format(domain)) == [(0,)]
    # Each of the 155 treated subjects had blood pressure and pulse taken before the first dose.
    assert pilot.rows(
        "SELECT vstestcd, count(*) FROM sdtm.vs WHERE vslobxfl = 'Y' GROUP BY 1 ORDER BY 1"
    ) == [
        ("DIABP", 155),
        ("HEIGHT", 155),
        ("PULSE", 155),
        ("SYSBP", 155),
        ("TEMP", 155),
        ("WEIGHT", 155),
    ]


@pytest.fixture
def subject(database):
    """A function: DM's dates of one subject and the dates of some results give the view's rows, oldest first."""
    make_tables(database)
    haul_demographics(
        database,
        [{"STUDYID": "S", "USUBJID": "1", "SUBJID": "1", "SITEID": "701", "SEX": "F", "COUNTRY": "USA"}],
    )
    make_views(database)

    def place(dates, *collected, known=True):
        database.rows("TRUNCATE clinical.lb")
        database.rows(
            "UPDATE clinical.dm SET usubjid = %s, rfstdtc = %s, rfxstdtc = %s, rfxendtc = %s",
            ["1" if known else "2", *(dates.get(name) for name in ("rfstdtc", "rfxstdtc", "rfxendtc"))],
        )
        for number, (moment, result) in enumerate(collected):
            database.rows(
                "INSERT INTO clinical.lb (studyid, usubjid, lbtestcd, lbspec, visitnum, lbdtc, lbtpt, lborres, lbstresc)"
                " VALUES ('S', '1', 'ALB', '', %s, %s, '', %s, %s)",
                [number, moment, result, result],
            )
        return database.rows("SELECT lbdy, lblobxfl, epoch FROM sdtm.lb ORDER BY visitnum")

    return place


TREATED = {"rfstdtc": "2014-01-02", "rfxstdtc": "2014-01-02T09:00", "rfxendtc": "2014-02-01"}


@pytest.mark.requirement("R-29")
def test_there_is_no_day_0(subject):
    days = subject(TREATED, ("2014-01-01", "1"), ("2014-01-02", "1"), ("2014-01-03", "1"))

    assert [day for day, *_ in days] == [-1, 1, 2]


@pytest.mark.requirement("R-28")
def test_a_partial_or_impossible_date_has_neither_day_nor_epoch(subject):
    rows = subject(
        TREATED, ("2014-01", "1"), ("2014", "1"), ("", "1"), ("2014-02-31", "1"), ("2014-01--", "1")
    )

    assert rows == [(None, None, None)] * 5


def test_times_decide_on_the_day_of_the_first_dose_where_both_are_known(subject):
    rows = subject(TREATED, ("2014-01-02T08:59", "1"), ("2014-01-02T09:00", "1"), ("2014-01-01T10:00", "1"))

    assert [(flag, epoch) for _, flag, epoch in rows] == [
        ("Y", "SCREENING"),
        (None, "TREATMENT"),
        (None, "SCREENING"),
    ]


def test_the_first_doses_day_without_a_time_counts_as_before(subject):
    rows = subject(TREATED, ("2013-12-30", "1"), ("2014-01-02", "1"), ("2014-01-03", "1"))

    assert [flag for _, flag, _ in rows] == [None, "Y", None]


def test_a_record_without_a_result_is_no_baseline(subject):
    rows = subject(TREATED, ("2013-12-30", "1"), ("2013-12-31", None))

    assert [flag for _, flag, _ in rows] == ["Y", None]


def test_epochs_follow_the_doses(subject):
    collected = [("2013-12-30", "1"), ("2014-02-01", "1"), ("2014-02-02", "1")]

    assert [epoch for *_, epoch in subject(TREATED, *collected)] == ["SCREENING", "TREATMENT", "FOLLOW-UP"]
    still_treated = TREATED | {"rfxendtc": None}
    assert [epoch for *_, epoch in subject(still_treated, *collected)][1:] == ["TREATMENT", "TREATMENT"]
    assert [epoch for *_, epoch in subject({}, *collected)] == ["SCREENING"] * 3
    assert [epoch for *_, epoch in subject(TREATED | {"rfxstdtc": "2014"}, *collected)] == [None] * 3
    assert [epoch for *_, epoch in subject(TREATED, *collected, known=False)] == [None] * 3
