"""Change events become the rows that Debezium's own flattening makes of them, or a reject that says why not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.reading import read

from haulier.definitions.formats import Debezium, JsonLines

EVENTS = JsonLines(debezium=Debezium())
SOURCE = {"lsn": 77, "ts_ms": 5, "table": "things"}


def event(op: str, *, before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    return {"before": before, "after": after, "source": SOURCE, "op": op, "ts_ms": 6, **more}


def told(*lines: Any, form: JsonLines = EVENTS) -> Any:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return read("".join(f"{text}\n" for text in texts).encode(), form)


def rows(*lines: Any, form: JsonLines = EVENTS) -> list[dict[str, str | None]]:
    found = told(*lines, form=form)
    assert found.rejects == []
    return [dict(zip(found.columns, cells, strict=True)) for _, *cells in found.rows]


def with_schema(types: dict[str, dict[str, Any]], **values: Any) -> dict[str, Any]:
    fields = [{"field": name, "type": "any", **one} for name, one in types.items()]
    struct = {"type": "struct", "fields": [{"type": "struct", "fields": fields, "field": "after"}]}
    return {"schema": struct, "payload": event("c", after=values)}


@pytest.mark.parametrize("op", ["c", "r", "u"])
def test_an_event_is_the_row_as_it_is_afterwards(op: str) -> None:
    assert rows(event(op, before={"id": 0}, after={"id": 1, "name": "x", "more": {"a": 1.10}})) == [
        {"id": "1", "name": "x", "more": '{"a": 1.1}', "__op": op, "__lsn": "77"}
    ]


def test_a_deletion_is_the_row_as_it_was() -> None:
    assert rows(event("d", before={"id": 1, "name": None})) == [
        {"id": "1", "name": None, "__op": "d", "__lsn": "77"}
    ]


def test_a_truncation_has_no_more_than_what_it_says_of_itself() -> None:
    assert rows(event("c", after={"id": 1}), event("t"))[1] == {"id": None, "__op": "t", "__lsn": "77"}


def test_an_event_in_its_schema_is_the_same_event() -> None:
    plain = event("u", after={"id": 1})

    assert rows({"schema": {"fields": [{"field": "after", "fields": []}]}, "payload": plain}) == rows(plain)


def test_fields_are_named_as_debezium_names_them() -> None:
    form = JsonLines(debezium=Debezium(fields=("op", "table", "ts_ms", "source.ts_ms", "nowhere")))

    assert rows(event("c", after={"id": 1}), form=form) == [
        {"id": "1", "__op": "c", "__table": "things", "__ts_ms": "6", "__source_ts_ms": "5"}
    ]


def test_tombstones_and_messages_are_counted_with_their_reason() -> None:
    found = told(event("d", before={"id": 1}), "null", {"schema": None, "payload": None}, event("m"))

    assert found.account == (4, 1, 0, 3)
    assert [note.split(" ", 5)[-1] for note in found.notes] == [
        "a tombstone (a null after a deletion, for the log's own compaction)",
        "a message (op m), which is about no row",
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"id": 1}, "the line has no op"),
        ({"op": 5}, "the line has no op"),
        (event("x"), "none of c, r, u, d, t and m"),
        (event("u", before={"id": 1}), "after is missing"),
        (event("d"), "REPLICA IDENTITY"),
        (event("c", after=[1]), "after is no object"),
        ({"schema": {}, "payload": 5}, "payload is no object"),
        ({"schema": {}, "payload": event("c", after={"id": 1})}, "schema does not describe after"),
        ({**event("c", after={"id": 1}), "source": 5}, "source is no object"),
    ],
)
def test_what_is_no_event_is_a_reject_and_the_rest_is_read(line: Any, says: str) -> None:
    found = told(event("c", after={"id": 1}), line, event("c", after={"id": 2}))

    assert [number for number, *_ in found.rows] == [1, 3]
    assert found.rejects == [(2, "event")]
    assert says in found.messages[0]


def test_a_key_that_is_twice_inside_is_a_reject() -> None:
    line = '{"op":"c","after":{"id":1,"id":2},"source":null}'

    assert told(line).rejects == [(1, "duplicate-key")]


DECIMAL = {"name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "2"}}


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        (DECIMAL, "AZA=", "4.00"),
        (DECIMAL, "/w==", "-0.01"),
        ({"name": "io.debezium.data.VariableScaleDecimal"}, {"scale": 3, "value": "AZA="}, "0.400"),
        ({"name": "io.debezium.time.Date"}, 20458, "2026-01-05"),
        ({"name": "io.debezium.time.Timestamp"}, 1767603000123, "2026-01-05T08:50:00.123"),
        ({"name": "io.debezium.time.MicroTimestamp"}, 1767603000000001, "2026-01-05T08:50:00.000001"),
        ({"name": "io.debezium.time.MicroTimestamp"}, -1, "1969-12-31T23:59:59.999999"),
        ({"name": "io.debezium.time.MicroTime"}, 31800000000, "08:50:00"),
        ({"name": "io.debezium.time.ZonedTimestamp"}, "2026-01-05T08:50:00Z", "2026-01-05T08:50:00Z"),
        ({"name": "io.debezium.time.Date"}, 9_999_999_999, "9999999999"),
        ({"name": "io.debezium.time.Date"}, None, None),
        (DECIMAL, "not base64", "not base64"),
        ({}, "AZA=", "AZA="),
    ],
)
def test_types_that_only_the_schema_tells_are_read_by_it(column: Any, value: Any, text: str | None) -> None:
    assert rows(with_schema({"c": column}, c=value))[0]["c"] == text
