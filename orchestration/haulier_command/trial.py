"""The clinical example as the demo hauls it: where it is, its days, and what its sites send on each."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from haulier.errors import DefinitionError
from haulier.interval import Interval

if TYPE_CHECKING:
    from haulier_command.hauling import Run

#: What was delivered so far, and which runs are spoiled.
STATE = "demo.json"


def example() -> Path:
    """The clinical example of this checkout. Raises `DefinitionError` when there is none."""
    found = Path(__file__).resolve().parents[2] / "examples" / "clinical"
    if not (found / "generator").is_dir():
        raise DefinitionError(f"the demo runs from a checkout: {found} is not there")
    return found


@dataclass(frozen=True, kw_only=True)
class Landing:
    """The landing area under a home, filled day by day, each day once."""

    home: Path

    @property
    def folder(self) -> Path:
        """Where the definitions' paths start."""
        return self.home / "landing"

    @property
    def _trial(self) -> Any:
        here = str(example())
        if here not in sys.path:
            sys.path.insert(0, here)
        from generator.trial import Trial

        return Trial()

    @property
    def days(self) -> list[Interval]:
        """The trial's days as intervals."""
        trial = self._trial
        midnights = [datetime.combine(trial.date_of(day), time(), UTC) for day in range(trial.days)]
        return [Interval(start=midnight, end=midnight + timedelta(days=1)) for midnight in midnights]

    def deliver(self, day: int) -> int:
        """Let the files of one day arrive, unless they did; return how many it was."""
        state = self._state()
        if day < state["days"]:
            return 0
        self.folder.mkdir(parents=True, exist_ok=True)
        delivered = self._trial.deliver(day, self.folder)
        state["days"] = day + 1
        state["bad"] += [
            [one.pipeline, one.site, one.arrival_date.isoformat()]
            for one in delivered
            if one.fate == "quarantine"
        ]
        (self.home / STATE).write_text(json.dumps(state), encoding="utf-8")
        return len(delivered)

    @property
    def complete(self) -> bool:
        """Whether every day has been delivered."""
        return bool(self._state()["days"] == self._trial.days)

    def meant_to_fail(self, run: Run) -> bool:
        """Whether the generator spoiled a file of this run beyond what its pipeline lets in."""
        return [run.pipeline, run.instance, f"{run.interval.start:%Y-%m-%d}"] in self._state()["bad"]

    def _state(self) -> dict[str, Any]:
        file = self.home / STATE
        if not file.exists():
            return {"days": 0, "bad": []}
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found
