"""The clinical sample data: the same for a seed, everywhere; as messy as promised; and told truthfully.

The generator's record is what end-to-end tests hold the ledger against. So another reader, which knows how
sites write and nothing of how files are made, opens every file here and has to come to the same account.
"""

import csv
import gzip
import hashlib
import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

import pytest
from generator import (
    COLUMNS,
    KINDS,
    LIMITS,
    PANEL,
    POSITIONS,
    ROW_KINDS,
    SITES,
    Delivered,
    Mess,
    Trial,
    convention_of,
)
from generator.__main__ import main

ROW_KEY = {
    "vitals": ("STUDY", "SUBJECT", "VISIT", "VISIT_DATE", "POSITION"),
    "labs": ("STUDY", "SUBJECT", "COLLECTED", "TESTCD"),
}
# Of path and bytes of every file of the default trial. It changes when the generator's output does, never
# with the Python, the zlib, the locale or the hash seed it runs under.
DEFAULT_TRIAL_SHA256 = "c9205517423c9e93471cc90157822f4a03b86916522b20b7aac010b0eebb0a55"

MANY_ACCIDENTS = Trial(
    seed=7,
    sites=("701", "702", "703", "704", "705", "706"),
    days=9,
    subjects=12,
    mess=Mess(
        missing=0.1,
        late=0.1,
        empty=0.05,
        half_written=0.1,
        broken_export=0.1,
        correction=0.3,
        resend=0.2,
        copy=0.2,
        new_column=0.5,
        **dict.fromkeys(ROW_KINDS, 0.2),
        arranged=False,
    ),
)
TRIALS = {"default": Trial(), "many accidents": MANY_ACCIDENTS}


class Arrived(NamedTuple):
    """A file as it was on the day it arrived, before a later day could replace it."""

    record: Delivered
    data: bytes
    modified: float


@dataclass(frozen=True)
class Read:
    """What another reader makes of a file."""

    header: list[str]
    rows: list[list[str]]
    lines: list[int]  # the physical line each row begins on
    stripped: int


@pytest.fixture(scope="module", params=TRIALS)
def trial(request: pytest.FixtureRequest) -> Trial:
    return TRIALS[request.param]


