"""PgBouncer in transaction mode before a test's PostgreSQL, as Debian's package has it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

#: Why its tests stay away; `unrun` knows it.
ABSENT = "PgBouncer is not installed (apt-get install pgbouncer)"
_STARTUP_SECONDS = 30
_CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 1000
query_wait_timeout = {patience}
"""


@contextmanager
def pooled(
    environment: Mapping[str, str], *, connections: int, patience: int = 120
) -> Iterator[dict[str, str]]:
    """The PG* variables that lead through a pool of at most this many server connections to each database.

    A client waits for one of them for as many seconds as ``patience`` says.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip(ABSENT)
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    # Root may not run it, and an ordinary account cannot enter pytest's own folders.
    account = pwd.getpwnam("nobody") if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="haulier-pooler-") as folder:
        files = {
            "users": f'"{environment["PGUSER"]}" "{environment["PGPASSWORD"]}"\n',
            "pgbouncer.ini": _CONFIGURATION.format(
                host=environment["PGHOST"],
                port=environment["PGPORT"],
                own=port,
                folder=folder,
                connections=connections,
                patience=patience,
            ),
        }
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        if account:
            for path in (Path(folder), *Path(folder).iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
        own = {**environment, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGSSLMODE": "disable"}
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, "--quiet", str(Path(folder) / "pgbouncer.ini")],
                stdout=output,
                stderr=output,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
        try:
            _answers(own, process, log)
            yield own
        finally:
            process.terminate()
            process.wait()


def _answers(environment: Mapping[str, str], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _STARTUP_SECONDS
    while True:
        try:
            with closing(
                psycopg2.connect(
                    host=environment["PGHOST"],
                    port=environment["PGPORT"],
                    user=environment["PGUSER"],
                    password=environment["PGPASSWORD"],
                    dbname=environment["PGDATABASE"],
                )
            ):
                return
        except psycopg2.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
