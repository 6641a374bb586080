"""Each line of JSON becomes a row of text, exactly as it was written, or a reject that says why not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reading import read, unfinished

from haulier.definitions.formats import JsonLines
from haulier.errors import DataError

JSON = JsonLines()

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
keys = st.text(alphabet="abcµ", min_size=1, max_size=2)


def lines(*documents: str) -> bytes:
    return "".join(f"{document}\n" for document in documents).encode()


def test_a_value_is_the_text_that_was_sent() -> None:
    told = read(
        lines(
            '{"id": 1, "price": 1.10, "tags": ["a", {"b": 1.0}], "ok": true, "name": "x\\"\\u00e9\\n"}',
            '{"price":123456789012345678901234567890.123456789,"id":1E400,"name":"","tags":null}',
        ),
        JSON,
    )

    assert told.columns == ("id", "price", "tags", "ok", "name")
    assert told.rows == [
        (1, "1", "1.10", '["a", {"b": 1.0}]', "true", 'x"é\n'),
        (2, "1E400", "123456789012345678901234567890.123456789", None, None, ""),
    ]


def test_a_key_that_comes_late_is_a_column_of_every_row() -> None:
    told = read(lines('{"a":1}', "", '{"b":2}', '{"a":3,"c":4}'), JSON, rows=1)

    assert told.columns == ("a", "b", "c")
    assert told.rows == [(1, "1", None, None), (3, None, "2", None), (4, "3", None, "4")]
    assert told.account == (4, 3, 0, 1)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('{"a":1,"a":2}', "duplicate-key"),
        ('{"a":{"b":1,"b":2}}', "duplicate-key"),
        ('{"a":1, "\\u0061":2}', "duplicate-key"),
        ("[1]", "not-an-object"),
        ("1", "not-an-object"),
        ('{"a":NaN}', "json"),
        ('{"a":Infinity}', "json"),
        ('{"a":01}', "json"),
        ('{"a":1', "json"),
        ('{"a":1} {"a":2}', "json"),
        ('{"a":"\\ud800"}', "json"),
        ('{"a\\u0000":1}', "key"),
        ('{"' + "k" * 2000 + '":1}', "key"),
        ('{"a":' + "[" * 10_000 + "]" * 10_000 + "}", "too-deep"),
        ('{"a":' + "[" * 500_000, "too-deep"),
        ('{"a":{"b":' + '{"x":' * 10_000 + "1" + "}" * 10_002, "too-deep"),
        ('{"a":"' + "x" * 1024 * 1024 + '"}', "record-too-long"),
    ],
    ids=lambda text: text[:24],
)
def test_a_line_that_is_no_object_of_values_is_a_reject_and_the_rest_is_read(line: str, rule: str) -> None:
    told = read(lines('{"a":"first"}', line, '{"a":"last"}'), JSON)

    assert told.rows == [(1, "first"), (3, "last")]
    assert told.rejects == [(2, rule)]
    assert told.verbatim[0] == line.encode()[: 64 * 1024]


@pytest.mark.parametrize("bad", [b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"\xff":1}'])
def test_bytes_that_are_no_text_are_a_reject(bad: bytes) -> None:
    told = read(b'{"a":1}\n' + bad + b"\n", JSON)

    assert told.rejects == [(2, "encoding")]
    assert told.verbatim == [bad]


def test_a_text_may_hold_what_postgresql_cannot_and_transform_judges_it() -> None:
    assert read(lines('{"a":"\\u0000"}', '{"a":{"b":"\\u0000"}}'), JSON).rows == [
        (1, "\0"),
        (2, '{"b":"\\u0000"}'),
    ]


def test_colons_and_quotes_inside_texts_are_no_second_key() -> None:
    assert read(lines('{"a":"x\\":\\"y","b" : "12:30"}'), JSON).rows == [(1, 'x":"y', "12:30")]


def test_a_message_says_where_and_never_what() -> None:
    told = read(lines('{"a": secret}'), JSON)

    assert told.messages == ["the line is not JSON, at byte 7; was it cut, or written by hand?"]


def test_other_encodings_and_line_ends_are_read() -> None:
    text = '{"a":"é"}\r\n{"a":"😀"}\r'

    assert read(text.encode("utf-16"), JsonLines(encoding="utf-16")).rows == [(1, "é"), (2, "😀")]
    assert read(text[:10].encode("cp1252"), JsonLines(encoding="cp1252")).rows == [(1, "é")]
    assert read(b"\xef\xbb\xbf" + text.encode(), JSON).rows == [(1, "é"), (2, "😀")]


def test_keys_that_would_be_one_column_are_told_apart() -> None:
    told = read(lines('{"a":1," a":2,"":3,"_haulier_row":4}'), JSON)

    assert told.columns == ("a", "a#2", "column_3", "_haulier_row#2")
    assert len(told.notes) == 3


def test_more_columns_than_a_part_holds_are_refused_by_name() -> None:
    many = lines(*(f'{{"k{number}":1}}' for number in range(10_001)))

    with pytest.raises(DataError, match="file://labs has 10001 columns or more, 10000 are the most"):
        read(many, JSON)


def test_a_row_group_of_many_empty_columns_stays_small() -> None:
    wide = json.dumps({f"k{number}": 1 for number in range(1000)})

    told = read(lines(wide, *['{"k0":1}'] * 1000), JSON, rows=1_000_000, size=400_000)

    assert len(told.rows) == 1001
    assert max(told.groups) <= 100


def test_only_wanted_rows_are_read_and_one_that_is_gone_is_an_error() -> None:
    data = lines('{"a":1}', "x", '{"b":2}', '{"a":3}')

    told = read(data, JSON, wanted=[2, 3])

    assert (told.columns, told.rows, told.rejects) == (("a", "b"), [(3, None, "2")], [(2, "json")])
    with pytest.raises(DataError, match=r"has no row 9 any more: the jsonl section"):
        read(data, JSON, wanted=[9])


def test_a_file_whose_last_line_has_no_end_waits() -> None:
    assert "its last line has no end" in (unfinished(b'{"a":1}\n{"a"', JSON) or "")
    assert unfinished(b'{"a":1}\n', JSON) is None
    assert unfinished(b"", JSON) is None


@settings(deadline=None)
@given(st.lists(st.dictionaries(keys, values, max_size=4), max_size=6), st.booleans(), st.integers(1, 4))
def test_what_is_read_is_what_json_says(documents: list[dict[str, Any]], ascii: bool, rows: int) -> None:
    data = lines(*(json.dumps(document, ensure_ascii=ascii) for document in documents))

    told = read(data, JSON, rows=rows)

    assert told.account == (len(documents), len(documents), 0, 0)
    assert set(told.columns) == {key for document in documents for key in document}
    for document, (_, *cells) in zip(documents, told.rows, strict=True):
        for key, cell in zip(told.columns, cells, strict=True):
            value = document.get(key)
            if isinstance(value, str) or value is None:
                assert cell == value
            else:
                assert cell == json.dumps(value, ensure_ascii=ascii)
