"""Imports point one way: the common library knows no service, services know only the common library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = {
    "haulier": ROOT / "shared/haulier",
    "haulier_extract": ROOT / "services/extract/haulier_extract",
    "haulier_transform": ROOT / "services/transform/haulier_transform",
    "haulier_load": ROOT / "services/load/haulier_load",
    "haulier_command": ROOT / "orchestration/haulier_command",
    "haulier_airflow": ROOT / "orchestration/haulier_airflow",
}
SERVICES = {"haulier_extract", "haulier_transform", "haulier_load"}
#: package -> the packages of this project that it may import, besides itself.
ALLOWED = {
    "haulier": set(),
    **{service: {"haulier"} for service in SERVICES},
    "haulier_command": {"haulier", *SERVICES},
    "haulier_airflow": {"haulier", "haulier_command"},
}
FORBIDDEN = {name: set() if name == "haulier_airflow" else {"airflow"} for name in PACKAGES}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_it_may(package):
    modules = list(PACKAGES[package].rglob("*.py"))
    assert modules
    for module in modules:
        ours = {name for name in imported(module) if name in PACKAGES and name != package}
        assert ours <= ALLOWED[package], module
        assert not set(imported(module)) & FORBIDDEN[package], module


@pytest.mark.parametrize("step", sorted(SERVICES))
def test_answering_help_imports_nothing_heavy(step):
    """Small daily files make start-up the main cost, so what is not needed is not imported."""
    code = (
        f"import sys; from {step}.__main__ import cli\n"
        "sys.argv = ['x', '--help']\n"
        "try: cli()\nexcept SystemExit: pass\n"
        "print(*sorted(set(sys.modules) & {'pandas', 'pyarrow', 'numpy', 'sqlalchemy', 'psycopg2', 'boto3', 'obstore', 'yaml'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr.split() == []
