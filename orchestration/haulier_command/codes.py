"""What the command makes of the exit codes of steps."""

from __future__ import annotations

from haulier.errors import EXIT_CODES


def retried(code: int) -> bool:
    """Whether an orchestrator tries again: Airflow fails at once on 2, 65 and 77, and skips on 99."""
    return EXIT_CODES.get(code, EXIT_CODES[1])[2] == "retry"


def stops_instance(code: int) -> bool:
    """Whether the instance's next runs would meet the same; a quarantine or a fence is one run's affair."""
    return code not in (0, 65, 77, 99)


def meaning(code: int) -> str:
    return EXIT_CODES.get(code, EXIT_CODES[1])[0] if code >= 0 else f"killed by signal {-code}"
