"""Every requirement has a test that is marked with it, and every mark a requirement: the matrix has no empty row."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.requirements import marked, problems, requirements

ROOT = Path(__file__).parents[3]

_TEST = """
import pytest
@pytest.mark.requirement({0})
@pytest.mark.parametrize("n", [1, 2])
def test_it(n):
    assert {1}
@pytest.mark.requirement({0})
def test_that():
    pass
"""


@pytest.mark.requirement("R-20")
def test_no_requirement_is_without_a_test_and_no_mark_without_a_requirement() -> None:
    assert problems(requirements(), marked()) == []


def test_each_says_what_it_asks_and_on_which_basis() -> None:
    assert all(set(said) == {"text", "basis"} for said in requirements().values())


def test_nothing_claims_compliance() -> None:
    """The software supports; whether an organisation meets a regulation is not its to say."""
    pages = [
        path
        for folder in ("docs", "examples", "services", "shared", "orchestration")
        for pattern in ("*.md", "*.toml", "*.py", "*.sql", "*.css", "*.html", "*.yaml")
        for path in (ROOT / folder).rglob(pattern)
    ]
    assert len(pages) > 100

    claims = [
        (path.relative_to(ROOT).as_posix(), claim)
        for path in (*pages, ROOT / "README.md", ROOT / "CHANGELOG.md")
        for claim in re.findall(
            r"(?i)(?<!claims no )(?:complian(?:t|ce)|certified|GxP)", path.read_text("utf-8")
        )
    ]

    assert claims == []


def _matrix(tmp_path: Path, marks: str, holds: str) -> tuple[int, str]:
    """What pytest ends with, and the matrix, of one test of these marks."""
    (tmp_path / "conftest.py").write_text(
        "from support import requirements\nfrom pathlib import Path\n"
        f"requirements.LIST = Path({str(tmp_path / 'list.toml')!r})\n"
        "def pytest_configure(config):\n"
        "    config.addinivalue_line('markers', 'requirement(*ids): …')\n"
        f"    config.pluginmanager.register(requirements.Matrix(Path({str(tmp_path / 'matrix.md')!r})))\n"
        "def pytest_collection_modifyitems(items):\n    requirements.note_marks(items)\n"
    )
    (tmp_path / "list.toml").write_text('[R-1]\ntext = "It holds."\nbasis = "design"\n')
    (tmp_path / "test_one.py").write_text(_TEST.format(marks, holds))
    asked = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        "/dev/null",
        f"--rootdir={tmp_path}",
        "-p",
        "no:cacheprovider",
    ]
    ended = subprocess.run(
        [*asked, str(tmp_path)],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    return ended.returncode, (tmp_path / "matrix.md").read_text()


@pytest.mark.requirement("R-20")
@pytest.mark.parametrize(
    ("marks", "holds", "code", "told"),
    [
        ('"R-1"', "True", 0, "| R-1 | It holds. | design | `test_one.py::test_it` | passed (2 cases) |"),
        ('"R-1"', "n == 1", 1, "| R-1 | It holds. | design | `test_one.py::test_it` | failed 1, passed 1 |"),
        ('"R-1"', "pytest.skip('no engine')", 0, "| `test_one.py::test_it` | skipped 2; no engine |"),
        ('"R-1"', "True", 0, "| R-1 | It holds. | design | `test_one.py::test_that` | passed |"),
        ('"R-2"', "True", 1, "- **R-1 has no test**\n- **R-2 is marked and not in docs/requirements.toml**"),
    ],
)  # fmt: skip
def test_the_matrix_says_what_came_out(tmp_path: Path, marks: str, holds: str, code: int, told: str) -> None:
    ended, page = _matrix(tmp_path, marks, holds)

    assert ended == code
    assert told in page


def test_it_can_be_made_again(tmp_path: Path) -> None:
    """To pytest a file that is there is a place of tests, unless it is one word with its option."""
    there = tmp_path / "matrix.md"
    there.touch()
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    said = subprocess.run(
        ["make", "-n", "requirements"], cwd=ROOT, env=bare, capture_output=True, text=True, check=True
    )
    _, *asked = shlex.split(said.stdout.splitlines()[-1].replace(".haulier/requirements.md", str(there)))

    known = subprocess.run(
        [sys.executable, *asked, "--help"], cwd=ROOT, env=bare, capture_output=True, text=True
    )

    assert str(there) in " ".join(asked)
    assert "--requirements=FILE" in known.stdout, known.stderr
