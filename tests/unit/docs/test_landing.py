"""docs/landing.md names tests for what it says, and they are there."""

import ast
import re
from pathlib import Path

from support.cells import CELLS, WAYS

from haulier_load.modes import MODES

PAGE = Path("docs/landing.md").read_text()
TESTS = Path("tests/integration")


def defined(file):
    """Names as pytest writes them, behind the file's own."""
    for node in ast.parse((TESTS / file).read_text()).body:
        if isinstance(node, ast.FunctionDef):
            yield f"{file}::{node.name}"
        elif isinstance(node, ast.ClassDef):
            yield from (
                f"{file}::{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)
            )


def test_every_test_it_names_exists():
    named = re.findall(r"`(test_\w+\.py::[\w:]+)`", PAGE)
    existing = {name for file in {one.partition("::")[0] for one in named} for name in defined(file)}

    assert len(named) > 20
    assert [name for name in named if name not in existing] == []


def test_every_mode_has_a_column():
    heads = re.search(r"^\| \| (.+) \|$", PAGE, re.MULTILINE)[1]

    assert set(re.findall(r"`(\w+)`", heads)) == {*MODES, "deletes", "deletedAt"}


#: What a cell says where there is nothing to send.
NOTHING = ("refused by `check`", "cannot be said", "–")


def test_every_cell_has_a_test():
    """But for what no file can say; a key without a value has one test for all modes."""
    table = PAGE.partition("## Deletions")[0]
    heads = re.search(r"^\| \| (.+) \|$", PAGE, re.MULTILINE)[1].split(" | ")
    columns = [re.findall(r"`(\w+)`", head)[-1] for head in heads]
    rows = re.findall(r"^\| ([a-z][^|]+) \| (.+) \|$", table, re.MULTILINE)
    said = {
        (case, column)
        for case, cells in rows
        for column, cell in zip(columns, cells.split(" | "), strict=True)
        if cell not in NOTHING and case != "no value in the key"
    }

    assert {(case, WAYS[way].column) for case, way in CELLS} == said


def test_every_case_has_a_row():
    cases = re.findall(r"^\| ([a-z][^|]+) \|", PAGE.partition("## Deletions")[0], re.MULTILINE)

    assert cases == [
        "new key", "changed", "identical, in a later file", "repeated", "older", "deleted", "reinserted",
        "no value in the key",
    ]  # fmt: skip
