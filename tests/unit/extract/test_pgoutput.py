"""PostgreSQL's own output, byte by byte, and the lines that are made of it."""

from __future__ import annotations

import json
import struct

import pytest

from haulier.errors import DataError
from haulier.rows import UNAVAILABLE
from haulier_extract.sources.sql.changes.events import Events, Shape, Stamp, Type
from haulier_extract.sources.sql.changes.pgoutput import (
    UNCHANGED,
    Begin,
    Change,
    Commit,
    Relation,
    Truncate,
    message_of,
)
from haulier_extract.sources.sql.changes.slot import number_of, shown

RELATION = (
    b"R" + struct.pack("!I", 7) + b"public\0things\0d" + struct.pack("!H", 2)
    + b"\1id\0" + struct.pack("!Ii", 23, -1) + b"\0name\0" + struct.pack("!Ii", 25, -1)
)  # fmt: skip


def cells(*values):
    forms = {None: b"n", UNCHANGED: b"u"}
    packed = [forms.get(v) or b"t" + struct.pack("!I", len(v)) + v for v in values]
    return struct.pack("!H", len(values)) + b"".join(packed)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"B" + struct.pack("!QqI", 5, 9, 3), Begin(5, 9, 3)),
        (b"C" + struct.pack("!BQQq", 0, 5, 8, 9), Commit(8)),
        (RELATION, Relation(7, "public", "things", ("id", "name"), (23, 25), (True, False))),
        (b"I" + struct.pack("!I", 7) + b"N" + cells(b"1", None), Change("insert", 7, new=(b"1", None))),
        (
            b"U" + struct.pack("!I", 7) + b"N" + cells(b"1", UNCHANGED),
            Change("update", 7, new=(b"1", UNCHANGED)),
        ),
        (
            b"U" + struct.pack("!I", 7) + b"K" + cells(b"1", None) + b"N" + cells(b"2", b"a"),
            Change("update", 7, old=(b"1", None), new=(b"2", b"a")),
        ),
        (
            b"D" + struct.pack("!I", 7) + b"O" + cells(b"1", b"a"),
            Change("delete", 7, old=(b"1", b"a"), is_whole=True),
        ),
        (b"T" + struct.pack("!IBII", 2, 0, 7, 9), Truncate((7, 9))),
        (b"Y" + b"whatever", None),
    ],
)
def test_each_message_says_what_it_says(data, message):
    assert message_of(data) == message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"B\0",
        RELATION[:-3],
        b"?",
        b"I" + struct.pack("!I", 7) + b"N" + struct.pack("!H", 1) + b"t\0\0\0\5ab",
    ],
)
def test_what_is_cut_or_unknown_is_an_error(data):
    with pytest.raises(ValueError, match="message"):
        message_of(data)


def shape(*types, identity=(True, False), key=("id",)):
    return Shape.of(
        ("id", "name"), [Type(*one) if isinstance(one, tuple) else Type(one) for one in types], identity, key
    )


def lines(change, made=None, fields=("op",)):
    events = Events(fields, ())
    return [json.loads(line) for line in events.change(change, Stamp(lsn=4), made or shape(23, 25))]


def test_a_deletion_says_what_identifies_the_row_and_no_more():
    assert lines(Change("delete", 7, old=(b"1", None))) == [{"__op": "d", "id": "1"}]
    whole = Change("delete", 7, old=(b"1", b"a"), is_whole=True)
    assert lines(whole) == [{"__op": "d", "id": "1", "name": "a"}]


def test_a_key_that_changes_is_a_deletion_and_a_row():
    update = Change("update", 7, old=(b"1", None), new=(b"2", UNCHANGED))
    assert lines(update) == [{"__op": "d", "id": "1"}, {"__op": "u", "id": "2", "name": UNAVAILABLE}]


def test_a_whole_old_row_fills_what_did_not_change_and_only_its_key_makes_it_another():
    update = Change("update", 7, old=(b"1", b"long"), is_whole=True, new=(b"1", UNCHANGED))
    assert lines(update, shape(23, 25, identity=(True, True))) == [{"__op": "u", "id": "1", "name": "long"}]


def test_what_identifies_a_row_beside_its_key_may_change_and_it_stays_that_row():
    update = Change("update", 7, old=(b"1", b"a"), new=(b"1", b"b"))
    assert lines(update, shape(23, 25, identity=(True, True))) == [{"__op": "u", "id": "1", "name": "b"}]


