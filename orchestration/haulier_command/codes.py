"""The command's own exit code, out of those of many steps."""

from __future__ import annotations

from collections.abc import Iterable

from haulier.errors import EXIT_CODES

#: The worst first: what a person must look at before anything else. An unknown code is a crash, like 1.
SEVERITY = (1, 143, 2, 65, 77, 75, 0, 99)


def worst(codes: Iterable[int]) -> int:
    """One code for all; 0 when everything was done or there was nothing new."""
    found = [code if code in SEVERITY else 1 for code in codes]
    if not found:
        return 0
    code = min(found, key=SEVERITY.index)
    return 0 if code == 99 else code


def retried(code: int) -> bool:
    """Whether an orchestrator tries again: Airflow fails at once on 2, 65 and 77, and skips on 99."""
    return EXIT_CODES.get(code, EXIT_CODES[1])[2] == "retry"


def stops_instance(code: int) -> bool:
    """Whether the instance's next runs would meet the same; a quarantine or a fence is one run's affair."""
    return code not in (0, 65, 77, 99)


def meaning(code: int) -> str:
    return EXIT_CODES.get(code, EXIT_CODES[1])[0] if code >= 0 else f"killed by signal {-code}"
