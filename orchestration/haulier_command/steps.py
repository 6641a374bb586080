"""One step of one run, started as an orchestrator starts it: a cold process, or in this one to debug."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from haulier.interval import Interval
from haulier_command.words import utc

if TYPE_CHECKING:
    from haulier_command.containers import Containers

#: `models` is a verb of transform's program, and only of pipelines that have some.
StepName = Literal["extract", "transform", "load", "models"]
STEPS: tuple[StepName, ...] = ("extract", "transform", "load")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one step is asked to do."""

    step: StepName
    #: `verify` is asked of load, which alone knows the tables.
    verb: Literal["run", "plan", "verify"]
    pipeline: str
    instance: str
    interval: Interval
    generation: int | None = None
    replay: int | None = None
    reprocess: str | None = None
    shard: int | None = None
    into: Path | None = None

    @property
    def program(self) -> str:
        """Whose program, and image, does it."""
        return "transform" if self.step == "models" else self.step

    @property
    def arguments(self) -> list[str]:
        told: dict[str, object | None] = {
            "--pipeline": self.pipeline,
            "--instance": self.instance,
            "--interval-start": utc(self.interval.start),
            "--interval-end": utc(self.interval.end),
            "--generation": self.generation,
            "--replay": self.replay,
            "--reprocess": self.reprocess,
            "--shard": self.shard,
            "--into": self.into,
        }
        verb: list[str] = [self.verb]
        if self.step == "models":
            verb = ["models", *(["--plan"] if self.verb == "plan" else [])]
        return [
            *verb,
            *(word for name, value in told.items() if value is not None for word in (name, str(value))),
        ]

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", f"haulier_{self.program}", *self.arguments]

    def __str__(self) -> str:
        return shlex.join(self.command)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one step said and how it ended."""

    code: int
    result: Mapping[str, Any] = field(default_factory=dict)
    #: Why it failed, in one line; empty when it did not.
    error: str = ""
    log: Path | None = None
    seconds: float = 0.0

    @property
    def counts(self) -> Mapping[str, Any]:
        counts = self.result.get("counts", {})
        return counts if isinstance(counts, dict) else {}

    @property
    def waits(self) -> tuple[str, ...]:
        """The files extract saw and did not take yet, each with the reason."""
        count = self.counts.get("waiting", 0)
        return self.notes[:count] if isinstance(count, int) else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know, those files first."""
        notes = self.result.get("notes", ())
        return tuple(map(str, notes)) if isinstance(notes, list | tuple) else ()


class Start(Protocol):
    """How a step is started; its log lines go to ``log``."""

    def __call__(self, order: Order, log: Path) -> Answer: ...

    @property
    def stopped(self) -> threading.Event:
        """Set when no further step may start."""

    @property
    def threads(self) -> bool:
        """Whether it may be called from several at once."""

    def stop(self) -> None:
        """Ask every running step to end; start no other."""


class Processes:
    """Each step in a process of its own; all of them can be stopped at once."""

    threads = True

    def __init__(self, environ: Mapping[str, str], *, containers: Containers | None = None) -> None:
        """With ``containers``, each step runs in one: `docker run` is the process."""
        self._environ = dict(environ)
        self._containers = containers
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self.stopped = threading.Event()

    def __call__(self, order: Order, log: Path) -> Answer:
        if self._containers is None:
            return self.call(order.command, log)
        return self.call(self._containers.by_hand(order.program, order.arguments), log)

    def call(self, command: list[str], log: Path) -> Answer:
        """Run one command; its last line on stdout is its result."""
        began = time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            with self._lock:
                if self.stopped.is_set():
                    return Answer(code=143, error="cancelled before it started")
                # A group of its own: Ctrl-C reaches this command alone, which then ends its steps in order.
                process = subprocess.Popen(
                    command,
                    env=self._environ,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=output,
                    process_group=0,
                )
                self._running.add(process)
            said, _ = process.communicate()
            with self._lock:
                self._running.discard(process)
        code, result = process.returncode, _last_json(said)
        return Answer(
            code=code,
            result=result,
            error="" if code in (0, 99) else _notes(result) or last_error(log),
            log=log,
            seconds=time.monotonic() - began,
        )

    def stop(self) -> None:
        with self._lock:
            self.stopped.set()
            for process in self._running:
                process.terminate()


class Here:
    """Each step in this very process, so that a debugger can follow it; a bug shows its traceback."""

    threads = False

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.stopped = threading.Event()

    def stop(self) -> None:
        self.stopped.set()

    def __call__(self, order: Order, log: Path) -> Answer:
        from argparse import Namespace
        from dataclasses import asdict
        from importlib import import_module

        from haulier import logs
        from haulier.errors import HaulierError
        from haulier.run import Program, build_task, remembering
        from haulier.settings import Settings

        began = time.monotonic()
        settings = Settings.from_env(self._environ)
        program: Program = getattr(import_module(f"haulier_{order.program}.program"), order.program.upper())
        asked = Namespace(
            verb="models" if order.step == "models" else order.verb,
            plan=order.verb == "plan",
            pipeline=order.pipeline,
            instance=order.instance,
            interval_start=utc(order.interval.start),
            interval_end=utc(order.interval.end),
            generation=order.generation,
            replay=order.replay,
            reprocess=order.reprocess,
            shard=order.shard,
            into=order.into and str(order.into),
        )
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as stream:
            logs.configure(
                {"step": order.step, "pipeline": order.pipeline, "instance": order.instance},
                settings.log_level,
                stream,
            )
            try:
                task = build_task(order.program, asked, settings)
                act = program.run if order.verb == "run" else program.plan
                with remembering(task, order.step):
                    outcome = (program.models if order.step == "models" and program.models else act)(task)
            except HaulierError as exc:
                logs.log.error(str(exc), extra={"facts": {**exc.context, "exit_code": exc.exit_code}})
                error = "" if exc.exit_code == 99 else str(exc)
                return Answer(code=exc.exit_code, error=error, log=log, seconds=time.monotonic() - began)
            finally:
                logs.log.handlers.clear()
        seconds = time.monotonic() - began
        result = asdict(outcome)
        error = "" if outcome.exit_code in (0, 99) else _notes(result)
        return Answer(code=outcome.exit_code, result=result, error=error, log=log, seconds=seconds)


def last_error(log: Path) -> str:
    """Why a step failed, by the end of its log."""
    return error_of(log.read_text(encoding="utf-8", errors="replace").splitlines())


def error_of(lines: Sequence[str]) -> str:
    """The line of a step's stderr that says why it failed."""
    last = ""
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            # A bug ends in a traceback, and its last line names it.
            last = last or line.strip()
            continue
        if isinstance(entry, dict) and entry.get("level") == "error":
            return str(entry.get("event", ""))
    return last or "it did not say why"


def _notes(result: Mapping[str, Any]) -> str:
    """What a step that has a result says of it."""
    notes = result.get("notes")
    return "; ".join(map(str, notes)) if isinstance(notes, list | tuple) else ""


def _last_json(said: bytes) -> dict[str, Any]:
    lines = said.decode("utf-8", errors="replace").strip().splitlines()
    try:
        found = json.loads(lines[-1])
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
