"""Servers that outlive their command, and how they are known again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from haulier.errors import TransientError
from haulier_command.embedded import processes
from haulier_command.embedded.processes import Process


@pytest.fixture
def start(tmp_path):
    """Starts commands; whatever of them is left at the end is ended."""
    started: list[Process] = []

    def start_it(*command: str) -> Process:
        process = processes.start(
            command,
            folder=tmp_path,
            log=tmp_path / "server.log",
            record=tmp_path / "server.process",
            environment={"PATH": os.defpath},
        )
        started.append(process)
        return process

    yield start_it
    for process in started:
        process.stop()


def test_a_started_process_is_nobodys_child_and_has_its_own_session(start):
    process = start("sleep", "60")

    parent = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert parent != os.getpid()
    assert os.getsid(process.pid) != os.getsid(0)


def test_its_record_leads_back_to_it(start, tmp_path):
    process = start("sleep", "60")

    assert Process.load(tmp_path / "server.process") == process
    process.stop(signal.SIGTERM)
    assert Process.load(tmp_path / "server.process") is None


def test_a_stranger_with_the_same_number_is_left_alone(start, tmp_path):
    """A record of a process that is gone, whose number another one has now."""
    process = start("sleep", "60")
    (tmp_path / "server.process").write_text(f"{process.pid} long-ago")

    assert Process.load(tmp_path / "server.process") is None
    Process(pid=process.pid, born="long-ago").stop(signal.SIGKILL)
    assert process.alive()


@pytest.mark.parametrize("record", ["", "one", "one two", "1"])
def test_a_damaged_record_leads_nowhere(tmp_path, record):
    (tmp_path / "server.process").write_text(record)

    assert Process.load(tmp_path / "server.process") is None


def test_who_does_not_listen_to_the_first_signal_gets_the_next(start):
    process = start("sh", "-c", "trap '' TERM; while :; do sleep 0.01; done")

    process.stop(signal.SIGTERM, patience_seconds=0.2)

    assert not process.alive()


def test_what_a_process_says_is_kept_for_its_owner_only(start, tmp_path):
    start("sh", "-c", "echo good; echo bad >&2; exec sleep 60")
    deadline = time.monotonic() + 10
    while (tmp_path / "server.log").read_text() != "good\nbad\n":
        assert time.monotonic() < deadline

    assert (tmp_path / "server.log").stat().st_mode & 0o077 == 0


def test_a_server_that_does_not_start_says_why(tmp_path):
    (tmp_path / "postgres.log").write_text("\n".join(f"line {n}" for n in range(100)))

    error = processes.did_not_start(tmp_path / "postgres.log")

    assert isinstance(error, TransientError)
    assert "postgres ended at once" in str(error)
    assert "line 99" in str(error)
    assert "line 80" not in str(error)


def test_how_a_process_was_called(start):
    process = start("sleep", "61")

    assert processes.command_line(process.pid) == "sleep 61 "
    process.stop()
    assert processes.command_line(process.pid) == ""
