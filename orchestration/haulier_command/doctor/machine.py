"""This machine: room, Python and its libraries, and the files that secrets stand in."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from haulier.settings import SECRET_PREFIX, VARIABLES
from haulier_command.doctor import Look, Looking, Looks
from haulier_command.surroundings import near

GIBIBYTE = 1024**3
#: A file, its original and its parts are on their way at once.
ENOUGH_BYTES, FEW_BYTES = GIBIBYTE, 64 * 1024 * 1024
_LIBRARIES = (
    "haulier",
    "msgspec",
    "pyarrow",
    "pandas",
    "psycopg2",
    "psycopg2-binary",
    "obstore",
    "SQLAlchemy",
)


def looks(environ: Mapping[str, str], home: Path) -> Looks:
    look = Looking("this machine")
    yield look.ok("Python", platform.python_version())
    yield look.ok("libraries", ", ".join(_versions()))
    yield space(look, Path(tempfile.gettempdir()), "TMPDIR")
    if (home / "tier.json").exists():
        yield space(look, home, "embedded tier")
    yield from _secrets(look, environ)


def space(look: Looking, folder: Path, what: str) -> Look:
    """How much room there is where a folder is, or will be."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    free = shutil.disk_usage(there).free
    shown = f"{free / GIBIBYTE:,.1f} GiB free in {near(folder)}"
    if not os.access(there, os.W_OK):
        return look.fail(
            what, f"{near(folder)} cannot be written by user {os.getuid()}", "another folder, or its rights"
        )
    if free < FEW_BYTES:
        return look.fail(what, shown, "make room, or name another folder")
    if free < ENOUGH_BYTES:
        return look.warn(what, shown, "as much as the largest file that is hauled, twice")
    return look.ok(what, shown)


def _versions() -> list[str]:
    found = []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue  # an image has what its step needs
    return found


def _secrets(look: Looking, environ: Mapping[str, str]) -> Looks:
    """Each file that a secret is read from; its name is not repeated, somebody may have written the secret there."""
    known = {f"{variable.name}_FILE" for variable in VARIABLES if variable.secret} | {
        "PGPASSFILE",
        "PGSSLKEY",
    }
    names = sorted(n for n in environ if n in known or (n.startswith(SECRET_PREFIX) and n.endswith("_FILE")))
    good = []
    for name in names:
        if not environ[name]:
            continue
        try:
            status = Path(environ[name]).stat()
            with Path(environ[name]).open("rb"):
                pass
        except OSError as exc:
            yield look.fail(
                name, f"the file it names cannot be read ({exc.strerror})", "mount it, readable by this user"
            )
            continue
        if not stat.S_ISREG(status.st_mode):
            yield look.fail(name, "it names no file", "the path of a file")
        elif status.st_mode & stat.S_IROTH:
            yield look.warn(
                name, f"every user of this machine can read it ({stat.filemode(status.st_mode)})", "chmod 600"
            )
        else:
            good.append(name)
    if good:
        yield look.ok("secrets", f"readable, and not by everybody: {', '.join(good)}")
