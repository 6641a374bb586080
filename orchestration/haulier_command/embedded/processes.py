"""Servers that outlive the command which started them: start them, know them again, stop them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from haulier.errors import DefinitionError, TransientError

PAUSE_SECONDS = 0.01
# The shell puts the server in the background and goes, so that nobody has to wait for it as a parent.
_DETACH = '"$@" </dev/null >&2 & echo $!'


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account a server runs as when it is not the caller's."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process; never the stranger who got its number later."""

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        born = _born(pid)
        return cls(pid=pid, born=born) if born else None

    @classmethod
    def load(cls, record: Path) -> Process | None:
        """The process written there, if it still runs."""
        with suppress(FileNotFoundError, ValueError):
            pid, born = record.read_text(encoding="utf-8").split(maxsplit=1)
            process = cls(pid=int(pid), born=born)
            return process if process.alive() else None
        return None

    def save(self, record: Path) -> None:
        record.write_text(f"{self.pid} {self.born}", encoding="utf-8")

    def alive(self) -> bool:
        return _born(self.pid) == self.born

    def stop(self, *signals: signal.Signals, patience_seconds: float = 20) -> None:
        """Send the first signal; when that does not end it in time, the next. Return when it is gone."""
        for number in (*signals, signal.SIGKILL):
            if not self.alive():
                return
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return
            except PermissionError as exc:
                raise DefinitionError(
                    f"process {self.pid} belongs to another account; stop it as that one"
                ) from exc
            deadline = time.monotonic() + patience_seconds
            while self.alive() and time.monotonic() < deadline:
                time.sleep(PAUSE_SECONDS)


def start(
    command: Sequence[str | Path],
    *,
    folder: Path,
    log: Path,
    record: Path,
    environment: Mapping[str, str],
    account: Account | None = None,
) -> Process:
    """Start a server in a session of its own, its output appended to ``log``, and record who it is."""
    # Servers log statements, and those carry values.
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)) as output:
        started = run(
            ["/bin/sh", "-c", _DETACH, "sh", *command],
            folder=folder,
            environment=environment,
            account=account,
            errors_to=output.fileno(),
        )
    process = Process.of(int(started.stdout))
    if process is None:
        raise did_not_start(log)
    process.save(record)
    return process


def did_not_start(log: Path, why: str = "ended at once") -> TransientError:
    """The error for a server that does not come up, with what it said last."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
    said = "\n".join(f"    {line[:300]}" for line in lines)
    return TransientError(f"{log.stem} {why}; {log} ends with:\n{said}")


def run(
    command: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str],
    account: Account | None = None,
    errors_to: int = subprocess.STDOUT,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end as another account if told, and give what it said."""
    return subprocess.run(
        command,
        cwd=folder,
        env=dict(environment),
        user=account.uid if account else None,
        group=account.gid if account else None,
        # None of root's groups either.
        extra_groups=[] if account else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors_to,
        start_new_session=True,
        check=False,
        text=True,
    )


def command_line(pid: int) -> str:
    """How a process was called, or nothing when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return "" if Path("/proc/self").exists() else _ps(pid, "args=")


def _born(pid: int) -> str | None:
    """When a process began, as one word that no other process shares, also not after a reboot."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return None if Path("/proc/self").exists() else _ps(pid, "lstart=").replace(" ", "_") or None
    # After the name, which may itself hold spaces and brackets, counted as proc(5) does from 3 on.
    facts = dict(enumerate(said.rpartition(")")[2].split(), start=3))
    state, threads, start = facts[3], int(facts[20]), facts[22]
    # Dead, but nobody has asked yet how it ended. Its last threads may still hold ports and files.
    if state in "ZX" and threads <= 1:
        return None
    return f"{boot}:{start}"


def _ps(pid: int, what: str) -> str:
    """What ``ps`` says, on systems without /proc."""
    return run(["/bin/ps", "-o", what, "-p", str(pid)], folder=Path("/"), environment={}).stdout.strip()
