"""`haulier check`: what is well, what is wrong, and what to do about it."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from haulier.errors import DefinitionError, HaulierError, worst
from haulier_command.choice import add_instance_options
from haulier_command.output import Screen, Table, columns
from haulier_command.steps import STEPS, StepName, error_of
from haulier_command.surroundings import Surroundings
from haulier_command.words import counted

if TYPE_CHECKING:
    from haulier.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Found:
    """One thing that was looked at."""

    by: str
    subject: str
    code: int = 0
    text: str = ""


def add_arguments(parser: ArgumentParser) -> None:
    add_instance_options(parser)
    parser.add_argument(
        "--digests", action="store_true", help="also say of each pipeline who approved it, or what to approve"
    )


def check(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    found = checked(asked, around)
    code = worst(one.code for one in found)
    screen.show(
        {
            "ok": code == 0,
            "exit_code": code,
            "checked": [
                {"by": one.by, "subject": one.subject, "ok": one.code == 0, "text": one.text} for one in found
            ],
        },
        Table(
            title="Checked",
            columns=columns("by", "what", "state!", "what to know"),
            rows=[(one.by, one.subject, "wrong" if one.code else "ok", one.text) for one in found],
        ),
    )
    return code


def checked(asked: Namespace, around: Surroundings) -> list[Found]:
    """What this command and each step's own program find."""
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(_step, step, asked, around) for step in STEPS]
        found = [*_own(asked, around), *(one for answer in answers for one in answer.result())]
    # A definition that is wrong is wrong for every step; that is said once.
    told: dict[object, Found] = {}
    lines: set[str] = set()
    for one in found:
        if not one.code:
            told.setdefault(one, one)
        elif new := [line for line in one.text.splitlines() or [""] if line not in lines]:
            lines.update(new)
            told[one] = replace(one, text="\n".join(new))
    return list(told.values())


def _own(asked: Namespace, around: Surroundings) -> Iterator[Found]:
    """What the command itself relies on: settings, definitions with their schedules, the ledger."""
    try:
        settings = around.settings
    except HaulierError as exc:
        yield Found(by="haulier", subject="settings", code=exc.exit_code, text=str(exc))
        return
    try:
        from haulier_command.choice import chosen_instances
        from haulier_command.schedule import ticks

        instances = list(chosen_instances(settings, asked.pipeline, asked.instance))
        for one in instances:
            if one.schedule:
                from datetime import UTC, datetime

                ticks(one.schedule, datetime(2026, 1, 1, tzinfo=UTC))
        if not instances:
            raise DefinitionError(
                f"there is no pipeline in {settings.definitions / 'pipelines'}; HAULIER_DEFINITIONS names the folder around it"
            )
        pipelines = len({one.pipeline for one in instances})
        count = f"{counted(pipelines, 'pipeline')}, {counted(len(instances), 'instance')}"
        text = f"{count} in {settings.definitions}"
        yield Found(by="haulier", subject="definitions", text=text)
        if getattr(asked, "digests", False):
            yield from _approvals(settings, sorted({one.pipeline for one in instances}))
    except HaulierError as exc:
        yield Found(by="haulier", subject="definitions", code=exc.exit_code, text=str(exc))
    try:
        from haulier.ledger.connection import SCHEMA_VERSION
        from haulier_command.ledger import reading

        with reading(settings, "check"):
            yield Found(by="haulier", subject="ledger", text=f"version {SCHEMA_VERSION}")
    except HaulierError as exc:
        yield Found(by="haulier", subject="ledger", code=exc.exit_code, text=str(exc))


def _approvals(settings: Settings, pipelines: Sequence[str]) -> Iterator[Found]:
    from haulier.approvals import problem_of
    from haulier.loading import load_pipeline

    for name in pipelines:
        file = load_pipeline(settings.definitions, name)
        approval = file.pipeline.approval
        text = problem_of(file) or (f"{approval.words}, digest: {approval.digest}" if approval else "")
        yield Found(by="haulier", subject=f"pipeline {name}", text=text)


def _step(step: StepName, asked: Namespace, around: Surroundings) -> list[Found]:
    """What a step's own program finds wrong."""
    command = [sys.executable, "-m", f"haulier_{step}", "check"]
    for option in ("pipeline", "instance"):
        if value := getattr(asked, option):
            command += [f"--{option}", value]
    done = subprocess.run(
        command,
        env=dict(around.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        findings = json.loads(done.stdout.splitlines()[-1])["findings"]
    except (IndexError, ValueError, KeyError, TypeError):
        return [
            Found(
                by=step, subject="program", code=done.returncode or 1, text=error_of(done.stderr.splitlines())
            )
        ]
    if not findings:
        return [Found(by=step, subject="all it needs", text="")]
    return [
        Found(by=step, subject=str(subject), code=int(code), text=str(text))
        for subject, text, code in findings
    ]