@pytest.fixture(scope="module")
def arrivals(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> list[Arrived]:
    return list(arrive(trial, tmp_path_factory.mktemp("landing")))


@pytest.fixture(scope="module")
def default_arrivals(tmp_path_factory: pytest.TempPathFactory) -> list[Arrived]:
    return list(arrive(Trial(), tmp_path_factory.mktemp("landing")))


def arrive(trial: Trial, landing: Path) -> Iterator[Arrived]:
    for day in range(trial.days):
        for record in trial.deliver(day, landing):
            path = landing / record.path
            yield Arrived(record, path.read_bytes(), path.stat().st_mtime)


def tree_sha256(landing: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(landing.rglob("*"), key=lambda path: path.relative_to(landing).as_posix()):
        if path.is_file():
            digest.update(path.relative_to(landing).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def plain(arrived: Arrived) -> bytes:
    return gzip.decompress(arrived.data) if arrived.record.path.endswith(".gz") else arrived.data


def read(arrived: Arrived) -> Read:
    convention = convention_of(arrived.record.site)
    text = plain(arrived).decode(convention.encoding, "surrogateescape").removeprefix("\ufeff")
    records: list[list[str]] = []
    begins: list[int] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=convention.delimiter)
    last_line = 0
    for record in reader:
        records.append(record)
        begins.append(last_line + 1)
        last_line = reader.line_num
    start = len(convention.preamble)
    assert all(record[0].startswith("# ") for record in records[:start])
    names = {alias: name for name, alias in convention.aliases.items()}
    end = len(records)
    if convention.footer is not None and arrived.record.fate != "incomplete":
        end -= 1
        assert records[end] == [f"Total rows: {end - start - 1}"]
    return Read(
        header=[names.get(name, name) for name in records[start]],
        rows=records[start + 1 : end],
        lines=begins[start + 1 : end],
        stripped=start + len(records) - end,
    )


def number(text: str, decimal: str) -> Decimal | None:
    """The number, if it is one as this site writes it."""
    if decimal == "," and "." in text:
        return None
    try:
        return Decimal(text.replace(decimal, "."))
    except InvalidOperation:
        return None


def is_date(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def row_rule(fields: list[str], file: Read, record: Delivered) -> str:
    """What is wrong with a row by itself."""
    convention = convention_of(record.site)
    if len(fields) != len(file.header):
        if record.fate == "incomplete":
            return "cut_row"
        return "extra_field" if len(fields) > len(file.header) else "missing_field"
    row = dict(zip(file.header, fields, strict=True))
    text = "".join(fields)
    if "\0" in text:
        return "nul_byte"
    if any("\udc80" <= character <= "\udcff" for character in text):
        return "undecodable_byte"
    if not row["SUBJECT"]:
        return "missing_subject"
    if record.pipeline == "labs":
        if not is_date(row["COLLECTED"], "%Y-%m-%dT%H:%M"):
            return "bad_date"
        return "" if row["TESTCD"] in {test.code for test in PANEL} else "unknown_test"
    if not is_date(row["VISIT_DATE"], convention.vitals_date):
        return "bad_date"
    return next(filter(None, (cell_rule(row, column, convention.decimal) for column in LIMITS)), "")


def cell_rule(row: dict[str, str], column: str, decimal: str) -> str:
    if not row[column]:
        return ""
    value = number(row[column], decimal)
    if value is None:
        return "not_a_number"
    low, high = LIMITS[column]
    return "" if low <= value <= high else "out_of_range"


def judge(file: Read, record: Delivered) -> list[str]:
    """The rule each row breaks, in order; nothing for a good one."""
    rules = [row_rule(fields, file, record) for fields in file.rows]
    place = [file.header.index(column) for column in ROW_KEY[record.pipeline]]
    values: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    seen: set[tuple[str, ...]] = set()
    for at_row, fields in enumerate(file.rows):
        if not rules[at_row]:
            values.setdefault(tuple(fields[index] for index in place), set()).add(tuple(fields))
    for at_row, fields in enumerate(file.rows):
        if not rules[at_row]:
            if tuple(fields) in seen:
                rules[at_row] = "duplicate"
            elif len(values[tuple(fields[index] for index in place)]) > 1:
                rules[at_row] = "conflict"
            seen.add(tuple(fields))
    return rules


def measurements(file: Read, record: Delivered) -> tuple[Counter[str], int]:
    """The long form: how many measurements come to which end, and how many rows have none at all."""
    ends: Counter[str] = Counter()
    rejected = 0
    found: dict[tuple[str, ...], list[str]] = {}
    columns = tuple(LIMITS) if record.pipeline == "vitals" else ("RESULT",)
    for fields in file.rows:
        rule = row_rule(fields, file, record)
        if rule not in ("", "not_a_number", "out_of_range"):
            rejected += 1
            continue
        row = dict(zip(file.header, fields, strict=True))
        for column in columns:
            wrong = (
                cell_rule(row, column, convention_of(record.site).decimal)
                if record.pipeline == "vitals"
                else ""
            )
            if wrong:
                ends[wrong] += 1
            elif row[column]:
                key = (*(row[part] for part in ROW_KEY[record.pipeline]), column)
                found.setdefault(key, []).append(row[column])
    for given in found.values():
        if len(set(given)) > 1:
            ends["conflict"] += len(given)
        else:
            ends["good"] += 1
            ends["duplicate"] += len(given) - 1
    return +ends, rejected


# --- the same everywhere ---


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first = [record.as_json() for record in Trial().deliver_all(tmp_path / "a")]
    second = [record.as_json() for record in Trial().deliver_all(tmp_path / "b")]

    assert tree_sha256(tmp_path / "a") == tree_sha256(tmp_path / "b") == DEFAULT_TRIAL_SHA256
    assert first == second


def test_another_seed_gives_other_bytes(tmp_path):
    Trial(seed=1).deliver_all(tmp_path)

    assert tree_sha256(tmp_path) != DEFAULT_TRIAL_SHA256


@pytest.mark.parametrize("setting", [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"}])
def test_hash_seed_and_time_zone_change_nothing(tmp_path, setting):
    run_module(tmp_path / "landing", "--record", tmp_path / "record", **setting)
    main([str(tmp_path / "here"), "--record", str(tmp_path / "here.jsonl")])

    assert tree_sha256(tmp_path / "landing") == DEFAULT_TRIAL_SHA256
    assert (tmp_path / "record").read_bytes() == (tmp_path / "here.jsonl").read_bytes()


def test_a_day_does_not_depend_on_the_days_before(tmp_path, trial, arrivals):
    day = trial.days - 1

    assert trial.deliver(day, tmp_path) == [
        arrived.record for arrived in arrivals if arrived.record.day == day
    ]


def test_delivering_a_day_again_leaves_the_same_files(tmp_path):
    Trial().deliver(0, tmp_path)
    before = tree_sha256(tmp_path)

    Trial().deliver(0, tmp_path)

    assert tree_sha256(tmp_path) == before


# --- what arrives ---


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


# --- what goes wrong, and whether the record says so ---


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


# --- what is refused ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sites": ("700",)}, "700"),
        ({"sites": ("north",)}, "north"),
        ({"sites": ("701", "701")}, "different sites"),
        ({"sites": ()}, "one or more"),
        ({"days": 0}, "days=0"),
        ({"subjects": 7}, "subjects=7"),
    ],
)
def test_a_trial_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Trial(**arguments)


@pytest.mark.parametrize("rates", [{"late": 1.5}, {"copy": -0.1}, {"missing": 0.6, "late": 0.6}])
def test_chances_that_cannot_be_are_refused(rates):
    with pytest.raises(ValueError, match="mess: "):
        Mess(**rates)


def test_a_day_outside_the_trial_is_refused(tmp_path):
    with pytest.raises(IndexError, match="day 5"):
        Trial().deliver(5, tmp_path)


# --- the command ---


def run_module(landing: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    source = Path(sys.modules["generator"].__file__ or "").parent.parent
    return subprocess.run(
        [sys.executable, "-m", "generator", str(landing), *map(str, arguments)],
        cwd=source,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )


def test_the_command_writes_files_and_record(tmp_path):
    done = run_module(tmp_path / "landing", "--days", 5, "--sites", 3, "--record", tmp_path / "record.jsonl")

    assert done.stdout.count("\n") == 1
    assert "35 files" in done.stdout
    told = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text("utf-8").splitlines()]
    files = [line for line in told if line["path"] is not None]
    expected = json.dumps([record.as_json() for record in Trial().deliver_all(tmp_path / "again")])
    assert files == json.loads(expected)
    assert [(line["site"], line["kinds"]) for line in told if line["path"] is None] == [
        ("703", ["late"]),
        ("702", ["missing"]),
        ("702", ["missing"]),
    ]
    assert {path.relative_to(tmp_path / "landing").as_posix() for path in tmp_path.glob("landing/*/*/*")} == {
        line["path"] for line in files
    }


def test_the_command_delivers_a_single_day(tmp_path):
    assert main([str(tmp_path), "--day", "1"]) == 0

    assert {path.name for path in tmp_path.glob("*/*")} == {"2026-01-06"}


def test_the_command_takes_rates(tmp_path):
    record = tmp_path / "record.jsonl"

    assert main([str(tmp_path / "l"), "--clean", "--rate", "empty=1", "--record", str(record)]) == 0

    assert {tuple(json.loads(line)["kinds"]) for line in record.read_text("utf-8").splitlines()} == {
        ("empty",)
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "empti=1"],
        ["--rate", "empty=often"],
        ["--rate", "empty=2"],
        ["--sites", "0"],
        ["--days", "0"],
        ["--day", "5"],
        ["--subjects", "3"],
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, capsys, arguments):
    assert main([str(tmp_path), *arguments]) == 2

    assert arguments[1].split("=")[0] in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
