"""Homes of test sessions' servers: none outlives its session for long."""

from __future__ import annotations

import os
import tempfile

import pytest
from support import servers


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_session_that_was_killed_is_cleared_away_by_the_next():
    killed = servers.make_home()
    (killed / "owner").write_text(f"{os.getpid()} long-ago")

    servers.make_home()

    assert not killed.exists()


def test_a_session_that_still_runs_is_left_alone():
    running = servers.make_home()

    servers.make_home()

    assert running.exists()


def test_what_is_not_a_sessions_is_left_alone(tmp_path):
    (tmp_path / "haulier-tests-file").write_text("")
    (tmp_path / "haulier-tests-new").mkdir()

    servers.make_home()

    assert (tmp_path / "haulier-tests-file").exists()
    assert (tmp_path / "haulier-tests-new").exists()
