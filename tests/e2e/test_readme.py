"""What the README shows is what happens: its second half, run line by line in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def blocks(heading):
    section = (ROOT / "README.md").read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```console\n(.*?)```", section, flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    yield tmp_path
    subprocess.run(["haulier", "down"], cwd=tmp_path, env=environment(), check=True, capture_output=True)


def environment():
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PG", "AWS", "HAULIER"))
    }
    return kept | {"PATH": f"{Path(sys.prefix) / 'bin'}:{kept['PATH']}"}


def test_a_file_of_ones_own_goes_from_inbox_to_table(folder):
    script = "\n".join(["set -euo pipefail", "VIRTUAL_ENV_DISABLE_PROMPT=1", *blocks("Haul your own file")])
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"1002 *\| Grace *\| *5\.00", done.stdout)
    assert "'7.5o' is not a number" in done.stdout
    assert "1001,2026-01-05,Ada,19.90" in done.stdout
    assert "corrected" in done.stdout or "No open reject" in done.stdout or "Nothing" in done.stdout
    assert done.stdout.rstrip().endswith("Nothing fell off.")
    rows = 'psql -qAt -c "SELECT count(*), sum(amount) FROM shop.orders"'
    counted = subprocess.run(
        ["bash", "-c", f". .haulier/env.sh && {rows}"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert counted.stdout.strip() == "3|32.40"


def test_the_first_half_names_targets_that_make_has():
    shown = re.findall(r"^make ([a-z-]+)$", "\n".join(blocks("See it")), flags=re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert shown == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in shown)


def test_every_page_the_readme_points_to_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    local = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]

    assert len(local) > 5
    assert [link for link in local if not (ROOT / link).exists()] == []
