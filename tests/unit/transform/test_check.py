"""What `check` finds before a run would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from haulier.settings import Settings
from haulier_transform.check import check

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: labs
version: 1.0.0
status: active
schema:
  - name: labs
    physicalName: lab.results
    properties:
      - {name: subject, logicalType: string, primaryKey: true, logicalTypeOptions: {pattern: "PATTERN"}}
      - {name: result, logicalType: number, transformLogic: computed}
"""
PIPELINE = """
pipeline: labs
contract: ../contracts/labs.odcs.yaml
source: {files: {path: "*.csv"}}
transform: {functions: [FUNCTION]}
instances: {"701": {}, "702": {}}
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes definitions with a pattern and a function's name; what check finds in them."""

    def written(pattern: str = "[0-9]+", function: str = "labs.run") -> Settings:
        for folder, name, text in (
            ("contracts", "labs.odcs.yaml", CONTRACT.replace("PATTERN", pattern)),
            ("pipelines", "labs.yaml", PIPELINE.replace("FUNCTION", function)),
            ("functions", "labs.py", "def run(batch): return batch\n"),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / name).write_text(text)
        return Settings(definitions=tmp_path)

    return written


def test_nothing_is_wrong_with_definitions_that_work(write: Any) -> None:
    assert check(None, None, write()) == []
    assert check("labs", "701", write()) == []


def test_a_function_that_cannot_be_found(write: Any) -> None:
    findings = check(None, None, write(function="labs.rum"))

    assert [subject for subject, _ in findings] == ["labs/701", "labs/702"]
    assert 'did you mean "run"' in findings[0][1]


def test_only_the_instance_asked_about(write: Any) -> None:
    assert [subject for subject, _ in check("labs", "702", write(function="labs.rum"))] == ["labs/702"]


def test_a_contract_that_cannot_be_kept(write: Any) -> None:
    findings = check("labs", None, write(pattern="(?=x)y"))

    assert any("pattern" in problem for _, problem in findings)


def test_a_pipeline_that_is_not_there(write: Any) -> None:
    ((subject, problem),) = check("lab", None, write())

    assert subject == "lab"
    assert 'did you mean "labs"' in problem


def test_a_broken_file_is_a_finding(write: Any) -> None:
    settings = write()
    (settings.definitions / "pipelines" / "labs.yaml").write_text("pipeline: [")

    assert len(check(None, None, settings)) == 1
