"""SDTM leaves the database as files: three formats of the same values, blinded, under pseudonyms, whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from support.clinical import needs_data
from support.databases import fresh_database
from support.sdtm import DEFINITIONS, environment, make_sdtm

from haulier_clinical.references import table

pytestmark = needs_data

SITES = ("702", "707")
BLINDED = ["ARMCD", "ARM", "ACTARMCD", "ACTARM", "ACTARMUD"]
KEY = "5f0c8a4f2b6d4b0f9f1d8c3ea7750be2"


@pytest.fixture(scope="module")
def trial(tier):
    with fresh_database(tier) as database:
        make_sdtm(database, SITES)
        yield database


@pytest.fixture
def export(trial, tmp_path):
    """A function: some arguments give the finished process and the folder."""

    def run(*arguments, to="export", **more):
        command = [sys.executable, "-m", "haulier_clinical", "export", "--to", str(tmp_path / to), *arguments]
        done = subprocess.run(
            command,
            env={**os.environ, **environment(trial, DEFINITIONS, HAULIER_ACTOR="ada", **more)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done, tmp_path / to

    return run


def exported(export, *arguments, **more):
    done, folder = export(*arguments, **more)
    assert (done.returncode, done.stderr) == (0, "")
    return folder, json.loads((folder / "export.json").read_text(encoding="utf-8"))


def of_table(trial, domain):
    """Variable -> its values, in order, from the view itself; no value is None."""
    number = "" if domain == "dm" else f", {domain}seq"
    rows = trial.rows(f'SELECT * FROM sdtm.{domain} ORDER BY usubjid COLLATE "C"{number}')
    names = [
        name.upper()
        for (name,) in trial.rows(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            [f"sdtm.{domain}"],
        )
    ]
    core = {row["variable"]: row["core"] for row in table("variables") if row["domain"] == domain.upper()}
    # A permissible variable without a value in any record is none of this export's.
    return {
        name: list(values)
        for name, values in zip(names, zip(*rows, strict=True), strict=True)
        if name in core and (core[name] != "Perm" or any(value is not None for value in values))
    }


def of_json(folder, domain):
    document = json.loads((folder / f"{domain}.json").read_text(encoding="utf-8"))
    decimals = {column["name"] for column in document["columns"] if column["dataType"] == "decimal"}
    names = [column["name"] for column in document["columns"]]
    assert document["records"] == len(document["rows"])
    return {
        name: [
            None if value in ("", None) else Decimal(value) if name in decimals else value for value in values
        ]
        for name, values in zip(names, zip(*document["rows"], strict=True), strict=True)
    }


def of_csv(folder, domain, like):
    with (folder / f"{domain}.csv").open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    kinds = {
        name: next((type(value) for value in values if value is not None), str)
        for name, values in like.items()
    }
    return {
        name: [kinds[name](value) if value else None for value in values]
        for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }


def blinded(values):
    return {name: [None] * len(cells) if name in BLINDED else cells for name, cells in values.items()}


@pytest.mark.requirement("R-30", "R-36")
@pytest.mark.parametrize("domain", ["dm", "vs", "lb"])
def test_all_formats_hold_what_the_table_holds(trial, export, domain):
    folder, manifest = exported(export)
    expected = blinded(of_table(trial, domain))

    assert of_json(folder, domain) == expected
    assert of_csv(folder, domain, expected) == expected
    assert pq.read_table(folder / f"{domain}.parquet").to_pydict() == expected
    assert len(expected["STUDYID"]) == manifest["datasets"][domain.upper()]["rows"] > 0


@pytest.mark.requirement("R-36")
def test_dataset_json_says_what_its_columns_are(export):
    folder, _ = exported(export, "--format", "json")
    document = json.loads((folder / "lb.json").read_text(encoding="utf-8"))
    columns = {column["name"]: column for column in document["columns"]}

    assert sorted(path.name for path in folder.iterdir()) == ["dm.json", "export.json", "lb.json", "vs.json"]
    assert (document["itemGroupOID"], document["name"], document["label"], document["studyOID"]) == (
        "IG.LB",
        "LB",
        "Laboratory Test Results",
        "CDISCPILOT01",
    )
    assert (document["datasetJSONVersion"], document["originator"]) == ("1.1.0", "ada")
    assert columns["LBSTRESN"] == {
        "itemOID": "IT.LB.LBSTRESN",
        "name": "LBSTRESN",
        "label": "Numeric Result/Finding in Standard Units",
        "dataType": "decimal",
        "targetDataType": "decimal",
    }
    assert columns["LBSEQ"]["dataType"] == "integer"
    assert columns["LBDTC"]["dataType"] == "datetime"
    assert (columns["USUBJID"]["length"], columns["USUBJID"]["keySequence"]) == (11, 2)
    assert [name for name in columns if "keySequence" in columns[name]] == [
        *("STUDYID", "USUBJID", "LBTESTCD", "VISITNUM", "LBDTC")
    ]


def test_the_manifest_proves_the_files(trial, export):
    done, folder = export("--output", "json")
    manifest = json.loads(done.stdout)

    assert json.loads((folder / "export.json").read_text(encoding="utf-8")) == manifest
    assert (manifest["study"], manifest["sites"], manifest["actor"]) == ("CDISCPILOT01", "all", "ada")
    assert manifest["contracts"]["clinical.dm"] == {"id": "clinical-dm", "version": "1.0.0"}
    named = {}
    for dataset in manifest["datasets"].values():
        for file in dataset["files"].values():
            data = (folder / file["name"]).read_bytes()
            assert (file["bytes"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
            named[file["name"]] = data
    assert {path.name for path in folder.iterdir()} == {*named, "export.json"}


@pytest.mark.requirement("R-17")
def test_the_arm_stays_behind_unless_somebody_says_why(trial, export):
    folder, manifest = exported(export)
    shown, unblinded = exported(export, "--unblind", "database lock, memo 12", to="shown")
    arms = {arm for (arm,) in trial.rows("SELECT arm FROM sdtm.dm WHERE arm IS NOT NULL")}

    assert manifest["datasets"]["DM"]["blinded"] == BLINDED
    assert manifest["unblinded"] is None
    assert arms
    for path in folder.iterdir():
        assert not any(arm.encode() in path.read_bytes() for arm in arms), path.name
    assert unblinded["unblinded"] == {"reason": "database lock, memo 12"}
    assert set(of_json(shown, "dm")["ARM"]) - {None} == arms


@pytest.mark.requirement("R-17")
def test_what_no_contract_speaks_of_does_not_leave(export, tmp_path):
    done, _ = export(HAULIER_DEFINITIONS=str(tmp_path))

    assert done.returncode == 2
    assert "no contract is for clinical.dm, so nobody says which of its columns are blinded" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.requirement("R-15")
def test_pseudonyms_need_the_key_and_rotate_with_it(trial, export, tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n", encoding="utf-8")
    plain, _ = exported(export, "--format", "json", to="plain")
    first, manifest = exported(
        export, "--pseudonymise", "PSEUDO", to="first", HAULIER_SECRET_PSEUDO_FILE=str(tmp_path / "key")
    )
    again, _ = exported(export, "--pseudonymise", "PSEUDO", to="again", HAULIER_SECRET_PSEUDO=KEY)
    rotated, other = exported(
        export, "--pseudonymise", "PSEUDO", to="rotated", HAULIER_SECRET_PSEUDO=KEY[::-1]
    )

    people = {name for (name,) in trial.rows("SELECT usubjid FROM sdtm.dm")}
    for path in (*first.iterdir(), *rotated.iterdir()):
        data = path.read_bytes()
        assert not any(person.encode() in data for person in people), path.name
        assert KEY.encode() not in data
    assert KEY not in everything(trial)
    for domain in ("dm", "vs", "lb"):
        before, after = of_json(plain, domain), of_json(first, domain)
        assert of_json(again, domain) == after
        assert len(set(after["USUBJID"])) == len(set(before["USUBJID"]))
        assert not set(after["USUBJID"]) & set(of_json(rotated, domain)["USUBJID"])
        # Each subject's records are whole and in their order; only whose they are is not said.
        assert records(before) == records(after)
    assert set(of_json(first, "lb")["USUBJID"]) <= set(of_json(first, "dm")["USUBJID"])
    assert manifest["pseudonyms"]["secret"] == "PSEUDO"
    assert len(manifest["pseudonyms"]["key_version"]) == 8
    assert manifest["pseudonyms"]["key_version"] != other["pseudonyms"]["key_version"]


def everything(database):
    """All rows of all tables, as text."""
    tables = database.rows(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    return "".join(
        text or ""
        for (name,) in tables
        for (text,) in database.rows(f"SELECT string_agg(t::text, E'\\n') FROM {name} t")
    )


def records(values):
    """The records of each subject, in no order of subjects."""
    names = [name for name in values if name not in ("USUBJID", "SUBJID")]
    of_subject = {}
    for place, subject in enumerate(values["USUBJID"]):
        of_subject.setdefault(subject, []).append(tuple(values[name][place] for name in names))
    return sorted(map(repr, of_subject.values()))


@pytest.mark.requirement("R-15")
def test_subjects_do_not_come_in_the_order_of_what_they_stand_for(export):
    plain, _ = exported(export, "--format", "json", to="plain")
    hidden, _ = exported(export, "--format", "json", "--pseudonymise", "P", to="hidden", HAULIER_SECRET_P=KEY)

    in_order = of_json(hidden, "dm")["USUBJID"]
    assert in_order == sorted(in_order)
    assert of_json(hidden, "dm")["BRTHDTC"] != of_json(plain, "dm")["BRTHDTC"]


@pytest.mark.parametrize(
    ("arguments", "more", "said"),
    [
        pytest.param(
            ["--pseudonymise", "P"],
            {},
            "has neither HAULIER_SECRET_P nor HAULIER_SECRET_P_FILE",
            marks=pytest.mark.requirement("R-15"),
        ),
        pytest.param(
            ["--pseudonymise", "P"],
            {"HAULIER_SECRET_P": "short"},
            "a key of 5 bytes can be guessed",
            marks=pytest.mark.requirement("R-15"),
        ),
        (["--study", "OTHER"], {}, "there is no such study; there are: CDISCPILOT01"),
        (["--site", "702", "999"], {}, "--site 999: study CDISCPILOT01 has no row of it"),
        (["--unblind", " "], {}, "--unblind: the reason is empty"),
        (["--leave-out", "LBTEST"], {}, "--leave-out LBTEST: it is Req, and only Perm ones may be left out"),
        (["--leave-out", "LBLOBFL"], {}, "SDTMIG 3.4 has no such variable"),
        (["--schema", "nowhere"], {}, "schema nowhere has none of dm, vs, lb"),
    ],
)
def test_what_cannot_be_exported_says_why_and_leaves_nothing(export, tmp_path, arguments, more, said):
    done, _ = export(*arguments, **more)

    assert done.returncode == 2
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_never_written_over(export):
    exported(export, "--format", "csv")
    before = {path.name: path.read_bytes() for path in export("--format", "csv")[1].iterdir()}

    done, folder = export("--format", "csv", "--site", "702")

    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_one_site_and_no_baseline_flag(export):
    folder, manifest = exported(export, "--site", "702", "--leave-out", "VSBLFL", "LBBLFL")

    assert (manifest["sites"], manifest["left_out"]) == (["702"], ["LBBLFL", "VSBLFL"])
    assert set(of_json(folder, "lb")["USUBJID"]) == {"01-702-1082"}
    assert "LBBLFL" not in of_json(folder, "lb")
    assert "LBLOBXFL" in of_json(folder, "lb")
