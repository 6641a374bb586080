"""Manifests for tests of what carries them, and the keys they live under."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from haulier.contracts import Column, Contract
from haulier.definitions import Instance
from haulier.definitions.sources import Files, Source
from haulier.interval import Interval
from haulier.keys import RunKeys
from haulier.manifest import Manifest

INTERVAL = Interval(start=datetime(2026, 1, 5, tzinfo=UTC), end=datetime(2026, 1, 6, tzinfo=UTC))
KEYS = RunKeys(pipeline="labs", instance="701", interval=INTERVAL, content="g1")


def a_manifest(**changes: Any) -> Manifest:
    """What extract seals for `KEYS`, with these fields instead."""
    fields: dict[str, Any] = {
        "step": "extract",
        "run_id": 7,
        "pipeline": KEYS.pipeline,
        "instance": KEYS.instance,
        "interval_start": INTERVAL.start,
        "interval_end": INTERVAL.end,
        "content": KEYS.content,
        "generation": 1,
        "attempt": "attempt-1",
        "created_at": datetime(2026, 1, 6, 0, 5, tzinfo=UTC),
        "input_digest": "d" * 64,
        "definition": Instance(
            pipeline=KEYS.pipeline, instance=KEYS.instance, source=Source(files=Files(path="labs/*.csv"))
        ),
        "contract": Contract(
            id="labs",
            version="1.0.0",
            schema="lab",
            table="results",
            columns=(Column(name="subject", logical_type="string", pg_type="text", key_position=1),),
        ),
    }
    return Manifest(**{**fields, **changes})
