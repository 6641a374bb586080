"""Requirements and the tests that show them: read from the marks, and told as a matrix with what came out.

`docs/requirements.toml` has the requirements, ``@pytest.mark.requirement`` the tests. pytest calls what is here by way of
``conftest.py`` when ``--requirements FILE`` says where the matrix goes.
"""

from __future__ import annotations

import ast
import platform
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import haulier

MARK = "requirement"
TESTS = Path(__file__).parent.parent
LIST = TESTS.parent / "docs" / "requirements.toml"


def requirements() -> dict[str, dict[str, str]]:
    """id -> its text and basis."""
    found: dict[str, dict[str, str]] = tomllib.loads(LIST.read_text(encoding="utf-8"))
    return found


def marked(folder: Path = TESTS) -> dict[str, set[str]]:
    """id -> the files with a test marked with it, as their text says; nothing is imported."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(folder.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if f"mark.{MARK}" in text:
            for name in _marks(ast.parse(text)):
                found[name].add(path.relative_to(folder).as_posix())
    return dict(found)


def _marks(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == MARK:
            yield from (one.value for one in node.args if isinstance(one, ast.Constant))


def problems(required: Iterable[str], shown: Mapping[str, object]) -> list[str]:
    """Requirements without a test, and marks without a requirement."""
    required = set(required)
    return [
        *(f"{name} has no test" for name in sorted(required - shown.keys())),
        *(f"{name} is marked and not in docs/requirements.toml" for name in sorted(shown.keys() - required)),
    ]


@dataclass
class Cell:
    """One test, with all its parameters."""

    outcomes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    reasons: set[str] = field(default_factory=set)

    def words(self) -> str:
        many = sum(self.outcomes.values())
        if set(self.outcomes) == {"passed"}:
            return "passed" if many == 1 else f"passed ({many} cases)"
        told = ", ".join(f"{outcome} {count}" for outcome, count in sorted(self.outcomes.items()))
        return "; ".join([told, *sorted(self.reasons)])


class Matrix:
    """A plugin of pytest: gathers what came out of marked tests, and writes it down at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cells: dict[str, dict[str, Cell]] = defaultdict(lambda: defaultdict(Cell))
        self._failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test's end; with pytest-xdist its report comes from the worker, marks among its properties."""
        if report.when != "call" and report.outcome == "passed":
            return
        for name in (value for key, value in report.user_properties if key == MARK):
            cell = self._cells[str(name)][report.nodeid.split("[")[0]]
            outcome = report.outcome if report.when == "call" or report.outcome == "skipped" else "failed"
            cell.outcomes[outcome] += 1
            if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
                cell.reasons.add(report.longrepr[2].removeprefix("Skipped: "))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        required = requirements()
        wrong = problems(required, self._cells)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("\n".join([*_page(required, self._cells, wrong), ""]), encoding="utf-8")
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        for line in (*wrong, f"the matrix: {self._path}"):
            reporter.write_line(line)
        if wrong and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def note_marks(items: Iterable[pytest.Item]) -> None:
    """A test's report carries its marks, wherever it ran."""
    for item in items:
        for mark in item.iter_markers(MARK):
            item.user_properties.extend((MARK, name) for name in mark.args)


def _page(
    required: Mapping[str, Mapping[str, str]], cells: Mapping[str, Mapping[str, Cell]], wrong: list[str]
) -> Iterator[str]:
    yield "# Requirements, tests, results"
    yield ""
    yield (
        "What the software supports, as its tests show it. Whether an organisation meets a regulation is not for software "
        "to say."
    )
    yield ""
    yield from (f"- {name}: {value}" for name, value in _surroundings())
    yield from (f"- **{problem}**" for problem in wrong)
    yield ""
    yield "| id | requirement | basis | test | result |"
    yield "| --- | --- | --- | --- | --- |"
    for name, said in required.items():
        tests: Mapping[str, Any] = cells.get(name) or {"none": None}
        # Each line whole, so that the table can be sorted and filtered.
        for test, cell in sorted(tests.items()):
            line = (name, said["text"], said["basis"], f"`{test}`", cell.words() if cell else "**no test**")
            yield "| " + " | ".join(one.replace("|", "\\|") for one in line) + " |"


def _surroundings() -> Iterator[tuple[str, str]]:
    yield "date", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    yield "commit", _commit()
    yield "Haulier", haulier.__version__
    yield "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield "command", f"pytest {' '.join(sys.argv[1:])}"


def _commit() -> str:
    def git(*asked: str) -> str:
        return subprocess.run(
            ["git", *asked], cwd=TESTS, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (" and changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown: no checkout"
