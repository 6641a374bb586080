"""What must be there before Airflow starts: both schemas, the pool of loads, the people and their roles.

Runs once in its own container, and again whenever a definition names a new role: a DAG that names a role
Airflow does not know makes its whole file unreadable.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from haulier import loading
from haulier.errors import DefinitionError
from haulier_command.containers import read_environment

LOAD_POOL_SLOTS = "4"


def operators(definitions: Path) -> list[str]:
    """Every role that a readable definition names."""
    roles: set[str] = set()
    for name in loading.pipeline_names(definitions):
        try:
            file = loading.load_pipeline(definitions, name)
        except DefinitionError:
            continue  # it becomes a DAG that says what is wrong
        roles.update(file.pipeline.operators)
        for override in file.pipeline.instances.values():
            roles.update(override.operators)
    return sorted(roles)


def main(environ: Mapping[str, str]) -> int:
    """Returns 0; a command that fails ends this with its output."""
    with ThreadPoolExecutor() as pool:
        # The steps' PGSSLMODE and the like are not for Airflow's own database.
        steps = {**environ, **read_environment(Path(environ["HAULIER_STEP_ENVIRONMENT"]))}
        ledger = pool.submit(_run, sys.executable, "-m", "haulier_command", "migrate", environ=steps)
        _airflow("db", "migrate")
        password = Path("/run/secrets/airflow/admin_password").read_text(encoding="utf-8").strip()
        slots = environ.get("HAULIER_LOAD_SLOTS") or LOAD_POOL_SLOTS
        # Each of these imports Airflow anew, which takes seconds.
        waiting = [
            ledger,
            pool.submit(
                _airflow, "pools", "set", "haulier_load", slots, "Loads into PostgreSQL side by side"
            ),
            pool.submit(_admin, password),
        ]
        if roles := operators(Path(environ["HAULIER_DEFINITIONS"])):
            waiting.append(pool.submit(_airflow, "roles", "create", *roles))
        for one in waiting:
            one.result()
    return 0


def _admin(word: str) -> None:
    names = (
        "--username",
        "admin",
        "--firstname",
        "Haulier",
        "--lastname",
        "Admin",
        "--email",
        "admin@localhost",
    )
    _airflow("users", "create", "--role", "Admin", *names, "--use-random-password")
    # By standard input or environment no command takes it, and arguments show in the list of processes.
    _run(sys.executable, "-c", _SET_ADMIN, said=word)


_SET_ADMIN = """
import sys
from airflow.providers.fab.www.app import create_app
app = create_app(enable_plugins=False)
with app.app_context():
    manager = app.appbuilder.sm
    user = manager.find_user(username="admin")
    manager.reset_password(user.id, sys.stdin.read())
"""


def _airflow(*arguments: str) -> None:
    _run(sys.executable, "-m", "airflow", *arguments)


def _run(*command: str, said: str | None = None, environ: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, input=said, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise SystemExit(f"{' '.join(command[:6])} ended with {done.returncode}")


if __name__ == "__main__":
    sys.exit(main(os.environ))
