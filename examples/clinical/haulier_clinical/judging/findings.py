"""What a judge says: a rule that records break, how many, and why that is so where somebody has said it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]


class JudgeError(Exception):
    """Nothing can be judged; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule and the records of a domain that break it."""

    judge: str
    rule: str
    domain: str
    severity: Severity
    count: int
    says: str
    #: Some of the records, as ``USUBJID SEQ: value``.
    examples: tuple[str, ...] = ()
    #: Why it is so, where that is known; empty: nobody has explained it.
    explanation: str = ""


@dataclass(frozen=True, kw_only=True)
class Unrun:
    """A rule that was not applied, and why."""

    rule: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All one judge has to say."""

    judge: str
    passed: int
    findings: Sequence[Finding] = ()
    unrun: Sequence[Unrun] = field(default=())


def explain(findings: Iterable[Finding], explanations: Iterable[dict[str, str]]) -> list[Finding]:
    """Give each finding the first explanation of its rule that is for its domain, or for all (an empty cell)."""
    known = list(explanations)
    return [
        replace(
            finding,
            explanation=next(
                (
                    row["explanation"]
                    for row in known
                    if row["rule"] == finding.rule and row["domain"] in ("", finding.domain)
                ),
                "",
            ),
        )
        for finding in findings
    ]


def read_table(
    path: Path, option: str, columns: Sequence[str], filled: Sequence[str]
) -> list[dict[str, str]]:
    """The rows of a trial's own CSV. Raises `JudgeError` for a file without these columns, or with one unfilled."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as exc:
        raise JudgeError(f"{option} {path}: cannot be read as UTF-8 text: {exc}") from exc
    for number, row in enumerate(rows, 2):
        if any(row.get(name) is None for name in columns) or not all(row[name] for name in filled):
            raise JudgeError(f"{option} {path}: row {number} has not all of {', '.join(columns)}")
    return rows
