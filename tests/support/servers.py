"""The servers of a test session: started by the first test that needs them, shared by all workers."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from os import getpid
from pathlib import Path

from haulier_command import embedded
from haulier_command.embedded.processes import Process

_PREFIX = "haulier-tests-"


def make_home() -> Path:
    """A folder for one session's servers. Clears away those of sessions that were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another account's, or gone meanwhile
            if (left / "owner").read_text(encoding="utf-8") and Process.load(left / "owner") is None:
                remove_home(left)
    home = Path(tempfile.mkdtemp(prefix=_PREFIX))
    home.chmod(0o711)  # PostgreSQL, which may run as another account, passes through
    owner = Process.of(getpid())
    assert owner
    owner.save(home / "owner")
    return home


def remove_home(home: Path) -> None:
    """Stop the servers of this folder, where there are any, and delete it."""
    embedded.down(home)
    shutil.rmtree(home, ignore_errors=True)
