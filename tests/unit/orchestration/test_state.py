"""What the embedded tier remembers between two commands."""

from __future__ import annotations

import socket
import subprocess
import threading
from contextlib import closing

import pytest

from haulier.errors import DefinitionError
from haulier_command.embedded import Tier, home_from, state
from haulier_command.embedded.state import SECOND_PORT, State


def listener(port: int) -> socket.socket:
    found = socket.socket()
    found.bind(("127.0.0.1", port))
    found.listen()
    return found


def test_ports_stay_the_same():
    known = State.new()
    known.keep_or_choose_ports(["postgres", "s3"])
    before = dict(known.ports)

    known.keep_or_choose_ports(["postgres", "s3"])

    assert known.ports == before
    assert len(set(before.values())) == 2


@pytest.mark.parametrize("distance", [0, SECOND_PORT])
def test_a_port_that_somebody_else_took_is_given_up(distance):
    known = State.new()
    known.keep_or_choose_ports(["s3"])
    before = known.ports["s3"]

    with closing(listener(before + distance)):
        known.keep_or_choose_ports(["s3"])

    assert known.ports["s3"] != before


def test_what_was_saved_is_there_again_and_private(tmp_path):
    known = State.new()
    known.save(tmp_path)

    assert State.load(tmp_path) == known
    assert (tmp_path / "tier.json").stat().st_mode & 0o777 == 0o600


def test_two_tiers_share_no_secret():
    one, other = State.new(), State.new()

    assert {one.password, one.access_key, one.secret_key, one.internal_key}.isdisjoint(
        {other.password, other.access_key, other.secret_key, other.internal_key}
    )


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ports": {}}'])
def test_a_damaged_file_says_what_to_do(tmp_path, content):
    (tmp_path / "tier.json").write_text(content)

    with pytest.raises(DefinitionError, match=r"tier\.json is damaged"):
        State.load(tmp_path)


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(DefinitionError, match="HAULIER_HOME"), state.locked(tmp_path / "file"):
        pass


def test_a_folder_of_somebody_elses_keeps_its_mode_and_what_it_says_to_git(tmp_path):
    tmp_path.chmod(0o750)
    (tmp_path / ".gitignore").write_text("build\n")

    with state.locked(tmp_path):
        State.new().save(tmp_path)
        state.forget(tmp_path)

    assert tmp_path.stat().st_mode & 0o777 == 0o750
    assert (tmp_path / ".gitignore").read_text() == "build\n"


def test_git_sees_no_password(tmp_path):
    State.new().save(tmp_path)
    for name in ("env.sh", "s3.json", "lock"):
        (tmp_path / name).write_text("")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)

    seen = subprocess.run(
        ["git", "-C", tmp_path, "status", "--porcelain"], capture_output=True, text=True, check=True
    )

    assert seen.stdout == ""


def test_forgetting_leaves_what_others_put_there(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    State.new().save(tmp_path)

    state.forget(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_one_at_a_time_changes_a_folder_even_when_it_was_removed_meanwhile(tmp_path):
    home = tmp_path / "home"
    order: list[str] = []

    def wait_for_it() -> None:
        with state.locked(home):
            order.append("second")
            assert (home / "lock").exists()

    with state.locked(home):
        second = threading.Thread(target=wait_for_it)
        second.start()
        second.join(0.1)
        order.append("first")
        state.forget(home)
    second.join()

    assert order == ["first", "second"]


def test_home_is_in_the_current_directory_unless_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert home_from({}) == tmp_path / ".haulier"
    assert home_from({"HAULIER_HOME": ""}) == tmp_path / ".haulier"
    assert home_from({"HAULIER_HOME": "elsewhere"}) == tmp_path / "elsewhere"


def test_a_program_is_led_to_the_tier_and_to_no_server_of_its_surroundings(tmp_path):
    tier = Tier(home=tmp_path, environment={"PGHOST": "127.0.0.1"}, psql=tmp_path)

    environment = tier.environment_over(
        {
            "PGHOST": "production",
            "PGSERVICE": "x",
            "AWS_PROFILE": "x",
            "HAULIER_EXCHANGE": "x",
            "HAULIER_ACTOR": "me",
        }
    )

    assert environment == {"PGHOST": "127.0.0.1", "HAULIER_ACTOR": "me"}


def test_secrets_do_not_show(tmp_path):
    assert "hunter2" not in repr(Tier(home=tmp_path, environment={"PGPASSWORD": "hunter2"}, psql=tmp_path))