@pytest.mark.parametrize(
    "change",
    [
        Change("update", 7, new=(b"1", b"b")),
        Change("update", 7, old=(None, b"a"), new=(b"1", b"b")),
        Change("delete", 7, old=(None, b"a")),
    ],
)
def test_a_change_that_does_not_say_which_row_it_was_is_an_error(change):
    """Else the row would stay under its old key, and nobody know."""
    with pytest.raises(DataError, match="the log did not say id of rows that are gone"):
        lines(change, shape(23, 25, identity=(False, True)))


def test_a_row_without_a_key_is_only_ever_another_row():
    update = Change("update", 7, old=(b"1", b"a"), is_whole=True, new=(b"2", b"a"))
    assert [one["__op"] for one in lines(update, shape(23, 25, identity=(True, True), key=()))] == ["u"]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Type(16), b"t", True),
        (Type(16), b"f", False),
        (Type(1700), b"NaN", "NaN"),
        (Type(1184), b"2026-01-05 10:00:00+00", "2026-01-05T10:00:00+00:00"),
        (Type(1184), b"2026-01-05 10:00:00.25+05:30", "2026-01-05T10:00:00.25+05:30"),
        (Type(1184), b"infinity", "infinity"),
        (Type(1114), b"0044-03-15 12:00:00 BC", "0044-03-15 12:00:00 BC"),
        (Type(1114), b"2026-01-05 10:00:00", "2026-01-05T10:00:00"),
        (Type(114), b'{"a":\n 1, "a": 2}', '{"a":\n 1, "a": 2}'),
        (Type(1007, 23), b"{1,NULL}", "[1,null]"),
        (Type(1000, 16), b"{t,f}", "[true,false]"),
        (Type(1231, 1700), b"{NaN,1.50}", '["NaN",1.50]'),
        (Type(3807, 3802), b'{"{\\"a\\": 1}"}', '[{"a": 1}]'),
        (Type(1185, 1184), b'{"2026-01-05 10:00:00+00"}', '["2026-01-05T10:00:00+00:00"]'),
        (Type(1009, 25), b"[0:1]={a,b}", '["a","b"]'),
        (Type(1009, 25), b"{}", "[]"),
        (Type(1009, 25), b'{"","NULL",NULL}', '["","NULL",null]'),
        (Type(1020, 603), b"{(1,1),(0,0);(2,2),(1,1)}", '["(1,1),(0,0)","(2,2),(1,1)"]'),
        (Type(25), "é\n".encode(), "é\n"),
    ],
)
def test_values_have_one_spelling(kind, text, value):
    made = Shape.of(("v",), [kind], (True,), ())
    (line,) = (
        json.loads(one) for one in Events((), ()).change(Change("insert", 7, new=(text,)), Stamp(lsn=1), made)
    )
    assert line == {"v": value}


def test_bytes_that_are_no_text_stay_what_they_are():
    made = Shape.of(("v",), [Type(25)], (True,), ())
    (line,) = Events((), ()).change(Change("insert", 7, new=(b"\xff",)), Stamp(lsn=1), made)
    assert line == b'{"v": "\xff"}\n'


def test_only_the_columns_and_fields_that_are_wanted_are_there():
    events = Events(("op", "lsn", "source.ts_ms", "source.txId"), ("id",))
    stamp = Stamp(lsn=4, committed_at=1_000_500, xid=7)
    (line,) = events.change(Change("insert", 7, new=(b"1", b"a")), stamp, shape(23, 25))
    assert json.loads(line) == {
        "__op": "c",
        "__lsn": 4,
        "__source_ts_ms": 946684801000,
        "__source_txId": 7,
        "id": "1",
    }
    assert json.loads(events.truncation(Stamp(lsn=4))) == {
        "__op": "t",
        "__lsn": 4,
        "__source_ts_ms": None,
        "__source_txId": None,
    }


@pytest.mark.parametrize(
    ("text", "number"), [("0/0", 0), ("0/16B3748", 0x16B3748), ("2A/FF", (0x2A << 32) + 255)]
)
def test_a_place_in_the_log_is_a_number(text, number):
    assert (number_of(text), shown(number)) == (number, text)


@pytest.mark.parametrize("text", ["", "16B3748", "0/G", "0/123456789", "0/-1", " 0/1"])
def test_what_is_no_place_in_a_log_is_an_error(text):
    with pytest.raises(ValueError):
        number_of(text)
