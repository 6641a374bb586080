"""A MariaDB of Debian's own, on a socket, for as long as a test module needs it."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest

_STARTUP_SECONDS = 60
PASSWORD = "s3cret-of-maria"


@contextmanager
def running() -> Iterator[Path]:
    """The socket of a server in which `reader` may read the database `lab`. Skips where there is none."""
    # An ordinary user's PATH need not have the folder of servers.
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    server_command = shutil.which("mariadbd", path=path)
    if server_command is None:
        pytest.skip("MariaDB is not installed (apt-get install mariadb-server)")
    # Short: the path of a socket has 107 characters at most.
    home = Path(tempfile.mkdtemp(prefix="haulier-maria-"))
    user = f"--user={getpass.getuser()}"
    common = ["--no-defaults", f"--datadir={home / 'data'}"]
    subprocess.run(
        ["mariadb-install-db", *common, user, "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True,
        capture_output=True,
    )
    path = home / "s"
    log = (home / "log").open("wb")
    server = subprocess.Popen(
        [
            server_command,
            *common,
            user,
            f"--socket={path}",
            f"--pid-file={home / 'pid'}",
            "--skip-networking",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0",
        ],
        stdout=subprocess.DEVNULL,
        stderr=log,
    )
    log.close()
    try:
        _answers(path, server)
        with as_root(path) as cursor:
            cursor.execute("CREATE DATABASE lab CHARACTER SET utf8mb4")
            cursor.execute(f"CREATE USER reader@localhost IDENTIFIED BY '{PASSWORD}'")
            cursor.execute("GRANT SELECT ON lab.* TO reader@localhost")
        yield path
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(home)


@contextmanager
def as_root(path: Path, database: str | None = None) -> Iterator[pymysql.cursors.Cursor]:
    """A cursor whose statements are committed at once."""
    connection = pymysql.connect(unix_socket=str(path), user="root", database=database, autocommit=True)
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def _listens(path: Path) -> bool:
    """Asked without PyMySQL, which leaves the socket of a refused connection open."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _answers(path: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTUP_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        if _listens(path):
            with as_root(path):
                return
        time.sleep(0.1)
    raise AssertionError(f"MariaDB did not start: see {path.parent / 'log'}")
