"""What the command takes, and how fast it says so."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from haulier.errors import DefinitionError
from haulier.settings import Settings
from haulier_command.__main__ import VERBS, main
from haulier_command.choice import chosen_runs
from haulier_command.words import interval_name, span

PIPELINE = """\
pipeline: {name}
contract: ../contracts/none.yaml
{schedule}
source: {{files: {{path: "{{instance}}/*.csv"}}}}
instances: {{"701": {{}}, "702": {{}}}}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    text = PIPELINE.format(name="labs", schedule='schedule: "@daily"\nstart: 2026-01-05')
    (folder / "labs.yaml").write_text(text)
    (folder / "byhand.yaml").write_text(PIPELINE.format(name="byhand", schedule=""))
    return Settings(definitions=tmp_path)


def asked(**given: object) -> Namespace:
    names = (
        "pipeline",
        "instance",
        "interval_start",
        "interval_end",
        "range_start",
        "range_end",
        "now",
        "reprocess",
    )
    return Namespace(**{**dict.fromkeys(names), "due": False, **given})


def chosen(settings: Settings, **given: object) -> list[str]:
    return [str(run) for run in chosen_runs(settings, asked(**given))]


def test_a_range_is_cut_by_the_schedule_for_every_instance(settings: Settings) -> None:
    assert chosen(settings, pipeline="labs", range_start="2026-01-05", range_end="2026-01-07") == [
        "labs/701 2026-01-05",
        "labs/701 2026-01-06",
        "labs/702 2026-01-05",
        "labs/702 2026-01-06",
    ]


def test_one_interval_is_taken_as_it_is(settings: Settings) -> None:
    start, end = "2026-01-05T06:00:00+01:00", "2026-01-05T07:00:00+01:00"
    found = chosen(settings, pipeline="byhand", instance="702", interval_start=start, interval_end=end)
    assert found == ["byhand/702 2026-01-05 05:00..06:00Z"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "say which runs"),
        ({"due": True, "range_start": "2026-01-05"}, "in one way"),
        ({"interval_start": "2026-01-05T00:00:00Z"}, "go together"),
        ({"range_start": "2026-01-05"}, "go together"),
        ({"range_start": "2026-01-05", "range_end": "2026-01-05"}, "start must be before"),
        ({"range_start": "2026-01-05T00:00:00", "range_end": "2026-01-06"}, "no time zone"),
        ({"range_start": "2026-01-05T01:00:00Z", "range_end": "2026-01-06"}, "no whole run"),
        ({"instance": "701", "pipeline": None, "due": True}, "needs --pipeline"),
        ({"pipeline": "byhand", "range_start": "2026-01-05", "range_end": "2026-01-06"}, "no schedule"),
        ({"pipeline": "byhand", "due": True}, "has a schedule"),
        ({"pipeline": "lab", "due": True}, 'did you mean "labs"'),
        ({"instance": "710", "due": True}, "there is no instance"),
        (
            {"now": "2026-01-05T00:00:00Z", "range_start": "2026-01-05", "range_end": "2026-01-07"},
            "--now goes with --due",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: Settings, given: dict[str, object], problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem):
        chosen(settings, **{"pipeline": "labs", **given})


def test_intervals_have_short_names() -> None:
    from haulier.interval import Interval

    def name(start: str, end: str) -> str:
        return interval_name(Interval.parse(start, end))

    assert name("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z") == "2026-01-05"
    assert name("2026-01-05T00:00:00Z", "2026-02-01T00:00:00Z") == "2026-01-05..2026-02-01"
    assert name("2026-01-05T22:00:00Z", "2026-01-06T00:30:00Z") == "2026-01-05 22:00..2026-01-06 00:30Z"
    assert [span(s) for s in (5, 300, 7200, 200_000)] == ["5 s", "5 min", "2 h", "2 d"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main([verb, "--help"], {})
    text = capsys.readouterr().out
    assert exited.value.code == 0
    assert "--output" in text or verb == "rejects"
    assert all(len(line) <= 80 for line in text.splitlines()), "help fits a narrow terminal"


def test_help_imports_nothing_heavy() -> None:
    """`--help` answers in a tenth of a second because it loads no library; time itself would flicker."""
    heavy = ["rich", "psycopg2", "pyarrow", "msgspec", "yaml", "sqlalchemy", "alembic", "cronsim", "obstore"]
    code = (
        "import sys, json; from haulier_command.__main__ import main\n"
        "try: main(sys.argv[1:], {})\n"
        "except SystemExit: pass\n"
        f"print(json.dumps([name for name in {heavy!r} if name in sys.modules]), file=sys.stderr)"
    )
    for arguments in (["--help"], ["run", "--help"], ["demo", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        assert json.loads(done.stderr) == []


def test_an_unknown_option_is_a_wrong_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["run", "--pipelin", "labs"], {})
    assert exited.value.code == 2
    assert capsys.readouterr().out == ""


def test_a_setting_that_is_wrong_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    environ = {"HAULIER_HOME": str(tmp_path), "HAULIER_BATCH_ROWS": "many", "PGHOST": "nowhere"}
    assert main(["status"], environ) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "haulier: HAULIER_BATCH_ROWS: 'many' is not a whole number above 0\n")
    assert main(["status", "--output", "json"], environ) == 2
    assert json.loads(capsys.readouterr().out)["exit_code"] == 2
