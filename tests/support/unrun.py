"""Says at the end which tests did not run and why; in CI, only known reasons are good ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

#: Why a test may stay away in CI; a reason counts when it begins with one of these.
ALLOWED = (
    "the clinical data folder is absent",
    "no account but root can reach this checkout",
    "only root has folders that PostgreSQL's account cannot enter",
    "every other test here runs as an ordinary user already",
    "no Kubernetes cluster is named by KUBECONFIG",
    "restarting the Docker engine ends every container on it",
    "systemd runs this Docker engine",
    "PgBouncer is not installed",
    "MariaDB is not installed",
    "the judges are not installed",
)


def by_reason(reports: Iterable[pytest.TestReport | pytest.CollectReport]) -> dict[str, list[str]]:
    """Each reason that skipped reports give, with the tests it kept away."""
    reasons: dict[str, list[str]] = {}
    for report in reports:
        said = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        reasons.setdefault(said.removeprefix("Skipped: "), []).append(report.nodeid)
    return reasons


def lines(reasons: Mapping[str, list[str]]) -> list[str]:
    """The same in plain words."""
    said: list[str] = []
    for reason, tests in sorted(reasons.items()):
        said.append(f"{len(tests)} {'test' if len(tests) == 1 else 'tests'} did not run here: {reason}")
        said.extend(f"    {test}" for test in sorted(tests))
    return said


def refused(reasons: Mapping[str, list[str]]) -> list[str]:
    """The reasons that CI does not accept."""
    return sorted(reason for reason in reasons if not reason.startswith(ALLOWED))
