"""Each example runs exactly as its README says, and prints what it shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.console import blocks, missing, private, run

EXAMPLES = sorted(path for path in (Path(__file__).parents[2] / "examples").iterdir() if path.is_dir())
#: What somebody left behind who tried it in the checkout.
LEFT = shutil.ignore_patterns(".haulier", "__pycache__")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "example"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_as_its_readme_says(example, folder):
    shown = blocks((example / "README.md").read_text(encoding="utf-8"))
    assert shown, f"{example}/README.md shows no commands"
    shutil.copytree(example, folder, ignore=LEFT)

    with private(folder) as environment:
        said = run(shown, folder, environment)

    assert said.code == 0, said.all
    assert [missing(block, text) for block, text in zip(shown, said.blocks, strict=True)] == [[]] * len(
        shown
    ), said.all
