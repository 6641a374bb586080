"""The clinical sample data: the same for a seed, everywhere; refused where it cannot be; and made by a command."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from generator import Mess, Trial
from generator.__main__ import main
from support.trials import TRIALS, Arrived, arrive

# Of path and bytes of every file of the default trial. It changes when the generator's output does, never
# with the Python, the zlib, the locale or the hash seed it runs under.
DEFAULT_TRIAL_SHA256 = "c9205517423c9e93471cc90157822f4a03b86916522b20b7aac010b0eebb0a55"


@pytest.fixture(scope="module", params=TRIALS)
def trial(request: pytest.FixtureRequest) -> Trial:
    return TRIALS[request.param]


@pytest.fixture(scope="module")
def arrivals(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> list[Arrived]:
    return list(arrive(trial, tmp_path_factory.mktemp("landing")))


def tree_sha256(landing: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(landing.rglob("*"), key=lambda path: path.relative_to(landing).as_posix()):
        if path.is_file():
            digest.update(path.relative_to(landing).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


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
