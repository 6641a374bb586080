"""What can go wrong, each with the exit code an orchestrator acts on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class HaulierError(Exception):
    """A failure this project can explain.

    The message says what is wrong, where, and what to do next; ``context`` carries facts for
    the log and never a cell's value.
    """

    exit_code: ClassVar[int]

    def __init__(self, message: str, **context: object) -> None:
        super().__init__(message)
        self.context = context


class DefinitionError(HaulierError):
    """A definition, a contract or a setting is wrong; retrying will not help."""

    exit_code = 2


class DataError(HaulierError):
    """The data broke its contract; someone should look at the rows."""

    exit_code = 65


class TransientError(HaulierError):
    """The other side was unavailable; try again later."""

    exit_code = 75


class FencedError(HaulierError):
    """A newer generation or attempt owns this run; stop without a trace."""

    exit_code = 77


class NothingNew(HaulierError):
    """There was nothing new to haul; the empty run is recorded."""

    exit_code = 99


class Cancelled(HaulierError):
    """SIGTERM or SIGINT ended this attempt; running it again picks up from what was sealed."""

    exit_code = 143


class Told(str):
    """What an error said, where it is a finding among others; it still knows its exit code."""

    __slots__ = ("exit_code",)
    exit_code: int

    @classmethod
    def of(cls, exc: HaulierError) -> Told:
        told = cls(exc)
        told.exit_code = exc.exit_code
        return told


#: code -> (name, what it means, what Airflow does). ``docs/exit-codes.md`` is generated from it.
EXIT_CODES: dict[int, tuple[str, str, str]] = {
    0: ("done", "The step did its work, or found it already done.", "success"),
    1: ("bug", "Python's own: an unexpected exception with its traceback. Please report it.", "retry"),
    2: ("definition", DefinitionError.__doc__ or "", "fail at once"),
    65: ("data", DataError.__doc__ or "", "fail at once"),
    75: ("transient", TransientError.__doc__ or "", "retry"),
    77: ("fenced", FencedError.__doc__ or "", "fail at once"),
    99: ("nothing new", NothingNew.__doc__ or "", "skip"),
    143: ("cancelled", Cancelled.__doc__ or "", "retry"),
}

#: The worst first: what a person must look at before anything else. An unknown code is a crash, like 1.
SEVERITY = (1, 143, 2, 65, 77, 75, 0, 99)


def worst(codes: Iterable[int]) -> int:
    """One code for all; 0 when everything was done or there was nothing new."""
    found = [code if code in SEVERITY else 1 for code in codes]
    if not found:
        return 0
    code = min(found, key=SEVERITY.index)
    return 0 if code == 99 else code
