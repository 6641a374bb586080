"""The haulier command in this process, over the clinical example and what a test hauls of it."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.databases import Database

from haulier_command.__main__ import main
from haulier_command.embedded import Tier

CLINICAL = Path(__file__).parents[2] / "examples" / "clinical"


@dataclass(frozen=True, kw_only=True)
class Hauled:
    """A place where the command works: its environment, its database."""

    environ: Mapping[str, str]
    database: Database
    home: Path

    def say(self, *words: str) -> tuple[int, str, str]:
        """(exit code, stdout, stderr) of one command, in this process."""
        out, err = io.StringIO(), io.StringIO()
        before = sys.stdout, sys.stderr, [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
        sys.stdout, sys.stderr = out, err
        try:
            code = main(words, self.environ)
        finally:
            sys.stdout, sys.stderr = before[:2]
            for number, handler in zip((signal.SIGTERM, signal.SIGINT), before[2], strict=True):
                signal.signal(number, handler)
        return code, out.getvalue(), err.getvalue()

    def text(self, *words: str, code: int = 0) -> str:
        found, out, err = self.say(*words)
        assert found == code, (out, err)
        return out

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.text(*words, "--output", "json", code=code))


def place(tier: Tier, database: Database, folder: Path) -> Hauled:
    folder.mkdir(exist_ok=True)
    environ = {
        **os.environ,
        **database.environment,
        "HAULIER_HOME": str(folder),
        "HAULIER_EXCHANGE": f"file://{folder}/exchange",
        "HAULIER_DEFINITIONS": str(CLINICAL),
        "HAULIER_SOURCE_ROOT": str(folder / "landing"),
        "HAULIER_ACTOR": "tester",
    }
    return Hauled(environ=environ, database=database, home=folder)
