"""A step is started as an orchestrator starts it, and its last words are found."""

from __future__ import annotations

import json
import os
import shlex
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from haulier.interval import Interval
from haulier_command.by_hand import environment_lines
from haulier_command.steps import Order, Processes, error_of
from haulier_command.surroundings import Surroundings

INTERVAL = Interval(start=datetime(2026, 1, 5, tzinfo=UTC), end=datetime(2026, 1, 6, tzinfo=UTC))


def call(tmp_path: Path, code: str) -> tuple[Processes, list[str], Path]:
    return Processes(os.environ), [sys.executable, "-c", code], tmp_path / "logs" / "step.log"


def test_the_command_line_is_the_documented_one() -> None:
    order = Order(
        step="extract", verb="run", pipeline="labs", instance="701", interval=INTERVAL, reprocess="it's wrong"
    )
    assert shlex.split(str(order))[1:] == [
        *("-m", "haulier_extract", "run", "--pipeline", "labs", "--instance", "701"),
        *("--interval-start", "2026-01-05T00:00:00Z", "--interval-end", "2026-01-06T00:00:00Z"),
        *("--reprocess", "it's wrong"),
    ]


def test_the_last_line_on_stdout_is_the_result_and_stderr_is_the_log(tmp_path: Path) -> None:
    code = "import sys, json; print(json.dumps({'generation': 3})); print('said', file=sys.stderr)"
    start, command, log = call(tmp_path, code)
    answer = start.call(command, log)
    assert (answer.code, answer.result, answer.error) == (0, {"generation": 3}, "")
    assert log.read_text() == "said\n"


def test_a_failure_is_explained_by_the_log_s_error_line(tmp_path: Path) -> None:
    line = json.dumps({"level": "error", "event": "labs.yaml: no such mode"})
    start, command, log = call(tmp_path, f"import sys; print({line!r}, file=sys.stderr); sys.exit(2)")
    answer = start.call(command, log)
    assert (answer.code, answer.error, answer.log) == (2, "labs.yaml: no such mode", log)


def test_a_bug_is_explained_by_the_end_of_its_traceback(tmp_path: Path) -> None:
    start, command, log = call(tmp_path, "raise KeyError('colour')")
    answer = start.call(command, log)
    assert (answer.code, answer.error) == (1, "KeyError: 'colour'")


def test_a_step_that_did_not_say_why_gets_its_last_words() -> None:
    assert error_of([]) == "it did not say why"
    assert error_of(["null", "17", '{"level": "info", "event": "x"}', "what now"]) == "what now"


def test_running_steps_are_asked_to_end_and_no_other_starts(tmp_path: Path) -> None:
    start, command, log = call(tmp_path, "import time; time.sleep(60)")
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(start.call(command, log)))
    waiting.start()
    while not start._running:
        time.sleep(0.01)
    start.stop()
    waiting.join(10)
    assert answers[0].code == -15
    assert start.call(command, log).code == 143


def test_what_is_printed_for_doing_it_by_hand_holds_no_secret(tmp_path: Path) -> None:
    (tmp_path / "env.sh").write_text("# Haulier's\nexport PGHOST=here\nexport PGPASSWORD=hidden1\n")
    environ = {
        "PGHOST": "here",
        "PGPASSWORD": "hidden1",
        "AWS_SECRET_ACCESS_KEY": "hidden2",
        "AWS_ACCESS_KEY_ID": "hidden3",
        "AWS_SESSION_TOKEN_FILE": "/run/secrets/token",
        "PGPASSFILE": "/x",
        "HAULIER_DEFINITIONS": "/my definitions",
        "HOME": "/root",
    }
    lines = environment_lines(Surroundings(environ=environ, home=tmp_path, sourced=(tmp_path / "env.sh",)))
    assert lines == [
        f". {tmp_path}/env.sh",
        "# AWS_ACCESS_KEY_ID: a secret; set it, or AWS_ACCESS_KEY_ID_FILE",
        "# AWS_SECRET_ACCESS_KEY: a secret; set it, or AWS_SECRET_ACCESS_KEY_FILE",
        "export AWS_SESSION_TOKEN_FILE=/run/secrets/token",
        "export HAULIER_DEFINITIONS='/my definitions'",
        "export PGPASSFILE=/x",
    ]
    assert "hidden" not in "\n".join(lines)
