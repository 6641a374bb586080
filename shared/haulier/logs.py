"""JSON log lines on stderr: short events, facts in fields, never a cell's value."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO

log = logging.getLogger("haulier")


class JsonLines(logging.Formatter):
    """One JSON object per record; ``extra={"facts": {...}}`` become its fields."""

    def __init__(self, bound: Mapping[str, object]) -> None:
        super().__init__()
        self._bound = dict(bound)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **self._bound,
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(bound: Mapping[str, object], level: str = "info", stream: IO[str] | None = None) -> None:
    """Send this process's log to ``stream`` (stderr) with ``bound`` facts on every line."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(bound))
    log.handlers[:] = [handler]
    log.setLevel(level.upper())
    log.propagate = False
