"""A run's half-open UTC interval ``[start, end)``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from haulier.errors import DefinitionError


@dataclass(frozen=True, kw_only=True, order=True)
class Interval:
    """Half-open, in UTC; ``start < end``. Raises `DefinitionError` for anything else."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            value = getattr(self, name)
            if value.tzinfo is None:
                raise DefinitionError(
                    f"interval {name} {value.isoformat()} has no time zone; write {value.isoformat()}Z"
                )
            object.__setattr__(self, name, value.astimezone(UTC))
        if not self.start < self.end:
            raise DefinitionError(f"interval {self} is empty: its start must be before its end")

    def __str__(self) -> str:
        return f"[{self.start:%Y-%m-%dT%H:%M:%SZ}, {self.end:%Y-%m-%dT%H:%M:%SZ})"

    @property
    def key(self) -> str:
        """How the interval is written in an object key: it sorts by time."""
        return f"{_stamp(self.start)}-{_stamp(self.end)}"

    @classmethod
    def parse(cls, start: str, end: str) -> Interval:
        return cls(start=parse_instant(start, "--interval-start"), end=parse_instant(end, "--interval-end"))


def parse_instant(text: str, what: str) -> datetime:
    """ISO 8601 with an offset or Z. Raises `DefinitionError` for naive times: they mean nothing here."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError as exc:
        raise DefinitionError(
            f"{what}: {text!r} is not an ISO 8601 time such as 2026-01-05T00:00:00Z"
        ) from exc
    if value.tzinfo is None:
        raise DefinitionError(f"{what}: {text!r} has no time zone; write {value.isoformat()}Z for UTC")
    return value.astimezone(UTC)


def _stamp(instant: datetime) -> str:
    text = instant.strftime("%Y%m%dT%H%M%S")
    return f"{text}.{instant.microsecond:06d}Z" if instant.microsecond else f"{text}Z"
