"""docs/landing.md names tests for what it says, and they are there."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest
from support.cells import CELLS, WAYS

from haulier.definitions.drift import Drift, SourceDrift
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


def cells(section):
    """(kind, policy) -> what the matrix of drift says there, and the tests below its columns."""
    table = PAGE.partition(f"({section})\n")[2].partition("\n\nRefused")[0]
    head, _, *lines = [
        [cell.strip() for cell in row.strip().strip("|").split("|")]
        for row in table.splitlines()
        if "|" in row
    ]
    policies = [policy.strip("`") for policy in head[1:]]
    *kinds, shown = lines
    told = {
        (re.match(r"`(\w+)`", kind)[1], policy): text
        for kind, *texts in kinds
        for policy, text in zip(policies, texts, strict=True)
    }
    return told, {test.strip("`").rpartition("::")[2] for test in shown[1:] if "::" in test}


def parameters(cls):
    """Test of a class -> the kinds, or kinds and policies, that it runs for."""
    spec = importlib.util.spec_from_file_location("drift_matrix", TESTS / "test_drift_matrix.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tests = vars(getattr(module, cls)).items()
    return {name: set(test.pytestmark[0].args[1]) for name, test in tests if name.startswith("test_")}


@pytest.mark.parametrize(
    ("section", "cls", "struct"),
    [("`transform.drift`", "TestFile", SourceDrift), ("`load.drift`", "TestTable", Drift)],
)
def test_every_cell_of_drift_is_shown_by_its_test(section, cls, struct):
    told, shown = cells(section)
    tests = parameters(cls)

    assert len({kind for kind, _ in told}) == 6
    assert {"evolve", "keep", "reject", "stop"} <= {policy for _, policy in told}
    for (kind, policy), text in told.items():
        if text.startswith("refused: "):
            assert (kind, policy) in tests["test_refused"], (kind, policy)
            assert policy in struct.refused[kind], (kind, policy)
        elif text != "–":
            assert kind in tests[f"test_{policy}"], (kind, policy)
            assert f"test_{policy}" in shown, policy
    assert sum(map(len, tests.values())) == sum(text != "–" for text in told.values())


@pytest.mark.parametrize(("section", "struct"), [("`transform.drift`", SourceDrift), ("`load.drift`", Drift)])
def test_what_is_bold_is_the_default(section, struct):
    told, _ = cells(section)

    bold = {kind: policy for (kind, policy), text in told.items() if text.startswith("**")}
    policy = getattr(struct(), "policy", lambda kind: getattr(struct(), kind))
    assert bold == {kind: policy(kind) for kind, _ in told}
