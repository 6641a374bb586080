"""What the clinical sample data's files are like, as another reader finds them."""

import hashlib
from datetime import UTC, date, datetime

import pytest
from generator import COLUMNS, POSITIONS, SITES, Mess, Trial, convention_of
from support.trials import ROW_KEY, TRIALS, Arrived, arrive, judge, plain, read


@pytest.fixture(scope="module", params=TRIALS)
def trial(request: pytest.FixtureRequest) -> Trial:
    return TRIALS[request.param]


@pytest.fixture(scope="module")
def arrivals(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> list[Arrived]:
    return list(arrive(trial, tmp_path_factory.mktemp("landing")))


@pytest.fixture(scope="module")
def default_arrivals(tmp_path_factory: pytest.TempPathFactory) -> list[Arrived]:
    return list(arrive(Trial(), tmp_path_factory.mktemp("landing")))


def test_a_day_writes_exactly_the_files_it_records(tmp_path, trial):
    for day in range(trial.days):
        before = {path for path in tmp_path.rglob("*") if path.is_file()}
        records = trial.deliver(day, tmp_path)
        after = {path for path in tmp_path.rglob("*") if path.is_file()}

        replaced = {tmp_path / record.path for record in records if "completion" in record.kinds}
        assert after - before == {tmp_path / record.path for record in records} - replaced
        assert len({record.path for record in records}) == len(records)


def test_folder_and_modification_time_are_of_the_arrival_day(trial, arrivals):
    for arrived in arrivals:
        record = arrived.record
        site, folder, _ = record.path.split("/")
        assert datetime.fromtimestamp(arrived.modified, UTC) == record.modified
        assert record.modified.date() == record.arrival_date == trial.date_of(record.day)
        assert site == record.site
        if "completion" not in record.kinds:
            assert folder == record.arrival_date.isoformat()


def test_summer_time_does_not_move_a_file_to_another_day(tmp_path):
    for record in Trial(start=date(2026, 7, 6), mess=Mess.none()).deliver_all(tmp_path):
        assert record.modified.date() == record.arrival_date


def test_the_record_tells_the_bytes(arrivals):
    for arrived in arrivals:
        assert arrived.record.bytes == len(arrived.data)
        assert arrived.record.sha256 == hashlib.sha256(arrived.data).hexdigest()


def test_sites_write_as_their_convention_says(arrivals):
    for arrived in arrivals:
        record, data, convention = arrived.record, plain(arrived), convention_of(arrived.record.site)
        assert record.path.endswith(".gz") == (record.pipeline in convention.compressed)
        assert data.startswith(b"\xef\xbb\xbf") == convention.bom
        assert data.startswith(b"\xef\xbb\xbf# export of") == bool(convention.preamble)
        assert (b"\r\n" in data) == (convention.newline == "\r\n")
        header = data.split(convention.newline.encode())[len(convention.preamble)].decode(convention.encoding)
        header = header.removeprefix("\ufeff")
        for column, alias in convention.aliases.items():
            if column in COLUMNS[record.pipeline]:
                assert alias in header.split(convention.delimiter)
                assert column not in header.split(convention.delimiter)


def test_the_three_conventions_are_what_pipeline_definitions_were_written_for(default_arrivals):
    heads = {
        (arrived.record.site, arrived.record.pipeline): plain(arrived).splitlines(keepends=True)[:4]
        for arrived in default_arrivals
        if arrived.record.day == 0
    }

    assert heads["701", "vitals"][:2] == [
        b"STUDY,SUBJECT,VISIT,VISIT_DATE,POSITION,SYS_BP,DIA_BP,PULSE,TEMP_C,WEIGHT_KG\n",
        b"HAUL-301,701-1001,SCREENING,05-Jan-2026,SUPINE,129,68,74,36.2,71.1\n",
    ]
    assert heads["701", "labs"][0] == (
        b"STUDY,SUBJECT,VISIT,COLLECTED,TESTCD,TEST,RESULT,UNIT,LOW,HIGH,COMMENT\n"
    )
    assert heads["702", "vitals"][:2] == [
        b"STUDY;PATIENT;VISIT;VISIT_DATE;POSITION;SYS_BP;DIA_BP;PULSE;TEMP_C;WEIGHT_KG\n",
        b"HAUL-301;702-1001;SCREENING;05.01.2026;SUPINE;129;79;59;36,5;90,9\n",
    ]
    assert heads["702", "labs"][0] == (
        b"STUDY;PATIENT;VISIT;COLLECTED;TESTCD;TEST;WERT;UNIT;LOW;HIGH;COMMENT\n"
    )
    assert heads["703", "vitals"] == [
        b"\xef\xbb\xbf# export of vitals at site 703 for 2026-01-05\r\n",
        b"# created 2026-01-05\r\n",
        b"STUDY,SUBJECT,VISIT,VISIT_DATE,POSITION,SYS_BP,DIA_BP,PULSE,TEMP_C,WEIGHT_KG\r\n",
        b"HAUL-301,703-1001,SCREENING,05-Jan-2026,SUPINE,113,79,53,36.7,66.8\r\n",
    ]
    assert heads["703", "labs"][2] == (
        b"STUDY,SUBJECT,VISIT,COLLECTED,TESTCD,TEST,RESULT,UNIT,LOW,HIGH,COMMENT\r\n"
    )


def test_only_the_recorded_byte_is_undecodable(arrivals):
    for arrived in arrivals:
        data, encoding = plain(arrived), convention_of(arrived.record.site).encoding
        spoiled = [finding for finding in arrived.record.findings if finding.rule == "undecodable_byte"]
        for finding in spoiled:
            with pytest.raises(UnicodeDecodeError) as caught:
                data.decode(encoding)
            assert caught.value.start == finding.offset
            data = data[: finding.offset] + data[finding.offset + 1 :]
        text = data.decode(encoding)
        assert ("\0" in text) == ("nul_byte" in arrived.record.kinds)


def test_what_a_naive_reader_breaks_on_is_there(default_arrivals):
    labs = dict.fromkeys(SITES, "")
    for arrived in default_arrivals:
        if arrived.record.pipeline == "labs" and "undecodable_byte" not in arrived.record.kinds:
            labs[arrived.record.site] += plain(arrived).decode(SITES[arrived.record.site].encoding)

    for site, text in labs.items():
        delimiter = SITES[site].delimiter
        assert f"{delimiter}NA{delimiter}Sodium{delimiter}" in text
        assert "µmol/L" in text
        assert "Renée" in text
        assert '""fasting""' in text
        assert "tube clotted\nsecond" in text
    everything = "".join(labs.values())
    assert ",<0.2," in everything
    assert ";>500;" in everything or ",>500," in everything
    assert ",4.10," in everything
    assert ";4,10;" in everything


def test_files_have_the_size_of_a_small_trial(default_arrivals):
    for arrived in default_arrivals:
        record = arrived.record
        if record.fate != "incomplete" and "empty" not in record.kinds:
            low, high = (12, 18) if record.pipeline == "vitals" else (75, 125)
            assert low <= record.rows.read <= high


def test_a_visit_has_three_positions_and_up_to_twenty_five_tests(default_arrivals):
    for arrived in default_arrivals:
        if arrived.record.kinds:
            continue
        file = read(arrived)
        rows = [dict(zip(file.header, fields, strict=True)) for fields in file.rows]
        by_visit: dict[tuple[str, str], list[dict[str, str]]] = {}
        for row in rows:
            by_visit.setdefault((row["SUBJECT"], row["VISIT"]), []).append(row)
        assert 4 <= len(by_visit) <= 6
        for visit in by_visit.values():
            if arrived.record.pipeline == "labs":
                assert 15 <= len({row["TESTCD"] for row in visit}) == len(visit) <= 25
            else:
                assert tuple(row["POSITION"] for row in visit) == POSITIONS
                assert [bool(row["WEIGHT_KG"] and row["TEMP_C"]) for row in visit] == [True, False, False]
                assert all(int(row["SYS_BP"]) > int(row["DIA_BP"]) for row in visit)


def test_a_key_means_one_measurement_across_the_trial(default_arrivals):
    """Two files never disagree about a key, unless one corrects the other."""
    said: dict[tuple[str, ...], tuple[str, list[str]]] = {}
    for arrived in default_arrivals:
        record = arrived.record
        if record.fate != "load" or "correction" in record.kinds:
            continue
        file = read(arrived)
        for fields, rule in zip(file.rows, judge(file, record), strict=True):
            if not rule:
                key = (
                    record.pipeline,
                    *(fields[file.header.index(part)] for part in ROW_KEY[record.pipeline]),
                )
                assert said.setdefault(key, (record.path, fields)) == (record.path, fields)
