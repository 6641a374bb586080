"""The rows of a batch that may not go on, each once, with everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from haulier_transform import kernels as pc
from haulier_transform.arrays import Array, Mask, Positions, of_numbers
from haulier_transform.judging import Finding

#: In place of an output's number: the source row itself.
WHOLE = -1
_NOWHERE: Positions = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Reason:
    """Why a row was rejected: the first problem, and all of them as the JSON that the ledger keeps."""

    rule: str
    column: str | None
    message: str
    problems: str


@dataclass(kw_only=True)
class Rejects:
    """Rejected rows and outputs, one reason each."""

    source: Positions = field(default_factory=lambda: _NOWHERE)
    output: Positions = field(default_factory=lambda: _NOWHERE)
    reasons: list[Reason] = field(default_factory=list)

    def add(self, findings: Sequence[Finding], source: Positions, output: Positions) -> Positions:
        """Reject the rows that the findings name, ``at`` places in ``source`` and ``output``; return those."""
        at, reasons = _by_row(findings)
        self.source = np.concatenate([self.source, source[at]])
        self.output = np.concatenate([self.output, output[at]])
        self.reasons += reasons
        return at

    def ordered(self, keep: Mask) -> Rejects:
        """Those to keep, by source row, then output."""
        at = np.flatnonzero(keep)
        at = at[np.lexsort((self.output[at], self.source[at]))]
        reasons = [self.reasons[place] for place in at.tolist()]
        return Rejects(source=self.source[at], output=self.output[at], reasons=reasons)

    def __len__(self) -> int:
        return len(self.reasons)


@dataclass(kw_only=True)
class Flags:
    """Flagged rows and outputs, as parallel columns."""

    source: Positions = field(default_factory=lambda: _NOWHERE)
    output: Positions = field(default_factory=lambda: _NOWHERE)
    rule: list[str] = field(default_factory=list)
    column: list[str | None] = field(default_factory=list)
    message: list[str] = field(default_factory=list)
    #: SHA-256 of the source row's cells; told of those that are kept.
    line: list[bytes] = field(default_factory=list)

    def add(self, findings: Sequence[Finding], source: Positions, output: Positions) -> None:
        for finding in findings:
            self.source = np.concatenate([self.source, source[finding.at]])
            self.output = np.concatenate([self.output, output[finding.at]])
            self.rule += [finding.rule] * len(finding.at)
            self.column += [finding.column] * len(finding.at)
            self.message += [storable(finding.messages[which]) for which in finding.which.tolist()]

    def ordered(self, keep: Mask, text: pa.Table, group: Positions | None = None) -> Flags:
        """Those to keep, by source row, then output, then as they were found.

        ``text`` has the source rows, or, where these were made one per group, what each became part of.
        """
        at = np.flatnonzero(keep)
        at = at[np.lexsort((self.output[at], self.source[at]))]
        return Flags(
            line=line_digests(text, self.source[at] if group is None else group[self.source[at]]),
            source=self.source[at],
            output=self.output[at],
            rule=[self.rule[place] for place in at.tolist()],
            column=[self.column[place] for place in at.tolist()],
            message=[self.message[place] for place in at.tolist()],
        )

    def __len__(self) -> int:
        return len(self.rule)


def line_digests(text: pa.Table, source: Positions) -> list[bytes]:
    """Of each of these rows, by its cells and their columns: by it a row is known again in a later file."""
    if not len(source):
        return []
    at, which = np.unique(source, return_inverse=True)
    places, names = of_numbers(at), json.dumps(text.column_names)
    cells = zip(*(pc.take(column, places).to_pylist() for column in text.columns), strict=True)
    digests = [sha256(f"{names}{json.dumps(row, default=str)}".encode()).digest() for row in cells]
    return [digests[number] for number in which.tolist()]


def output_column(output: NDArray[np.int64]) -> Array:
    """Numbers of outputs as every table between the steps has them: null for a whole source row."""
    return of_numbers(output.astype(np.int32), output != WHOLE)


def storable(message: str) -> str:
    """The message without what PostgreSQL's text cannot hold; a function may have quoted anything."""
    return message.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _by_row(findings: Sequence[Finding]) -> tuple[Positions, list[Reason]]:
    """Every row that has findings, ascending, and its reason; findings stay in their order."""
    findings = [finding for finding in findings if len(finding.at)]
    if not findings:
        return _NOWHERE, []
    single = [[_reason(finding, message) for message in finding.messages] for finding in findings]
    at = np.concatenate([finding.at for finding in findings])
    number = np.concatenate([np.full(len(finding.at), n) for n, finding in enumerate(findings)])
    which = np.concatenate([finding.which for finding in findings])
    order = np.argsort(at, kind="stable")
    rows, first = np.unique(at[order], return_index=True)
    found = [single[n][w] for n, w in zip(number[order].tolist(), which[order].tolist(), strict=True)]
    bounds = [*first.tolist(), len(found)]
    return rows, [_joined(found[low:high]) for low, high in pairwise(bounds)]


def _reason(finding: Finding, message: str) -> Reason:
    text = storable(message)
    problem = {"rule": finding.rule, "column": finding.column, "message": text}
    return Reason(finding.rule, finding.column, text, f"[{msgspec.json.encode(problem).decode()}]")


def _joined(reasons: Sequence[Reason]) -> Reason:
    first = reasons[0]
    if len(reasons) == 1:
        return first
    problems = ",".join(reason.problems[1:-1] for reason in reasons)
    return Reason(first.rule, first.column, first.message, f"[{problems}]")
