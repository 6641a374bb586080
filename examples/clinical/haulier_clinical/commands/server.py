"""The way to the trial's database, and what to do where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from haulier.errors import TransientError
from haulier.ledger.connection import Connection, connect
from haulier.settings import Settings

#: Any of them says where the server is; without them it is sought on this machine.
_SERVER = ("PGHOST", "PGHOSTADDR", "PGSERVICE")


@contextmanager
def connected(settings: Settings, name: str) -> Iterator[Connection]:
    """As `connect`. An error says so where nobody named a server, as right after ``haulier up``."""
    reached = False
    try:
        with connect(settings, name) as connection:
            reached = True
            yield connection
    except TransientError as exc:
        if reached or any(settings.postgres.get(one) for one in _SERVER):
            raise
        raise TransientError(
            f"{exc}; PG* name no server: for the one of `haulier up`, say first: . .haulier/env.sh",
            **exc.context,
        ) from exc
