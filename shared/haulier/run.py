"""How a step becomes a program: arguments, signals, one result line, one exit code."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from haulier.errors import Cancelled, HaulierError

if TYPE_CHECKING:
    from haulier.interval import Interval
    from haulier.settings import Settings
    from haulier.task import Outcome, Task

    RunName = tuple[str, str, Interval]

T = TypeVar("T")


# No dataclass: that module takes 10 ms to import, a quarter of what `--help` takes.
class Program(NamedTuple):
    """One step's verbs. Each imports what it needs when it is called, so that ``--help`` does not."""

    name: str
    summary: str
    run: Callable[[Task], Outcome]
    #: What the step would do; writes only below the folder ``--into`` names.
    plan: Callable[[Task], Outcome]
    #: Findings, empty when all is well: (what was checked, what is wrong).
    check: Callable[[str | None, str | None, Settings], list[tuple[str, str]]]
    #: JSON Schema of what the step accepts.
    spec: Callable[[], dict[str, Any]]
    #: Deeply or not, of one run (pipeline, instance, interval) or all: the violations of the ledger's promises
    #: as (invariant, subject, problem), and the run in figures. Load alone knows the tables.
    verify: (
        Callable[[bool, RunName | None, Settings], tuple[list[tuple[str, str, str]], dict[str, Any]]] | None
    ) = None
    #: A contract proposed from a sample of what the options name. Extract alone knows the sources.
    discover: Callable[[Mapping[str, Any], Settings], dict[str, Any]] | None = None
    #: The run's SQL models, built or planned, once its rows are loaded. Transform alone knows them.
    models: Callable[[Task], Outcome] | None = None


def main(program: Program, argv: Sequence[str] | None = None) -> int:
    """Run one verb of one step; return the process exit code."""
    arguments = _parser(program).parse_args(argv)
    cancel_on_signals()
    try:
        if arguments.verb == "spec":
            print(json.dumps(program.spec(), indent=2))  # noqa: T201 - the answer itself
            return 0
        if arguments.verb == "check":
            return _check(program, arguments, os.environ)
        if arguments.verb == "discover":
            return _discover(program, arguments, os.environ)
        if arguments.verb == "verify":
            return _verify(program, arguments, os.environ)
        return _task(program, arguments, os.environ)
    except HaulierError as exc:
        from haulier.logs import log

        log.error(str(exc), extra={"facts": {**exc.context, "exit_code": exc.exit_code}})
        if not log.handlers:
            print(f"{program.name}: {exc}", file=sys.stderr)  # noqa: T201 - before the log could be set up
        return exc.exit_code


def build_task(program_name: str, arguments: argparse.Namespace, settings: Settings) -> Task:
    """The task that parsed arguments ask for. Raises `DefinitionError`."""
    from dataclasses import replace
    from typing import Literal, cast

    from haulier.interval import Interval
    from haulier.manifest import Step
    from haulier.task import Task

    verb: Literal["plan", "run"] = "run"
    if arguments.verb == "plan" or getattr(arguments, "plan", False):
        verb = "plan"
        settings = replace(settings, exchange=f"file://{arguments.into or _temporary_folder()}")
    return Task(
        step=cast(Step, program_name),
        verb=verb,
        pipeline=arguments.pipeline,
        instance=arguments.instance,
        interval=Interval.parse(arguments.interval_start, arguments.interval_end),
        generation=arguments.generation,
        replay=arguments.replay,
        reprocess=getattr(arguments, "reprocess", None),
        shard=getattr(arguments, "shard", None),
        settings=settings,
    )


