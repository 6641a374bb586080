"""A run in figures, as `haulier_load verify` counts it, for people to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haulier.accounts import SOURCE
from haulier.ledger.reports import FIGURES
from haulier_command.output import Block, Facts, Table, columns
from haulier_command.words import counted


def figures(report: Mapping[str, Any]) -> list[Block]:
    """What arrived, what became of it, and what to look at."""
    deliveries, more = report["deliveries"], report["source"]["deliveries"] - len(report["deliveries"])
    source = columns("file", "sequence#", *(f"{name}#" for name in SOURCE))
    target = columns("target", "load#", "replay#?", "outcome!", "produced#", *(f"{n}#?" for n in FIGURES[1:]))
    return [
        Facts(title="", facts=[(name, report[name]) for name in ("run", "generation", "outcome")]),
        Table(
            title="What arrived",
            columns=source,
            rows=[tuple(one[name] for name in ("name", "sequence", *SOURCE)) for one in deliveries],
            note=f"and {counted(more, 'other file')}" if more else "",
        ),
        Table(
            title="What became of it",
            columns=target,
            rows=[
                tuple(one[name] for name in ("target", "load", "replay", "outcome", *FIGURES))
                for one in report["loads"]
            ],
            nothing="not loaded",
        ),
        Table(
            title="Rejects by rule",
            columns=columns("rule", "rejected#", "open#"),
            rows=[(rule, n["rejected"], n["open"]) for rule, n in report["rejects"].items()],
        ),
        Table(title="Flags by rule", columns=columns("rule", "rows#"), rows=list(report["flags"].items())),
    ]
