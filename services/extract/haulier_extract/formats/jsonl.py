"""JSON Lines: one object a line, its keys the columns, every value as it is written.

No number passes through a float: a value is the text between its comma and the next. Nested objects and
arrays stay JSON. ``null`` is no value, like a key that is not there.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from haulier.definitions.formats import JsonLines
from haulier.encodings import cell_encoding
from haulier.records import Block
from haulier_extract import arrays
from haulier_extract.columns import check_count
from haulier_extract.formats import debezium
from haulier_extract.formats.lines import LineReader, too_long, undecodable
from haulier_extract.formats.lines import unfinished as unfinished
from haulier_extract.gathering import Rejects

#: Bytes of a key; a longer one is a value in the wrong place.
KEY_BYTES = 1000

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
#: What follows every key of a document, and may also follow a quote inside a text.
_AFTER_KEY = re.compile(rb'"[ \t\r\n]*:')
_AT_BYTE = re.compile(r"\(byte (\d+)\)")


class Reader(LineReader[JsonLines]):
    """Reads a delivery twice: the columns are known when every line was seen."""

    def prepare(self) -> Sequence[str]:
        self._lines = Lines(self._form)
        #: Reason -> lines that are no data.
        self._without_row: Counter[str] = Counter()
        self._keys = self._all_keys()
        self.notes += [f"{count} lines of {self._name} are {why}" for why, count in self._without_row.items()]
        return self._keys

    def columns_of(
        self, block: Block, chosen: Sequence[int], rejects: Rejects
    ) -> tuple[list[pa.Array], list[int]]:
        lines: list[dict[str, msgspec.Raw]] = []
        at: list[int] = []
        for index in chosen:
            found = self._lines.read(block, index)
            if found is None or isinstance(found, str):
                self.strip()
            elif isinstance(found, dict):
                lines.append(found)
                at.append(index)
            else:
                rejects.add(self.reject(block, index, *found))
        columns = [
            arrays.of_bytes([_value(line.get(key)) for line in lines], pa.string()) for key in self._keys
        ]
        return columns, at

    def _all_keys(self) -> list[str]:
        keys: dict[str, None] = {}
        for block in self.blocks():
            for index in range(len(block)):
                found = self._lines.read(block, index)
                if isinstance(found, str):
                    self._without_row[found] += 1
                if isinstance(found, dict) and not found.keys() <= keys.keys():
                    keys |= dict.fromkeys(found)
                    check_count(len(keys), self._name)
        return list(keys)


read = Reader


class Lines:
    """Takes lines apart."""

    def __init__(self, form: JsonLines) -> None:
        self._form = form
        self._encoding = cell_encoding(form.encoding)
        self._good_keys: set[str] = set()

    def read(self, block: Block, index: int) -> dict[str, msgspec.Raw] | tuple[str, str] | str | None:
        """A line's values by key, as they are written in UTF-8; ``None`` for a blank one; why there are none; else
        (rule, message)."""
        if block.rule:
            return too_long(block, self._form)
        line = block.record(index)
        if not line.strip(b" \t"):
            return None
        if (wrong := undecodable(line, self._encoding, self._form.encoding)) is not None:
            return wrong
        text = line.decode(self._encoding)
        if self._encoding != "utf-8":
            line = text.encode()
        try:
            if self._form.debezium and line.strip(b" \t") == b"null":
                return debezium.TOMBSTONE
            raw = _OBJECT.decode(line)
            if len(_AFTER_KEY.findall(line)) != len(raw):
                json.loads(text, object_pairs_hook=_once, parse_int=str, parse_float=str)
            if self._form.debezium:
                row = debezium.row_of(raw, self._form.debezium.fields)
                if isinstance(row, str):
                    return row
                raw = row
            if not raw.keys() <= self._good_keys:
                for key in raw.keys() - self._good_keys:
                    _check_key(key)
                self._good_keys |= raw.keys()
            return raw
        except debezium.NotAnEvent as exc:
            return "event", str(exc)
        except _Twice:
            return "duplicate-key", "the line has a key twice in one object; send each once"
        except _BadKey as exc:
            return "key", str(exc)
        except RecursionError:
            return "too-deep", "the line is nested too deeply to be read; send it flatter"
        except msgspec.ValidationError:
            return "not-an-object", "the line is JSON, but not an object of keys and values"
        except (msgspec.DecodeError, ValueError) as exc:
            at = _AT_BYTE.search(str(exc))
            where = f", at byte {int(at[1]) + 1}" if at else ""
            return "json", f"the line is not JSON{where}; was it cut, or written by hand?"


class _Twice(Exception):
    """A key stands twice in one object."""


class _BadKey(Exception):
    """A key that can name no column."""


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _Twice


def _check_key(key: str) -> None:
    if "\0" in key:
        raise _BadKey("a key of the line holds a NUL character; send it without")
    if len(key) * 4 > KEY_BYTES and len(key.encode()) > KEY_BYTES:
        raise _BadKey(f"a key of the line has more than {KEY_BYTES} bytes; is it a value?")


def _value(value: msgspec.Raw | None) -> bytes | None:
    """A value as its column has it: texts unescaped, ``null`` none, anything else as it is written."""
    if value is None:
        return None
    raw = bytes(value)
    if raw[:1] == b'"':
        return raw[1:-1] if b"\\" not in raw else _TEXT.decode(raw).encode()
    return None if raw == b"null" else raw