def _task(program: Program, arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from dataclasses import asdict

    from haulier import logs
    from haulier.settings import Settings

    settings = Settings.from_env(environ)
    bound = {
        "step": "models" if arguments.verb == "models" else program.name,
        "pipeline": arguments.pipeline,
        "instance": arguments.instance,
        "interval_start": arguments.interval_start,
        "interval_end": arguments.interval_end,
    }
    logs.configure(bound, settings.log_level)
    task = build_task(program.name, arguments, settings)
    with remembering(task, bound["step"]):
        if arguments.verb == "models":
            assert program.models
            outcome = program.models(task)
        else:
            outcome = program.run(task) if task.verb == "run" else program.plan(task)
    line = json.dumps(
        {**bound, **{k: v for k, v in asdict(outcome).items() if v is not None}, "attempt": task.attempt},
        default=str,
    )
    logs.log.info(
        f"step {outcome.outcome}", extra={"facts": {"exit_code": outcome.exit_code, **outcome.counts}}
    )
    _answer(line, settings)
    return outcome.exit_code


@contextmanager
def remembering(task: Task, step: str) -> Iterator[None]:
    """What ends the block with an exception is written into the ledger where that is possible, and raised as it was.

    Not what is no failure of the run: nothing new, somebody else's turn, a cancellation; and no replay, whose
    run is through.
    """
    from haulier.errors import FencedError, NothingNew

    try:
        yield
    except (NothingNew, FencedError, Cancelled):
        raise
    except Exception as exc:
        if task.verb == "run" and task.replay is None and task.settings.postgres:
            from haulier.logs import log

            try:
                from haulier.ledger.failures import record

                record(task, step, exc)
            except Exception as unrecorded:  # noqa: BLE001 - a signal, too: it ends now in any case, with its own code
                log.warning(
                    "the failure is not in the ledger", extra={"facts": {"why": type(unrecorded).__name__}}
                )
        raise


def _check(program: Program, arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from haulier import logs
    from haulier.errors import DefinitionError, worst
    from haulier.settings import Settings

    settings = Settings.from_env(environ)
    logs.configure({"step": program.name}, settings.log_level)
    findings = program.check(arguments.pipeline, arguments.instance, settings)
    for subject, problem in findings:
        logs.log.error(problem, extra={"facts": {"checked": subject}})
    told = [
        (subject, problem, int(getattr(problem, "exit_code", DefinitionError.exit_code)))
        for subject, problem in findings
    ]
    _answer(json.dumps({"step": program.name, "ok": not findings, "findings": told}), settings)
    return worst(code for _, _, code in told)


def _verify(program: Program, arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from haulier import logs
    from haulier.errors import DataError
    from haulier.settings import Settings

    assert program.verify
    settings = Settings.from_env(environ)
    named = {
        name: getattr(arguments, name)
        for name in ("pipeline", "instance", "interval_start", "interval_end")
        if getattr(arguments, name)
    }
    bound = {"step": program.name, **named}
    logs.configure(bound, settings.log_level)
    findings, report = program.verify(arguments.deep, _run_named(named), settings)
    for invariant, subject, problem in findings:
        logs.log.error(problem, extra={"facts": {"invariant": invariant, "subject": subject}})
    answer = {**bound, "ok": not findings, "findings": [list(one) for one in findings], **report}
    _answer(json.dumps(answer), settings)
    return DataError.exit_code if findings else 0


def _discover(program: Program, arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from haulier import logs
    from haulier.errors import DefinitionError
    from haulier.interval import Interval
    from haulier.settings import Settings

    assert program.discover
    settings = Settings.from_env(environ)
    logs.configure({"step": program.name}, settings.log_level)
    if (arguments.pipeline is None) == (arguments.place is None):
        raise DefinitionError("say what to look at: --pipeline, or --from with a path or an address")
    interval = None
    if arguments.interval_start or arguments.interval_end:
        interval = Interval.parse(arguments.interval_start or "", arguments.interval_end or "")
    wanted = {
        name: getattr(arguments, name)
        for name in ("pipeline", "instance", "place", "table", "rows")
        if getattr(arguments, name) is not None
    }
    proposed = program.discover({**wanted, "interval": interval}, settings)
    logs.log.info("discovered", extra={"facts": {"rows": proposed["sample"]["rows"]}})
    _answer(json.dumps({"step": program.name, **proposed}, default=str), settings)
    return 0


def _run_named(named: Mapping[str, str]) -> RunName | None:
    """The run that all four options name. Raises `DefinitionError` when some of them are missing."""
    from haulier.errors import DefinitionError
    from haulier.interval import Interval

    if not named:
        return None
    if len(named) < 4:
        raise DefinitionError(
            "one run is named by --pipeline, --instance, --interval-start and --interval-end together"
        )
    return (
        named["pipeline"],
        named["instance"],
        Interval.parse(named["interval_start"], named["interval_end"]),
    )


def _answer(line: str, settings: Settings) -> None:
    """The one result line."""
    print(line, flush=True)  # noqa: T201 - the answer itself
    if settings.result_file:
        settings.result_file.write_text(line + "\n", encoding="utf-8")


def _parser(program: Program) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"haulier_{program.name}",
        description=program.summary,
        epilog="Settings come from the environment: docs/environment.md. Exit codes: docs/exit-codes.md.",
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("spec", help="print the JSON Schema of what this step accepts", allow_abbrev=False)
    check = verbs.add_parser(
        "check", help="check definitions, reachability and permissions", allow_abbrev=False
    )
    check.add_argument("--pipeline")
    check.add_argument("--instance")
    if program.verify:
        verify = verbs.add_parser("verify", help="prove the ledger's promises", allow_abbrev=False)
        verify.add_argument("--deep", action="store_true", help="read every part and target row again")
        verify.add_argument("--pipeline", help="with the next three: one run only, and its report")
        for name in ("--instance", "--interval-start", "--interval-end"):
            verify.add_argument(name)
    if program.discover:
        discover = verbs.add_parser("discover", help="propose a contract from a sample", allow_abbrev=False)
        discover.add_argument("--pipeline", help="the source of this definition; its contract may be missing")
        discover.add_argument("--instance")
        discover.add_argument(
            "--from", dest="place", help="or a path as source.files.path has it, or an address"
        )
        discover.add_argument("--table", help="what the contract is to be about; default: landing.sample")
        discover.add_argument("--rows", type=_positive, help="rows from the beginning; default: 1000")
        discover.add_argument("--interval-start", help="what an API is asked about; default: the last day")
        discover.add_argument("--interval-end", help="its end, not included")
    acting = [
        ("plan", "say what a run would do; write nothing outside a folder"),
        ("run", "do the work"),
        *([("models", "build the SQL models of a run that is loaded")] if program.models else []),
    ]
    for verb, text in acting:
        parsed = verbs.add_parser(verb, help=text, allow_abbrev=False)
        parsed.add_argument("--pipeline", required=True)
        parsed.add_argument("--instance", default="main", help="default: main")
        parsed.add_argument("--interval-start", required=True, help="ISO 8601 with an offset or Z")
        parsed.add_argument("--interval-end", required=True, help="ISO 8601 with an offset or Z")
        parsed.add_argument(
            "--generation", type=_positive, help="which content; default: asked of the ledger"
        )
        parsed.add_argument("--replay", type=_positive, help="haul the rejects of this replay instead")
        if program.name == "extract":
            parsed.add_argument(
                "--reprocess", metavar="REASON", help="open a new generation though nothing changed"
            )
        if program.name != "extract" and verb == "run":
            parsed.add_argument(
                "--shard", type=_positive, help="one shard of a run that extract split; default: all of it"
            )
        if verb == "models":
            parsed.add_argument("--plan", action="store_true", help="say what they would do")
        if verb in ("plan", "models"):
            parsed.add_argument("--into", help="folder for the plan's files; default: a new temporary one")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _temporary_folder() -> str:
    import tempfile

    return tempfile.mkdtemp(prefix="haulier-plan-")


_on_cancel: list[Callable[[], None]] = []


@contextmanager
def cancelling(interrupt: Callable[[], None]) -> Iterator[None]:
    """Call ``interrupt`` from another thread when a signal asks this process to end while the block lasts.

    Python runs its handlers between bytecodes only; a driver waiting in C for a lock would not
    notice SIGTERM until the lock came. Cancelling its query from outside ends the wait.
    """
    if threading.current_thread() is threading.main_thread():
        _watch_signals()
    _on_cancel.append(interrupt)
    try:
        yield
    finally:
        _on_cancel.remove(interrupt)


def heard(opening: Callable[[], T]) -> T:
    """What a driver's call gives that waits in C and that nothing can cancel yet, as it opens its connection.

    In a thread of its own, so that a signal ends the wait at once; what comes of the call then is nobody's.
    """
    if threading.current_thread() is not threading.main_thread():
        return opening()
    given: list[T] = []
    raised: list[BaseException] = []
    over = threading.Event()

    def call() -> None:
        try:
            given.append(opening())
        except BaseException as exc:  # noqa: BLE001 - raised where it is waited for
            raised.append(exc)
        over.set()

    threading.Thread(target=call, name="opening", daemon=True).start()
    over.wait()
    if raised:
        raise raised[0]
    return given[0]


def cancel_on_signals() -> None:
    """SIGTERM and SIGINT raise `Cancelled` in the main thread (PID 1 has no default handler)."""

    def cancel(signum: int, _frame: FrameType | None) -> None:
        raise Cancelled(f"ended by {signal.Signals(signum).name}; run it again to go on", signal=signum)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, cancel)


@cache
def _watch_signals() -> None:
    """Once, however many connections come and go."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def watch() -> None:
        while os.read(reader, 1):
            for interrupt in list(_on_cancel):
                # A connection may be lost, or closed at this moment; the others have to be told all the same.
                with suppress(Exception):
                    interrupt()

    threading.Thread(target=watch, name="cancel", daemon=True).start()
