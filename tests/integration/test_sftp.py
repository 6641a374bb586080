"""What is SFTP's own, on a real server: whose key it has, who may come in, and what happens when it falls silent."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from support.sftp import PASSWORD, READER, SftpServer, write_key, write_private

from haulier.definitions import Instance
from haulier.definitions.sources import Files, Source
from haulier.errors import DefinitionError, TransientError
from haulier.interval import Interval
from haulier.settings import Settings
from haulier_extract.sources import Found, Vanished, find
from haulier_extract.sources.stores import open_store

ROWS = b"thing,price\none,1\n"
NOW = datetime.now(UTC)
TODAY = Interval(start=NOW - timedelta(hours=12), end=NOW + timedelta(hours=12))


@pytest.fixture
def folder(sftp: SftpServer) -> str:
    return f"/read/{uuid4().hex}"


@pytest.fixture
def settings(sftp: SftpServer) -> Settings:
    return Settings.from_env(sftp.environment)


def look(sftp: SftpServer, settings: Settings, path: str) -> Found:
    files = Files(path=f"sftp://{sftp.address}{path}")
    return find(Instance(pipeline="things", instance="main", source=Source(files=files)), TODAY, settings)


def test_a_server_nobody_vouched_for_is_told_nothing_and_its_line_is_shown(
    sftp: SftpServer, settings: Settings, folder: str, tmp_path: Path
) -> None:
    """The line that the message says, added to the file that it names, lets the next run in."""
    sftp.put(f"{folder}/a.csv", ROWS)
    known = tmp_path / "known_hosts"
    known.write_text("# servers\n\nelsewhere ssh-rsa AAAA\n")
    ours = replace(settings, source_sftp_host_key=None, source_sftp_known_hosts=str(known))

    with pytest.raises(DefinitionError, match="HAULIER_SOURCE_SFTP_KNOWN_HOSTS names: ") as refused:
        look(sftp, ours, f"{folder}/*.csv")

    assert "SHA256:" in str(refused.value)
    known.write_text(known.read_text() + str(refused.value).rpartition("names: ")[2] + "\n")
    assert len(look(sftp, ours, f"{folder}/*.csv").files) == 1


def test_a_server_with_another_key_is_told_nothing(
    sftp: SftpServer, settings: Settings, folder: str, tmp_path: Path
) -> None:
    write_key(tmp_path / "other")
    other = " ".join((tmp_path / "other.pub").read_text().split()[:2])

    with pytest.raises(DefinitionError, match="another key than the one it is known by"):
        look(sftp, replace(settings, source_sftp_host_key=other), f"{folder}/*.csv")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source_sftp_user": None}, "HAULIER_SOURCE_SFTP_USER: not set"),
        ({"source_sftp_host_key": "ssh-ed25519"}, "HAULIER_SOURCE_SFTP_HOST_KEY is no public key"),
        ({"source_sftp_known_hosts": "/nowhere"}, "HAULIER_SOURCE_SFTP_KNOWN_HOSTS: /nowhere cannot be read"),
        ({"source_sftp_private_key": "-----BEGIN"}, "HAULIER_SOURCE_SFTP_PRIVATE_KEY is no private key"),
    ],
)
def test_a_setting_that_cannot_be_right_is_named(
    sftp: SftpServer, settings: Settings, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(DefinitionError, match=said):
        look(sftp, replace(settings, **changes), "/*.csv")


def test_a_key_in_a_file_opens_the_door_and_shows_nowhere(
    sftp: SftpServer, settings: Settings, folder: str, tmp_path: Path
) -> None:
    sftp.put(f"{folder}/a.csv", ROWS)
    (tmp_path / "plain").write_text(sftp.private_key)
    (tmp_path / "plain").chmod(0o600)
    key = load_ssh_private_key(sftp.private_key.encode(), None)
    assert isinstance(key, Ed25519PrivateKey)
    write_private(tmp_path / "locked", key, b"open sesame")

    def by_key(name: str, **more: str) -> Settings:
        environment = {
            **sftp.environment,
            "HAULIER_SOURCE_SFTP_PRIVATE_KEY_FILE": str(tmp_path / name),
            **more,
        }
        del environment["HAULIER_SOURCE_SFTP_PASSWORD"]
        return Settings.from_env(environment)

    unlocked = by_key("locked", HAULIER_SOURCE_SFTP_PASSPHRASE="open sesame")
    for ours in (by_key("plain"), unlocked):
        assert len(look(sftp, ours, f"{folder}/*.csv").files) == 1
        for secret in ("PRIVATE KEY", "open sesame", PASSWORD):
            assert secret not in repr(ours)
    with pytest.raises(DefinitionError, match="locked with a passphrase; set HAULIER_SOURCE_SFTP_PASSPHRASE"):
        look(sftp, by_key("locked"), f"{folder}/*.csv")
    with pytest.raises(DefinitionError, match="or HAULIER_SOURCE_SFTP_PASSPHRASE is not its passphrase"):
        look(sftp, by_key("locked", HAULIER_SOURCE_SFTP_PASSPHRASE="wrong"), f"{folder}/*.csv")


def test_a_folder_that_is_closed_to_the_user_is_named(
    sftp: SftpServer, settings: Settings, folder: str
) -> None:
    sftp.put(f"{folder}/a.csv", ROWS)
    sftp.put("/closed/a.csv", ROWS)
    reader = replace(settings, source_sftp_user=READER)

    assert len(look(sftp, reader, f"{folder}/*.csv").files) == 1
    with pytest.raises(DefinitionError, match="/closed may not be read by reader"):
        look(sftp, reader, "/closed/*.csv")


def test_a_server_that_falls_silent_is_left_and_asked_again_later(
    sftp: SftpServer, settings: Settings, folder: str
) -> None:
    """What was found opens again by a connection of its own once the server is back."""
    sftp.put(f"{folder}/a.csv", ROWS * 500_000)
    (file,) = look(sftp, replace(settings, source_sftp_timeout_seconds=1), f"{folder}/*.csv").files
    chunks = file.open()
    next(chunks)

    with sftp.frozen(), pytest.raises(TransientError, match="TimeoutError"):
        list(chunks)

    assert b"".join(file.open()) == ROWS * 500_000


def test_what_listens_and_is_no_server_is_asked_again_later(settings: Settings) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        files = Files(path=f"sftp://127.0.0.1:{silent.getsockname()[1]}/in/*.csv")
        store = open_store(files, replace(settings, source_sftp_timeout_seconds=0.2), TODAY)

        with pytest.raises(TransientError, match="try again later"):
            next(iter(store.entries()))


def test_a_file_that_changes_while_it_is_read_is_no_file_yet(
    sftp: SftpServer, settings: Settings, folder: str
) -> None:
    sftp.put(f"{folder}/a.csv", ROWS * 500_000)
    store = open_store(Files(path=f"sftp://{sftp.address}{folder}/*.csv"), settings, TODAY)
    ((entry, _),) = store.entries()
    assert not isinstance(entry, str)
    assert not store.changed(entry)

    sftp.put(f"{folder}/a.csv", ROWS)

    assert store.changed(entry)
    sftp.delete(f"{folder}/a.csv")
    for look_again in (lambda: list(store.chunks(entry)), lambda: store.changed(entry)):
        with pytest.raises(Vanished):
            look_again()


def test_folders_and_names_with_a_dot_are_no_files(sftp: SftpServer, settings: Settings, folder: str) -> None:
    for name in ("a.csv", "deep/er/b.csv", ".hidden/c.csv", "folder.csv/d.txt"):
        sftp.put(f"{folder}/{name}", ROWS)

    assert [file.uri.rpartition("/")[2] for file in look(sftp, settings, f"{folder}/*.csv").files] == [
        "a.csv"
    ]
    found = look(sftp, settings, f"{folder}/**/*.csv").files
    assert sorted(file.uri.rpartition("/")[2] for file in found) == ["a.csv", "b.csv"]
    assert look(sftp, settings, f"{folder}/nothing/*.csv").files == ()
