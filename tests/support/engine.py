"""A Docker engine, and the images built from this checkout."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
STEPS = ("extract", "transform", "load")


def docker(*arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, **options)
    assert not check or done.returncode == 0, done.stderr
    return done


def engine_answers() -> bool:
    try:
        return docker("version", check=False).returncode == 0
    except FileNotFoundError:
        return False


def images() -> None:
    """Build what the checkout says, from the engine's cache where nothing changed."""
    if not engine_answers():
        pytest.skip("no Docker engine answers here: no image is built and none of its tests runs")
    built = subprocess.run(["make", "images"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr


def inspected(what: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(docker("inspect", what).stdout)
    return found[0]


def run(command: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A `docker run` line, as a person would paste it."""
    return subprocess.run(
        list(command), env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
