"""What the embedded tier remembers between two commands: its ports, its passwords, its lock."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from haulier.errors import DefinitionError

# Below the range from which Linux takes ports for outgoing connections, so that a remembered port stays free;
# SeaweedFS reaches each of its services at two ports, this far apart.
_PORTS = range(12_000, 22_000)
SECOND_PORT = 10_000
# Passwords stand here; where the folder is part of a checkout, they stay out of it.
_IGNORED = "/.gitignore\n/env.sh\n/lock\n/postgres*\n/s3*\n/tier.json\n"


@dataclass(kw_only=True)
class State:
    """One tier. Kept in a file that only its owner reads."""

    database: str
    ports: dict[str, int]
    password: str
    access_key: str
    secret_key: str
    internal_key: str

    @classmethod
    def new(cls) -> State:
        return cls(
            database="",
            ports={},
            password=secrets.token_urlsafe(24),
            access_key=secrets.token_hex(10),
            secret_key=secrets.token_urlsafe(30),
            internal_key=secrets.token_urlsafe(30),
        )

    @classmethod
    def load(cls, home: Path) -> State | None:
        """The state kept there, or None. Raises `DefinitionError` when it is not ours to read."""
        try:
            return cls(**json.loads(_file(home).read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as exc:
            raise DefinitionError(
                f"{home} belongs to another account; set HAULIER_HOME to a folder of your own"
            ) from exc
        except (ValueError, TypeError) as exc:
            raise DefinitionError(
                f"{_file(home)} is damaged; stop the servers it was about, then delete {home}"
            ) from exc

    def save(self, home: Path) -> None:
        ignored = home / ".gitignore"
        if not ignored.exists():
            ignored.write_text(_IGNORED, encoding="utf-8")
        write_private(_file(home), json.dumps(asdict(self), indent=1))

    def keep_or_choose_ports(self, names: Sequence[str]) -> None:
        """Remembered ports where they are still free, others where not."""
        taken = set(self.ports.values())
        for name in names:
            if name not in self.ports or not _free(self.ports[name]):
                self.ports[name] = next(port for port in _candidates() if port not in taken and _free(port))
                taken.add(self.ports[name])


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the tier's folder, making it when it is not there: one command at a time changes what runs."""
    import fcntl

    lock = home / "lock"
    while True:
        try:
            if not home.is_dir():
                home.mkdir(parents=True, exist_ok=True)
                # Root's PostgreSQL runs as another account, which passes through here.
                home.chmod(0o711 if os.geteuid() == 0 else 0o700)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue
        except (PermissionError, FileExistsError, NotADirectoryError) as exc:
            raise DefinitionError(
                f"{home} cannot be written; set HAULIER_HOME to a folder of your own"
            ) from exc
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Whoever held it before may have removed the folder: then this lock guards nothing.
            if lock.exists() and os.path.samestat(os.fstat(handle), lock.stat()):
                yield
                return
        finally:
            os.close(handle)


def forget(home: Path) -> None:
    """Remove what the tier remembers; the folder too, unless somebody else put something there."""
    ignored = home / ".gitignore"
    if ignored.exists() and ignored.read_text(encoding="utf-8") == _IGNORED:
        ignored.unlink()
    for name in (_file(home).name, "lock"):
        (home / name).unlink(missing_ok=True)
    if not any(home.iterdir()):
        home.rmdir()


def write_private(file: Path, text: str) -> None:
    """Write a file, whole or not at all, that only its owner reads."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as output:
        output.write(text)
    draft.replace(file)


def remove(path: Path) -> None:
    """Remove a folder with all in it, a link, a file, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _file(home: Path) -> Path:
    return home / "tier.json"


def _candidates() -> Iterator[int]:
    while True:
        yield random.choice(_PORTS)  # noqa: S311 - no secret; two tiers starting at once should differ


def _free(port: int) -> bool:
    for number in (port, port + SECOND_PORT):
        with closing(socket.socket()) as probe:
            # As servers ask for it: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                return False
    return True
