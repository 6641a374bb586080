"""What goes wrong in the clinical sample data, and whether its record says so.

The record is what end-to-end tests hold the ledger against. So another reader opens every file here and has to come
to the same account.
"""

from collections import Counter
from dataclasses import replace

import pytest
from generator import COLUMNS, KINDS, ROW_KINDS, SITES, Mess, Trial
from support.trials import MANY_ACCIDENTS, TRIALS, Arrived, arrive, judge, measurements, plain, read


@pytest.fixture(scope="module", params=TRIALS)
def trial(request: pytest.FixtureRequest) -> Trial:
    return TRIALS[request.param]


@pytest.fixture(scope="module")
def arrivals(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> list[Arrived]:
    return list(arrive(trial, tmp_path_factory.mktemp("landing")))


@pytest.fixture(scope="module")
def default_arrivals(tmp_path_factory: pytest.TempPathFactory) -> list[Arrived]:
    return list(arrive(Trial(), tmp_path_factory.mktemp("landing")))


def test_another_reader_comes_to_the_same_account(arrivals):
    for arrived in arrivals:
        record, file = arrived.record, read(arrived)
        rules = judge(file, record)
        counts = Counter(rules)

        found = [(row, file.lines[row - 1], rule) for row, rule in enumerate(rules, start=1) if rule]
        assert found == [(finding.row, finding.line, finding.rule) for finding in record.findings], (
            record.path
        )
        assert record.rows.read == len(file.rows)
        assert record.rows.good == counts.pop("", 0)
        assert record.rows.duplicate == counts.pop("duplicate", 0)
        assert record.rows.conflict == counts.pop("conflict", 0)
        assert record.rows.bad == dict(counts)
        assert record.stripped == file.stripped
        assert tuple(column for column in file.header if column not in COLUMNS[record.pipeline]) == (
            record.extra_columns
        )


def test_another_reader_counts_the_same_measurements(arrivals):
    for arrived in arrivals:
        record = arrived.record
        ends, rejected = measurements(read(arrived), record)

        assert record.rows.rejected == rejected
        assert record.outputs.produced == ends.total()
        assert record.outputs.good == ends.pop("good", 0)
        assert record.outputs.duplicate == ends.pop("duplicate", 0)
        assert record.outputs.conflict == ends.pop("conflict", 0)
        assert record.outputs.bad == dict(ends)


def test_findings_name_column_and_value_as_they_are_in_the_file(arrivals):
    for arrived in arrivals:
        file = read(arrived)
        for finding in arrived.record.findings:
            if finding.column and finding.rule != "undecodable_byte":
                assert file.rows[finding.row - 1][file.header.index(finding.column)] == finding.value


def test_every_kind_of_mess_is_in_the_default_trial_where_it_was_arranged(default_arrivals):
    arranged = {
        (arrived.record.day, arrived.record.path): set(arrived.record.kinds)
        for arrived in default_arrivals
        if arrived.record.kinds
    }
    absent = {
        (missing.day, missing.site, missing.pipeline): set(missing.kinds)
        for day in range(5)
        for missing in Trial().missing(day)
    }

    assert arranged == {
        (2, "701/2026-01-07/vitals_2026-01-07.csv"): {"half_written"},
        (2, "701/2026-01-07/labs_2026-01-06 (1).csv"): {"copy"},
        (2, "701/2026-01-07/labs_2026-01-07.csv"): {"duplicate"},
        (2, "702/2026-01-07/vitals_2026-01-05.csv"): {"resend"},
        (2, "702/2026-01-07/vitals_2026-01-07.csv"): {"not_a_number"},
        (2, "702/2026-01-07/labs_2026-01-07.csv"): {"conflict", "unknown_test"},
        (2, "703/2026-01-07/labs_2026-01-07.csv.gz"): {"broken_export"},
        (3, "701/2026-01-07/vitals_2026-01-07.csv"): {"completion"},
        (3, "701/2026-01-08/vitals_2026-01-08.csv"): {"new_column"},
        (3, "701/2026-01-08/labs_2026-01-05.csv"): {"correction"},
        (3, "701/2026-01-08/labs_2026-01-08.csv"): {"undecodable_byte"},
        (3, "702/2026-01-08/copy_of_vitals_2026-01-06.csv"): {"copy"},
        (3, "702/2026-01-08/vitals_2026-01-08.csv"): {"empty"},
        (3, "702/2026-01-08/labs_2026-01-08.csv"): {"extra_field", "missing_field"},
        (3, "703/2026-01-08/vitals_2026-01-08.csv"): {"out_of_range"},
        (3, "703/2026-01-08/labs_2026-01-07.csv.gz"): {"correction"},
        (3, "703/2026-01-08/labs_2026-01-08.csv.gz"): {"nul_byte", "missing_subject"},
        (4, "701/2026-01-09/vitals_2026-01-09.csv"): {"bad_date", "new_column"},
        (4, "701/2026-01-09/labs_2026-01-08.csv"): {"correction"},
        (4, "701/2026-01-09/labs_2026-01-09.csv"): {"bad_date"},
        (4, "703/2026-01-09/vitals_2026-01-07.csv"): {"late"},
    }
    assert absent == {
        (2, "703", "vitals"): {"late"},
        (4, "702", "vitals"): {"missing"},
        (4, "702", "labs"): {"missing"},
    }
    assert set().union(*arranged.values(), *absent.values()) == set(KINDS)


def test_drawn_mess_has_every_kind_too(tmp_path):
    kinds = {kind for record in MANY_ACCIDENTS.deliver_all(tmp_path) for kind in record.kinds}
    kinds |= {
        kind
        for day in range(MANY_ACCIDENTS.days)
        for missing in MANY_ACCIDENTS.missing(day)
        for kind in missing.kinds
    }

    assert kinds == set(KINDS)


def test_row_kinds_of_a_first_sending_are_what_its_findings_say(arrivals):
    for arrived in arrivals:
        record = arrived.record
        rules = {finding.rule for finding in record.findings} - {"cut_row"}
        promised = set(record.kinds) & set(ROW_KINDS)
        assert rules == promised | ({"bad_date"} if "broken_export" in record.kinds else set())


def test_the_first_two_days_are_clean_and_complete(default_arrivals):
    for day in (0, 1):
        records = [arrived.record for arrived in default_arrivals if arrived.record.day == day]
        assert [(record.site, record.pipeline, record.kinds) for record in records] == [
            (site, pipeline, ()) for site in SITES for pipeline in COLUMNS
        ]
        assert all(record.rows.good == record.rows.read for record in records)
        assert not Trial().missing(day)


def test_only_the_broken_export_passes_the_quarantine_threshold(default_arrivals):
    for arrived in default_arrivals:
        record = arrived.record
        bad = record.rows.conflict + sum(record.rows.bad.values())
        if "broken_export" in record.kinds:
            assert 0.30 <= bad / record.rows.read <= 0.36
        elif record.pipeline == "labs":
            assert bad <= 0.035 * record.rows.read
        elif record.fate != "incomplete":
            assert bad <= 0.10 * record.rows.read


def test_resends_and_copies_are_the_same_bytes_and_corrections_are_not(arrivals):
    last: dict[tuple[str, str], bytes] = {}
    seen = set()
    for arrived in arrivals:
        record = arrived.record
        name = record.path.rsplit("/", 1)[1]
        before = last.get((record.site, name))
        if record.fate == "copy":
            assert before is None
            assert record.sha256 in seen
        elif record.fate == "known":
            assert arrived.data == before
        elif {"correction", "completion"} & set(record.kinds):
            assert before is not None
            assert arrived.data != before
        else:
            assert before is None
        last[record.site, name] = arrived.data
        seen.add(record.sha256)


def test_a_correction_says_how_many_rows_it_changes(arrivals):
    last: dict[tuple[str, str], Arrived] = {}
    for arrived in arrivals:
        record = arrived.record
        key = (record.site, record.path.rsplit("/", 1)[1])
        if "correction" in record.kinds:
            now, before = (Counter(map(tuple, read(each).rows)) for each in (arrived, last[key]))
            assert record.changed == (now - before).total()
            assert not record.findings
        else:
            assert record.changed == 0
        last[key] = arrived


def test_half_a_file_is_the_beginning_of_the_whole_one(arrivals):
    halves = {arrived.record.path: arrived for arrived in arrivals if arrived.record.fate == "incomplete"}
    wholes = {arrived.record.path: arrived for arrived in arrivals if "completion" in arrived.record.kinds}

    assert halves
    for path, half in halves.items():
        assert not plain(half).endswith(b"\n")
        if path in wholes:  # not when the trial ends between the two
            whole = wholes[path]
            assert plain(whole).startswith(plain(half))
            assert whole.modified > half.modified
            assert whole.record.rows.read > half.record.rows.read


def test_a_new_column_stays(default_arrivals):
    with_device = [
        arrived.record.path for arrived in default_arrivals if arrived.record.extra_columns == ("DEVICE",)
    ]

    assert with_device == ["701/2026-01-08/vitals_2026-01-08.csv", "701/2026-01-09/vitals_2026-01-09.csv"]


def test_a_late_file_arrives_two_days_after_its_business_date(trial, arrivals):
    late = [arrived.record for arrived in arrivals if "late" in arrived.record.kinds]

    assert late
    for record in late:
        if not {"resend", "copy"} & set(record.kinds):
            assert (record.arrival_date - record.business_date).days == 2
            (awaited,) = [
                missing
                for missing in trial.missing((record.business_date - trial.start).days)
                if (missing.site, missing.pipeline) == (record.site, record.pipeline)
            ]
            assert awaited.arrives == record.arrival_date


def test_nothing_goes_wrong_where_nothing_should(tmp_path):
    trial = Trial(days=3, sites=("701", "702", "703", "704"), mess=Mess.none())

    records = trial.deliver_all(tmp_path)

    assert len(records) == 3 * 4 * 2
    assert all(record.rows.good == record.rows.read and not record.kinds for record in records)


def test_a_rate_is_the_chance_of_a_file(tmp_path):
    sites = tuple(str(701 + number) for number in range(20))
    trial = Trial(sites=sites, days=10, mess=replace(Mess.none(), resend=0.2))

    first_sendings = 20 * 10 * 2
    resends = sum("resend" in shipment.kinds for shipment in trial.shipments)

    assert 0.14 < resends / first_sendings < 0.26
