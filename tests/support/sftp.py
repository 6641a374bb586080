"""A real SFTP server, SeaweedFS's, with a host key, a user of its own for each test that wants one, and files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from support.servers import make_home

from haulier_command.embedded import seaweedfs
from haulier_command.embedded.state import State

PASSWORD = "a password nobody may see"
#: Writes and reads everywhere; reads below /read only.
WRITER, READER = "writer", "reader"
_STARTUP_SECONDS = 60


@dataclass(kw_only=True)
class SftpServer:
    """A server that runs, and a client that may write there."""

    address: str
    host_key: str
    #: Of `WRITER`, and of nobody.
    private_key: str = field(repr=False)
    process: subprocess.Popen[bytes]
    client: paramiko.SSHClient
    files: paramiko.SFTPClient

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HAULIER_SOURCE_SFTP_USER": WRITER,
            "HAULIER_SOURCE_SFTP_PASSWORD": PASSWORD,
            "HAULIER_SOURCE_SFTP_HOST_KEY": self.host_key,
        }

    def put(self, path: str, data: bytes) -> None:
        folder = ""
        for name in path.strip("/").split("/")[:-1]:
            folder = f"{folder}/{name}"
            with suppress(OSError):  # it is there already
                self.files.mkdir(folder)
        with self.files.open(path, "wb") as file:
            file.set_pipelined(True)
            file.write(data)

    def delete(self, path: str) -> None:
        self.files.remove(path)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """As a server that is there and says nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


def write_key(path: Path) -> None:
    """A new private key, and its public one beside it, as `ssh-keygen` writes them: not every machine has that."""
    key = Ed25519PrivateKey.generate()
    write_private(path, key)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    path.with_name(f"{path.name}.pub").write_bytes(public + b"\n")


def write_private(path: Path, key: Ed25519PrivateKey, passphrase: bytes | None = None) -> None:
    locked = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, locked))


@contextmanager
def sftp_server() -> Iterator[SftpServer]:
    home = make_home()
    state = State.new()
    state.keep_or_choose_ports([*seaweedfs.PORTS, "sftp"])
    for name in ("host", "user"):
        write_key(home / name)
    public = (home / "user.pub").read_text().strip()
    users = [
        {
            "Username": WRITER,
            "Password": PASSWORD,
            "PublicKeys": [public],
            "HomeDir": "/",
            "Permissions": {"/": ["*"]},
        },
        {
            "Username": READER,
            "Password": PASSWORD,
            "HomeDir": "/",
            "Permissions": {"/read": ["read", "list", "traverse"]},
            "Uid": 1000,
            "Gid": 1000,
        },
    ]
    (home / "users.json").write_text(json.dumps(users))
    port, filer = state.ports["sftp"], state.ports["filer"]
    seaweedfs.start(home, state)
    seaweedfs.wait(home, state)
    with (home / "sftp.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(str(seaweedfs._weed()), "-logtostderr=true", "sftp", "-ip.bind=127.0.0.1", f"-port={port}"),
                *(f"-filer=127.0.0.1:{filer}.{filer + 10_000}", f"-sshPrivateKey={home}/host"),
                *(f"-userStoreFile={home}/users.json", f"-localSocket={home}/sftp.sock"),
            ],
            env={"PATH": os.defpath, "HOME": str(home), **seaweedfs._keys(state)},
            stdout=log,
            stderr=log,
        )
    try:
        client = _connected(port, home)
        try:
            yield SftpServer(
                address=f"127.0.0.1:{port}",
                host_key=" ".join((home / "host.pub").read_text().split()[:2]),
                private_key=(home / "user").read_text(),
                process=process,
                client=client,
                files=client.open_sftp(),
            )
        finally:
            client.close()
    finally:
        process.terminate()
        process.wait()
        seaweedfs.stop(home, state, kept=False)
        shutil.rmtree(home, ignore_errors=True)


def _connected(port: int, home: Path) -> paramiko.SSHClient:
    deadline = time.monotonic() + _STARTUP_SECONDS
    while True:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        try:
            client.connect(
                "127.0.0.1", port, username=WRITER, password=PASSWORD, look_for_keys=False, allow_agent=False
            )
        except (OSError, paramiko.SSHException):
            client.close()
            if time.monotonic() > deadline:
                raise AssertionError((home / "sftp.log").read_text()[-2000:]) from None
            time.sleep(0.1)
        else:
            return client
