"""The environment a verb works in: what the shell says, or the embedded tier that runs here."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from haulier.settings import Settings
    from haulier_command.output import Screen

#: What the demo leaves beside the tier, so that the next commands find its definitions.
DEMO_ENVIRONMENT = "demo.sh"

_POSTGRES_NAMED = ("PGHOST", "PGHOSTADDR", "PGSERVICE")


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What every verb and every step it starts is told."""

    environ: Mapping[str, str]
    home: Path
    #: Files to source before running a step by hand.
    sourced: tuple[Path, ...] = ()

    @cached_property
    def settings(self) -> Settings:
        """Raises `DefinitionError`."""
        from haulier.settings import Settings

        return Settings.from_env(self.environ)


def surroundings(environ: Mapping[str, str], screen: Screen) -> Surroundings:
    """The environment itself when it names a PostgreSQL; else over it the embedded tier's, if one runs."""
    home = home_of(environ)
    if any(environ.get(name) for name in _POSTGRES_NAMED) or not (home / "tier.json").exists():
        return Surroundings(environ=environ, home=home)

    from haulier_command.embedded import running

    tier = running(home)
    if tier is None:
        screen.tell(f"haulier: the embedded tier in {near(home)} does not run; start it with: {me()} up")
        return Surroundings(environ=environ, home=home)
    demo = home / DEMO_ENVIRONMENT
    of_demo = {k: v for k, v in exported(demo).items() if not environ.get(k)}
    which = (
        f", definitions {near(Path(of_demo['HAULIER_DEFINITIONS']))}"
        if "HAULIER_DEFINITIONS" in of_demo
        else ""
    )
    screen.tell(f"haulier: using the embedded tier in {near(home)}{which}")
    return Surroundings(
        environ={**tier.environment_over(environ), **of_demo},
        home=home,
        sourced=(home / "env.sh", *([demo] if of_demo else [])),
    )


def home_of(environ: Mapping[str, str]) -> Path:
    """``HAULIER_HOME``, or ``.haulier`` in the current folder."""
    return Path(environ.get("HAULIER_HOME") or ".haulier").absolute()


def exported(file: Path) -> dict[str, str]:
    """The variables a file of ``export NAME=value`` lines sets; none when there is no such file."""
    if not file.exists():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines()
    words = [shlex.split(line)[1] for line in lines if line.startswith("export ")]
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def near(path: Path) -> str:
    """A path as a person here would write it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def me() -> str:
    """How a person calls this command, for the commands it proposes."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(near(Path(sys.executable)))} -m haulier_command"
    found = next(
        (Path(f) / called.name for f in os.get_exec_path() if (Path(f) / called.name).exists()), None
    )
    if found and called.exists() and found.samefile(called):
        return called.name
    return shlex.quote(near(called.absolute()))
