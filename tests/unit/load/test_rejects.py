"""What PostgreSQL cannot keep of a reject's words is shown by a picture, and nothing else changes."""

from __future__ import annotations

import json

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from haulier.landing.rejects import for_ledger


@settings(deadline=None)
@given(st.text(alphabet='\0\\u0a"', max_size=12))
@example("\\u0000")
@example("\\\\u0000\0\0\0")
def test_a_nul_is_a_picture_and_its_escape_as_text_stays_text(text: str) -> None:
    problems = json.dumps([{"rule": "r", "column": None, "message": text}])
    table = pa.table({"message": [text], "problems": [problems]})

    (kept,) = for_ledger([table], ["message", "problems"])

    pictured = text.replace("\0", "␀")
    assert kept["message"].to_pylist() == [pictured]
    assert json.loads(kept["problems"][0].as_py())[0]["message"] == pictured
