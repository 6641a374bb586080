"""A Compose stack of a test's own, and its REST API."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.engine import ROOT, docker

PORTS = ("HAULIER_WEB_PORT", "HAULIER_POSTGRES_PORT", "HAULIER_S3_PORT")


def free_ports(count: int) -> list[int]:
    opened = [socket.socket() for _ in range(count)]
    try:
        for one in opened:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in opened]
    finally:
        for one in opened:
            one.close()


@dataclass(kw_only=True)
class Stack:
    """`make up` under another name, with its own ports, secrets and volumes."""

    home: Path
    project: str
    ports: dict[str, int] = field(default_factory=lambda: dict(zip(PORTS, free_ports(3), strict=True)))
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        told = {"HAULIER_COMPOSE_HOME": str(self.home), "HAULIER_PROJECT": self.project}
        return {**os.environ, **told, **{name: str(port) for name, port in self.ports.items()}}

    def make(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / "orchestration" / "compose.py"), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        logs = self.compose("logs", "--tail", "60") if done.returncode and arguments[0] == "up" else ""
        assert done.returncode == 0, done.stdout + done.stderr + logs
        return done.stdout

    def compose(self, *arguments: str) -> str:
        files = ("--env-file", str(self.home / "compose.env"), "--file", str(ROOT / "docker-compose.yml"))
        return docker("compose", *files, *arguments, check=False).stdout

    def secret(self, name: str) -> str:
        return (self.home / "secrets" / name).read_text()

    @property
    def database(self) -> dict[str, str]:
        """How a test on this machine reaches the target."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.ports["HAULIER_POSTGRES_PORT"]),
            "PGUSER": "haulier",
            "PGDATABASE": "haulier",
            "PGPASSWORD": self.secret("steps/pg_password"),
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(self.home / "secrets/steps/ca.crt"),
        }

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        import psycopg2

        from haulier.ledger.connection import conninfo

        connection = psycopg2.connect(**conninfo(self.database))
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchall()
        finally:
            connection.close()

    def call(
        self, path: str, body: object = None, *, user: str = "admin", method: str | None = None
    ) -> tuple[int, Any]:
        """(status, answer) of Airflow's REST API."""
        headers = {"Content-Type": "application/json"}
        if path != "/auth/token":
            headers["Authorization"] = f"Bearer {self._token(user)}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._url(path), data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode(errors="replace")

    def get(self, path: str, user: str = "admin") -> Any:
        status, answer = self.call(path, user=user)
        assert status == 200, answer
        return answer

    def trigger(self, dag: str, user: str = "admin", **conf: object) -> tuple[int, Any]:
        return self.call(f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf}, user=user)

    def state(self, dag: str, run: str) -> str:
        return str(self.get(f"/api/v2/dags/{dag}/dagRuns/{run}")["state"])

    def ended(self, dag: str, run: str, seconds: float = 600) -> str:
        """How a run ended."""
        wait_until(lambda: self.state(dag, run) in ("success", "failed"), seconds, f"{dag} {run} to end")
        return self.state(dag, run)

    def tasks(self, dag: str, run: str) -> dict[str, tuple[str, int]]:
        """task -> (state, attempts)."""
        found = self.get(f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {one["task_id"]: (one["state"], one["try_number"]) for one in found}

    def handed_on(self, dag: str, run: str, task: str) -> dict[str, Any]:
        """A task's XCom."""
        at = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        value = self.get(at)["value"]
        found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
        return found

    def log(self, dag: str, run: str, task: str, attempt: int) -> str:
        return json.dumps(
            self.get(f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{attempt}")["content"]
        )

    def _token(self, user: str) -> str:
        if user not in self.tokens:
            word = self.secret("airflow/admin_password") if user == "admin" else user
            status, answer = self.call("/auth/token", {"username": user, "password": word})
            assert status == 201, answer
            self.tokens[user] = answer["access_token"]
        return self.tokens[user]

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.ports['HAULIER_WEB_PORT']}{path}"


def wait_until(is_so: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.5)
