"""`python -m support.dying N haulier-arguments…`: the haulier command, which gets kill -9 before its Nth step.

A step is whatever changes something outside the process: a statement that writes, a COPY, a commit, an object put
or sealed; and each object that is read back. Between two of them nothing can be lost that was not before.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from typing import Any

import psycopg2
import psycopg2.extensions

from haulier.exchange.folder import FolderExchange
from haulier_command.__main__ import main

_steps = count(1)
_last = 0


def _step() -> None:
    if next(_steps) == _last:
        os.kill(os.getpid(), signal.SIGKILL)


class _Cursor(psycopg2.extensions.cursor):
    def execute(self, query: Any, vars: Any = None) -> None:
        text = query if isinstance(query, str) else query.as_string(self)
        if not text.lstrip().startswith(("SELECT", "SET", "WITH", "--")):
            _step()
        super().execute(query, vars)

    def copy_expert(self, *arguments: Any, **named: Any) -> None:
        _step()
        super().copy_expert(*arguments, **named)


class _Connection(psycopg2.extensions.connection):
    def cursor(self, *arguments: Any, **named: Any) -> Any:
        return super().cursor(*arguments, **{"cursor_factory": _Cursor, **named})

    def commit(self) -> None:
        _step()
        super().commit()


def _stepping(name: str) -> None:
    original = getattr(FolderExchange, name)

    def stepping(self: FolderExchange, *arguments: Any) -> Any:
        _step()
        return original(self, *arguments)

    setattr(FolderExchange, name, stepping)


if __name__ == "__main__":
    _last = int(sys.argv[1])
    connect = psycopg2.connect
    psycopg2.connect = lambda *a, **named: connect(
        *a, **{**named, "connection_factory": _Connection}
    )  # what connects so may die
    for name in ("put", "create", "get"):
        _stepping(name)
    sys.exit(main(sys.argv[2:], os.environ))
