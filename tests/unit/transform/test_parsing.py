"""Texts, truth values, UUIDs and JSON: what each type takes, and what it says of the rest."""

from __future__ import annotations

import json
import uuid

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.transforming import column, outcome

from haulier import rows
from haulier.definitions import Transform
from haulier_transform.parsing import JSON_DEPTH, boolean, jsonb, parser_of, text
from haulier_transform.parsing import uuid as parse_uuid


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text())), st.integers(0, 3))
def test_text_is_verbatim_but_for_nul(texts: list[str | None], start: int) -> None:
    parsed = text(pa.array(texts, pa.string()).slice(start))

    assert outcome(parsed) == ["nul-byte" if t and "\0" in t else t for t in texts[start:]]


def test_a_nul_outside_a_slice_is_not_the_slices() -> None:
    assert outcome(text(pa.array(["\0", "a", "\0"]).slice(1, 1))) == ["a"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *[(t, True) for t in ("true", "T", "YES", "y", "1")],
        *[(t, False) for t in ("False", "f", "no", "N", "0")],
        *[(t, "type") for t in ("", "2", "ja", "on", "yess", "trueish")],
    ],
)
def test_truth_values(written: str, value: object) -> None:
    assert outcome(boolean(pa.array([written, None], pa.string()))) == [value, None]


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.uuids(), st.text(max_size=36))))
def test_uuids_in_either_form_and_case(given: list[uuid.UUID | str | None]) -> None:
    for write in (str, lambda one: one.hex.upper()):
        texts = [write(one) if isinstance(one, uuid.UUID) else one for one in given]

        parsed = parse_uuid(pa.array(texts, pa.string()))

        assert parsed.values.type == pa.uuid()
        assert outcome(parsed) == ["type" if isinstance(one, str) else one for one in given]


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
)


@settings(deadline=None)
@given(JSON)
def test_json_is_kept_as_it_is_written(document: object) -> None:
    for ascii_only in (True, False):
        written = json.dumps(document, ensure_ascii=ascii_only)
        holds_nul = "\0" in json.dumps(document, ensure_ascii=False).replace("\\\\", "").replace(
            "\\u0000", "\0"
        )

        assert outcome(jsonb(pa.array([written]))) == ["type" if holds_nul else written]


@pytest.mark.parametrize(
    "written",
    [
        "{",
        "NaN",
        "[Infinity]",
        "{'a': 1}",
        "[1,]",
        r'"\u0000"',
        r'{"\u0000": 1}',
        r'"\\\u0000"',
        r'"\ud800"',
        r'"\udc00\ud800"',
        '"\t"',
        "1e200000",
        "1e-20000",
        "[" * (JSON_DEPTH + 1) + "]" * (JSON_DEPTH + 1),
        "[" * 100_000,
        "",
    ],
)
def test_json_that_postgresql_would_refuse(written: str) -> None:
    assert outcome(jsonb(pa.array([written]))) == ["type"]


@pytest.mark.parametrize(
    "written",
    [
        r'"\\u0000"',
        r'"\ud83d\ude00"',
        "1e131071",
        "9" * 5000,
        "[" * JSON_DEPTH + "]" * JSON_DEPTH,
        '"' + "[" * 1000 + '"',
        "[" + ",".join(["[]"] * 1000) + "]",
        "null",
    ],
)
def test_json_that_only_looks_suspicious(written: str) -> None:
    assert outcome(jsonb(pa.array([written]))) == [written]


@pytest.mark.parametrize(
    "pg_type",
    [
        "text", "varchar(3)", "bigint", "integer", "smallint", "numeric", "numeric(6,2)", "double precision",
        "boolean", "date", "timestamptz", "timestamp", "time", "uuid", "jsonb",
    ],
)  # fmt: skip
def test_every_type_of_a_contract_has_a_parser_that_gives_its_arrow_type(pg_type: str) -> None:
    parsed = parser_of(column("x", pg_type), Transform())(pa.array([None, "?"], pa.string()))

    assert parsed.values.type == rows.arrow_type(pg_type)
    assert parsed.values[0].as_py() is None
