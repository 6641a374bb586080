"""The large trial: what its sites do and how often, what its README says of it, and the definitions it brings along."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from generator import COLUMNS, KINDS, MORE_KINDS, Mess, Trial, convention_of, large_trial
from generator.__main__ import main
from generator.conventions import MORE
from generator.definitions import EXAMPLE, pipeline_of, write_definitions
from generator.mess import MORE_FILE_KINDS
from support.trials import arrive, plain

from haulier.loading import load_pipeline, resolve, states

TRIAL = large_trial()
CHANGING = tuple(str(801 + number) for number in range(len(MORE)))
#: What follows from another kind has no chance of its own.
AFTER = {"completion": "half_written", "cleared": "identifier"}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("definitions") / "made"
    write_definitions(TRIAL, folder)
    return folder


def kinds_of(trial: Trial) -> Counter[str]:
    """How many files, sent or not, have each kind."""
    found = Counter(kind for shipment in trial.shipments for kind in set(shipment.kinds))
    found.update(kind for day in range(trial.days) for absent in trial.missing(day) for kind in absent.kinds)
    return found


@pytest.mark.parametrize("seed", [TRIAL.seed, 7])
def test_every_kind_happens(seed):
    assert set(kinds_of(large_trial(seed=seed))) == {*KINDS, *MORE_KINDS}


def test_kinds_happen_as_often_as_is_said():
    """Of the labs of sites that send a file a day, three times what chance alone makes of it."""
    said, files = Mess.everything(), 0
    found: Counter[str] = Counter()
    for shipment in TRIAL.shipments:
        first = not {"correction", "resend", "copy", "completion"} & set(shipment.kinds)
        if shipment.edition.pipeline == "labs" and not shipment.edition.convention.cumulative and first:
            files += 1
            found.update(set(shipment.kinds))
    for kind in ("late", "half_written", "not_done", "partial_date", "unit_unknown", "unit_synonym"):
        expected = said.rate(kind) * files
        assert abs(found[kind] - expected) < 3 * expected**0.5, kind


def test_the_readme_says_each_kind_and_its_rate():
    said, readme = Mess.everything(), (EXAMPLE / "generator" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", readme, re.MULTILINE)

    assert rows == [
        (kind, f"as {AFTER[kind]}" if kind in AFTER else f"{said.rate(kind) * 100:g} %", words)
        for kind, words in {**KINDS, **MORE_KINDS}.items()
    ]


def test_what_the_demo_does_is_what_it_always_did():
    """The wider kinds have dice of their own, and rates of none."""
    assert {Mess().rate(kind) for kind in MORE_KINDS if kind not in AFTER} == {0.0}
    assert not set(kinds_of(Trial(days=30))) & set(MORE_KINDS)


def test_sites_from_801_on_write_in_every_way():
    assert [convention_of(str(801 + number)) for number in range(len(MORE))] == list(MORE)
    assert convention_of(str(801 + len(MORE))) == MORE[0]
    assert convention_of("800") == convention_of("701")


def test_the_further_conventions_are_what_their_definitions_were_written_for(tmp_path):
    trial = Trial(sites=("804", "805", "806", "807"), days=3, mess=Mess.none())
    heads = {
        (arrived.record.site, arrived.record.day, arrived.record.pipeline): plain(arrived)
        for arrived in arrive(trial, tmp_path)
    }

    assert heads["804", 0, "vitals"].startswith(b"\xff\xfeS\0T\0U\0D\0Y\0\t\0")
    unicode_text = heads["804", 0, "vitals"].decode("utf-16").split("\r\n")
    assert unicode_text[1].startswith("Study\tSubject\tVisit\tVisit date\t")
    assert unicode_text[2].startswith("HAUL-301\t804-1001\tSCREENING\t2026-01-05\t")
    polish = heads["805", 0, "vitals"].decode("cp1250").splitlines()
    assert polish[0] == "# vitals / 805 / 2026-01-05"
    assert polish[2].startswith("HAUL-301|805-1001|SCREENING|05/01/2026|")
    assert polish[-1] == f"koniec ({len(polish) - 3})"
    assert re.search(r"\|[0-9]+,[0-9]\|", polish[2])
    imperial = heads["807", 0, "vitals"].decode().split("\r\n")
    assert imperial[0].endswith(",SYS_BP,DIA_BP,PULSE,TEMP,WEIGHT,HEIGHT")
    degrees, pounds, inches = map(float, imperial[1].split(",")[-3:])
    assert 96 < degrees < 100
    assert 114 < pounds < 214
    assert 59 <= inches <= 78
    so_far = [heads["806", day, "labs"].splitlines() for day in range(3)]
    assert so_far[1][: len(so_far[0])] == so_far[0]
    assert so_far[2][: len(so_far[1])] == so_far[1]
    assert len(so_far[0]) < len(so_far[1]) < len(so_far[2])


def test_an_export_that_changes_is_written_another_way_from_its_day_on(tmp_path):
    trial = Trial(sites=CHANGING, days=8, mess=replace(Mess.none(), changed_export=1.0, correction=0.5))
    changed = dict(zip(CHANGING, map(trial.changed_on, CHANGING), strict=True))

    for arrived in arrive(trial, tmp_path):
        record, convention = arrived.record, convention_of(arrived.record.site)
        since = changed[record.site]
        is_new = since is not None and record.arrival_date >= since
        text = plain(arrived).decode((convention.later if is_new else convention).encoding)
        assert ("changed_export" in record.kinds) is is_new
        assert (("FINDING" if record.pipeline == "labs" else "VISITDT") in text) is is_new
    assert [site for site, since in changed.items() if since is None] == ["806"]  # sends everything so far


def test_no_file_of_the_old_writing_is_hauled_by_the_new_one():
    """One that is completed or cleared the next day is what it was, or begins so."""
    mess = replace(Mess.everything(), changed_export=1.0, half_written=0.3, identifier=0.3)
    trial = large_trial(sites=14, days=8)
    found = replace(trial, mess=mess).shipments

    for shipment in found:
        since = replace(trial, mess=mess).changed_on(shipment.edition.day.site)
        if since is not None and shipment.arrival >= since and shipment.fate == "load":
            assert shipment.edition.day.changed, shipment.kinds
    assert any({"completion", "cleared"} & set(shipment.kinds) for shipment in found)


@pytest.mark.parametrize("pipeline", COLUMNS)
def test_the_definitions_say_what_an_export_changes(definitions, pipeline):
    changing = [site for site in TRIAL.sites if TRIAL.changed_on(site)]
    assert changing
    for site in changing:
        file, convention = load_pipeline(definitions, pipeline_of(pipeline, site)), convention_of(site)
        _, since = states(file, site)
        assert since is not None
        assert since.date() == TRIAL.changed_on(site)
        for at, written in ((None, convention), (since, convention.later)):
            instance, _ = resolve(file, site, at)
            assert instance.source.format.encoding == written.encoding
            assert instance.source.format.delimiter == written.delimiter
            assert instance.parameters["decimal_mark"] == written.decimal
            assert instance.parameters.get("date_formats", written.vitals_date) == written.vitals_date
            named = set(instance.transform.columns)
            assert named == {
                alias
                for column, alias in {"VISIT_DATE": "VISIT_DATE", **written.aliases}.items()
                if column == ("RESULT" if pipeline == "labs" else "VISIT_DATE")
            }


@pytest.mark.parametrize("pipeline", COLUMNS)
def test_the_definitions_have_every_site(definitions, pipeline):
    for site in TRIAL.sites:
        convention = convention_of(site)
        instance, _ = resolve(load_pipeline(definitions, pipeline_of(pipeline, site)), site, None)
        assert instance.source.files is not None
        assert instance.source.format.encoding == convention.encoding
        assert instance.source.format.delimiter == convention.delimiter
        assert (instance.source.files.content == "cumulative") is convention.cumulative
        assert (instance.load.removal_threshold is not None) is convention.cumulative
        assert instance.source.files.path.endswith(".gz") is (pipeline in convention.compressed)


def test_the_command_writes_a_large_trial_and_its_definitions(tmp_path, capsys):
    made = tmp_path / "definitions"
    asked = ["--trial", "large", "--sites", "6", "--days", "2", "--definitions", str(made)]

    assert main([str(tmp_path / "landing"), *asked]) == 0

    assert {path.name for path in (tmp_path / "landing").iterdir()} == {str(801 + n) for n in range(6)}
    assert {path.stem for path in (made / "pipelines").iterdir()} == {
        *("labs", "labs_so_far", "vitals", "vitals_so_far"),
    }
    assert " files, " in capsys.readouterr().out


def test_kinds_of_cumulative_files_are_theirs_alone():
    for shipment in TRIAL.shipments:
        cumulative = {"deleted_row", "cut_export"} & set(shipment.kinds)
        assert not cumulative or shipment.edition.convention.cumulative
        assert cumulative <= set(MORE_FILE_KINDS)
