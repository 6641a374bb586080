"""What must be there before Airflow starts: both schemas, the pool of loads, the people and their roles.

Runs once in its own container, and again whenever a definition names a new role: a DAG that names a role
Airflow does not know makes its whole file unreadable.
"""

from __future__ import annotations

import json
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
        word = Path("/run/secrets/airflow/admin_password").read_text(encoding="utf-8").strip()
        slots = environ.get("HAULIER_LOAD_SLOTS") or LOAD_POOL_SLOTS
        # Each of these imports Airflow anew, which takes seconds; what concerns people must be one after another.
        waiting = [
            ledger,
            pool.submit(
                _airflow, "pools", "set", "haulier_load", slots, "Loads into PostgreSQL side by side"
            ),
            pool.submit(_people, word, operators(Path(environ["HAULIER_DEFINITIONS"]))),
        ]
        for one in waiting:
            one.result()
    return 0


def _people(word: str, roles: list[str]) -> None:
    """By standard input: no command takes a password so, and arguments show in the list of processes."""
    _run(sys.executable, "-c", _PEOPLE, said=json.dumps({"word": word, "roles": roles}))


_PEOPLE = """
import json, sys
from airflow.providers.fab.www.app import create_app
told = json.load(sys.stdin)
app = create_app(enable_plugins=False)
with app.app_context():
    manager = app.appbuilder.sm
    for role in told["roles"]:
        manager.add_role(role)
    admin = manager.find_user(username="admin")
    if admin:
        manager.reset_password(admin.id, told["word"])
    else:
        role = manager.find_role("Admin")
        made = manager.add_user("admin", "Haulier", "Admin", "admin@localhost", role, password=told["word"])
        sys.exit(0 if made else "the administrator could not be made")
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
