"""What the README shows is what happens: its second half, run line by line in an empty folder."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from support.console import Block, blocks, private, run

ROOT = Path(__file__).parents[2]
COUNT = Block(commands='. .haulier/env.sh && psql -qAt -c "SELECT count(*), sum(amount) FROM shop.orders"')


def section(heading):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return blocks(text.split(f"## {heading}\n")[1].split("\n## ")[0])


def test_a_file_of_ones_own_goes_from_inbox_to_table(tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / ".venv").symlink_to(Path(sys.prefix))
    with private(folder) as environment:
        said = run([*section("Haul your own file"), COUNT], folder, environment)

    assert said.code == 0, said.all
    *steps, counted = said.blocks
    shown = "".join(steps)
    assert re.search(r"1002 *\| Grace *\| *5\.00", shown)
    assert "'7.5o' is not a number" in shown
    assert "1001,2026-01-05,Ada,19.90" in shown
    assert "corrected" in shown or "No open reject" in shown or "Nothing" in shown
    assert shown.rstrip().endswith("Nothing fell off.")
    assert counted.strip() == "3|32.40"


def test_the_first_half_names_targets_that_make_has():
    commands = "".join(block.commands for block in section("See it"))
    shown = re.findall(r"^make ([a-z-]+)$", commands, flags=re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert shown == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in shown)


def test_every_page_the_readme_points_to_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    local = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]

    assert len(local) > 5
    assert [link for link in local if not (ROOT / link).exists()] == []
