"""What a run needs, looked at one thing after another; each look says what it found and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from haulier.errors import DefinitionError, HaulierError

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, kw_only=True)
class Look:
    """One thing that was looked at."""

    at: str
    what: str
    state: State = "ok"
    found: str = ""
    #: What to do; empty when all is well.
    advice: str = ""
    #: The exit code of a failure: 2, something is set wrong; 75, something is not there now.
    code: int = 0


class Looking:
    """Writes looks at one thing down."""

    def __init__(self, at: str) -> None:
        self._at = at

    def ok(self, what: str, found: str) -> Look:
        return Look(at=self._at, what=what, found=found)

    def warn(self, what: str, found: str, advice: str) -> Look:
        return Look(at=self._at, what=what, state="warn", found=found, advice=advice)

    def fail(self, what: str, found: str, advice: str, code: int = DefinitionError.exit_code) -> Look:
        return Look(at=self._at, what=what, state="fail", found=found, advice=advice, code=code)

    def error(self, what: str, exc: HaulierError, advice: str) -> Look:
        """A failure in its own words."""
        return self.fail(what, str(exc), advice, exc.exit_code)


Looks = Iterator[Look]
