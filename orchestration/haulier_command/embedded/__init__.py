"""The embedded tier: a real PostgreSQL and a real S3 as processes of this machine, without Docker."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from haulier_command.embedded import postgres, seaweedfs
from haulier_command.embedded.state import State, forget, locked, write_private

__all__ = ["Tier", "down", "home_from", "running", "up"]

# Of the surroundings, these would lead a program to other servers, or past our passwords.
_ABOUT_SERVERS = ("PG", "AWS_", "HAULIER_EXCHANGE")
# The same for a shell, which cannot unset by prefix: those that our own do not overwrite.
_UNSET = (
    *(
        "PGHOSTADDR",
        "PGSERVICE",
        "PGSERVICEFILE",
        "PGPASSFILE",
        "PGOPTIONS",
        "PGCHANNELBINDING",
        "PGREQUIREAUTH",
    ),
    *("PGPASSWORD_FILE", "AWS_ACCESS_KEY_ID_FILE", "AWS_SECRET_ACCESS_KEY_FILE", "AWS_SESSION_TOKEN_FILE"),
    *("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3"),
)


@dataclass(frozen=True, kw_only=True)
class Tier:
    """Two servers that run, and how to reach them."""

    home: Path
    environment: dict[str, str] = field(repr=False)
    psql: Path

    def environment_over(self, surroundings: Mapping[str, str]) -> dict[str, str]:
        """The surroundings, with all that is said there about PostgreSQL, S3 and the exchange replaced."""
        kept = {name: value for name, value in surroundings.items() if not name.startswith(_ABOUT_SERVERS)}
        return kept | self.environment


def home_from(environ: Mapping[str, str]) -> Path:
    """Where the tier keeps its state: ``HAULIER_HOME``, or ``.haulier`` in the current directory."""
    return Path(environ.get("HAULIER_HOME") or ".haulier").absolute()


def up(home: Path, *, database: str = "haulier", settings: Mapping[str, str] | None = None) -> Tier:
    """Start what does not run yet; return when both servers answer and the database is there.

    ``settings`` are PostgreSQL's; they hold for a server that this call starts. Data that was there is
    kept, also when the machine went down over it. Raises `TransientError` when a server does not come up
    and `DefinitionError` when this machine lacks what it takes.
    """
    home = home.absolute()
    with locked(home):
        state = State.load(home) or State.new()
        state.database = database
        to_start = [server for server in (seaweedfs, postgres) if not server.running(home)]
        for server in to_start:
            state.keep_or_choose_ports(server.PORTS)
        state.save(home)
        # SeaweedFS gets ready by itself while PostgreSQL's cluster is made.
        if seaweedfs in to_start:
            seaweedfs.start(home, state)
        if postgres in to_start:
            postgres.start(home, state, settings or {})
        postgres.wait(home)
        postgres.ensure_database(state, database)
        seaweedfs.wait(home, state)
        tier = _tier(home, state)
        write_private(home / "env.sh", _shell(tier))
    return tier


def running(home: Path) -> Tier | None:
    """The tier that lives here, when both its servers run."""
    home = home.absolute()
    state = State.load(home)
    return _tier(home, state) if state and postgres.running(home) and seaweedfs.running(home) else None


def down(home: Path, *, remove: bool = True) -> None:
    """Stop what `up` started here, and nothing else; with ``remove``, delete what it wrote."""
    home = home.absolute()
    if State.load(home) is None:  # then nothing here is ours, whatever it is called
        return
    with locked(home):
        state = State.load(home)
        if state:  # nobody else was quicker
            seaweedfs.stop(home, state, kept=not remove)
            postgres.stop(home)
            if remove:
                postgres.erase(home)
                seaweedfs.erase(home)
                (home / "env.sh").unlink(missing_ok=True)
        if remove:
            forget(home)


def _tier(home: Path, state: State) -> Tier:
    environment = postgres.environment(state) | seaweedfs.environment(state)
    return Tier(home=home, environment=environment, psql=postgres.binaries() / "psql")


def _shell(tier: Tier) -> str:
    """What to ``source`` to work with the tier by hand."""
    lines = [
        "# Haulier's embedded tier. To use psql, or any step, by hand: source this file.",
        f"unset {' '.join(_UNSET)}",
        *(f"export {name}={shlex.quote(value)}" for name, value in sorted(tier.environment.items())),
        f"export PATH={shlex.quote(str(tier.psql.parent))}:$PATH",
    ]
    return "\n".join(lines) + "\n"
