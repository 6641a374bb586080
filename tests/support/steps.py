"""Runs the three steps of a run: in this process, or each as a cold process as production does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from haulier.interval import Interval
from haulier.settings import Settings
from haulier.task import Outcome, Task
from haulier_extract.step import extract
from haulier_load.step import load
from haulier_transform.models.step import build
from haulier_transform.step import transform

STEPS = {"extract": extract, "transform": transform, "load": load}


def haul(
    settings: Settings, pipeline: str, instance: str, interval: Interval, before: str = "", **asked: Any
) -> dict[str, Outcome]:
    """step -> outcome, in this process; an empty run ends after extract, errors are raised.

    ``before`` names a step that is left out, and what follows it.
    """
    outcomes: dict[str, Outcome] = {}
    content = {name: asked.pop(name) for name in ("replay",) if name in asked}
    for name, step in {**STEPS, "models": build}.items():
        if name == before:
            break
        if name == "models" and (outcomes["load"].exit_code or not outcomes["load"].models):
            break
        task = Task(
            step="transform" if name == "models" else name,
            verb="run",
            pipeline=pipeline,
            instance=instance,
            interval=interval,
            settings=settings,
            **content,
            **(asked if name == "extract" else {}),
        )
        outcomes[name] = step(task)
        if outcomes[name].exit_code == 99:
            break
        if "replay" not in content:
            content = {"generation": outcomes[name].generation}
    return outcomes


def haul_in_shards(settings: Settings, pipeline: str, instance: str, interval: Interval) -> Outcome:
    """Extract, then each shard's transform and load; the outcome of the load that closes."""

    def task(step: Any, **asked: Any) -> Task:
        return Task(
            step=step,
            verb="run",
            pipeline=pipeline,
            instance=instance,
            interval=interval,
            settings=settings,
            **asked,
        )

    extracted = extract(task("extract"))
    assert extracted.shards is not None
    assert extracted.shards > 1
    generation = extracted.generation
    for step, do in (("transform", transform), ("load", load)):
        for shard in range(1, extracted.shards + 1):
            do(task(step, generation=generation, shard=shard))
    return load(task("load", generation=generation))


def command(step: str, pipeline: str, instance: str, interval: Interval, *more: str) -> list[str]:
    """One step's command line."""
    return [
        sys.executable,
        "-m",
        f"haulier_{step}",
        "run",
        "--pipeline",
        pipeline,
        "--instance",
        instance,
        "--interval-start",
        interval.start.isoformat(),
        "--interval-end",
        interval.end.isoformat(),
        *more,
    ]


def environ(environment: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with a test's own variables on top."""
    return {**os.environ, **environment}


def run_cold(
    environment: Mapping[str, str], step: str, pipeline: str, instance: str, interval: Interval, *more: str
) -> tuple[int, dict[str, Any], str]:
    """(exit code, result line, stderr) of one step as a process of its own."""
    done = subprocess.run(
        command(step, pipeline, instance, interval, *more),
        env=environ(environment),
        cwd=Path.cwd(),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert len(lines) <= 1, f"stdout holds one result line, not {lines}"
    return done.returncode, json.loads(lines[0]) if lines else {}, done.stderr


def haul_cold(
    environment: Mapping[str, str], pipeline: str, instance: str, interval: Interval
) -> list[tuple[int, dict[str, Any], str]]:
    """The three steps as cold processes; stops after the first that does not exit 0."""
    done = []
    more: list[str] = []
    for name in STEPS:
        done.append(run_cold(environment, name, pipeline, instance, interval, *more))
        code, result, _ = done[-1]
        if code:
            break
        more = ["--generation", str(result["generation"])]
    return done
