"""Exit codes as Airflow acts on them."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context, RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from haulier.errors import EXIT_CODES

_NOTHING_NEW = 99


class StepFailed(AirflowException):
    """A step ended with an exit code that is no success."""

    def __init__(self, step: str, code: int) -> None:
        name, meaning, _ = EXIT_CODES.get(code, ("killed", _killed(code), "retry"))
        super().__init__(f"{step} ended with exit code {code}, {name}: {meaning}")
        self.exit_code = code


class FailedBefore(AirflowFailException):
    """This task did its work; one before it failed, which was told then, and its run must not end as a success."""


def judged(step: str, code: int, waiting: int = 0) -> None:
    """Raise what Airflow should make of an exit code; 0 passes. ``waiting``: files seen and not taken yet."""
    if code == _NOTHING_NEW:
        waits = f"; but {waiting} not complete yet, see the warnings above" if waiting else ""
        raise AirflowSkipException(f"{step}: there was nothing new; the empty run is recorded{waits}")
    if code:
        raise StepFailed(step, code)


class ByExitCode(RetryPolicy):
    """Fail at once where trying again cannot help; all else by the task's own retries."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        code = getattr(exception, "exit_code", None)
        name, meaning, action = EXIT_CODES.get(code or 1, EXIT_CODES[1])
        if code is not None and action == "fail at once":
            return RetryDecision.fail(f"exit code {code}, {name}: {meaning}")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ByExitCode:
        return cls()


def _killed(code: int) -> str:
    if code == 137:
        return "SIGKILL, as when its memory limit is reached (HAULIER_STEP_MEMORY)."
    signal = code - 128 if code > 128 else -code
    return f"Signal {signal} ended it." if 0 < signal < 65 else "Not one of Haulier's codes."
